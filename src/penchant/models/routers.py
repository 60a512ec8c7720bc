"""The load-balancing loss of a mixture of experts, from its routers' logits.

    loss = N sum over experts e of (share of the tokens that go to e) x (mean probability of e),

over all layers (Fedus et al. 2021, Switch Transformers, arXiv 2101.03961, eq. 4 to 6), computed by transformers' own
function for the model's family. With uniform use it is k, the number of experts per token.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel

__all__ = ["Routers"]


@dataclass(frozen=True)
class Routers:
    """The routers of a model, layer by layer, and the index of the logits in each one's output."""

    modules: tuple[nn.Module, ...]
    index: int
    balance: Callable[[tuple[Tensor, ...]], Tensor]
    heard: dict[int, list[Tensor]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: LanguageModel) -> Routers:
        """Raises ConfigError for a model without routers, or whose family measures no balance."""
        network = model.causal_lm
        recorder = (getattr(type(network), "_can_record_outputs", None) or {}).get("router_logits")
        function = getattr(sys.modules[type(network).__module__], "load_balancing_loss_func", None)
        sizes = [getattr(network, name, None) for name in ("num_experts", "num_experts_per_tok")]
        kind = getattr(recorder, "target_class", None)
        modules = tuple(module for module in network.modules() if kind is not None and isinstance(module, kind))
        if not modules or function is None or None in sizes:
            raise ConfigError(
                f"optimiser.router_loss: {type(network).__name__} has no routers of experts that transformers can "
                "measure; leave it out"
            )
        return cls(modules, getattr(recorder, "index", 0), lambda logits: function(logits, *sizes))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """A context that records the routers' logits; recomputation in the backward pass is not recorded."""
        self.heard.clear()

        def hear(layer: int) -> Callable[[nn.Module, Any, Any], None]:
            def hook(_module: nn.Module, _given: Any, said: Any) -> None:
                logits = said[self.index] if isinstance(said, tuple) else said
                self.heard.setdefault(layer, []).append(logits.reshape(-1, logits.shape[-1]))

            return hook

        handles = [module.register_forward_hook(hear(layer)) for layer, module in enumerate(self.modules)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def loss(self) -> Tensor:
        """The balance loss of the recorded logits, a differentiable scalar."""
        found = self.balance(tuple(torch.cat(self.heard[layer]) for layer in sorted(self.heard)))
        self.heard.clear()
        return found
