"""The result of an experiment: its claim, its measurements, and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from penchant.errors import ConfigError

__all__ = ["Figure", "Result", "Scale", "Series", "TreeFigure", "require"]

Scale = Literal["linear", "log", "logit"]


@dataclass(frozen=True)
class Series:
    """One curve or one set of bars.

    Args:
        label: its name.
        x: numbers, or names for a categorical axis.
        y: a number for each x.
        low, high: limits of each y, or nothing.
        colour: series with the same key share a colour; "" is a unique key.
        dash: series with the same key share a dash pattern; "" is a solid line. Bars have no dashes.
        points: whether to draw points without a line.
    """

    label: str
    x: tuple[float | str, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    colour: str = ""
    dash: str = ""
    points: bool = False

    @classmethod
    def of(
        cls,
        label: str,
        x: Sequence[float | str],
        y: Sequence[float],
        *,
        low: Sequence[float] = (),
        high: Sequence[float] = (),
        colour: str = "",
        dash: str = "",
        points: bool = False,
    ) -> Series:
        """Make a series from any sequences of the same length.

        Raises:
            ValueError: one is longer than the other, or limits are given only for some y.

        Example:
            >>> from penchant.lab import Series
            >>> Series.of("loss", [1, 2], [0.5, 0.25]).y
            (0.5, 0.25)
        """
        if len(x) != len(y) or not len(low) == len(high) or (len(low) and len(low) != len(y)):
            raise ValueError(
                f"{label!r} has {len(x)} x, {len(y)} y and {len(low)} to {len(high)} limits; give one of each a point"
            )
        return cls(label, tuple(x), tuple(y), tuple(low), tuple(high), colour, dash, points)


@dataclass(frozen=True)
class Figure:
    """The data of a drawing.

    Args:
        title: what it shows, as a sentence without its full stop.
        x_label, y_label: names of the axes, with units.
        series: the curves, the points or the bars.
        x_scale, y_scale: the scales of the axes; log has a place for 0 if 0 is among the values, which are
            otherwise positive; logit spreads probabilities near 0 and near 1.
        y_range: the part of the y axis to draw, if curves exceed a readable range.
        kind: the kind of drawing.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_scale: Scale = "linear"
    y_scale: Scale = "linear"
    y_range: tuple[float, float] | None = None
    kind: Literal["curves"] = "curves"


@dataclass(frozen=True)
class TreeFigure:
    """A tree to draw, with nodes and edges from `penchant.lab.layout`."""

    title: str
    nodes: tuple[Mapping[str, Any], ...]
    edges: tuple[Mapping[str, Any], ...]
    kind: Literal["tree"] = "tree"


@dataclass(frozen=True)
class Result:
    """The outcome of an experiment.

    Args:
        name: the experiment.
        claim: what it is meant to show, one sentence.
        checks: each part of the claim in words, and whether the numbers confirm it.
        measured: the numbers, by name.
        figures: the figures.
        options: its options; the same options give the same numbers.
        table: rows of text, by column name.

    Example:
        >>> from penchant.lab import Result
        >>> Result("sum", "One and one are two.", {"1 + 1 = 2": 1 + 1 == 2}, {"1 + 1": 2.0}, (), {}).held
        True
    """

    name: str
    claim: str
    checks: Mapping[str, bool]
    measured: Mapping[str, float]
    figures: tuple[Figure | TreeFigure, ...]
    options: Mapping[str, Any]
    table: tuple[Mapping[str, str], ...] = ()

    @property
    def held(self) -> bool:
        """Whether every part of the claim was confirmed."""
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
    """Raise ConfigError for an option of an experiment that is out of range.

    Raises:
        ConfigError: the option is out of range.

    Example:
        >>> from penchant.lab.result import require
        >>> require("beta", -1.0, -1.0 > 0, "greater than 0")
        Traceback (most recent call last):
        ...
        penchant.errors.ConfigError: beta of this experiment must be greater than 0, got -1.0; choose another
    """
    if not within:
        raise ConfigError(f"{option} of this experiment must be {words}, got {value}; choose another")
