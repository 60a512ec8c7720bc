"""A network sharded over ranks by FSDP2 (`torch.distributed.fsdp.fully_shard`).

A weight is gathered for use and then freed, also in the backward pass, and gradients are summed over the ranks per
shard. So all ranks must run the network equally often: `run` announces a run to the others, and ranks without work take
part with a token whose loss has weight zero (`penchant.ranks.work_together`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from penchant import ranks

__all__ = ["Sharded", "are_sharded", "begin_of", "own_slice", "put", "whole", "whole_of_all"]

T = TypeVar("T")
WORK = "_penchant_work"


class Sharded:
    """root: the network. head: its head, if it has its own weight. idle: runs one token and returns a tensor.

    mesh: torch.distributed's, of all ranks. dtype: the precision of gathered layers and their computation; the rest is
    gathered in float32, and sums are always in float32. offloads: whether shards are kept in the machine's memory,
    where the optimiser steps, and copied to the device to be gathered. exact: whether results equal an unsharded
    network's to the last bit.
    """

    def __init__(
        self,
        root: nn.Module,
        blocks: list[nn.Module],
        head: nn.Module | None,
        mesh: Any,
        dtype: torch.dtype,
        *,
        offloads: bool = False,
    ) -> None:
        from torch.distributed.fsdp import (
            CPUOffloadPolicy,
            FSDPModule,
            MixedPrecisionPolicy,
            OffloadPolicy,
            fully_shard,
            register_fsdp_forward_method,
        )

        self.exact = dtype is torch.float32
        narrow = MixedPrecisionPolicy() if self.exact else MixedPrecisionPolicy(dtype, torch.float32, None, False)
        lies = CPUOffloadPolicy(pin_memory=mesh.device_type == "cuda") if offloads else OffloadPolicy()
        for block in blocks:
            fully_shard(block, mesh=mesh, reshard_after_forward=True, mp_policy=narrow, offload_policy=lies)
        for module in [*([] if head is None else [head]), root]:
            fully_shard(module, mesh=mesh, reshard_after_forward=True, offload_policy=lies)
        for module in root.modules():
            if isinstance(module, FSDPModule):
                module.set_gradient_divide_factor(1.0)  # losses are already divided by the count of the whole batch
                module.set_force_sum_reduction_for_comms(True)  # gloo supports no other
        for module in [root, *([] if head is None else [head])]:
            setattr(module, WORK, lambda work, *given: work(*given))
            register_fsdp_forward_method(module, WORK)
        self.root, self.head, self._inside = root, head, False
        self.idle: Callable[[], Tensor] = lambda: torch.zeros(())

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, which runs the network once; every rank runs it now."""
        if self._inside:
            return work()
        ranks.work_together("forward and backward" if torch.is_grad_enabled() else "forward")
        return self._run(work)

    def take_part(self, what: str) -> None:
        """Run the network because another rank runs it."""
        with torch.enable_grad() if what != "forward" else torch.no_grad():
            found = self._run(self.idle)
            if what != "forward":
                (found * 0.0).sum().backward()

    def read_head(self, work: Callable[[Tensor], T], hidden: Tensor) -> T:
        """The result of `work` on the states, with the head's weight gathered."""
        found: T = work(hidden) if self.head is None else getattr(self.head, WORK)(work, hidden)
        return found

    def _run(self, work: Callable[[], T]) -> T:
        self._inside = True
        try:
            # weights gathered in inference mode could not be trained
            normal = torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext()
            with normal, torch.set_grad_enabled(torch.is_grad_enabled() and isinstance(normal, nullcontext)):
                found: T = getattr(self.root, WORK)(work)
                return found
        finally:
            self._inside = False


def own_slice(tensor: Tensor) -> Tensor:
    """This rank's shard of a sharded weight, in the same memory; any other weight unchanged."""
    local: Any = getattr(tensor, "to_local", None)
    return tensor if local is None else local()


def are_sharded(tensors: Iterable[Tensor]) -> bool:
    """Whether any of these is sharded."""
    return any(own_slice(tensor) is not tensor for tensor in tensors)


def begin_of(tensor: Tensor) -> int:
    """The first row of this rank's shard of a sharded weight; 0 for any other."""
    if own_slice(tensor) is tensor:
        return 0
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    cut: Any = tensor
    _, offset = compute_local_shape_and_global_offset(cut.shape, cut.device_mesh, cut.placements)
    return offset[0]


def whole(tensor: Tensor) -> Tensor:
    """The tensor on the CPU, gathered from all ranks if sharded; all must call this."""
    full: Any = getattr(tensor, "full_tensor", None)
    return (tensor if full is None else full()).detach().cpu().contiguous()


def whole_of_all(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor as returned by `whole`. If any is sharded, all ranks synchronise first."""
    with ranks.all_together() if are_sharded(tensors.values()) else nullcontext():
        return {name: whole(tensor) for name, tensor in tensors.items()}


@torch.no_grad()
def put(tensor: Tensor, value: Tensor) -> None:
    """Copy a whole value into a tensor, or this rank's part into its shard."""
    own = own_slice(tensor)
    if own is not tensor:
        value = value[begin_of(tensor) :][: len(own)]
    own.copy_(value)
