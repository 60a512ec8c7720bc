"""Protect process-wide state that libraries change while building a network: one thread at a time, then restore."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["BUILDING", "NOBODYS", "seeded", "without_bars", "without_fetched_code"]

BUILDING = threading.RLock()
"""Held while transformers or peft builds a network or an adapter, because they patch their own classes, functions of
PyTorch and its global random generator.

Of two threads building at once, the second would permanently restore the first one's patches: networks without
initial numbers, or without tied weights.
"""

NOBODYS = -1
"""A seed that no run uses, so that its numbers never equal an adapter's initial ones."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A context in which the CPU's global generator starts at `seed`, one thread at a time; no other device's does."""
    with BUILDING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def without_bars() -> Iterator[None]:
    """A context in which transformers draws no progress bars, as Penchant has its own."""
    from transformers import modeling_gguf_pytorch_utils as gguf
    from transformers.utils import logging

    with BUILDING:
        active, drawn = logging._tqdm_active, gguf.tqdm
        logging._tqdm_active, gguf.tqdm = False, logging.tqdm  # that of gguf is one of its own, which is never silent
        try:
            yield
        finally:
            logging._tqdm_active, gguf.tqdm = active, drawn


@contextmanager
def without_fetched_code() -> Iterator[None]:
    """A context in which to import bitsandbytes, or peft, which imports it where it is installed.

    On some CPUs, bitsandbytes would let the package `kernels` download compiled code from the Hub and run it, and warn
    where that package is absent. Here the package counts as absent, and nothing is said.
    """
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    with BUILDING:
        found, silent = sys.modules.get("kernels"), logger.disabled  # transformers may have imported it
        sys.modules["kernels"] = None  # type: ignore[assignment]  # which makes importing it an ImportError
        logger.disabled = True
        try:
            yield
        finally:
            logger.disabled = silent
            del sys.modules["kernels"]
            if found is not None:
                sys.modules["kernels"] = found
