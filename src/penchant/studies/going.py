"""Run all points in order: each runs once, and its measurements are saved before the next begins."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from penchant.errors import OutputError
from penchant.studies.points import Measured, read_points, write_points

__all__ = ["go_through"]


class Named(Protocol):
    @property
    def name(self) -> str: ...


def go_through(
    points: Sequence[Named],
    facts_of: Callable[[Any], Mapping[str, Any]],
    work: Callable[[Any], Measured],
    file: Path,
    on_done: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Measured]:
    """Return the measurements of each point. A point already in the file is not run again; other points are kept.

    facts_of: what determines a point's result, as JSON values. Raises OutputError if the file's point of the same name
    has other facts.
    """
    found = read_points(file)
    for done, point in enumerate(points):
        on_done(done, len(points))
        facts = json.loads(json.dumps(facts_of(point)))
        before = found.get(point.name)
        if before is not None and before.facts != facts:
            raise OutputError(
                f"{file}: {point.name} was trained with other settings ({_differing(before.facts, facts)}); "
                "choose another `output=...`, or give its curve another name"
            )
        if before is None:
            found[point.name] = work(point)
            write_points(file, list(found.values()))
    on_done(len(points), len(points))
    return [found[point.name] for point in points]


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first difference, in words; settings are compared individually."""
    old, new = ({**facts, **facts.get("settings", {})} for facts in (before, now))
    key = next(key for key in [*new, *old] if key != "settings" and old.get(key) != new.get(key))
    return f"{key}: {old.get(key)!r} then, {new.get(key)!r} now"
