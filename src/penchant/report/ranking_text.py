"""A ranking in words: the rows of its tables, and a line for each thing that holds for all votes together.

Made from the plain dict of a ranking, as `Standings.as_dict` of `penchant.ranking` gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["findings", "neighbour_rows", "standing_columns", "standing_rows"]


def standing_columns(found: Mapping[str, Any]) -> tuple[str, ...]:
    """The heads of `standing_rows`."""
    extra = [*(["both bad"] if found["num_both_bad"] else []), *(["online Elo"] if found["online"] else [])]
    interval = f"{100 * found['level']:g}% interval"
    return ("rank", "item", "rating", interval, "beats average", "wins", "losses", "ties", "votes", *extra)


def standing_rows(standings: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """An item a row, of one group of the ranking `found`."""
    for one in standings:
        item = one["item"] + (" *" if one["by_prior"] else "")
        counts = [f"{one[name]:,}" for name in ("wins", "losses", "ties", "votes")]
        both_bad = [f"{one['both_bad']:,}"] if found["num_both_bad"] else []
        online = [f"{found['online']['ratings'][one['item']]:.0f}"] if found["online"] else []
        limits = f"{one['low']:.0f} to {one['high']:.0f}"
        chance = f"{one['win_probability']:.0%}"
        yield (str(one["rank"]), item, f"{one['rating']:.0f}", limits, chance, *counts, *both_bad, *online)


def neighbour_rows(pairs: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Two items beside each other a row: better, worse, difference, its interval, and the votes that are missing."""
    return [
        (
            pair["better"],
            pair["worse"],
            f"{pair['difference']:.1f}",
            f"{pair['low']:.0f} to {pair['high']:.0f}",
            _missing(pair["votes_missing"]),
        )
        for pair in pairs
    ]


def _missing(num: int | None) -> str:
    if num is None:
        return "no number: equal"
    return f"{num:,}" if num <= 1_000_000 else "over 1,000,000"


def findings(found: Mapping[str, Any]) -> Iterator[str]:
    """What holds for all votes together, a line each."""
    if found["only_both_bad"]:
        yield f"not ranked   only answers that both are bad: {', '.join(found['only_both_bad'])}"
    agreement, shown, circles = found["agreement"], found["first_shown"], found["circularity"]
    if agreement["value"] is None:
        yield f"agreement    Krippendorff's alpha is not defined: {agreement['reason']}"
    else:
        num = f"{agreement['num_answers']:,} answers to {agreement['num_units']:,} pairs of responses"
        yield f"agreement    Krippendorff's alpha {agreement['value']:.3f}: {found['reading']} ({num})"
    for name, kappa in found["kappas"].items():
        yield f"             {name} " + (kappa["reason"] if kappa["value"] is None else f"{kappa['value']:.3f}")
    if shown["value"] is None:
        yield f"first shown  not measured: {shown['reason']}"
    else:
        limits = f"{100 * found['level']:g}% interval {shown['low']:.1%} to {shown['high']:.1%}"
        yield f"first shown  won {shown['value']:.1%} of {shown['num']:,} decided votes ({limits}; no bias is 50%)"
    if circles["share"] is None:
        yield f"circles      not measured: {circles['reason']}"
    else:
        yield f"circles      {circles['share']:.1%} of the log-odds fit no single order; {_circle(circles)}"
        if circles["worst"]:
            around = " over ".join([*circles["worst"], circles["worst"][0]])
            yield f"             the surest cycle: {around} (z {circles['worst_z']:.1f}, the largest of all)"
    if found["online"]:
        change = found["online"]["largest_change"]
        yield f"online Elo   depends on the order: the same votes in reverse move a rating by up to {change:.1f} points"


def _circle(circles: Mapping[str, Any]) -> str:
    if circles["p_value"] == 1 and not circles["worst"]:
        return "no majorities run in a circle"
    surer = "a circle is surer" if circles["p_value"] < 0.05 else "no circle is surer"
    return f"{surer} than chance makes it with one order (p {circles['p_value']:.2g})"
