"""One line of the table of changes, and the format of its numbers and intervals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penchant.report.figures import number
from penchant.report.languages import Words
from penchant.statistics import WARNINGS

__all__ = ["Measure", "answered", "cautioned", "percent", "signed", "span"]


@dataclass(frozen=True)
class Measure:
    """Empty texts: unknown. what: how to read it. group: its heading. beware: a warning about its interval."""

    name: str
    before: str
    after: str
    change: str
    num: str
    what: str
    group: str = ""
    beware: str = ""


def percent(value: float) -> str:
    """A share without decimals."""
    return f"{value:.0%}"


def span(limits: Mapping[str, Any], form: str) -> str:
    """The limits of a value; empty if there are none."""
    low, high = limits.get("low"), limits.get("high")
    return "" if low is None or high is None else f"{form.format(low)} – {form.format(high)}"


def cautioned(found: Mapping[str, Any], _: Words) -> str:
    """Its warning, in the page's language if translated; empty if there is none."""
    num, said = found.get("num_prompts"), found.get("warning") or ""
    known = [one for one in WARNINGS if one.format(num_prompts=num) == said]
    return _(known[0]).format(num_prompts=num) if known else str(said)


def answered(comparison: Mapping[str, Any]) -> Mapping[str, Any]:
    """The comparison restricted to answered prompts, if not all were answered."""
    return {**comparison, "num_prompts": comparison.get("num_answered", comparison.get("num_prompts"))}


def signed(mean: float | None, limits: Mapping[str, Any], form: Callable[[float], str] = number) -> str:
    """A change with its sign, and its limits beside it."""
    if mean is None:
        return ""
    low, high = limits.get("low"), limits.get("high")
    interval = "" if low is None or high is None else f" ({_sign(low, form)} – {_sign(high, form)})"
    return _sign(mean, form) + interval


def _sign(value: float, form: Callable[[float], str]) -> str:
    return ("+" if value > 0 else "") + form(value)
