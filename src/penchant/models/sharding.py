"""Sharding a model over the ranks of a run, and putting it together again to be written."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from penchant import ranks
from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.models.sharded import Sharded, whole
from penchant.models.states import hidden_states
from penchant.tokens import Forest, TokenSequence

__all__ = ["shard", "whole_on_first"]


def shard(model: LanguageModel) -> None:
    """From now on every rank holds a slice of each weight. Raises ConfigError for a model that cannot be sharded.

    What is sharded: each layer by itself, then the head where it has a weight of its own, then the rest.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    network = model.causal_lm
    blocks = [module for module in network.modules() if isinstance(module, GradientCheckpointingLayer)]
    if model.is_adapter:
        raise ConfigError("parallel.mode: the model under an adapter is not sharded; leave out model.lora, or this")
    if not blocks or not model.shares:
        why = model.why_unshared or "its code has no layers that can be told apart"
        raise ConfigError(f"parallel.mode: {model.name} cannot be sharded ({why}); leave it out")
    skeleton = deepcopy(network, {id(p): _without_numbers(p) for p in network.parameters()})
    tied = any(model.head.weight is p for p in model.body.parameters())
    head = None if tied or model.task_type == "SEQ_CLS" else model.head
    model.sharded = Sharded(network, blocks, head, model.numerics.device, model.numerics.compute_dtype)
    model.sharded.idle = lambda: _one_token(model)
    model.skeleton = skeleton


def whole_on_first(model: LanguageModel) -> LanguageModel:
    """The model with a network of its own in memory, put together weight by weight, on the first rank.

    All ranks must ask for it; on the others, and where nothing is sharded, it is the model as it is.
    """
    if model.sharded is None:
        return model
    found: dict[int, nn.Parameter] = {}
    network = model.skeleton if ranks.is_first() else None
    names = {id(p): [] for p in model.network.parameters()}  # type: dict[int, list[str]]
    for name, parameter in model.network.named_parameters(remove_duplicate=False):
        names[id(parameter)].append(name)
    with ranks.all_together():
        for parameter in model.network.parameters():
            tensor = whole(parameter)
            if network is not None:
                found[id(parameter)] = nn.Parameter(tensor, requires_grad=parameter.requires_grad)
                for name in names[id(parameter)]:
                    owner, _, last = name.rpartition(".")
                    setattr(network.get_submodule(owner), last, found[id(parameter)])
    if network is None:
        return model
    put_together = copy(model)
    put_together.network, put_together.sharded = network.cpu(), None
    return put_together


def _without_numbers(parameter: Any) -> nn.Parameter:
    return nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad)


def _one_token(model: LanguageModel) -> Tensor:
    states = hidden_states(model, Forest.plant([TokenSequence.of([0], [0])]))
    assert model.sharded is not None
    # by the head alone, as log-probs come: the weights are asked for in the same order on the way back
    found: Tensor = model.sharded.read_head(lambda x: model.head.forward(x.float()).sum(), states)
    return found
