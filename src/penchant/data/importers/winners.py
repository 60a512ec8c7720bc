"""Read a field that names the better of two answers, where the row's format has already read which is better.

It may name a side (chosen, rejected), one of the row's answers by its field or the end of the field's name
(`response_b`, `model_b`, `B` or `first`), the model that wrote it, or the answer's text. If only a chosen and a
rejected response are present and no other field is named after a side, the first side is the chosen one; `label: true`
says that of every such pair. A number is a place where the answers are numbered, and otherwise a code or a strength
that only the row's format could read.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from penchant.data.files import Row
from penchant.data.importers.values import TRUTH, says_nothing
from penchant.data.importers.vote_fields import OUTCOMES, Vote
from penchant.data.records import Comparison, PreferencePair, response_key

__all__ = [
    "answers_named",
    "last_text",
    "may_answer",
    "names_a_side",
    "names_chosen",
    "names_winner",
    "preferred",
    "says_preferred",
    "says_tie",
]

_WHO = "human_|overall_|gold_|final_|ai_"
_WHAT = "_(?:side|model|response|answer|output|completion|candidate|option|one|id|name|label|index)"
_PLAIN = "winner|winning|better|preferred"
WINNER = re.compile(rf"(?:{_WHO})?(?:{_PLAIN}|best|preference|pref|verdict|outcome|choice)(?:{_WHAT})?|status|labels?")
FIRST_IS_CHOSEN = re.compile(rf"(?:{_WHO})?(?:{_PLAIN}|preference|pref)(?:{_WHAT})?")
"""Fields where a letter names a side; elsewhere it may be the option of a multiple-choice question."""
CODED = re.compile(r".*(?:preference|pref|verdict|outcome|status)(?:_.*)?")
"""Fields where a number may be a strength, or a place on a scale."""
LABELS = ("label", "labels")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
SIDE = r"(a|b|j|k|left|right|first|second|chosen|rejected|\d)"
END = re.compile(rf"(?:.*[_\- ])?{SIDE}|.*[a-z](\d)", re.DOTALL)
"""Endings of field names that tell one side from the other."""
ANSWER = (
    "side|model|system|assistant|response|answer|output|completion|candidate|option|choice|conversation|summary|text"
)
ANSWERS = tuple(ANSWER.split("|"))
PLACE = re.compile(rf"(?:the_)?(?:{ANSWER})?_?{SIDE}")
"""A complete value that names a side; any other that ends in a letter or digit names a model, as qwen2."""
FAMILIES = (("a", "b"), ("1", "2"), ("0", "1"), ("left", "right"), ("j", "k"))
ENDS = frozenset(end for family in FAMILIES for end in family)
PLACES = (("a", "left", "first"), ("b", "right", "second"))
CHOSEN = frozenset(("chosen", "rejected"))
WRITERS = frozenset(("model", "generator", "source"))
TEXTS = ("content", "value", "text")


@lru_cache(maxsize=10_000)
def names_winner(name: str) -> bool:
    """Whether a field of this name may say which of two answers is better, or that neither is."""
    return WINNER.fullmatch(_plain(name)) is not None


def may_answer(row: Row, name: str) -> bool:
    """Whether a field, in a row that is unanswered otherwise, may be the answer under another name."""
    value = row[name]
    if not isinstance(value, str | int | float) or says_nothing(value):
        return False
    return names_winner(name) and _plain(name) not in ("status", *LABELS)


def names_a_side(row: Row, name: str) -> bool:
    """Whether a field says in a word that one of the two answers is better."""
    word = _plain(str(row[name]))
    is_side = PLACE.fullmatch(word) is not None and not word[-1].isdecimal()
    return is_side and may_answer(row, name) and not names_chosen(row)


def answers_named(row: Row, unread: Iterable[str], sides: tuple[str, str]) -> tuple[str, str] | None:
    """The two fields whose names the two responses are, as the name `response_b`, or its end, instead of its text.

    unread: the fields that no format reads; a letter or a digit counts only as the end of a longer name.
    """
    called: dict[str, str] = {}
    for name in unread:
        if isinstance(row.get(name), str | list | dict) and len(plain := _plain(name)) > 1:
            called |= {plain: name}
            if plain.startswith(ANSWERS) and (side := _side(END, plain)):
                called |= {side: name}
    found = [called.get(_plain(side)) for side in sides]
    return (found[0], found[1]) if found[0] and found[1] and found[0] != found[1] else None


def names_chosen(row: Row) -> bool:
    """Whether the row itself calls an answer chosen or rejected, rather than leaving it to a judgement of two."""
    return any(not CHOSEN.isdisjoint(_plain(name).split("_")) for name, value in row.items() if not says_nothing(value))


def preferred(record: object) -> tuple[str, str] | None:
    """The better and the worse answer of a pair or comparison, or the two items of a vote; None if neither is better.

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
    """Whether the field names the side that the record prefers; None if it names neither side.

    A word for a tie gives False as well, as it contradicts the record.
    """
    if not isinstance(row[name], str | int | float):
        return None
    value, field = str(row[name]).strip(), _plain(name)
    if value in sides or says_tie(value):
        return value == sides[0]
    word, words = _plain(value.strip("[]().'\"").removesuffix(".0")), _words(row, record, *sides)
    if NUMBER.fullmatch(word) and CODED.fullmatch(field):
        return None
    called = next((one for one in (word, _side(PLACE, word)) if one in words), None)
    if called is not None:
        return words[called]
    is_chosen = _is_chosen(field, word, row)
    return None if is_chosen is None or "chosen" not in words else is_chosen == words["chosen"]


def says_tie(value: object) -> bool:
    """Whether it is a word for two equally good, or equally bad, answers."""
    return isinstance(value, str) and OUTCOMES.get(value.strip().lower()) in ("tie", "both_bad")


def _is_chosen(name: str, word: str, row: Row) -> bool | None:
    """Whether a word means the chosen one of a chosen and a rejected response that have no other names.

    If a further field is named after a side, such as `model_b`, a place refers to it, and its side is unknown.
    """
    if word in ("true", "false"):
        return TRUTH[word] if name in LABELS else None
    if any(not ENDS.isdisjoint(_sides_in(_plain(one))) for one, value in row.items() if not says_nothing(value)):
        return None
    if name in LABELS:
        return {"1": True, "0": False, "-1": False, "2": False}.get(word)
    side = _side(PLACE, word) if FIRST_IS_CHOSEN.fullmatch(name) else ""
    return True if side in PLACES[0] else False if side in PLACES[1] or side == "2" else None


def _words(row: Row, record: object, better: str, worse: str) -> dict[str, bool]:
    """The row's names for its answers, in lower case, each with whether it is the better answer."""
    found: dict[str, set[bool]] = {}
    for word, is_better in _called(row, record, better, worse):
        found.setdefault(word, set()).add(is_better)
    writers = [
        (set(name.split("_")), _plain(value))
        for name, value in ((_plain(name), value) for name, value in row.items() if isinstance(value, str))
        if not WRITERS.isdisjoint(name.split("_"))
    ]
    known = _certain(found)
    for parts, writer in writers:
        for word in parts & known.keys():
            found.setdefault(writer, set()).add(known[word])
    known = _certain(found)
    for parts, writer in writers:
        for word in parts & (ENDS | CHOSEN) if writer in known else ():
            found.setdefault(word, set()).add(known[writer])
    known = _certain(found)
    for family in FAMILIES:
        if all(end in known for end in family):
            for end, words in zip(family, PLACES, strict=True):
                known = dict.fromkeys(words, known[end]) | known
    return known


def _certain(found: dict[str, set[bool]]) -> dict[str, bool]:
    return {word: next(iter(meant)) for word, meant in found.items() if len(meant) == 1}


def _called(row: Row, record: object, better: str, worse: str) -> Iterator[tuple[str, bool]]:
    if isinstance(record, PreferencePair) and names_chosen(row):
        yield from (("chosen", record.probability > 0.5), ("rejected", record.probability < 0.5))
    elif isinstance(record, Vote):
        yield from ((_plain(better), True), (_plain(worse), False))
    for name, value in row.items():
        if (text := last_text(value)) in (better, worse):
            yield from ((word, text == better) for word in {_plain(name), _side(END, _plain(name))} if word)


def last_text(value: Any) -> str | None:
    """The text of an answer: itself, or the content of the last message."""
    value = value[-1] if isinstance(value, list) and value else value
    if isinstance(value, dict):
        value = next((value[name] for name in TEXTS if name in value), None)
    return value.strip() if isinstance(value, str) else None


def _sides_in(name: str) -> set[str]:
    """The parts of a field's name that may tell the sides apart, as in `score_b` and `response_0_source`."""
    return {_side(END, name), *name.split("_")}


def _side(form: re.Pattern[str], word: str) -> str:
    """The side at the end of a word of this form; empty if it has another form."""
    found = form.fullmatch(word)
    return next(filter(None, found.groups()), "") if found else ""


def _plain(name: str) -> str:
    return re.sub(r"(?<=\w)[-\s]+", "_", name.strip().casefold())
