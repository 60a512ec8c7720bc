"""A field that names the better of two answers, where the format of the row has said already which that is.

It may name a side (chosen, rejected), one of the row's own answers by its field or the end of it (`response_b`,
`model_b` and `B` for what stands in `response_b`, `first`), the model that wrote it, or the answer's text. Beside a
chosen and a rejected response alone, the first side is the chosen one, as `label: true` is. A number is a place where
the answers are numbered so, and else no more than a code or a strength, which only the format of the row could read.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from penchant.data.files import Row
from penchant.data.importers.values import TRUTH
from penchant.data.importers.vote_fields import OUTCOMES, Vote
from penchant.data.records import Comparison, PreferencePair, response_key

__all__ = ["names_winner", "preferred", "says_preferred", "says_tie"]

_WHO = "human_|overall_|gold_|final_|ai_"
_WHAT = "_(?:side|model|response|answer|output|completion|candidate|option|one|id|name|label|index)"
_PLAIN = "winner|winning|better|preferred"
WINNER = re.compile(rf"(?:{_WHO})?(?:{_PLAIN}|best|preference|pref|verdict|outcome|choice)(?:{_WHAT})?|status|labels?")
FIRST_IS_CHOSEN = re.compile(rf"(?:{_WHO})?(?:{_PLAIN}|preference|pref)(?:{_WHAT})?")
"""Fields of which a letter means a side; elsewhere it may be that of a question with several answers to choose from."""
CODED = re.compile(r".*(?:preference|pref|verdict|outcome|status)(?:_.*)?")
"""Fields of which a number may be a strength, or a place on a scale."""
LABELS = ("label", "labels")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
END = re.compile(r"(?:.*[_\- ])?(a|b|j|k|left|right|first|second|chosen|rejected|\d)|.*[a-z](\d)", re.DOTALL)
FAMILIES = (("a", "b"), ("1", "2"), ("0", "1"), ("left", "right"), ("j", "k"))
ENDS = frozenset(end for family in FAMILIES for end in family)
PLACES = (("a", "left", "first"), ("b", "right", "second"))
WRITERS = frozenset(("model", "generator", "source"))
TEXTS = ("content", "value", "text")


@lru_cache(maxsize=10_000)
def names_winner(name: str) -> bool:
    """Whether a field of this name may say which of two answers is better, or that neither is."""
    return WINNER.fullmatch(_plain(name)) is not None


def preferred(record: object) -> tuple[str, str] | None:
    """The better and the worse answer of a pair or comparison, or the two items of a vote; None where none is better.

    Example:
        >>> preferred(Vote("tea", "coffee", "right"))
        ('coffee', 'tea')
    """
    if isinstance(record, PreferencePair):
        sides = response_key(record.chosen), response_key(record.rejected)
        return None if record.probability == 0.5 else sides if record.probability > 0.5 else sides[::-1]
    if isinstance(record, Comparison):
        sides = response_key(record.a.text), response_key(record.b.text)
        return {"a": sides, "b": sides[::-1]}.get(str(record.outcome))
    if isinstance(record, Vote):
        return {"left": (record.left, record.right), "right": (record.right, record.left)}.get(record.outcome)
    return None


def says_preferred(row: Row, name: str, record: object, sides: tuple[str, str]) -> bool | None:
    """Whether the field names the better one of two sides, which the record prefers; None where it names neither.

    A word for a tie is False as well, as it denies what the record says.
    """
    if not isinstance(row[name], str | int | float):
        return None
    value, field = str(row[name]).strip(), _plain(name)
    if value in sides or says_tie(value):
        return value == sides[0]
    word, words = value.strip("[]().'\"").removesuffix(".0"), _words(row, record, *sides)
    if word.lower() in ("true", "false"):
        return TRUTH[word.lower()] if field in LABELS else None
    if NUMBER.fullmatch(word) and CODED.fullmatch(field):
        return None
    called = next((one for one in (_plain(word), _end(_plain(word))) if one in words), None)
    if called is None and words.keys().isdisjoint(ENDS):
        return _by_place(field, _plain(word))
    return words.get(called or "")


def says_tie(value: object) -> bool:
    """Whether it is a word for two answers that are as good, or as bad, as each other."""
    return isinstance(value, str) and OUTCOMES.get(value.strip().lower()) in ("tie", "both_bad")


def _by_place(name: str, word: str) -> bool | None:
    """What a word means beside a chosen and a rejected response that have no other names."""
    if name in LABELS:
        return {"1": True, "0": False, "-1": False, "2": False}.get(word)
    if not FIRST_IS_CHOSEN.fullmatch(name):
        return None
    end = _end(word)
    return True if end in PLACES[0] else False if end in PLACES[1] or end == "2" else None


def _words(row: Row, record: object, better: str, worse: str) -> dict[str, bool]:
    """What the row calls its answers, in lower case, with whether that is the better one."""
    found: dict[str, set[bool]] = {}
    for word, is_better in _called(row, record, better, worse):
        found.setdefault(word, set()).add(is_better)
    known = {word: meant.pop() for word, meant in found.items() if len(meant) == 1}
    for name, value in row.items():
        parts = _plain(name).split("_")
        if not WRITERS.isdisjoint(parts) and isinstance(value, str):
            for end in {*parts} & known.keys():
                found.setdefault(_plain(value), set()).add(known[end])
    known |= {word: meant.pop() for word, meant in found.items() if len(meant) == 1}
    for family in FAMILIES:
        if all(end in known for end in family):
            for end, words in zip(family, PLACES, strict=True):
                known = dict.fromkeys(words, known[end]) | known
    return known


def _called(row: Row, record: object, better: str, worse: str) -> Iterator[tuple[str, bool]]:
    if isinstance(record, PreferencePair):
        yield from (("chosen", record.probability > 0.5), ("rejected", record.probability < 0.5))
    for name, value in row.items():
        text = _text(value)
        if text in (better, worse):
            yield from ((word, text == better) for word in {_plain(name), _end(_plain(name))} if word)


def _text(value: Any) -> str | None:
    """The text of an answer: itself, or what the last message says."""
    value = value[-1] if isinstance(value, list) and value else value
    if isinstance(value, dict):
        value = next((value[name] for name in TEXTS if name in value), None)
    return value.strip() if isinstance(value, str) else None


def _end(name: str) -> str:
    """The end of a name that tells one side from the other; empty where it has none."""
    found = END.fullmatch(name)
    return "" if found is None else found[1] or found[2]


def _plain(name: str) -> str:
    return re.sub(r"(?<=\w)[-\s]+", "_", name.strip().casefold())
