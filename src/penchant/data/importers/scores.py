"""How good each of several answers is: scores (higher is better) and ranks (lower is), in the answers or beside them.

All that a row says of it is read. One kind of score is taken for a whole list, as two kinds have no common scale; where
another puts two answers in the opposite order, the row is refused. Where two kinds differ in ties alone, the one that
is taken decides: what it calls equal is a tie.
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
"""What an answer may say of itself."""
COLUMNS_OF_SCORES = ("scores", "ratings", "rating", "rewards")
COLUMNS_OF_RANKS = ("ranks", "rank", "ranking")
COLUMNS = frozenset((*COLUMNS_OF_SCORES, *COLUMNS_OF_RANKS))
"""What may stand beside a list of answers, a value for each."""

Column = tuple[str, list[float | None]]
"""A name, and how good each answer is by it, higher for the better; None where it does not say."""


def columns_inside(held: Sequence[Row], where: str, names: Iterable[str] = (*SCORES, *RANKS)) -> list[Column]:
    """The kinds of scores that answers hold, in this order. Raises BadRow for what is no number."""
    return [
        (f"{where}[].{name}", _column([one.get(name) for one in held], f"{where}[].{name}", name)) for name in names
    ]


def columns_beside(row: Row, number: int) -> list[Column]:
    """The lists of scores and of ranks beside so many answers; a single number is none, and not read.

    Raises BadRow for a list of another length, an object, and what is no number.
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
    """Columns of scores that are one value and no list, which say nothing of the single answers."""
    return {name: row[name] for name in sorted(COLUMNS & row.keys()) if not isinstance(row[name], list)}


def _column(values: list[Any], where: str, name: str) -> list[float | None]:
    numbers = [
        None if says_nothing(value) else number_in(value, f"{where}[{index}]" if where == name else where)
        for index, value in enumerate(values)
    ]
    return [None if number is None else -number for number in numbers] if name in _ALL_RANKS else numbers


_ALL_RANKS = frozenset((*RANKS, *COLUMNS_OF_RANKS))


def agreed(columns: Iterable[Column], number: int) -> list[float | None]:
    """How good each of so many answers is by the first column that says anything of them.

    Raises BadRow where a later one puts two answers in the opposite order.
    """
    said = [column for column in columns if any(value is not None for value in column[1])]
    if not said:
        return [None] * number
    (first, scores), *others = said
    for other, values in others:
        if _opposed(scores, values):
            reason = f"'{other}' puts two of its answers in the opposite order of '{first}'"
            raise BadRow("bad_type", reason, "keep the one that says which answer is better")
    return scores


def _opposed(one: list[float | None], other: list[float | None]) -> bool:
    both = sorted((a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None)
    lower = float("-inf")  # the highest of those that the first column puts lower
    for _, group in groupby(both, key=lambda pair: pair[0]):
        values = [value for _, value in group]
        if min(values) < lower:
            return True
        lower = max(lower, *values)
    return False
