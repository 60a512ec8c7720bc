"""Random numbers that a library takes from PyTorch's one generator: seeded for it, and as they were afterwards."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["NOBODYS", "seeded"]

NOBODYS = -1
"""A seed that no run has: numbers drawn with it are never those that an adapter began with."""

_ALONE = threading.Lock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, the CPU's global generator begins at `seed`, in one thread at a time; no other device's is touched."""
    with _ALONE, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
