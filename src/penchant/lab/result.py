"""Result: what an experiment claims, what it measured, and the curves that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from penchant.errors import ConfigError

__all__ = ["Figure", "Result", "Series", "require"]


@dataclass(frozen=True)
class Series:
    """One curve or one set of bars; x holds numbers, or names where the axis is one of categories."""

    label: str
    x: tuple[float | str, ...]
    y: tuple[float, ...]

    @classmethod
    def of(cls, label: str, x: Sequence[float | str], y: Sequence[float]) -> Series:
        """From any sequences of the same length.

        Raises:
            ValueError: one is longer than the other.

        Example:
            >>> from penchant.lab import Series
            >>> Series.of("loss", [1, 2], [0.5, 0.25]).y
            (0.5, 0.25)
        """
        if len(x) != len(y):
            raise ValueError(f"{label!r} has {len(x)} x and {len(y)} y; give one y an x")
        return cls(label, tuple(x), tuple(y))


@dataclass(frozen=True)
class Figure:
    """What a drawing needs and no more: labels, series, and which axes are logarithmic."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Result:
    """The outcome of an experiment.

    Args:
        name: the experiment.
        claim: what it sets out to show, one sentence.
        checks: each part of the claim in words, and whether the numbers bear it out.
        measured: the numbers, by name.
        figures: the curves.
        options: what it was run with; the same options give the same numbers.

    Example:
        >>> from penchant.lab import Result
        >>> Result("sum", "One and one are two.", {"1 + 1 = 2": 1 + 1 == 2}, {"1 + 1": 2.0}, (), {}).held
        True
    """

    name: str
    claim: str
    checks: Mapping[str, bool]
    measured: Mapping[str, float]
    figures: tuple[Figure, ...]
    options: Mapping[str, Any]

    @property
    def held(self) -> bool:
        """Whether every part of the claim was borne out."""
        return all(self.checks.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers, `held` included, for JSON and the report.

        Example:
            >>> from penchant.lab import Result
            >>> Result("none", "Nothing.", {}, {}, (), {}).as_dict()["held"]
            True
        """
        return {**asdict(self), "held": self.held}


def require(option: str, value: float, within: bool, words: str) -> None:
    """Refuse an option of an experiment that is out of range.

    Raises:
        ConfigError: it is.

    Example:
        >>> from penchant.lab.result import require
        >>> require("beta", -1.0, -1.0 > 0, "greater than 0")
        Traceback (most recent call last):
        ...
        penchant.errors.ConfigError: beta of this experiment must be greater than 0, got -1.0; choose another
    """
    if not within:
        raise ConfigError(f"{option} of this experiment must be {words}, got {value}; choose another")
