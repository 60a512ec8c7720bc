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
    except Exception as error:  # foreign files fail in foreign ways; the text says what is wrong
        raise ModelError(f"{path}: its config.json could not be read ({reason_of(error)}); fetch it again") from error


def tiny_config() -> Any:
    """Of a model whose step takes hardly more than its calls."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2,
    )  # fmt: skip


@dataclass(frozen=True)
class Blueprint:
    """What a run trains, before it is loaded. rank, targets: of the adapter; rank 0 trains all weights.

    is_reward: whether its head gives one number. computes_again: whether activations are computed again.
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
        """How many layers there are."""
        return int(self.text_config.num_hidden_layers)

    def parameters(self) -> tuple[int, int]:
        """How many there are, and how many of them are trained."""
        return self._parameters

    @cached_property
    def _parameters(self) -> tuple[int, int]:
        model = self._model(self.depth)
        sizes = [(p.numel(), p.requires_grad) for p in model.network.parameters()]
        return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)

    def quantised(self) -> tuple[float, float]:
        """Bytes that 4-bit weights take less than in float32, and what the largest layer takes while it is computed."""
        return self._quantised

    @cached_property
    def _quantised(self) -> tuple[float, float]:
        if not self.is_quantised:
            return 0.0, 0.0
        sizes = [layer.weight.numel() for _, _, layer in linears(replace(self, rank=0)._model(self.depth).network)]
        return (4.0 - NF4_BYTES) * sum(sizes), 4.0 * max(sizes, default=0)

    def gathered(self) -> float:
        """Bytes that a rank holds at most, where the model lies in slices, of weights that it has gathered to use them.

        What lies in no layer is there the whole time, in float32, and its gradient, where it is trained, beside it. Of
        layers there are at most two, in the precision that is computed in, and the gradient of one.
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
        """Of a forward over these sequences and, where the model `trains`, of the way back; see `tracing`."""
        try:
            one, two = (self._work(n, sequences, balance, trains) for n in (1, 2))
        except FOREIGN_ERRORS as error:  # as where numbers decide what is computed, such as which expert is asked
            raise ModelError(
                f"a {type(self.config).__name__} cannot be planned, as what it computes depends on its numbers "
                f"({reason_of(error)}); begin a run with `max_steps=1` instead"
            ) from error
        return one.at_depth(self.depth, two)

    def beside(self, encoder: ChatEncoder) -> LanguageModel:
        """A model that reads as the one to be trained does, for data to be encoded by."""
        return replace(self._model(1), encoder=encoder)

    def real_step(self, sequences: Sequence[TokenSequence]) -> Callable[[], None]:
        """A forward and the way back with numbers, to be measured."""
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
        """The model with so many of its layers, ready to be trained."""
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
            raise ModelError(f"{type(config).__name__}: no model could be built of it ({reason_of(error)})") from error
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
        """Shared where its code takes an attention; whether that is exact, only numbers would say."""
        try:
            if not self.share:
                raise CannotShare("sharing was switched off")
            model.start_sharing()
        except CannotShare as error:
            model.why_unshared = str(error)
            use_plain_attention(model.causal_lm)


def _add_gradients_up_elsewhere(model: LanguageModel) -> None:
    """Gradients are there before the first forward: what the way back makes is added to them and let go."""
    if isinstance(head := getattr(model.head, "weight", None), torch.nn.Parameter) and head.requires_grad:
        head.grad = torch.zeros_like(head)
    model.add_up_vocabulary_gradients(at_once=True)
    for parameter in model.network.parameters():
        parameter.grad = None
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(lambda trained: setattr(trained, "grad", None))


def _give_sizes(network: torch.nn.Module) -> None:
    """Put tensors in place of those that lie nowhere; what was one stays one."""
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
