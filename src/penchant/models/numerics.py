"""How this machine computes: device, precision, and settings that are measured rather than hoped for."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from penchant.errors import ConfigError
from penchant.models.matmul import use_fastest_exact_matmul
from penchant.process import is_own

__all__ = [
    "Numerics",
    "choose_numerics",
    "computing",
    "give_back_freed_memory",
    "prepare_process",
    "process_peak_bytes",
]

DEVICES = ("auto", "cpu", "cuda", "mps")
M_MXFAST, M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = 1, -1, -2, -4  # names and numbers of malloc.h
DTYPES = ("auto", "float32", "bfloat16")
KEPT_KERNELS = 64


@dataclass(frozen=True)
class Numerics:
    """Where and in which precision a forward runs; `mode` names it in ledgers and cache keys."""

    device: torch.device
    compute_dtype: torch.dtype

    @property
    def mode(self) -> str:
        return f"{self.device.type}-{str(self.compute_dtype).removeprefix('torch.')}"

    def take_up(self) -> None:
        """Let the fastest exact matrix product be used from now on, where it is the CPU that computes."""
        if self.device.type == "cpu":
            use_fastest_exact_matmul()

    def autocast(self) -> torch.autocast:
        """Weights stay fp32; matrix products run in the compute dtype."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.compute_dtype is torch.bfloat16, cache_enabled=True
        )


def prepare_process() -> None:
    """Settings of the whole process, where it is a command's own; before any tensor operation, as threads inherit them.

    Denormal numbers count as zero: saturated pairs put them into the backward matrix products, where each costs
    hundreds of cycles. Freed memory is kept (glibc only): by default every large tensor is asked of the system and
    given back, and touching its pages anew took longer than computing what goes in them. oneDNN keeps the kernels of
    one micro-batch, not of a thousand: each kept one lies between activations, where larger ones no longer fit. Large
    tensors ask for huge pages, where the system gives them to who asks. A variable that the user has set stays.
    """
    if not is_own():
        return
    torch.set_flush_denormal(True)
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(KEPT_KERNELS))
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # read by PyTorch's allocator at its first tensor
    if (mallopt := _of_glibc("mallopt")) is not None:
        for option, value in ((M_MXFAST, 0), (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, 64 * 2**20)):
            mallopt(option, value)


_COMPUTING = threading.RLock()


@contextmanager
def computing() -> Iterator[None]:
    """Inside, denormal numbers count as zero and the fastest exact matrix product may be chosen; then all is as before.

    One thread at a time: PyTorch has one choice of matrix product for the whole process, and sampling and reading back
    change it for a while, which would change the last bits of what another thread computes. Calls may be nested.
    """
    with _COMPUTING:
        flushed, precision = _flushes_denormals(), torch.get_float32_matmul_precision()
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(flushed)
            torch.set_float32_matmul_precision(precision)


def _flushes_denormals() -> bool:
    """Whether this thread takes them for zero, which PyTorch sets and does not tell."""
    return float(torch.full((), 2.0**-126) * 0.5) == 0.0


def give_back_freed_memory() -> None:
    """Hand what `prepare_process` keeps back to the system (glibc only): what comes next is of another size."""
    if (malloc_trim := _of_glibc("malloc_trim")) is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def choose_numerics(device: str = "auto", dtype: str = "auto") -> Numerics:
    """The device and precision to compute in. Raises ConfigError for one that this machine does not have."""
    if device not in DEVICES:
        raise ConfigError(f"device is one of {', '.join(DEVICES)}, got '{device}'; choose one of them")
    if dtype not in DTYPES:
        raise ConfigError(f"dtype is one of {', '.join(DTYPES)}, got '{dtype}'; choose one of them")
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        device = next(name for name, present in available.items() if present)
    if not available[device]:
        raise ConfigError(f"device '{device}' was asked for, but PyTorch sees none on this machine; use device 'cpu'")
    if dtype == "auto":
        wide = device == "cuda" and torch.cuda.is_bf16_supported()
        dtype = "bfloat16" if wide else "float32"
    numerics = Numerics(torch.device(device), getattr(torch, dtype))
    numerics.take_up()
    return numerics


def process_peak_bytes() -> int:
    """The most memory this process has held, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
