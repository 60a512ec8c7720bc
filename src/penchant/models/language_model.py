"""A language model as the rest of Penchant sees it: weights, tokenizer, chat format, precision, and what it can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from penchant.models.attention import NAME
from penchant.models.numerics import Numerics
from penchant.tokens.encoding import ChatEncoder

__all__ = ["LanguageModel"]


@dataclass(eq=False)
class LanguageModel:
    """network: a transformers causal language model, or a peft model around one.

    digest: sha256 of the weights it was loaded from. why_unshared: empty when prefixes are shared exactly, otherwise
    the reason why every sequence runs by itself. num_tokens_run: how many it has run, shared ones once.
    head_gradient: where the gradient of the head's weight is added up, (V, H); None while autograd does it.
    """

    network: Any
    tokenizer: Any
    encoder: ChatEncoder
    numerics: Numerics
    name: str
    path: Path
    digest: str
    why_unshared: str = ""
    num_tokens_run: int = 0
    head_gradient: Tensor | None = None

    @property
    def shares(self) -> bool:
        """Whether sequences with a common prefix run it once."""
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
    def logit_softcap(self) -> float | None:
        """Cap of the final logits (Gemma 2), or None."""
        return getattr(self.causal_lm.config, "final_logit_softcapping", None)

    @property
    def context_length(self) -> int:
        """The longest sequence the model was built for, in tokens."""
        return int(getattr(self.causal_lm.config, "max_position_embeddings", None) or 10**9)

    def stop_sharing(self, reason: str) -> None:
        """From now on run every sequence by itself through the model's own attention."""
        self.why_unshared = reason
        try:
            self.causal_lm.set_attn_implementation("sdpa")
        except ValueError:  # soft-capped scores and sinks are only in the model's plain code
            self.causal_lm.set_attn_implementation("eager")
        if self.causal_lm.config._attn_implementation == NAME:  # older code ignores the setter, but reads its config
            self.causal_lm.config._attn_implementation = "eager"

    def start_sharing(self) -> None:
        """Run the model's attention through `penchant.models.attention`."""
        self.why_unshared = ""
        self.causal_lm.set_attn_implementation(NAME)

    def checkpoint_activations(self) -> None:
        """Keep only each layer's input for the way back and compute the rest again: less memory, a third more time."""
        if hasattr(self.causal_lm, "activation_checkpointing_enable"):
            self.causal_lm.activation_checkpointing_enable({"use_reentrant": False})
        else:  # its name in the first releases of transformers 5
            self.causal_lm.gradient_checkpointing_enable({"use_reentrant": False})
        for module in self.causal_lm.modules():
            if getattr(module, "gradient_checkpointing", False):
                module.training = True  # only layers in training are checkpointed; what is inside them stays as it is

    def add_up_vocabulary_gradients(self, *, at_once: bool) -> None:
        """Whether the gradients of head and embedding are added to `weight.grad`, which must be there, as they come.

        By default autograd makes a dense tensor for each, adds the two where the weight is shared, and adds that to
        `weight.grad`: for every micro-batch three tensors of the size of the vocabulary. Only on the CPU: elsewhere
        sparse gradients are missing or not the same twice.
        """
        embedding, weight = self.body.get_input_embeddings(), self.head.weight
        at_once = at_once and self.numerics.device.type == "cpu"
        self.head_gradient = weight.grad if at_once and weight.requires_grad else None
        if isinstance(embedding, nn.Embedding):
            embedding.sparse = at_once

    @contextmanager
    def as_reference(self) -> Iterator[None]:
        """Inside, the model is what it was before its adapter: the reference policy of a LoRA run."""
        assert self.is_adapter, "only an adapter can be switched off"
        with self.network.disable_adapter():
            yield
