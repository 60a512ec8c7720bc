"""Keep the fields beside a record when it is written in another format: id, models, scores.

They are written under the names by which they are read, whatever the row called them.
"""

from collections.abc import Iterator

from penchant.data.derived import gap_between
from penchant.data.importers.reward_bench import MODELS
from penchant.data.importers.side_scores import SCORES
from penchant.data.importers.values import says_nothing
from penchant.data.opening import Row
from penchant.data.records import PreferencePair

__all__ = ["said_beside"]

SIDES = ("chosen", "rejected")


def said_beside(row: Row, record: object) -> tuple[Row, set[str]]:
    """The fields to write beside the record, and their names in the row.

    Example:
        >>> said_beside({"completion": "A star.", "model": "tea", "source": "web"}, "an answer")
        ({'model': 'tea'}, {'model'})
    """
    found = {new: old for new, old in _names(row, record) if _is_one(row.get(old))}
    return {new: row[old] for new, old in found.items()}, {*found.values()}


def _names(row: Row, record: object) -> Iterator[tuple[str, str]]:
    """Names to write, with the names in the row."""
    yield "id", "id"
    if not isinstance(record, PreferencePair):
        yield from (("model", "model"), ("score", "score"))
        return
    for names in reversed(MODELS):  # so that the first filled spelling wins
        yield from ((f"{side}_model", name) for side, name in zip(SIDES, names, strict=True) if _is_one(row.get(name)))
    for names in SCORES:
        if gap_between(*map(row.get, names)) is not None:
            yield from ((f"{side}_score", name) for side, name in zip(SIDES, names, strict=True))
            return


def _is_one(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and not says_nothing(value)
