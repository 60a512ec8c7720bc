"""Verify a written model: read the folder back like any other tool, and compare it with the model in memory.

There are two comparisons. One forward pass of a few tokens by the networks' own code, compared over the whole
vocabulary, detects config errors, such as an embedding wrongly tied to the head. Comparing every tensor detects disk
errors, also where the few tokens do not reach.

Shape suffixes: T probed tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from penchant.errors import ModelError, WrittenError
from penchant.models.adapters import quiet_peft
from penchant.models.attention import NAME
from penchant.models.building import NOBODYS, seeded
from penchant.models.language_model import use_plain_attention

__all__ = ["Probe", "Run", "require_same_adapter", "require_same_model", "require_same_network"]

Run = Callable[[Callable[[], tuple[Tensor, float]]], tuple[Tensor, float]]
"""Runs its argument, like `LanguageModel.run`."""
NUM_TOKENS = 24
WRITTEN = "written"
"""The name of an adapter that is read back, beside the trained one."""


@dataclass(frozen=True)
class Probe:
    """A network's output for a few tokens, `ids`. said_TV: natural-log probabilities, or rewards (T, 1), in float32.

    largest: the largest term of these numbers. num_matrices: weight matrices of the network, without adapters. width:
    that of its hidden states.
    """

    ids: tuple[int, ...]
    said_TV: Tensor
    largest: float
    num_matrices: int
    width: int

    @classmethod
    @torch.no_grad()
    def of(cls, network: Any, ids: Sequence[int] = (), run: Run = lambda work: work()) -> Probe:
        """Run the tokens through a transformers network, or a peft one around it, with its own attention.

        By default they are spread evenly over the vocabulary, including tokens that an adapter trains by name. Weights
        must be float32, and so is the arithmetic, regardless of the process's setting. run: see `LanguageModel.run`.
        """
        ids = tuple(ids or _token_ids(network))
        with _in_full_precision(), _plain(network):
            said_TV, largest = run(lambda: _said(network, torch.tensor([ids], device=network.device)))
        matrices = [p for name, p in network.named_parameters() if p.ndim > 1 and "lora_" not in name]
        width = network.get_input_embeddings().weight.shape[-1]
        return cls(ids, said_TV, largest, len(matrices), width)

    def again(self, network: Any, run: Run = lambda work: work()) -> Probe:
        """Another network's output for the same tokens."""
        return Probe.of(network, self.ids, run)

    def gap(self, other: Probe) -> float:
        """The largest difference of a log-prob, in nats, or of a reward; infinite if one is NaN."""
        if self.said_TV.shape != other.said_TV.shape:
            return math.inf
        gap = float((self.said_TV - other.said_TV).abs().max())
        return math.inf if math.isnan(gap) else gap

    def tolerance(self, dtype: torch.dtype = torch.float32) -> float:
        """The tolerance of log-probs, in nats, for weights rounded to `dtype` and float32 arithmetic.

        Each of n matrices adds a relative error: the dtype's precision (the distance from 1 to the next number) for
        rounded weights, and float32's precision times sqrt(H) for sums of H products. Independent errors add in
        quadrature, a log-prob is the difference of two numbers no larger than the largest log-prob, and a reward is a
        sum bounded by the product of the norms of state and head: (precision + precision_32 sqrt(H)) sqrt(n) largest.
        This is some ten times the errors of real models.
        """
        precision = torch.finfo(dtype).eps + torch.finfo(torch.float32).eps * math.sqrt(self.width)
        return precision * math.sqrt(self.num_matrices) * self.largest


def _said(network: Any, ids: Tensor) -> tuple[Tensor, float]:
    """Log-probs of every next token, or the reward of every prefix; and their largest term."""
    whole = network.get_base_model() if hasattr(network, "peft_config") else network
    if whole.get_output_embeddings() is not None or not hasattr(whole, "score"):
        said_TV = torch.log_softmax(network(input_ids=ids, use_cache=False).logits[0].float(), dim=-1)
        return said_TV, float(said_TV.abs().max())
    hidden_TH = getattr(whole, whole.base_model_prefix)(input_ids=ids)[0][0]
    longest = max(float(weight.norm()) for weight in whole.score.parameters())
    return whole.score(hidden_TH).float(), float(hidden_TH.norm(dim=1).max()) * longest


def require_same_model(network: Any, folder: Path) -> None:
    """Read a whole model back and compare it with the one in memory, both in float32. Raises WrittenError.

    This needs a second copy of the weights, memory-mapped if possible.
    """
    from penchant.models.network import read_network

    try:
        again = read_network(folder)
    except (ModelError, RuntimeError) as error:
        raise WrittenError(f"it cannot be read back: {error}") from error
    require_same_network(network, again)


def require_same_network(network: Any, again: Any) -> None:
    """Compare a network that was read back with the one in memory, both in float32. Raises WrittenError."""
    try:
        again = again.to(network.device)
        expected = Probe.of(network)
        found = expected.again(again)
    except (ModelError, RuntimeError) as error:
        raise WrittenError(f"it cannot be read back: {error}") from error
    _compare(expected, found)
    _compare_tensors(network.state_dict(), again.state_dict())


def require_same_adapter(network: Any, folder: Path, run: Run = lambda work: work()) -> None:
    """Read an adapter back into the same base model, beside the trained one, and compare. Raises WrittenError.

    run: runs the network, with the other ranks if the base model is sharded.
    """
    trained = network.active_adapter
    tensors = {name: tensor.detach() for name, tensor in network.named_parameters()}
    before = Probe.of(network, run=run)
    try:
        try:
            # weights that peft fails to read stay random, and must differ from the initial ones
            with quiet_peft(), seeded(NOBODYS):
                network.load_adapter(str(folder), WRITTEN, is_trainable=True)
            network.set_adapter(WRITTEN)
            found = before.again(network, run)
        except Exception as error:  # a damaged file may raise anything
            raise WrittenError(f"it cannot be read back: {error}") from error
        _compare(before, found)
        again = dict(network.named_parameters())
        own = {name: tensor for name, tensor in tensors.items() if trained in name.split(".")}
        _compare_tensors(own, {name: again[_of_adapter(WRITTEN, name, trained)] for name in own})
    finally:
        network.set_adapter(trained)
        if WRITTEN in network.peft_config:
            network.delete_adapter(WRITTEN)


def _of_adapter(adapter: str, name: str, trained: str) -> str:
    """The name of a tensor of adapter `trained` in another adapter."""
    return ".".join(adapter if part == trained else part for part in name.split("."))


def _compare(expected: Probe, found: Probe) -> None:
    gap, tolerance = expected.gap(found), expected.tolerance()
    if not gap <= tolerance:
        raise WrittenError(f"its log-probs differ by {gap:.2g} nats, and rounding explains only {tolerance:.1g}")


def _compare_tensors(expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    for name, tensor in expected.items():
        if name not in found or not torch.equal(tensor, found[name].to(tensor)):
            raise WrittenError(f"its weight {name} differs")


def _token_ids(network: Any) -> list[int]:
    size = len(network.get_input_embeddings().weight)
    ids = [i * size // NUM_TOKENS for i in range(NUM_TOKENS)]
    for config in getattr(network, "peft_config", {}).values():
        trained = getattr(config, "trainable_token_indices", None) or []
        rows = trained if isinstance(trained, list) else [row for some in trained.values() for row in some]
        ids += rows[:NUM_TOKENS]
    return ids


@contextmanager
def _in_full_precision() -> Iterator[None]:
    chosen = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(chosen)


@contextmanager
def _plain(network: Any) -> Iterator[None]:
    """A context with the network's own attention instead of the one that shares prefixes."""
    causal_lm = network.get_base_model() if hasattr(network, "peft_config") else network
    shares = causal_lm.config.get_text_config(decoder=True)._attn_implementation == NAME
    if shares:
        use_plain_attention(causal_lm)
    try:
        yield
    finally:
        if shares:
            causal_lm.set_attn_implementation(NAME)
