"""What a computation would hold and do, found out by running it on tensors that have sizes and no numbers.

Every call that reaches PyTorch is seen: the storage it makes is held until nobody needs it, so the most that is held at
once is what a run would hold, whatever the architecture. Its time is that of its arithmetic or of the memory it moves,
whichever is longer (the roofline of Williams et al. 2009, doi 10.1145/1498765.1498785), and a fixed time for the call.
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
    """peak: bytes held at most, beyond what was there. products: FLOPs of matrix products. moved: bytes of the calls
    that are limited by memory. calls: how many there are."""

    peak: float = 0.0
    products: float = 0.0
    moved: float = 0.0
    calls: float = 0.0

    def at_depth(self, depth: int, deeper: Work) -> Work:
        """With so many layers, where this is with one and `deeper` with two: each further layer adds the same."""
        mine, theirs = vars(self), vars(deeper)
        return Work(**{name: mine[name] + (depth - 1) * (theirs[name] - mine[name]) for name in mine})


@contextmanager
def without_numbers() -> Iterator[None]:
    """Inside, tensors that are made have a shape, a type and a device, and take no memory."""
    with torch.random.fork_rng(devices=[]), FakeTensorMode(allow_non_fake_inputs=True):
        yield


@contextmanager
def tracing(balance: float) -> Iterator[Trace]:
    """What is computed inside; balance: FLOPs that take as long as moving a byte."""
    with Trace(balance) as trace:
        yield trace


class Trace(TorchDispatchMode):
    """Sees every call, and every storage from the call that makes it until it is let go."""

    def __init__(self, balance: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives it none
        self._balance = balance
        self._held: dict[int, int] = {}
        self._now = self._peak = self._products = self._moved = self._calls = 0

    @property
    def work(self) -> Work:
        """What was seen so far."""
        return Work(self._peak, self._products, self._moved, self._calls)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func.namespace == "prim":  # asks a tensor for its device
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
    """Those that have a storage of their own."""
    return [t for t in tree_leaves(found) if isinstance(t, Tensor) and t.layout is torch.strided]
