"""Read the fields that all vote formats share: items, outcomes, counts, and the unit judged; see `vote_formats`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from penchant.data.importers.base import field
from penchant.data.importers.values import says_nothing
from penchant.data.opening import Row
from penchant.data.verdicts import BadRow
from penchant.wording import shown

__all__ = [
    "MAX_COUNT",
    "OUTCOMES",
    "Side",
    "Vote",
    "count_field",
    "digest_of_parts",
    "first_filled",
    "is_blank",
    "item_field",
    "keeps_order",
    "outcome_field",
    "refuse_same",
    "shown_first_field",
    "side_items",
    "unit_of",
    "vote_columns",
]

Side = Literal["left", "right"]

OUTCOMES = {
    **dict.fromkeys(("left", "a", "model_a"), "left"),
    **dict.fromkeys(("right", "b", "model_b"), "right"),
    **dict.fromkeys(("tie", "draw", "tie (inconsistent)"), "tie"),
    **dict.fromkeys(("both_bad", "bothbad", "tie (bothbad)"), "both_bad"),
}
POSITIONS = {"0": "left", "1": "left", "2": "right"}
"""Outcomes of numbers that may also be names of items."""
UNANSWERED = (None, "", "na", "none", "null")
MAX_COUNT = 1_000_000
"""The most votes that a row of counts may represent; a larger number is nearly always not a count."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One vote. outcome: left, right, tie or both_bad. None means not recorded.

    unit: identifies what was judged: the prompt, the two items and, if recorded, the two texts, in either order.
    """

    left: str
    right: str
    outcome: str
    prompt: str | None = None
    unit: str | None = None
    annotator: str | None = None
    shown_first: Side | None = None


def vote_columns(votes: Sequence[Vote]) -> dict[str, list[Any]]:
    """The votes as columns by name: left, right, outcome, prompt, unit, annotator, shown_first."""
    return {name: [getattr(vote, name) for vote in votes] for name in Vote.__slots__}


def keeps_order(formats: str) -> bool:
    """Whether these formats keep the order in which votes were cast; counts do not."""
    return "counts" not in formats


def digest_of_parts(*parts: Any) -> str:
    """A short digest of a prompt or unit, which is only ever compared."""
    return blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def unit_of(prompt: str | None, left: tuple[str, Any], right: tuple[str, Any]) -> str | None:
    """The unit of a vote; None without a prompt, as two votes on the same items may then be on different texts."""
    return None if prompt is None else digest_of_parts(prompt, sorted((left, right), key=str))


def item_field(row: Row, name: str) -> str:
    value = field(row, name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRow("bad_type", f"'{name}' must name an item, got {shown(value)}", f"write '{name}' as a text")
    if not str(value).strip():
        raise BadRow("missing_field", f"'{name}' is blank", "name the item")
    return str(value).strip()


def side_items(row: Row, left: str, right: str) -> tuple[str, str]:
    return refuse_same(item_field(row, left), item_field(row, right))


NOT_RANKED = (
    "remove the row, or give its two sides different names; votes on two answers of one model are for training, but a "
    "ranking needs votes between different models"
)


def refuse_same(left: str, right: str) -> tuple[str, str]:
    if left == right:
        raise BadRow("bad_type", f"'{left}' is compared with itself", NOT_RANKED)
    return left, right


def outcome_field(row: Row, name: str, items: tuple[object, object] = (None, None)) -> str | None:
    """left, right, tie, both_bad, or None if unanswered.

    items: the two items compared, which the field may name. Raises BadRow where a name is also a word for another
    outcome, as "a" is for left.
    """
    if name not in row:
        raise BadRow("missing_field", f"the field '{name}' is missing", f"add '{name}' to the row")
    value = row[name].strip().lower() if isinstance(row[name], str) else row[name]
    if (side := _named(row[name], items)) is not None:
        meant = OUTCOMES.get(str(value).casefold(), POSITIONS.get(str(value)))
        if meant not in (None, side) or str(value) in UNANSWERED:
            reason = (
                f"'{name}' is {shown(row[name])}, the name of the item on the {side} and a word for another outcome"
            )
            raise BadRow("bad_type", reason, "write left, right, tie or both_bad")
        return side
    if value in UNANSWERED:
        return None
    if not isinstance(value, str) or value not in OUTCOMES:
        known = "left, right (or a, b; model_a, model_b), tie or both_bad"
        raise BadRow("bad_type", f"'{name}' is {shown(row[name])}, which is not an outcome", f"write {known}")
    return OUTCOMES[value]


def _named(value: object, items: tuple[object, object]) -> Side | None:
    """The side whose item has this name; None if neither has."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    sides: tuple[Side, Side] = ("left", "right")
    names = [str(item).strip() for item in items if isinstance(item, str | int)]
    if len(names) < len(sides) or names.count(str(value).strip()) != 1:
        return None
    return sides[names.index(str(value).strip())]


def first_filled(row: Row, *names: str) -> str | None:
    """The first of these fields that is filled, as text."""
    found = (row[name] for name in names if not says_nothing(row.get(name)))
    value = next(found, None)
    return value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def shown_first_field(row: Row, items: tuple[object, object] = (None, None)) -> Side | None:
    """The side that was shown first, given as a word or by its item."""
    value = first_filled(row, "shown_first")
    if value is None:
        return None
    sides: dict[str, Side] = {"left": "left", "right": "right"}
    word = value.strip()
    named, meant = _named(value, items), sides.get(OUTCOMES.get(word.lower(), POSITIONS.get(word, "")))
    if named is not None and meant not in (None, named):
        reason = f"'shown_first' is {shown(value)}, the name of the item on the {named} and a word for the other side"
        raise BadRow("bad_type", reason, "write left or right")
    side = named or (None if word in POSITIONS else meant)
    if side is None:
        raise BadRow(
            "bad_type", f"'shown_first' is {shown(value)}, which is not a side", "write left or right (or a or b)"
        )
    return side


def is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in UNANSWERED)


def count_field(row: Row, name: str) -> int:
    value = field(row, name)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= MAX_COUNT or number != int(number):
        limits = f"a whole number from 0 to {MAX_COUNT:,}"
        raise BadRow("bad_type", f"'{name}' is {shown(value)}, which is not a count", f"write {limits}")
    return int(number)
