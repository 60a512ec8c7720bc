"""Numerics: device, precision, and measured performance settings."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
    """The device and precision of a forward pass; `mode` names it in ledgers and cache keys."""

    device: torch.device
    compute_dtype: torch.dtype

    @property
    def mode(self) -> str:
        return f"{self.device.type}-{str(self.compute_dtype).removeprefix('torch.')}"

    def take_up(self) -> None:
        """Use the fastest exact matrix product from now on, on the CPU."""
        if self.device.type == "cpu":
            use_fastest_exact_matmul()

    def autocast(self) -> torch.autocast:
        """Weights stay fp32; matrix products run in the compute dtype."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.compute_dtype is torch.bfloat16, cache_enabled=True
        )


def prepare_process() -> None:
    """Tune a command's own process; must run before any tensor operation, as threads inherit the settings.

    Denormal numbers are flushed to zero: saturated pairs put them into the backward matrix products, where each costs
    hundreds of cycles. Freed memory is kept (glibc only): by default every large tensor is requested from the system
    and returned, and touching its pages again took longer than the computation. oneDNN caches the kernels of one
    micro-batch, not of a thousand, which would fragment memory between activations. Large tensors request huge pages
    if the system supports it. Environment variables set by the user are respected.
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
    """A context in which results do not depend on the caller's settings of PyTorch; then all of them are restored.

    Denormals are zero, the fastest exact matrix product may be chosen, new tensors are float32 and on the CPU unless
    said otherwise, gradients exist even where the caller asked for none, and no autocast of the caller applies.

    Only one thread at a time: PyTorch has one setting for the whole process, and sampling and reading back change it
    temporarily, which would change the last bits of another thread's results. Calls may be nested.
    """
    with _COMPUTING:
        flushed, precision = _flushes_denormals(), torch.get_float32_matmul_precision()
        dtype = torch.get_default_dtype()
        torch.set_flush_denormal(True)
        torch.set_default_dtype(torch.float32)
        try:
            with ExitStack() as stack:
                for setting in _of_our_own():
                    stack.enter_context(setting)
                yield
        finally:
            torch.set_flush_denormal(flushed)
            torch.set_float32_matmul_precision(precision)
            torch.set_default_dtype(dtype)


def _of_our_own() -> Iterator[AbstractContextManager[object]]:
    """The contexts that undo those of the caller; a default device costs every call a little, even that of the CPU."""
    yield torch.inference_mode(False)
    yield torch.enable_grad()
    for kind in ("cpu", "cuda", "mps"):
        if torch.is_autocast_enabled(kind):
            yield torch.autocast(kind, enabled=False)
    if torch.get_default_device() != (cpu := torch.device("cpu")):
        yield cpu


def _flushes_denormals() -> bool:
    """Whether this thread flushes denormals, which PyTorch can set but not query."""
    return float(torch.full((), 2.0**-126, dtype=torch.float32, device="cpu") * 0.5) == 0.0


def give_back_freed_memory() -> None:
    """Return memory kept by `prepare_process` to the system (glibc only), as later tensors have other sizes."""
    if (malloc_trim := _of_glibc("malloc_trim")) is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def choose_numerics(device: str = "auto", dtype: str = "auto") -> Numerics:
    """The device and precision to compute in. Raises ConfigError for one that this machine does not have."""
    if device not in DEVICES:
        raise ConfigError(f"device must be one of {', '.join(DEVICES)}, got '{device}'")
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be one of {', '.join(DTYPES)}, got '{dtype}'")
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        device = next(name for name, present in available.items() if present)
    if not available[device]:
        raise ConfigError(f"device '{device}' was asked for, but PyTorch finds none on this machine; use device 'cpu'")
    if dtype == "auto":
        wide = device == "cuda" and torch.cuda.is_bf16_supported()
        dtype = "bfloat16" if wide else "float32"
    numerics = Numerics(torch.device(device), getattr(torch, dtype))
    numerics.take_up()
    return numerics


def process_peak_bytes() -> int:
    """The peak memory of this process, in bytes; 0 if unknown."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
