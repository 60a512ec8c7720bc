"""A model without its weights: built from its config, with every size and no numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch

from penchant.errors import ModelError
from penchant.models import adapters
from penchant.models.attention import CannotShare
from penchant.models.building import BUILDING
from penchant.models.config_types import require_types
from penchant.models.exactness import FOREIGN_ERRORS
from penchant.models.forward import score_sequences
from penchant.models.gated_mlp import remember_less
from penchant.models.language_model import LanguageModel, use_plain_attention
from penchant.models.network import read_json
from penchant.models.numerics import Numerics
from penchant.models.quantised import NF4_BYTES, linears
from penchant.models.reward_forward import rewards_of_sequences
from penchant.models.reward_model import RewardModel, classifier_of
from penchant.models.sharding import layers_of
from penchant.models.tracing import Work, tracing, without_numbers
from penchant.tokens import ChatEncoder, TokenSequence
from penchant.wording import reason_of

__all__ = ["Blueprint", "read_config", "tiny_config"]


def read_config(path: Path) -> Any:
    """The config in a model folder. Raises ModelError."""
    from transformers import AutoConfig

    require_types(path / "config.json", read_json(path / "config.json"))
    try:
        return AutoConfig.from_pretrained(str(path), trust_remote_code=False, local_files_only=True)
    except Exception as error:  # untrusted files fail in many ways; the text says what is wrong
        raise ModelError(f"{path}: its config.json could not be read ({reason_of(error)}); fetch it again") from error


def tiny_config() -> Any:
    """The config of a tiny model, whose step time is mostly call overhead."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2,
    )  # fmt: skip


@dataclass(frozen=True)
class Blueprint:
    """The model of a run, before it is loaded. rank, targets: those of the adapter; rank 0 trains all weights.

    is_reward: whether its head gives one number. computes_again: whether activations are recomputed.
    is_quantised: whether the linear layers under the adapter have 4-bit weights.
    """

    config: Any
    dtype: torch.dtype = torch.float32
    rank: int = 0
    targets: Sequence[str] = ()
    is_reward: bool = False
    computes_again: bool = False
    share: bool = True
    is_quantised: bool = False

    @property
    def text_config(self) -> Any:
        """The part of the config that reads and writes text."""
        return self.config.get_text_config(decoder=True)

    @property
    def depth(self) -> int:
        """The number of layers."""
        return int(self.text_config.num_hidden_layers)

    def parameters(self) -> tuple[int, int]:
        """The numbers of all parameters and of trained ones."""
        return self._parameters

    @cached_property
    def _parameters(self) -> tuple[int, int]:
        model = self._model(self.depth)
        sizes = [(p.numel(), p.requires_grad) for p in model.network.parameters()]
        return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)

    def quantised(self) -> tuple[float, float]:
        """Bytes saved by 4-bit weights over float32, and bytes of the largest layer while it is computed."""
        return self._quantised

    @cached_property
    def _quantised(self) -> tuple[float, float]:
        if not self.is_quantised:
            return 0.0, 0.0
        sizes = [layer.weight.numel() for _, _, layer in linears(replace(self, rank=0)._model(self.depth).network)]
        return (4.0 - NF4_BYTES) * sum(sizes), 4.0 * max(sizes, default=0)

    def gathered(self) -> float:
        """The most bytes of gathered weights that a rank of a sharded model holds.

        Weights outside layers are present the whole time, in float32, with gradients if they are trained. Of layers
        there are at most two, in the compute precision, and the gradient of one.
        """
        model = self._model(self.depth)
        own = {id(p) for layer in layers_of(model.causal_lm) for p in layer.parameters()}
        outside = [p for p in model.network.parameters() if id(p) not in own]
        layers = [
            [p for p in layer.parameters() if not (self.rank and p.requires_grad)]
            for layer in layers_of(model.causal_lm)
        ]
        width = 4.0 if self.dtype is torch.float32 else 2.0
        largest = max((sum((2 + p.requires_grad) * p.numel() for p in layer) for layer in layers), default=0)
        return 4.0 * float(sum((1 + p.requires_grad) * p.numel() for p in outside)) + width * float(largest)

    def work(self, sequences: Sequence[TokenSequence], balance: float, *, trains: bool = True) -> Work:
        """The work of a forward pass over these sequences and, if it `trains`, of the backward pass; see `tracing`."""
        try:
            one, two = (self._work(n, sequences, balance, trains) for n in (1, 2))
        except FOREIGN_ERRORS as error:  # for example if values decide what is computed, such as the choice of experts
            raise ModelError(
                f"the memory and time of a {type(self.config).__name__} cannot be planned, as its work depends on the "
                f"values of its weights ({reason_of(error)}); measure a run with `max_steps=1` instead"
            ) from error
        return one.at_depth(self.depth, two)

    def beside(self, encoder: ChatEncoder) -> LanguageModel:
        """A model with the tokenizer and template of the one to train, for encoding data."""
        return replace(self._model(1), encoder=encoder)

    def real_step(self, sequences: Sequence[TokenSequence]) -> Callable[[], None]:
        """A real forward and backward pass, for measuring."""
        model = self._model(self.depth)
        model.network.to_empty(device="cpu")
        for parameter in model.network.parameters():
            parameter.data.fill_(0.01)
        return lambda: score_sequences(model, sequences).sum().backward()

    def _work(self, depth: int, sequences: Sequence[TokenSequence], balance: float, trains: bool) -> Work:
        model = self._model(depth)
        with without_numbers():
            _give_sizes(model.network)
            if trains:
                _add_gradients_up_elsewhere(model)
            with torch.set_grad_enabled(trains), tracing(balance) as trace:
                if self.is_reward:
                    scores = rewards_of_sequences(cast(RewardModel, model), sequences)
                else:
                    scores = score_sequences(model, sequences)
                if trains:
                    scores.sum().backward()
                del scores
        return trace.work

    def _model(self, depth: int) -> LanguageModel:
        """The model with this many layers, ready for training."""
        from transformers import AutoModelForCausalLM

        config = deepcopy(self.config)
        text = config.get_text_config(decoder=True)
        text.num_hidden_layers = depth
        if getattr(text, "layer_types", None):
            text.layer_types = text.layer_types[:depth]
        try:
            with BUILDING, torch.device("meta"):
                network = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
        except Exception as error:  # as above
            raise ModelError(
                f"no model could be built from a {type(config).__name__} ({reason_of(error)}); check its config.json"
            ) from error
        network.tie_weights()
        embedding = network.get_input_embeddings()
        embedding.padding_idx = None  # which rows are padding, only numbers would say
        kind: type[LanguageModel] = LanguageModel
        if self.is_reward:
            kind, network = RewardModel, classifier_of(network, type(config).__name__, 0)
        numerics = Numerics(torch.device("cpu"), self.dtype)
        model = kind(network.eval(), None, cast(Any, None), numerics, type(config).__name__, Path(), "")
        self._choose_attention(model)
        if self.rank:
            adapters.attach(model, self.rank, self.rank, self.targets, 0)
        model.freeze_beyond_text()
        if self.computes_again:
            model.checkpoint_activations()
        else:
            remember_less(model.network, probe=False)
        return model

    def _choose_attention(self, model: LanguageModel) -> None:
        """Use shared attention if the code accepts it; its exactness can only be tested with real numbers."""
        try:
            if not self.share:
                raise CannotShare("sharing was switched off")
            model.start_sharing()
        except CannotShare as error:
            model.why_unshared = str(error)
            use_plain_attention(model.causal_lm)


def _add_gradients_up_elsewhere(model: LanguageModel) -> None:
    """Allocate gradients before the first forward, so that the backward pass accumulates into them."""
    if isinstance(head := getattr(model.head, "weight", None), torch.nn.Parameter) and head.requires_grad:
        head.grad = torch.zeros_like(head)
    model.add_up_vocabulary_gradients(at_once=True)
    for parameter in model.network.parameters():
        parameter.grad = None
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(lambda trained: setattr(trained, "grad", None))


def _give_sizes(network: torch.nn.Module) -> None:
    """Replace meta tensors by sized tensors, preserving sharing."""
    made: dict[int, Any] = {}
    for module in network.modules():
        for own in (module._parameters, module._buffers):
            for name, tensor in own.items():
                if tensor is not None:
                    own[name] = made.setdefault(id(tensor), _sized(tensor))


def _sized(tensor: torch.Tensor) -> torch.Tensor:
    sized = torch.empty_like(tensor, device="cpu", requires_grad=False)
    if not isinstance(tensor, torch.nn.Parameter):
        return sized
    return torch.nn.Parameter(sized, requires_grad=tensor.requires_grad)
