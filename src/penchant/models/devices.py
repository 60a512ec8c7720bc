"""Performance figures of devices: a table from data sheets, and measurements of this machine.

How much of a data sheet a training run reaches is an assumption, REACHED; this machine is measured, and the best result
is kept in the cache folder.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from penchant.errors import ConfigError
from penchant.models.blueprint import Blueprint, tiny_config
from penchant.models.cache import cache_folder
from penchant.models.matmul import arithmetic, gemm_rate
from penchant.tokens import TokenSequence
from penchant.wording import nearest

__all__ = [
    "DEVICES",
    "Device",
    "device_called",
    "device_of_run",
    "free_memory",
    "held_bytes",
    "memory_of_machine",
    "memory_without_swap",
    "this_machine",
]

REACHED = (0.5, 0.7)
"""The assumed shares of a data sheet's matrix-product rate and bandwidth that training reaches."""
RATES = ("products", "moves", "call")
CALL_SECONDS = 10e-6
"""The assumed overhead of a call before a GPU starts on it."""


@dataclass(frozen=True)
class Device:
    """products: FLOPs of matrix products per second. moves: bytes per second. call: seconds per call.

    watts: None if unknown. source: the source of the numbers. waits: whether calls block until their work is done, or,
    as on a GPU, overlap with it.
    """

    name: str
    memory: float
    products: float
    moves: float
    call: float
    watts: float | None
    source: str
    waits: bool = False

    @property
    def has_rates(self) -> bool:
        """Whether its speed is known."""
        return not math.isnan(self.products)

    def seconds(self, products: float, moved: float, calls: float) -> float:
        """The time for this work."""
        work, calling = products / self.products + moved / self.moves, calls * self.call
        return work + calling if self.waits else max(work, calling)


def _nominal(name: str, gb: float, tflops: float, gb_per_second: float, watts: float, source: str) -> Device:
    products, moves = REACHED[0] * tflops * 1e12, REACHED[1] * gb_per_second * 1e9
    return Device(name, gb * 1e9, products, moves, CALL_SECONDS, watts, source)


DEVICES = {
    device.name: device
    for device in (
        _nominal("h100", 80, 989, 3350, 700, "NVIDIA H100 SXM data sheet; bf16 dense"),
        _nominal("h200", 141, 989, 4800, 700, "NVIDIA H200 SXM data sheet; bf16 dense"),
        _nominal("b200", 180, 2250, 7700, 1000, "NVIDIA DGX B200 data sheet, an eighth of it; bf16 dense"),
        _nominal("a100-80gb", 80, 312, 2039, 400, "NVIDIA A100 80GB SXM data sheet; bf16 dense"),
        _nominal("a100-40gb", 40, 312, 1555, 400, "NVIDIA A100 40GB SXM data sheet; bf16 dense"),
        _nominal("l40s", 48, 362, 864, 350, "NVIDIA L40S data sheet; bf16 dense"),
        _nominal("l4", 24, 121, 300, 72, "NVIDIA L4 data sheet; bf16, half of the figure with sparsity"),
        _nominal("rtx4090", 24, 165, 1008, 450, "NVIDIA Ada architecture paper; bf16 dense with fp32 sums"),
        _nominal("mi300x", 192, 1307, 5300, 750, "AMD Instinct MI300X data sheet; bf16 dense"),
    )
}

UNKNOWN = Device("", 0.0, math.nan, math.nan, math.nan, None, "rates not known")


def device_called(name: str | None) -> Device:
    """A device of the table; cpu: this machine; None, auto and cuda: its GPU, if it has one. Raises ConfigError."""
    if name in (None, "auto", "cuda") and torch.cuda.is_available():
        return device_of_run("cuda")
    if name in (None, "auto", "cpu"):
        return this_machine()
    if name not in DEVICES:
        meant = nearest(str(name), DEVICES)
        hint = f"did you mean '{meant}'?" if meant else f"choose one of {', '.join(DEVICES)}, or cpu for this machine"
        raise ConfigError(f"device: the speed of '{name}' is not known; {hint}")
    return DEVICES[name]


def device_of_run(name: str) -> Device:
    """The device of a run with this `model.device`: the GPU of this process, or this machine.

    Its memory is the actual one; its rates are from the table, measured before, or unknown: nothing is measured now.
    """
    if name not in ("auto", "cuda") or not torch.cuda.is_available():
        rates = _kept_rates(_rates_file()) or dict.fromkeys(RATES, math.nan)
        return Device("this machine", memory_of_machine(), **rates, watts=None, source="measured", waits=True)
    found = torch.cuda.get_device_properties(torch.cuda.current_device())
    words = set(found.name.lower().replace("rtx ", "rtx").replace("-", " ").split())
    known = next((device for device in DEVICES.values() if words.issuperset(device.name.split("-"))), UNKNOWN)
    return replace(known, name=found.name, memory=float(found.total_memory))


def this_machine() -> Device:
    """This machine's processor, with the best rates measured so far, as other programs may be running now."""
    file, now = _rates_file(), _measured()
    rates, best = _kept_rates(file), now
    if rates:
        best = {name: (min if name == "call" else max)(now[name], rates[name]) for name in now}
    if best != rates:
        with suppress(OSError):  # without a cache, each measurement is used alone
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(best) + "\n", encoding="utf-8")
    return Device("this machine", memory_of_machine(), **best, watts=None, source="measured", waits=True)


def _rates_file() -> Path:
    return cache_folder() / "rates" / f"{arithmetic()}.json"


def _kept_rates(file: Path) -> dict[str, float]:
    """The best rates measured so far; {} if none."""
    try:
        rates = {name: float(value) for name, value in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    return rates if rates.keys() == set(RATES) and min(rates.values()) > 0 else {}


def memory_of_machine() -> float:
    """Bytes of memory and swap that this process may have, within the limits of its control groups; inf if unknown."""
    return _memory(swap=True)


def memory_without_swap() -> float:
    """The same without swap, which cannot take what is pinned."""
    return _memory(swap=False)


def _memory(*, swap: bool) -> float:
    try:
        total = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
    return min([total + swap * _kilobytes(Path("/proc/meminfo"), "SwapTotal:"), *_limits()])


def held_bytes() -> float:
    """What this process holds in memory now; 0 if unknown."""
    return _kilobytes(Path("/proc/self/status"), "VmRSS:")


def free_memory() -> float:
    """Bytes that this process can still allocate without swapping; 0 if the system does not report it.

    The free memory within the limits of its control groups, divided evenly among torchrun's processes on this machine.
    """
    num = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    free = _kilobytes(Path("/proc/meminfo"), "MemAvailable:")
    return max(0.0, min(free, memory_of_machine() - num * held_bytes(), *_free_in_groups())) / num


def _kilobytes(file: Path, name: str) -> float:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith(name)), 0.0)


def _limits() -> list[float]:
    """The memory limits of this process's control groups, including parents."""
    return [limit for _, limit in _limited_groups()]


def _free_in_groups() -> list[float]:
    """What these groups have left of their limits, where they report it; their caches of files count as free."""
    found = []
    for folder, limit in _limited_groups():
        used, cached = ("current", "") if (folder / "memory.current").is_file() else ("usage_in_bytes", "total_")
        try:
            taken = float((folder / f"memory.{used}").read_text(encoding="utf-8"))
            lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
            stat = {name: float(value) for name, value in map(str.split, lines)}
            found.append(limit - taken + stat.get(f"{cached}inactive_file", 0.0))
        except (OSError, ValueError):
            continue
    return found


def _limited_groups() -> list[tuple[Path, float]]:
    """The control groups of this process, including parents, that limit memory, and their limits."""
    found = []
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for group in groups:
        _, controllers, path = group.split(":", 2)
        root, file = Path("/sys/fs/cgroup"), "memory.max"
        if controllers == "memory":
            root, file = root / "memory", "memory.limit_in_bytes"
        own = root / path.lstrip("/")
        for folder in (own, *own.parents):
            try:
                found.append((folder, float((folder / file).read_text(encoding="utf-8"))))
            except (OSError, ValueError):  # there is none, or it says max
                continue
    return found


@cache
def _measured() -> dict[str, float]:
    """Measured rates of products and memory, and the overhead per call in a step of a tiny model."""
    products, moves = gemm_rate(), 3 * 4 * 2**23 / _best(_adding(2**23))
    network, sequences = Blueprint(tiny_config()), [TokenSequence.of(list(range(1, 9)), list(range(9, 17)))]
    work = network.work(sequences, products / moves)
    seconds = _best(network.real_step(sequences))
    call = (seconds - work.products / products - work.moved / moves) / work.calls
    return {"products": products, "moves": moves, "call": max(call, 1e-7)}


def _adding(num: int) -> Callable[[], Any]:
    one, other = torch.ones(num), torch.ones(num)
    return lambda: one.add_(other)


def _best(call: Callable[[], Any], seconds: float = 0.15) -> float:
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return best
