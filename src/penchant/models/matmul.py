"""Choose the CPU's matrix product, measured once per machine and stored.

PyTorch has two fp32 products on CPU: BLAS, and oneDNN, which it uses when reduced precision is allowed. On processors
without bf16 matrix units oneDNN computes in fp32 all the same, and on many it is twice as fast as BLAS. Where it does
reduce precision, the error is detected and BLAS stays. The two round differently, and a measurement on a busy machine
may choose differently: so that a repeated or resumed run gives the same bits, the choice is stored on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from functools import cache
from pathlib import Path

import torch

from penchant.models.cache import cache_folder

__all__ = ["arithmetic", "choice_file", "gemm_rate", "use_fastest_exact_matmul"]

PRECISIONS = ("highest", "medium")
_CHOOSING = threading.Lock()
"""Held while one thread measures and switches products, so that no other computes."""


def use_fastest_exact_matmul() -> str:
    """Set the precision of this machine's choice, measured if there is none; returns it."""
    with _CHOOSING:
        file = choice_file()
        chosen = _read(file)
        if chosen is None:
            chosen = _decided(file, _measured(torch.get_num_threads()))
        torch.set_float32_matmul_precision(chosen)
        return chosen


def choice_file() -> Path:
    """The file with the choice for this processor, PyTorch version and number of threads."""
    return cache_folder() / "matmul" / f"{_machine()}.json"


def arithmetic() -> str:
    """A short name for what determines the last bits of CPU products: the machine and the chosen product."""
    return f"{_machine()}-{torch.get_float32_matmul_precision()}"


def _machine() -> str:
    what = [torch.__version__, torch.get_num_threads(), torch.backends.cpu.get_cpu_capability(), _processor()]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def gemm_rate(rows: int = 768, inner: int = 576, cols: int = 1536, seconds: float = 0.04) -> float:
    """Measured floating-point operations per second of an fp32 matrix product of this shape; best of many."""
    generator = torch.Generator().manual_seed(0)  # leaves the caller's random state unchanged
    a, b = (torch.randn(num, inner, generator=generator) for num in (rows, cols))
    torch.nn.functional.linear(a, b)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        torch.nn.functional.linear(a, b)
        best = min(best, time.perf_counter() - begin)
    return 2 * rows * inner * cols / best


@cache
def _measured(num_threads: int) -> str:
    """The faster of the two with the current number of threads."""
    rates = {}
    for precision in PRECISIONS:
        torch.set_float32_matmul_precision(precision)
        rates[precision] = gemm_rate()
        if precision == "medium" and _product_error() > 2e-6:
            rates[precision] = 0.0
    return max(rates, key=lambda p: rates[p])


def _product_error() -> float:
    """Relative error of products in the three layouts that training uses, against float64."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(256, 576, generator=generator)
    b = torch.randn(640, 576, generator=generator)
    c = torch.randn(256, 640, generator=generator)
    errors = []
    for x, y in ((a, b.t()), (c, b), (c.t(), a)):
        exact = x.double() @ y.double()
        errors.append(float((torch.mm(x, y).double() - exact).norm() / exact.norm()))
    return max(errors)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _read(file: Path) -> str | None:
    try:
        chosen = json.loads(file.read_text(encoding="utf-8"))["precision"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return chosen if chosen in PRECISIONS else None


def _decided(file: Path, measured: str) -> str:
    """The first process's measurement, for all; without a writable cache each process measures."""
    scratch = file.with_name(f".{os.getpid()}-{file.name}")  # linked, not renamed: the first to finish decides
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps({"precision": measured}) + "\n", encoding="utf-8")
        with contextlib.suppress(OSError):  # it exists by now, or the file system has no links
            os.link(scratch, file)
        if _read(file) is None:
            scratch.replace(file)
        scratch.unlink(missing_ok=True)
    except OSError:
        return measured
    return _read(file) or measured
