"""Show a study as tables, as figures, and as plain dicts for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from penchant.evaluation.means import Mean
from penchant.report.lecture import COLOURS
from penchant.report.parts import Line, Part, Table
from penchant.statistics import Estimate
from penchant.statistics.resampling import warning_of
from penchant.studies.curves import Place, by_prompt, mean_over, true_mean
from penchant.studies.points import START, Measured

__all__ = ["Curves", "as_plain", "facts_of_start", "figures", "in_words", "places_table", "sizes"]

Curves = Mapping[str, Sequence[Place]]
DIFFERENT = len(COLOURS)
"""The number of curves with their own colour; later ones are dashed."""
COLUMNS = (
    "method",
    "strength",
    "KL",
    "true reward",
    "gain",
    "learned gain",
    "win rate over the start",
    "tokens",
    "accuracy",
)

PLAIN = "KLs called plain are means of log pi(y|x) - log pi_start(y|x), not exact in every token: "


def places_table(curves: Curves, start: Measured) -> list[Part]:
    """One row for the start and one per strength, by KL; with sample sizes and the meaning of the intervals."""
    places = [place for one in curves.values() for place in sorted(one, key=lambda place: place.kl.mean)]
    begin = facts_of_start(start)
    at_start = (START, "-", "0", in_words(begin["true"]), "-", "-", "-", in_words(begin["tokens"], ".1f"), "-")
    notes = [PLAIN + why for why in dict.fromkeys(place.why_no_exact_kl for place in places) if why]
    few = warning_of(len(set(start.prompts)))
    return [
        Table(COLUMNS, [at_start, *map(_row, places)]),
        _sizes_in_words(**sizes(curves, start)),
        *(Line(note, "note") for note in [*notes, few] if note),
    ]


def _sizes_in_words(prompts: int, responses: int, seeds: int) -> str:
    spoken = "over prompts; they do not include what another seed of training would give"
    if seeds > 1:
        spoken = "over prompts and seeds of training"
    return (
        f"{prompts} held-out prompts, {responses} answers to each, {seeds} seed{'s' * (seeds > 1)} of training for "
        f"each strength. Intervals are 95%, {spoken}"
    )


def sizes(curves: Curves, start: Measured) -> dict[str, int]:
    """The numbers of prompts, of answers to each (per seed), and the fewest seeds of any strength."""
    prompts = len(set(start.prompts))
    seeds = min(len(place.runs) for places in curves.values() for place in places)
    return {"prompts": prompts, "responses": len(start.prompts) // prompts, "seeds": seeds}


def facts_of_start(start: Measured) -> dict[str, Mean]:
    """Its mean rewards, and the tokens of its answers."""
    rest = {key: mean_over(by_prompt(getattr(start, key), start.prompts)[None]) for key in ("learned", "tokens")}
    return {"true": true_mean([start], start), **rest}


def _row(place: Place) -> tuple[str, ...]:
    win = f"{place.win.rate:.1%} ({place.win.low:.1%} to {place.win.high:.1%})"
    accuracy = "-" if place.accuracy is None else in_words(place.accuracy, ".1%")
    pairs = f", {place.num_pairs} pairs" if place.num_pairs else ""
    kl = in_words(place.kl) + (" plain" if place.why_no_exact_kl else "")
    means = (in_words(one) for one in (place.true, place.gain, place.learned_gain))
    return (place.curve, place.place, kl, *means, win, in_words(place.tokens, ".1f"), f"{accuracy}{pairs}")


def in_words(mean: Mean | Estimate, form: str = ".3f") -> str:
    """A number with its limits."""
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
        {**_series(name, places, key, scale), "label": f"{name}, {word}{_kind(places)}", "colour": name, "dash": word}
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
    one = _line(f"{name}{_kind(places)}", x, [y / scale for y in centres])
    low, high = ([y / scale for y in limits] for limits in (lows, highs))
    return {**one, "x_low": list(x_low), "x_high": list(x_high), "low": low, "high": high}


def _kind(places: Sequence[Place]) -> str:
    return ", plain KL" if any(place.why_no_exact_kl for place in places) else ""


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
    """A plain dict, without values of single prompts."""
    kind = {"kl_estimator": "plain" if place.why_no_exact_kl else "exact"}
    return kind | {name: value for name, value in asdict(place).items() if not name.endswith("_SG")}
