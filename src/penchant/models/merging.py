"""Merge an adapter into its model, giving one plain model that computes the same."""

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
    """Write a plain model with the adapter merged into its weights, rounded to `dtype`; a whole model is copied.

    Afterwards `model` equals what was written. The merge and the rounding are each compared with the model before, and
    the files with both; for `sign` see `save_model`. Raises WrittenError, keeping no file, and OSError.
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
    """Merge and round the model in place for writing to `place`, and compare after each step.

    name: the target of `rounded`, for messages. precision: a dtype with the same rounding; nothing is rounded for
    float32. Raises WrittenError if the result computes something else.
    """
    trained = Probe.of(model.network)
    merge_adapter(model, say)
    folded = trained.again(model.network)
    words = f"{place}: folding the adapter into its model changes what it computes"
    _require_close(trained, folded, torch.float32, words, "keep the adapter and its model apart")
    if precision is not torch.float32:
        round_weights(model.network, rounded)
        after = trained.again(model.network)
        words = f"{place}: rounding to {name} changes what this model computes"
        _require_close(folded, after, precision, words, "choose another precision")
        say(f"{name} moves log-probs by {folded.gap(after):.2g} nats at most, on {len(trained.ids)} tokens")


def merge_adapter(model: LanguageModel, say: Callable[[str], None] = lambda _: None) -> None:
    """Merge the adapter into the weights, in place; a model without one is unchanged.

    If embedding and head are tied and the adapter changes them differently, they are untied, in the config too, because
    a change to the shared weight would affect both. A quantised model is dequantised first: the result is the base that
    the adapter was trained on, plus the adapter.
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
    say(
        "the adapter changes the embedding or the head, which shared one weight; they are now two weights "
        "(tie_word_embeddings is false)"
    )


def round_weights(network: nn.Module, rounded: Callable[[Tensor], Tensor]) -> None:
    """Round every weight with `rounded`, in float32."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(rounded(parameter))


def _separate(causal_lm: Any) -> bool:
    """Whether an adapter is on a tied embedding and head; if so, untie them."""
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


def _require_close(before: Probe, after: Probe, dtype: torch.dtype, words: str, then: str) -> None:
    gap, tolerance = before.gap(after), before.tolerance(dtype)
    if not gap <= tolerance:
        raise WrittenError(
            f"{words} (log-probs differ by {gap:.2g} nats, and rounding explains only {tolerance:.2g}), so it was not "
            f"written; {then}"
        )
