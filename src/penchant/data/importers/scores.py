"""Read how good each of several answers is: scores (higher is better) and ranks (lower is better).

Scores may be inside the answers or beside them, and all of them are read. One kind of score is used for a whole list,
as two kinds have no common scale; if another kind puts two answers in the opposite order, the row is refused. If two
kinds differ only in ties, the one used decides.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from penchant.data.files import Row
from penchant.data.importers.values import kind_of, number_in, says_nothing
from penchant.data.verdicts import BadRow

__all__ = [
    "COLUMNS",
    "RANKS",
    "SCORES",
    "Column",
    "agreed",
    "columns_beside",
    "columns_inside",
    "numbers_beside",
]

SCORES = ("score", "pm_score", "rating", "reward")
RANKS = ("rank", "ranking")
"""Score fields inside an answer."""
COLUMNS_OF_SCORES = ("scores", "ratings", "rating", "rewards")
COLUMNS_OF_RANKS = ("ranks", "rank", "ranking")
COLUMNS = frozenset((*COLUMNS_OF_SCORES, *COLUMNS_OF_RANKS))
"""Score fields beside a list of answers, with a value for each."""

Column = tuple[str, list[float | None]]
"""A name, and each answer's score by it, higher is better; None if missing."""


def columns_inside(held: Sequence[Row], where: str, names: Iterable[str] = (*SCORES, *RANKS)) -> list[Column]:
    """The kinds of scores inside the answers, in this order. Raises BadRow for a value that is not a number."""
    return [
        (f"{where}[].{name}", _column([one.get(name) for one in held], f"{where}[].{name}", name)) for name in names
    ]


def columns_beside(row: Row, number: int) -> list[Column]:
    """The lists of scores and of ranks beside this many answers; a single number is ignored.

    Raises BadRow for a list of another length, an object, or a value that is not a number.
    """
    found = []
    for name in (*COLUMNS_OF_SCORES, *COLUMNS_OF_RANKS):
        values = row.get(name)
        if says_nothing(values) or not isinstance(values, list | dict):
            continue
        if isinstance(values, dict):
            reason = f"'{name}' must be a list, a number for each answer, got {kind_of(values)}"
            raise BadRow("bad_type", reason, "write the list that says which answer is better")
        if len(values) != number:
            reason = f"'{name}' holds {len(values)} values for {number} answers"
            raise BadRow("bad_type", reason, "give one for each answer, null where there is none")
        found.append((name, _column(values, name, name)))
    return found


def numbers_beside(row: Row) -> Row:
    """Score columns that hold one value and no list, and so nothing about the individual answers."""
    return {name: row[name] for name in sorted(COLUMNS & row.keys()) if not isinstance(row[name], list)}


def _column(values: list[Any], where: str, name: str) -> list[float | None]:
    numbers = [
        None if says_nothing(value) else number_in(value, f"{where}[{index}]" if where == name else where)
        for index, value in enumerate(values)
    ]
    return [None if number is None else -number for number in numbers] if name in _ALL_RANKS else numbers


_ALL_RANKS = frozenset((*RANKS, *COLUMNS_OF_RANKS))


def agreed(columns: Iterable[Column], number: int) -> list[float | None]:
    """The score of each answer by the first column that has any value.

    Raises BadRow where a later one puts two answers in the opposite order.
    """
    said = [column for column in columns if any(value is not None for value in column[1])]
    if not said:
        return [None] * number
    (first, scores), *others = said
    for other, values in others:
        if _opposed(scores, values):
            reason = f"'{other}' ranks two of the answers in the opposite order to '{first}'"
            raise BadRow("bad_type", reason, "keep the one that says which answer is better")
    return scores


def _opposed(one: list[float | None], other: list[float | None]) -> bool:
    both = sorted((a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None)
    lower = float("-inf")  # the highest among those that the first column ranks lower
    for _, group in groupby(both, key=lambda pair: pair[0]):
        values = [value for _, value in group]
        if min(values) < lower:
            return True
        lower = max(lower, *values)
    return False
