"""A ranking in words: the rows of its tables, and a line for each thing that holds for all votes together.

Made from the plain dict of a ranking, from `Standings.as_dict` of `penchant.ranking`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penchant.report.parts import Part, Table

__all__ = ["ranking_parts"]


def ranking_parts(found: Mapping[str, Any], format_name: str, *, most: int) -> Iterator[Part]:
    """A complete ranking. most: the number of groups, and of reasons in each, to show."""
    num_items = sum(len(group["standings"]) + len(group["unranked"]) for group in found["groups"])
    yield f"{found['num_votes']:,} votes on {num_items:,} items ({format_name})"
    yield from found["notes"]
    for number, group in enumerate(found["groups"][:most], 1):
        if len(found["groups"]) > 1:
            yield f"\nGroup {number}"
        yield from _group_parts(group, found, most)
    if len(found["groups"]) > most:
        yield f"... and {len(found['groups']) - most:,} groups more, which `output=...` writes to rank.json."
    yield ""
    yield from _findings(found)


def _group_parts(group: Mapping[str, Any], found: Mapping[str, Any], most: int) -> Iterator[Part]:
    if group["standings"]:
        yield Table(_columns(found), list(_rows(group["standings"], found)))
    for problem in group["problems"][:most]:
        yield ("Not ranked: " if group["unranked"] else "* ") + problem["reason"] + "."
    if len(group["problems"]) > most:
        yield f"... and {len(group['problems']) - most:,} more, which `output=...` writes to rank.json."
    yield from group["notes"]
    if close := [pair for pair in group["neighbours"] if pair["votes_missing"] != 0]:
        yield "Neighbours that may be equally good, and how many more votes between them would tell:"
        interval = f"{100 * found['level']:g}% interval"
        yield Table(("better", "worse", "difference", interval, "more votes"), _neighbours(close))


def _columns(found: Mapping[str, Any]) -> tuple[str, ...]:
    extra = [*(["both bad"] if found["num_both_bad"] else []), *(["online Elo"] if found["online"] else [])]
    interval = f"{100 * found['level']:g}% interval"
    return ("rank", "item", "rating", interval, "beats average", "wins", "losses", "ties", "votes", *extra)


def _rows(standings: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for one in standings:
        item = one["item"] + (" *" if one["by_prior"] else "")
        counts = [f"{one[name]:,}" for name in ("wins", "losses", "ties", "votes")]
        both_bad = [f"{one['both_bad']:,}"] if found["num_both_bad"] else []
        online = [f"{found['online']['ratings'][one['item']]:.0f}"] if found["online"] else []
        limits = f"{one['low']:.0f} to {one['high']:.0f}"
        chance = f"{one['win_probability']:.0%}"
        yield (str(one["rank"]), item, f"{one['rating']:.0f}", limits, chance, *counts, *both_bad, *online)


def _neighbours(pairs: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
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


def _findings(found: Mapping[str, Any]) -> Iterator[str]:
    """Findings about all votes, one per line."""
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
