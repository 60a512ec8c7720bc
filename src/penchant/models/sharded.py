"""A network of which every rank holds a slice of each weight, by FSDP2 (`torch.distributed.fsdp.fully_shard`).

A weight is gathered where it is used and let go again, on the way back too, and gradients are added up over the ranks
slice by slice. So all ranks run the network equally often: `run` says to the others that this one does, and those that
have nothing left to run take part with a token whose loss counts nothing (`penchant.ranks.work_together`).
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
    """root: the network. head: its head, where it has a weight of its own. idle: runs one token and gives a tensor.

    mesh: torch.distributed's, of all ranks. dtype: what the layers are gathered and computed in; the rest is gathered
    in float32, and sums always are. offloads: whether slices lie in the memory of the machine, where the optimiser
    steps, and come to the device to be gathered. exact: whether what is computed is, to the last bit, what an unsharded
    network computes.
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
                module.set_gradient_divide_factor(1.0)  # a loss is divided by the count of the whole batch already
                module.set_force_sum_reduction_for_comms(True)  # gloo has no other
        for module in [root, *([] if head is None else [head])]:
            setattr(module, WORK, lambda work, *given: work(*given))
            register_fsdp_forward_method(module, WORK)
        self.root, self.head, self._inside = root, head, False
        self.idle: Callable[[], Tensor] = lambda: torch.zeros(())

    def run(self, work: Callable[[], T]) -> T:
        """What `work` gives, which runs the network once; every rank runs it now."""
        if self._inside:
            return work()
        ranks.work_together("forward and backward" if torch.is_grad_enabled() else "forward")
        return self._run(work)

    def take_part(self, what: str) -> None:
        """Run the network because another rank does."""
        with torch.enable_grad() if what != "forward" else torch.no_grad():
            found = self._run(self.idle)
            if what != "forward":
                (found * 0.0).sum().backward()

    def read_head(self, work: Callable[[Tensor], T], hidden: Tensor) -> T:
        """What `work` makes of the states, while the head's weight is there."""
        found: T = work(hidden) if self.head is None else getattr(self.head, WORK)(work, hidden)
        return found

    def _run(self, work: Callable[[], T]) -> T:
        self._inside = True
        try:
            # what is gathered in inference mode could never be trained
            normal = torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext()
            with normal, torch.set_grad_enabled(torch.is_grad_enabled() and isinstance(normal, nullcontext)):
                found: T = getattr(self.root, WORK)(work)
                return found
        finally:
            self._inside = False


def own_slice(tensor: Tensor) -> Tensor:
    """Of a weight that is sharded, what this rank holds, in the same memory; of any other, all."""
    local: Any = getattr(tensor, "to_local", None)
    return tensor if local is None else local()


def are_sharded(tensors: Iterable[Tensor]) -> bool:
    """Whether any of these lies in slices."""
    return any(own_slice(tensor) is not tensor for tensor in tensors)


def begin_of(tensor: Tensor) -> int:
    """Of a weight that is sharded, which of its rows is the first that this rank holds; of any other, 0."""
    if own_slice(tensor) is tensor:
        return 0
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    cut: Any = tensor
    _, offset = compute_local_shape_and_global_offset(cut.shape, cut.device_mesh, cut.placements)
    return offset[0]


def whole(tensor: Tensor) -> Tensor:
    """The tensor on the CPU, put together from all ranks where it is sharded; these must all ask for it."""
    full: Any = getattr(tensor, "full_tensor", None)
    return (tensor if full is None else full()).detach().cpu().contiguous()


def whole_of_all(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor as `whole` gives it. Where any is sharded, all ranks meet before."""
    with ranks.all_together() if are_sharded(tensors.values()) else nullcontext():
        return {name: whole(tensor) for name, tensor in tensors.items()}


@torch.no_grad()
def put(tensor: Tensor, value: Tensor) -> None:
    """Copy a whole value into a tensor, or the slice of it that this rank holds."""
    own = own_slice(tensor)
    if own is not tensor:
        value = value[begin_of(tensor) :][: len(own)]
    own.copy_(value)
