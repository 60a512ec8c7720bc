"""Through all points in order: each is done once, and what was measured of it is written before the next begins."""

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
    """What was measured of each point. One that stands in the file is not done again; points of others stay there.

    facts_of: what decides on a point's result, as JSON can hold it. Raises OutputError where the file's point of the
    same name was another one.
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
    """What differs first, in words; settings one by one."""
    old, new = ({**facts, **facts.get("settings", {})} for facts in (before, now))
    key = next(key for key in [*new, *old] if key != "settings" and old.get(key) != new.get(key))
    return f"{key}: {old.get(key)!r} then, {new.get(key)!r} now"
