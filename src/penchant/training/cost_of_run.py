"""The plan of a run: bytes by part, seconds by activity, whether it fits, and what would make it fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penchant.models.devices import Device
from penchant.training.size_of_run import Counts
from penchant.wording import bytes_in_words

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """memory: bytes per process, by part. seconds: by activity. proposals: settings under which it would fit.

    mode: "replicated" if each process holds the whole model, "sharded" if it holds a shard. beside: the number of
    processes that share the device's memory. offloaded: bytes that each process keeps in the machine's memory instead
    of its device's. seconds is empty if the device's speed is unknown, or nothing is known of the speed of offloading.
    """

    counts: Counts
    device: Device
    processes: int
    num_parameters: int
    num_trained: int
    memory: Mapping[str, float]
    seconds: Mapping[str, float]
    proposals: tuple[str, ...] = ()
    mode: str = "replicated"
    beside: int = 1
    offloaded: float = 0.0

    @property
    def peak(self) -> float:
        """Peak bytes per process: there are no activations during sampling or quantisation."""
        passing = {"activations", "logits", "cache", "reading"}
        held = sum(size for part, size in self.memory.items() if part not in passing)
        training = self.memory["activations"] + self.memory["logits"]
        return held + max(training, self.memory["cache"], self.memory["reading"])

    @property
    def fits(self) -> bool:
        """Whether the device has enough memory for all processes that share it."""
        return self.peak * self.beside <= self.device.memory

    @property
    def total_seconds(self) -> float:
        """The time of everything except loading and writing the model."""
        return sum(self.seconds.values())

    @property
    def watt_hours(self) -> float | None:
        """The energy of all devices at full power; None if the power is unknown."""
        watts = self.device.watts
        return None if watts is None or not self.seconds else watts * self.processes * self.total_seconds / 3600

    def in_words(self) -> list[str]:
        """The plan as lines: parts of memory and time, totals, and what would make it fit."""
        energy = "" if self.watt_hours is None else f", {self.watt_hours:,.3g} Wh at full power"
        return [
            str(self.counts),
            f"{self.num_parameters:,} parameters, {self.num_trained:,} of them trained",
            *(f"{size / 1e9:>10.3f} GB  {part}" for part, size in self.memory.items() if size),
            *(f"{size / 1e9:>10.3f} GB  in the machine's memory" for size in (self.offloaded,) if size),
            *(f"{taken:>10.1f} s   {part}" for part, taken in self.seconds.items() if taken),
            f"{self.device.name} ({self.device.source}): {self}{energy}",
            *(f"  {proposal}" for proposal in self.proposals),
        ]

    def __str__(self) -> str:
        """The plan in one line."""
        room = (
            f"of {bytes_in_words(self.device.memory)}" if self.device.memory < float("inf") else "(how much is there?)"
        )
        each = f" on each of {self.processes}" * (self.processes > 1) + ", in slices" * (self.mode == "sharded")
        each += f", {bytes_in_words(self.offloaded)} in the machine's memory" if self.offloaded else ""
        verdict = "" if self.fits else "; it does not fit"
        time = f", {_duration(self.total_seconds)}" if self.seconds else ""
        return f"needs about {bytes_in_words(self.peak)} {room}{each}{time}{verdict}"

    def as_dict(self) -> dict[str, Any]:
        """Everything except the sequences, as JSON values."""
        return {
            "items": self.counts.items,
            "num_train": self.counts.num_train,
            "num_held_out": self.counts.num_held_out,
            "num_steps": self.counts.num_steps,
            "tokens_an_epoch": self.counts.written,
            "tokens_run_an_epoch": self.counts.run,
            "num_parameters": self.num_parameters,
            "num_trained": self.num_trained,
            "device": self.device.name,
            "rates_are": self.device.source,
            "processes": self.processes,
            "parallel": self.mode,
            "memory_bytes": {part: round(size) for part, size in self.memory.items()},
            "peak_bytes": round(self.peak),
            "offloaded_bytes": round(self.offloaded),
            "device_bytes": round(self.device.memory) if self.device.memory < float("inf") else None,
            "fits": self.fits,
            "seconds": {part: round(taken, 2) for part, taken in self.seconds.items()},
            "watt_hours": self.watt_hours,
            "proposals": list(self.proposals),
        }


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
