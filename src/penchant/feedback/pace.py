"""How fast people answer."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median

__all__ = ["RECENT", "pace"]

RECENT = 200
"""Answers from which speed is told."""

BREAK_SECONDS = 600


def pace(times: Iterable[Sequence[datetime]], seconds: Iterable[float | None]) -> dict[str, float | None]:
    """seconds_median and per_hour of recent answers; None where nothing can be told.

    times: when each person answered. seconds: what each answer took. per_hour leaves breaks of more than ten minutes
    out.
    """
    gaps = [(later - earlier).total_seconds() for own in times for earlier, later in pairwise(sorted(own))]
    worked = [gap for gap in gaps if gap <= BREAK_SECONDS]
    known = [value for value in seconds if value is not None]
    return {
        "seconds_median": median(known) if known else None,
        "per_hour": 3600 * len(worked) / sum(worked) if sum(worked) else None,
    }
