"""The language model: weights, tokenizer, chat format, precision, and capabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from penchant.errors import ConfigError
from penchant.models.attention import NAME, CannotShare
from penchant.models.numerics import Numerics
from penchant.models.sharded import Sharded
from penchant.tokens.encoding import ChatEncoder

__all__ = ["LanguageModel", "use_plain_attention"]

T = TypeVar("T")


@dataclass(eq=False, repr=False)
class LanguageModel:
    """network: a transformers causal language model, or a peft model around one.

    tokenizer: its own, of transformers. encoder: from conversations to token ids. numerics: device and precision. name,
    path: as it was asked for, and the folder of its weights. digest: sha256 of the weights it was loaded from.
    why_unshared: empty if prefixes are shared exactly, otherwise the reason why every sequence runs alone. keeps:
    whether its own code then has an exact key/value cache; otherwise every token reruns the whole text. num_tokens_run:
    tokens run so far, shared ones once. in_memory: whether its weights were trained since loading and have no folder;
    `path` is then the original one. head_gradient: where the gradient of the head's weight is accumulated, (V, H); None
    while autograd does it. task_type: peft's task type. sharded: the sharding of its weights over the ranks of a run,
    if any; skeleton: then the network without its weights, for writing.
    """

    network: Any
    tokenizer: Any
    encoder: ChatEncoder
    numerics: Numerics
    name: str
    path: Path
    digest: str
    why_unshared: str = ""
    keeps: bool = True
    num_tokens_run: int = 0
    in_memory: bool = False
    head_gradient: Tensor | None = None
    sharded: Sharded | None = None
    skeleton: Any = None
    task_type: ClassVar[str] = "CAUSAL_LM"

    def __repr__(self) -> str:
        packed = torch.uint8  # two numbers of 4 bits to a byte, see `penchant.models.quantised`
        size = sum(p.numel() * (2 if p.dtype is packed else 1) for p in self.network.parameters())
        dtype = str(self.numerics.compute_dtype).removeprefix("torch.")
        return f"{type(self).__name__}({self.name}, {size:,} parameters, {dtype}, {self.numerics.device})"

    @property
    def shares(self) -> bool:
        """Whether a common prefix of sequences is run once."""
        return not self.why_unshared

    @property
    def causal_lm(self) -> Any:
        """The transformers model, without peft's wrapper (adapters stay in place)."""
        return self.network.get_base_model() if self.is_adapter else self.network

    @property
    def is_adapter(self) -> bool:
        """Whether only a LoRA adapter is trained."""
        return hasattr(self.network, "peft_config")

    @property
    def body(self) -> nn.Module:
        """Token ids to hidden states, without the head."""
        body: nn.Module = getattr(self.causal_lm, self.causal_lm.base_model_prefix)
        return body

    @property
    def head(self) -> Any:
        """Hidden states to logits: a module with `weight` (V, H) and `bias` (V,) or None."""
        return self.causal_lm.get_output_embeddings()

    @property
    def text_config(self) -> Any:
        """The config of what reads and writes text; for a multimodal model, one part of its config."""
        return self.causal_lm.config.get_text_config(decoder=True)

    @property
    def logit_softcap(self) -> float | None:
        """Cap of the final logits (Gemma 2), or None."""
        return getattr(self.text_config, "final_logit_softcapping", None)

    @property
    def context_length(self) -> int:
        """The longest sequence the model supports, in tokens."""
        return int(getattr(self.text_config, "max_position_embeddings", None) or 10**9)

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, which runs the network once; if it is sharded, all ranks run theirs then."""
        return work() if self.sharded is None else self.sharded.run(work)

    def read_head(self, work: Callable[[Tensor], T], hidden: Tensor) -> T:
        """The result of `work` on the states with the head's weight, which is gathered if it is sharded."""
        return work(hidden) if self.sharded is None else self.sharded.read_head(work, hidden)

    def require_words(self) -> None:
        """Raise ModelError for a model without token probabilities."""

    def copy(self) -> LanguageModel:
        """The same model with its own network, which shares this one's weights until they are trained.

        Training the copy does not change this model: training first gives each parameter its own storage.
        """
        own = {id(p): nn.Parameter(p.detach(), requires_grad=p.requires_grad) for p in self.network.parameters()}
        return replace(self, network=deepcopy(self.network, own), num_tokens_run=0, head_gradient=None)

    def stop_sharing(self, reason: str) -> None:
        """From now on run every sequence alone with the model's own attention."""
        self.why_unshared = reason
        use_plain_attention(self.causal_lm)

    def start_sharing(self) -> None:
        """Run the model's attention through `penchant.models.attention`. Raises CannotShare if it accepts none."""
        self.causal_lm.set_attn_implementation(NAME)  # no effect if the code uses no attention function
        if self.text_config._attn_implementation != NAME:
            raise CannotShare("its code has an attention of its own and takes no other")
        self.why_unshared = ""

    def freeze_beyond_text(self) -> None:
        """Freeze vision and audio parts, which get no gradient from text."""
        if self.text_config is not self.causal_lm.config:
            text = {id(p) for part in (self.causal_lm.get_decoder(), self.head) for p in part.parameters()}
            for parameter in self.network.parameters():
                parameter.requires_grad_(parameter.requires_grad and id(parameter) in text)

    def checkpoint_activations(self) -> None:
        """Keep only each layer's input for the backward pass and recompute the rest: less memory, a third more time.

        transformers' own switch only works in training mode, with dropout and without a cache; here networks are never
        in training mode. Raises ConfigError for a model without layers that can be rerun.
        """
        from transformers.modeling_layers import GradientCheckpointingLayer

        layers = [module for module in self.causal_lm.modules() if isinstance(module, GradientCheckpointingLayer)]
        if not layers:
            raise ConfigError(
                f"model.gradient_checkpointing: the layers of a {type(self.causal_lm).__name__} cannot be run a second "
                "time; leave it out"
            )
        for layer in layers:
            layer.forward = partial(_run_again_on_the_way_back, layer.forward)

    def add_up_vocabulary_gradients(self, *, at_once: bool) -> None:
        """A context that accumulates the gradients of head and embedding in `weight.grad`, which must be allocated.

        By default autograd makes a dense tensor for each, adds the two if the weight is shared, and adds that to
        `weight.grad`: three vocabulary-sized tensors a micro-batch. Only on the CPU, as sparse gradients elsewhere are
        missing or not deterministic; and only with shared prefixes, as a model's own code has its own path from
        embedding to logits.
        """
        if not self.shares or self.sharded is not None:
            return
        embedding, weight = self.causal_lm.get_input_embeddings(), self.head.weight
        at_once = at_once and self.numerics.device.type == "cpu"
        self.head_gradient = weight.grad if at_once and weight.requires_grad else None
        if isinstance(embedding, nn.Embedding):
            embedding.sparse = at_once

    @contextmanager
    def as_reference(self) -> Iterator[None]:
        """A context in which the adapter is off: the reference policy of a LoRA run."""
        assert self.is_adapter, "only an adapter can be switched off"
        with self.network.disable_adapter():
            yield

    @contextmanager
    def with_weights(self, weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
        """A context in which the model uses these weights, by parameter name."""
        parameters = dict(self.network.named_parameters())
        own = {name: parameters[name].data for name in weights}
        try:
            for name, weight in weights.items():
                parameters[name].data = weight
            yield
        finally:
            for name, weight in own.items():
                parameters[name].data = weight


def use_plain_attention(network: Any) -> None:
    """Make a transformers model use its own attention code."""
    try:
        network.set_attn_implementation("sdpa")
    except ValueError:  # soft-capped scores and sinks exist only in the eager code
        network.set_attn_implementation("eager")


def _run_again_on_the_way_back(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    run = partial(forward, **kwargs)
    return checkpoint(run, *args, use_reentrant=False) if torch.is_grad_enabled() else run(*args)
