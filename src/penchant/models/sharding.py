"""Shard a model over the ranks of a run, during or after loading, and gather it for writing.

An adapter on a sharded model is small and replicated on every rank.
"""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from penchant import ranks
from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.models.numerics import Numerics
from penchant.models.sharded import Sharded, own_slice, whole
from penchant.models.states import hidden_states
from penchant.tokens import Forest, TokenSequence

__all__ = ["Cut", "layers_of", "require_sharded", "shard", "to_device", "whole_on_first"]


class Cut:
    """Shards a network: each layer separately, then the head if it has its own weight, then the rest.

    The network may be on the meta device; each rank then fills only its own shards. All ranks must construct one, but
    need not shard at the same time. offloads: see `Sharded`. sharded: the sharding. skeleton: the network without
    numbers, for writing.
    """

    sharded: Sharded
    skeleton: Any

    def __init__(self, numerics: Numerics, *, offloads: bool = False) -> None:
        from torch.distributed.device_mesh import init_device_mesh

        self.mesh = init_device_mesh(numerics.device.type, (ranks.size(),))
        self.dtype, self.offloads = numerics.compute_dtype, offloads

    def __call__(self, network: Any) -> None:
        self.skeleton = deepcopy(network, {id(p): _without_numbers(p) for p in network.parameters()})
        self.sharded = Sharded(
            network, layers_of(network), _head_of_its_own(network), self.mesh, self.dtype, offloads=self.offloads
        )

    def belongs_to(self, model: LanguageModel) -> None:
        """Mark the model as having a sharded network."""
        model.sharded, model.skeleton = self.sharded, self.skeleton
        model.sharded.idle = lambda: _one_token(model)


def shard(model: LanguageModel, *, offloads: bool = False) -> None:
    """Shard the model's weights over the ranks. Raises ConfigError for a model that cannot be sharded.

    offloads: see `Sharded`.
    """
    if model.is_adapter:
        raise ConfigError(
            f"parallel.mode: {model.name} is an adapter in memory, which cannot be sharded; name its folder instead"
        )
    require_sharded(model)
    cut = Cut(model.numerics, offloads=offloads)
    cut(model.network)
    cut.belongs_to(model)


@torch.no_grad()
def to_device(network: nn.Module, device: torch.device) -> None:
    """Move the replicated tensors of a network; its shards stay in the machine's memory."""
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            if own_slice(parameter) is parameter:
                parameter.data = parameter.data.to(device)
        for name, buffer in module.named_buffers(recurse=False):
            module._buffers[name] = buffer.to(device)


def require_sharded(model: LanguageModel) -> None:
    """Raise ConfigError for a model that cannot be sharded."""
    if not (layers := layers_of(model.causal_lm)) or not model.shares:
        why = "its code has no layers that can be identified" if not layers else model.why_unshared
        raise ConfigError(f"parallel.mode: {model.name} cannot be sharded ({why}); leave parallel.mode out")


def whole_on_first(model: LanguageModel) -> LanguageModel:
    """The model with a complete network in memory, gathered weight by weight, on the first rank.

    All ranks must call this; on the others, and for an unsharded model, it returns the model. The same holds for an
    adapter, which is replicated on every rank.
    """
    if model.sharded is None or model.is_adapter:
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
                    _set(network, name, found[id(parameter)])
    if network is None:
        return model
    for name, buffer in model.network.named_buffers(remove_duplicate=False):
        _set(network, name, buffer.cpu())
    network.config, network.generation_config = model.network.config, getattr(model.network, "generation_config", None)
    put_together = copy(model)
    put_together.network, put_together.sharded = network, None
    return put_together


def layers_of(network: Any) -> list[nn.Module]:
    """The model's layers; empty if they cannot be identified."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [module for module in network.modules() if isinstance(module, GradientCheckpointingLayer)]


def _head_of_its_own(network: Any) -> nn.Module | None:
    """The head, if its weight is untied and vocabulary-sized."""
    head: nn.Module | None = network.get_output_embeddings()
    if head is None:
        return None
    body = getattr(network, network.base_model_prefix)
    return None if any(head.weight is p for p in body.parameters()) else head


def _set(network: nn.Module, name: str, value: Tensor) -> None:
    owner, _, last = name.rpartition(".")
    setattr(network.get_submodule(owner), last, value)


def _without_numbers(parameter: Any) -> nn.Parameter:
    return nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad)


def _one_token(model: LanguageModel) -> Tensor:
    states = hidden_states(model, Forest.plant([TokenSequence.of([0], [0])]))
    assert model.sharded is not None
    # through the head alone, like log-probs, so that the backward pass gathers weights in the same order
    found: Tensor = model.sharded.read_head(lambda x: model.head.forward(x.float()).sum(), states)
    return found
