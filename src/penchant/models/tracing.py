"""Estimate a computation's memory and work by running it on tensors with sizes but no numbers.

Every call to PyTorch is observed: its storage is tracked until it is freed, so the peak is that of a real run for any
architecture. The time of a call is that of its arithmetic or of its memory traffic, whichever is longer (the roofline
of Williams et al. 2009, doi 10.1145/1498765.1498785), plus a fixed overhead.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

__all__ = ["Trace", "Work", "tracing", "without_numbers"]


@dataclass(frozen=True)
class Work:
    """peak: the most bytes held, beyond those before. products: FLOPs of matrix products. moved: bytes of
    memory-bound calls. calls: their number."""

    peak: float = 0.0
    products: float = 0.0
    moved: float = 0.0
    calls: float = 0.0

    def at_depth(self, depth: int, deeper: Work) -> Work:
        """Extrapolate to this many layers from one (this) and two (`deeper`): each layer adds the same."""
        mine, theirs = vars(self), vars(deeper)
        return Work(**{name: mine[name] + (depth - 1) * (theirs[name] - mine[name]) for name in mine})


@contextmanager
def without_numbers() -> Iterator[None]:
    """A context in which new tensors have shape, dtype and device, but no memory."""
    with torch.random.fork_rng(devices=[]), FakeTensorMode(allow_non_fake_inputs=True):
        yield


@contextmanager
def tracing(balance: float) -> Iterator[Trace]:
    """A context that traces the computation; balance: FLOPs that take as long as moving a byte."""
    with Trace(balance) as trace:
        yield trace


class Trace(TorchDispatchMode):
    """Observes every call, and every storage from its creation until it is freed."""

    def __init__(self, balance: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives it none
        self._balance = balance
        self._held: dict[int, int] = {}
        self._now = self._peak = self._products = self._moved = self._calls = 0

    @property
    def work(self) -> Work:
        """The work traced so far."""
        return Work(self._peak, self._products, self._moved, self._calls)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func.namespace == "prim":  # queries a tensor's device
            return out
        used, made = _tensors((args, kwargs)), _tensors(out)
        was_there = {tensor.untyped_storage()._cdata for tensor in used}
        for tensor in made:
            if (storage := tensor.untyped_storage())._cdata not in was_there:  # else a view, or changed in place
                self._hold(storage)
        self._calls += 1
        if not func.is_view:
            moved = sum(t.numel() * t.element_size() for t in [*used, *made])
            count = flop_registry.get(func._overloadpacket)
            products = count(*args, **kwargs, out_val=out) if count else 0
            if products > moved * self._balance:
                self._products += products
            else:
                self._moved += moved
        return out

    def _hold(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self._held:
            self._held[storage._cdata] = storage.nbytes()
            self._now += storage.nbytes()
            self._peak = max(self._peak, self._now)
            weakref.finalize(storage, self._let_go, storage._cdata)

    def _let_go(self, key: int) -> None:
        self._now -= self._held.pop(key)


def _tensors(found: Any) -> list[Tensor]:
    """Tensors with their own storage."""
    return [t for t in tree_leaves(found) if isinstance(t, Tensor) and t.layout is torch.strided]
