"""Read a judge's scores of the two sides of a pair: a field for each, a list or object, or a word for a tie.

`winners` knows which fields may hold that word; whether they name a side is checked once the row is read.

A list is in the order of the row's `generations`, in that of its `order` (of the sides before a row of Distilabel's
was swapped), or, if the row has neither, chosen first. A row whose list scores the rejected response above the chosen
one is refused. Single scores of the sides refuse no row: they may come from another judge, such as a reward model
beside people's preferences.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from penchant.data.derived import gap_between
from penchant.data.files import Row
from penchant.data.importers.packed import spelt
from penchant.data.importers.vote_fields import OUTCOMES
from penchant.data.importers.winners import names_winner
from penchant.data.records import Response, response_key
from penchant.data.verdicts import CODES, BadRow
from penchant.wording import shown

__all__ = ["OF_BOTH", "SCORES", "scores_of_sides"]

SCORES = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen-rating", "rejected-rating"),
    ("rating_chosen", "rating_rejected"),
    ("chosen_rating", "rejected_rating"),
    ("chosen_avg_rating", "rejected_avg_rating"),
    ("chosen_reward", "rejected_reward"),
)
"""Fields of a judge's scores of the two sides, by their names in public data."""
OF_BOTH = ("rating", "ratings", "score", "scores", "reward", "rewards")
"""Fields that may hold both scores: a list, or {"chosen": ..., "rejected": ...}."""
ANSWERS = ("generations", "responses", "completions", "candidates", "outputs", "all_generated_responses")
"""Fields that may hold the texts of the answers, in the order of the scores."""


@dataclass(frozen=True, slots=True)
class _Beside:
    """Which of these fields a row has."""

    scores: tuple[tuple[str, str], ...]
    of_both: tuple[str, ...]
    words: tuple[str, ...]


def scores_of_sides(row: Row, responses: tuple[Response, Response]) -> tuple[float, float] | None:
    """A judge's scores of chosen and rejected, from the row itself or its `meta`; None if not recorded.

    Raises BadRow, of no severity, for a word for a tie, and for a list in the opposite order.
    """
    meta = row.get("meta")
    for place in (row, meta) if isinstance(meta, dict) else (row,):
        beside = _beside(tuple(place))
        for name in beside.words:
            _refuse_tie(place[name], name)
        listed = list(_of_both(place, beside.of_both, responses)) if beside.of_both else []
        for name, (better, worse) in listed:
            if better < worse:
                reason = f"'{name}' gives the rejected response {worse:g} and the chosen one {better:g}"
                raise BadRow("bad_type", reason, "swap the two responses, or remove the scores")
        for better_name, worse_name in beside.scores:
            if gap_between(place[better_name], place[worse_name]) is not None:
                return float(place[better_name]), float(place[worse_name])
        if listed:
            return listed[0][1]
    return None


@lru_cache(maxsize=1000)
def _beside(names: tuple[str, ...]) -> _Beside:
    """The score fields among these names; cached, as the rows of a file share names."""
    return _Beside(
        tuple(both for both in SCORES if set(both) <= set(names)),
        tuple(name for name in OF_BOTH if name in names),
        tuple(name for name in names if isinstance(name, str) and names_winner(name)),
    )


def _refuse_tie(value: Any, name: str) -> None:
    said = OUTCOMES.get(value.strip().lower()) if isinstance(value, str) else None
    if said in ("tie", "both_bad"):
        raise BadRow(said, f"its {name} is {shown(value)}: {CODES[said].meaning}", "nothing to fix")


def _of_both(
    row: Row, names: tuple[str, ...], responses: tuple[Response, Response]
) -> Iterator[tuple[str, tuple[float, float]]]:
    for name in names:
        values = spelt(row[name])
        places: Any = ("chosen", "rejected")
        if isinstance(values, list):
            places = _places(row, len(values), responses)
        elif not isinstance(values, dict) or not values.keys() >= set(places):
            continue
        if places is not None and gap_between(values[places[0]], values[places[1]]) is not None:
            yield name, (float(values[places[0]]), float(values[places[1]]))


def _places(row: Row, number: int, responses: tuple[Response, Response]) -> tuple[int, int] | None:
    """The positions of chosen and rejected in a list of this length; None if unknown."""
    lists = (spelt(row.get(name)) for name in ANSWERS)
    written, order = next((one for one in lists if isinstance(one, list)), None), spelt(row.get("order"))
    if written is not None:
        texts = [one.strip() if isinstance(one, str) else one for one in written]
        chosen, rejected = map(response_key, responses)
        if len(texts) == number and texts.count(chosen) == texts.count(rejected) == 1:
            return texts.index(chosen), texts.index(rejected)
    if number != 2:
        return None
    if isinstance(order, list):
        if sorted(map(str, order)) != ["chosen", "rejected"]:
            return None
        places = order.index("chosen"), order.index("rejected")
        return places[::-1] if str(row.get("status")).strip().lower() == "swapped" else places
    return (0, 1) if written is None else None
