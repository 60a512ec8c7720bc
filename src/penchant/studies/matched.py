"""Compare every method at the same KLs: the numbers, and a table with the strengths behind each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from penchant.report.parts import Line, Part, Table
from penchant.statistics import Estimate
from penchant.studies.at_one_kl import at_kl
from penchant.studies.curves import by_prompt
from penchant.studies.points import START, Measured
from penchant.studies.tables_and_figures import Curves, in_words

__all__ = ["Matched", "matched", "matched_table"]

Matched = list[dict[str, Any]]
VALUES = ("win", "win_less", "true", "true_less")
ASSUMED = "nothing was measured between the start and the first strength of a method: the line between is an assumption"
ENDS = "a method without values ends before this KL"
NO_KL = "the method with the lowest KL has a mean KL that is not above 0, so there is no KL to compare methods at"


def matched(curves: Curves, start: Measured, kls: Sequence[float]) -> Matched:
    """Each curve at each KL: win rate over the start, true reward, and the differences to the first curve.

    A row has kl, method, less_of (the first curve), and: between, the neighbouring strengths, with None for the start,
    a single one if the KL is its own; win, true; win_less and true_less, the differences, None for the first curve
    itself. All of these are None if a curve ends before, or the KL is not above 0.

    kls: empty means the largest KL that all curves reach.
    """
    reached = [max(place.kl.mean for place in places) for places in curves.values()]
    first = next(iter(curves))
    begins = {"win": np.full(len(set(start.prompts)), 0.5), "true": by_prompt(start.true, start.prompts)}
    found = []
    for kl in kls or [min(reached)]:
        for name, places in curves.items():
            row: dict[str, Any] = {"kl": kl, "method": name, "less_of": first}
            for what, start_G in begins.items():
                own, other = (at_kl(one, kl, what, start_G) for one in (places, curves[first]))
                row["between"] = own and own.between
                row[what] = own and own.found
                row[f"{what}_less"] = None if not own or not other or name == first else own.less(other)
            found.append(row)
    return found


def matched_table(rows: Matched) -> list[Part]:
    """The comparison as text: the table, and notes for reading it."""
    less = f"less that of {rows[0]['less_of']}"
    win, true = "win rate over the start", "true reward"
    heads = ("KL", "method", "between", win, f"{win}, {less}, in points", true, f"{true}, {less}")
    estimates = [row[name] for row in rows for name in VALUES if row[name] is not None]
    notes = {
        ENDS: any(row["between"] is None and row["kl"] > 0 for row in rows),
        NO_KL: any(row["kl"] <= 0 for row in rows),
        ASSUMED: any(row["between"] and row["between"][0] is None for row in rows),
        **{one.warning: True for one in estimates if one.warning},
    }
    return [Table(heads, list(map(_row, rows))), *(Line(note, "note") for note, is_so in notes.items() if is_so)]


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    between = "-" if row["between"] is None else " and ".join(one or START for one in row["between"])
    win, win_less, true, true_less = (row[name] for name in VALUES)
    words = (
        _words(win, ".1%"),
        _words(win_less and _in_points(win_less), "+.1f"),
        _words(true),
        _words(true_less, "+.3f"),
    )
    return (f"{row['kl']:.3g}", row["method"], between, *words)


def _words(found: Estimate | None, form: str = ".3f") -> str:
    return "-" if found is None else in_words(found, form)


def _in_points(share: Estimate) -> Estimate:
    low, high = (None if limit is None else 100 * limit for limit in (share.low, share.high))
    return replace(share, value=100 * share.value, low=low, high=high)
