"""What libraries change for the whole process while they build a network: in one thread at a time, and as it was."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["BUILDING", "NOBODYS", "seeded", "without_bars"]

BUILDING = threading.RLock()
"""Held while transformers or peft builds a network or an adapter, for which they change their own classes, functions
of PyTorch and its one generator of random numbers.

Of two threads that build at once, the second would put back for good what it found changed by the first: networks
without first numbers, or without tied weights.
"""

NOBODYS = -1
"""A seed that no run has: numbers drawn with it are never those that an adapter began with."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, the CPU's global generator begins at `seed`, in one thread at a time; no other device's is touched."""
    with BUILDING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def without_bars() -> Iterator[None]:
    """Inside, transformers draws no progress bars, since Penchant has its own; then the caller's choice holds again."""
    from transformers import modeling_gguf_pytorch_utils as gguf
    from transformers.utils import logging

    with BUILDING:
        active, drawn = logging._tqdm_active, gguf.tqdm
        logging._tqdm_active, gguf.tqdm = False, logging.tqdm  # that of gguf is one of its own, which is never silent
        try:
            yield
        finally:
            logging._tqdm_active, gguf.tqdm = active, drawn
