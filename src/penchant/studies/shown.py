"""A study as tables, as figures and as plain dicts for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from penchant.evaluation.compared import Mean
from penchant.report.parts import Table
from penchant.statistics import Estimate
from penchant.studies.curves import Place
from penchant.studies.points import Measured

__all__ = ["Curves", "as_plain", "figures", "in_words", "places_table"]

Curves = Mapping[str, Sequence[Place]]
DIFFERENT = 6
"""Curves that have a colour of their own; later ones are dashed too."""
COLUMNS = ("method", "strength", "KL", "true reward", "gain", "learned gain", "win rate", "tokens", "accuracy")


def places_table(curves: Curves) -> Table:
    """A row for every strength, by KL."""
    rows = [_row(place) for one in curves.values() for place in sorted(one, key=lambda place: place.kl.mean)]
    return Table(COLUMNS, rows)


def _row(place: Place) -> tuple[str, ...]:
    win = f"{place.win.rate:.1%} ({place.win.low:.1%} to {place.win.high:.1%})"
    accuracy = "-" if place.accuracy is None else f"{place.accuracy:.1%}"
    means = (in_words(one) for one in (place.kl, place.true, place.gain, place.learned_gain))
    return (place.curve, place.place, *means, win, f"{place.tokens:.1f}", accuracy)


def in_words(mean: Mean | Estimate, form: str = ".3f") -> str:
    """A number and its limits."""
    value = mean.mean if isinstance(mean, Mean) else mean.value
    if mean.low is None or mean.high is None:
        return f"{value:{form}}"
    return f"{value:{form}} ({mean.low:{form}} to {mean.high:{form}})"


def figures(curves: Curves, start: Measured, judge: str) -> list[dict[str, Any]]:
    """The frontier, the win rates, and learned beside true reward."""
    spread, learned_spread = (float(np.std(values)) or 1.0 for values in (start.true, start.learned))
    true, win = (
        [
            {**_series(name, places, key), "dash": "" if number < DIFFERENT else "more"}
            for number, (name, places) in enumerate(curves.items())
        ]
        for key in ("true", "win")
    )
    both = [
        {**_series(name, places, key, scale), "label": f"{name}, {word}", "colour": name, "dash": word}
        for name, places in curves.items()
        for key, word, scale in (("gain", "true", spread), ("learned_gain", "learned", learned_spread))
    ]
    at_start = _line("start", [0.0], [float(np.mean(start.true))], points=True) | {"colour": "reference"}
    nats = "KL from the start, nats a response"
    return [
        _figure(f"What each method reaches: {judge}, against the KL from the start", nats, judge, [*true, at_start]),
        _figure("How often an answer beats the start's", nats, "win rate", win),
        _figure("Learned reward beside true reward", nats, "gain, standard deviations of the start's answers", both),
    ]


def _series(name: str, places: Sequence[Place], key: str, scale: float = 1.0) -> dict[str, Any]:
    ordered = sorted(places, key=lambda place: place.kl.mean)
    centres, lows, highs = zip(*(_limits(getattr(place, key)) for place in ordered), strict=True)
    x, x_low, x_high = zip(*(_limits(place.kl) for place in ordered), strict=True)
    one = _line(name, x, [y / scale for y in centres])
    low, high = ([y / scale for y in limits] for limits in (lows, highs))
    return {**one, "x_low": list(x_low), "x_high": list(x_high), "low": low, "high": high}


def _limits(one: Any) -> tuple[float, float, float]:
    centre = one.mean if isinstance(one, Mean) else one.rate
    return centre, centre if one.low is None else one.low, centre if one.high is None else one.high


def _line(label: str, x: Iterable[float], y: Iterable[float], *, points: bool = False) -> dict[str, Any]:
    base = {"low": [], "high": [], "colour": "", "dash": "", "points": points}
    return {"label": label, "x": list(x), "y": list(y), **base}


def _figure(title: str, x_label: str, y_label: str, series: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    scales = {"x_scale": "log", "y_scale": "linear", "y_range": None}
    return {"kind": "curves", "title": title, "x_label": x_label, "y_label": y_label, "series": series, **scales}


def as_plain(place: Place) -> dict[str, Any]:
    """Without what is known of single prompts."""
    return {name: value for name, value in asdict(place).items() if not name.endswith("_SG")}
