"""One run of many: its name, its settings, and the file with the measurements of all runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from penchant.errors import OutputError
from penchant.files import disk_errors_explained, write_atomically
from penchant.studies.methods import METHODS, Method
from penchant.studies.settings import FrontierConfig, SweepConfig
from penchant.wording import reason_of

__all__ = ["START", "Measured", "Point", "frontier_points", "read_points", "sweep_points", "write_points"]

START = "start"
"""The name of the initial model of all runs."""


@dataclass(frozen=True)
class Point:
    """A run. curve: the curve it belongs to. place: its strength, or its position in a grid, as text. scores: see
    `Curve`; settings: its own, by dotted name."""

    curve: str
    method: str
    place: str
    seed: int
    scores: str
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its folder, and its name in the file of points."""
        safe = "".join(c if c.isalnum() or c in "._-=," else "_" for c in f"{self.curve}-{self.place}")
        return f"{safe}-seed-{self.seed}"

    @property
    def how(self) -> Method:
        """Its method."""
        return METHODS[self.method]


@dataclass(frozen=True)
class Measured:
    """The measurements of a point's answers to the held-out prompts: N entries each.

    prompts: the prompt of each answer. true, learned: the rewards; learned is empty without a reward model. kl: nats
    from the start, exact per token or, if why_no_exact_kl gives a reason, log pi(y|x) - log pi_start(y|x). tokens: per
    answer. accuracy: on held-out preferences of its training, if any, with 95% limits and their number.
    """

    point: str
    facts: Mapping[str, Any]
    prompts: tuple[str, ...]
    true: tuple[float, ...]
    learned: tuple[float, ...]
    kl: tuple[float, ...]
    tokens: tuple[int, ...]
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    num_pairs: int | None = None
    why_no_exact_kl: str = ""

    def win_credits(self, start: Measured) -> list[float]:
        """1, 1/2 or 0 for each answer, compared with the start's answer of the same index to the same prompt.

        Raises OutputError if the two answered different prompts.
        """
        if self.prompts != start.prompts:
            raise OutputError(
                f"{self.point} and {start.point} were measured on different prompts, so that their answers cannot be "
                "compared; choose another `output=...`"
            )
        return [0.5 + 0.5 * ((a > b) - (a < b)) for a, b in zip(self.true, start.true, strict=True)]


def frontier_points(config: FrontierConfig) -> list[Point]:
    """A point for every method, strength and seed."""
    return [
        Point(label, curve.method or label, f"{strength:g}", seed, curve.scores, settings)
        for label, curve in config.methods.items()
        for strength in curve.strengths
        for settings in [{**config.settings, **curve.settings, METHODS[curve.method or label].strength: strength}]
        for seed in config.seeds
    ]


def sweep_points(config: SweepConfig) -> list[Point]:
    """A point for every combination of the grid's values and every seed."""
    return [
        Point(config.method, config.method, _in_words(chosen), seed, config.scores, {**config.settings, **chosen})
        for values in product(*config.grid.values())
        for chosen in [dict(zip(config.grid, values, strict=True))]
        for seed in config.seeds
    ]


def _in_words(chosen: Mapping[str, Any]) -> str:
    return ",".join(f"{name.rpartition('.')[2]}={value}" for name, value in chosen.items())


def read_points(file: Path) -> dict[str, Measured]:
    """The measurements so far, by name; empty if there is no file. Raises OutputError."""
    return {found.point: found for found in _lines(file)} if file.is_file() else {}


def _lines(file: Path) -> Iterator[Measured]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            lists = {name: tuple(row[name]) for name in ("prompts", "true", "learned", "kl", "tokens")}
            yield Measured(**{**row, **lists})
        except (ValueError, TypeError, KeyError) as error:
            raise OutputError(
                f"{file}:{number}: is not a measurement ({reason_of(error)}); remove the line, and the run is measured "
                "again"
            ) from error


def write_points(file: Path, points: Sequence[Measured]) -> None:
    """Write all measurements atomically. Raises OutputError."""
    with disk_errors_explained(file, again="run it again"):
        write_atomically(file, "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in points))
