"""How far people agree, in rows of tables; made from the plain dict of `penchant.feedback.summary`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penchant.report.parts import Part, Table

__all__ = ["agreement_parts", "source_notes"]

SHARES = ("gold", "self_agreement", "with_majority", "too_fast", "first_side")
PEOPLE = ("annotator", "answers", "gold right", "repeats same", "with majority", "too fast", "first side")
SOURCES = ("source", "Elo", "95 %", "won", "lost", "tied")


def agreement_parts(found: Mapping[str, Any]) -> Iterator[Part]:
    """Agreement, biases, the ranking, and figures for each annotator."""
    yield Table(("measured", "value"), _measured(found))
    yield ""
    if found["reliability"]:
        yield Table(PEOPLE, _people(found["reliability"]))
        yield ""
    if found["sources"]["rows"]:
        yield Table(SOURCES, list(_sources(found["sources"]["rows"])))


def source_notes(sources: Mapping[str, Any]) -> list[str]:
    """Caveats on the ranking of sources, or why there is none."""
    return list(sources["notes"]) if sources["rows"] else [f"no ranking of sources: {sources['reason']}"]


def _measured(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    agreed, counts, noise = found["agreement"], found["counts"], found["label_noise"]
    settled = found["disagreements"]
    alpha = "none" if agreed["value"] is None else f"{agreed['value']:.3f}"
    smoothing = "not known" if noise["label_smoothing"] is None else f"{noise['label_smoothing']:.3f}"
    return [
        ("pairs", f"{counts['tasks']:,} and {counts['gold']:,} gold"),
        ("answers", f"{counts['answered']:,}, skipped {counts['skipped']:,}"),
        ("outcomes", ", ".join(f"{name} {num:,}" for name, num in counts["by_outcome"].items())),
        *([("name nobody", _unnamed(agreed["num_unnamed"]))] if agreed["num_unnamed"] else []),
        ("alpha", f"{alpha}: {agreed['reading']}"),
        ("same answer", _percent({"value": agreed["raw"]}) + f" on {agreed['num_tasks']:,} pairs"),
        ("prefer what is shown first", _percent(found["position_bias"])),
        ("prefer the longer", _percent(found["length_bias"])),
        ("label_smoothing from repeats", smoothing),
        ("disagreements", f"{settled['open']:,} open, {settled['settled']:,} settled"),
        ("training pairs", f"{found['pairs']['pairs']:,} by majority"),
    ]


def _people(people: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [(one["annotator"], f"{one['num_answers']:,}", *(_percent(one[name]) for name in SHARES)) for one in people]


def _sources(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        counts = (f"{row[name]:,}" for name in ("wins", "losses", "ties"))
        yield (row["source"], f"{row['elo']:.0f}", f"{row['low']:.0f} to {row['high']:.0f}", *counts)


def _unnamed(num: int) -> str:
    return f"{num:,} answers, of one person or of many: in no agreement, and together the row '(unknown)' below"


def _percent(share: Mapping[str, Any]) -> str:
    """A share, with its interval if there is one."""
    if share["value"] is None:
        return "-"
    value = f"{100 * share['value']:.0f} %"
    return value if share.get("low") is None else f"{value} ({100 * share['low']:.0f} to {100 * share['high']:.0f})"
