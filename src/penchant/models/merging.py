"""An adapter folded into its model: one plain model that computes what the two did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from penchant.errors import WrittenError
from penchant.models.adapters import is_adapted, quiet_peft
from penchant.models.language_model import LanguageModel
from penchant.models.quantised import dequantise
from penchant.models.saving import save_model
from penchant.models.written import Probe

__all__ = ["fold_and_round", "merge_adapter", "round_weights", "save_merged"]


def save_merged(
    model: LanguageModel,
    folder: Path,
    *,
    dtype: torch.dtype = torch.float32,
    say: Callable[[str], None] = lambda _: None,
    sign: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write a plain model with the adapter folded into its weights, rounded to `dtype`; a whole model is copied.

    Afterwards `model` is what was written. The fold and the rounding are each compared with the model before them, and
    what is on the disk with both; for `sign` see `save_model`. Raises WrittenError, then nothing is left of it, and
    OSError.
    """
    fold_and_round(model, folder, str(dtype).removeprefix("torch."), lambda weight: weight.to(dtype), dtype, say)
    save_model(model, folder, dtype=dtype, sign=sign)


def fold_and_round(
    model: LanguageModel,
    place: Path,
    name: str,
    rounded: Callable[[Tensor], Tensor],
    precision: torch.dtype,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Make the model, in place, what is about to be written to `place`, and compare each step with the one before.

    name: of what the weights are rounded to by `rounded`. precision: the dtype that rounds as coarsely; nothing is
    rounded for float32. Raises WrittenError where what comes out is another model.
    """
    trained = Probe.of(model.network)
    merge_adapter(model, say)
    folded = trained.again(model.network)
    _require_close(trained, folded, torch.float32, f"{place}: the adapter folded into its model is another model")
    if precision is not torch.float32:
        round_weights(model.network, rounded)
        after = trained.again(model.network)
        _require_close(folded, after, precision, f"{place}: {name} cannot hold this model")
        say(f"{name} moves log-probs by {folded.gap(after):.2g} nats at most, on {len(trained.ids)} tokens")


def merge_adapter(model: LanguageModel, say: Callable[[str], None] = lambda _: None) -> None:
    """Fold the adapter into the weights, in place; a model without one stays as it is.

    Where embedding and head are one weight and the adapter changes one of them, or each in its own way, they become
    two, in the config too: folded into the shared weight, a change of one would be a change of both. A quantised model
    is dequantised first: what comes out is what the adapter was trained on, and the adapter.
    """
    if not model.is_adapter:
        return
    dequantise(model.network)
    causal_lm = model.causal_lm
    tied = _separate(causal_lm)
    with quiet_peft():
        model.network = causal_lm = model.network.merge_and_unload()
    if not tied:
        return
    embedding, head = causal_lm.get_input_embeddings(), causal_lm.get_output_embeddings()
    if torch.equal(embedding.weight, head.weight):
        head.weight = embedding.weight
        _set_tied(causal_lm.config, True)
        return
    _set_tied(causal_lm.config, False)
    say("the adapter changes the embedding or the head, which were one weight: they are two now (tie_word_embeddings)")


def round_weights(network: nn.Module, rounded: Callable[[Tensor], Tensor]) -> None:
    """Give every weight the value that `rounded` makes of it; they stay float32."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(rounded(parameter))


def _separate(causal_lm: Any) -> bool:
    """Whether embedding and head were one weight that an adapter is on; if so, each has its own from now on."""
    embedding, head = causal_lm.get_input_embeddings(), causal_lm.get_output_embeddings()
    if head is None or not (is_adapted(embedding) or is_adapted(head)):
        return False
    held = {id(module._parameters.get("weight")) for module in embedding.modules()} - {id(None)}
    shared = [module for module in head.modules() if id(module._parameters.get("weight")) in held]
    for module in shared:
        module.weight = nn.Parameter(module.weight.detach().clone(), module.weight.requires_grad)
    return bool(shared)


def _set_tied(config: Any, tied: bool) -> None:
    for part in {id(part): part for part in (config, config.get_text_config(decoder=True))}.values():
        part.tie_word_embeddings = tied


def _require_close(before: Probe, after: Probe, dtype: torch.dtype, words: str) -> None:
    gap, tolerance = before.gap(after), before.tolerance(dtype)
    if not gap <= tolerance:
        raise WrittenError(f"{words} (log-probs differ by {gap:.2g} nats, and rounding explains {tolerance:.2g})")
