"""Classify the fields of a row that its format does not read: harmless, meaningful, or unknown.

An importer names the fields it reads. Of the rest, harmless fields do not affect training; a meaningful field does, so
the row is refused; any other is listed once under "fields not read". A field without a value (null, NaN, an empty
text, list or object) is ignored: parquet and csv fill in missing fields.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from penchant.data.files import Row
from penchant.data.importers.base import Importer
from penchant.data.importers.messages import HOLD_MESSAGES, READ_OF_MESSAGE, ROLES
from penchant.data.importers.values import is_truth, says_nothing
from penchant.data.importers.vote_fields import Vote
from penchant.data.importers.winners import names_chosen, names_winner, preferred, says_preferred, says_tie
from penchant.data.meanings import HARMLESS, MEANINGFUL, NAMELESS, OF_ANSWERS, OF_OTHER_FORMATS, Meaning
from penchant.data.records import Comparison, Demonstration, Document, Origin, PreferencePair
from penchant.data.verdicts import BadRow
from penchant.wording import shown

__all__ = ["UnreadField", "UnreadFields", "harmless_of", "in_words", "unread_of"]


@dataclass(frozen=True, slots=True)
class UnreadField:
    """A filled field that no importer read: the number of rows, and the first place."""

    name: str
    num_rows: int
    first: Origin

    def __str__(self) -> str:
        return f"{self.name} (in {self.num_rows} {'row' if self.num_rows == 1 else 'rows'}, first at {self.first})"


@dataclass
class UnreadFields:
    """Counts unread fields while rows are read."""

    _found: dict[str, tuple[int, Origin]] = field(default_factory=dict)

    def add(self, names: Iterable[str], origin: Origin, num_rows: int = 1) -> None:
        """Count these fields for a number of rows, the first of them at `origin`."""
        for name in names:
            number, first = self._found.get(name, (0, origin))
            self._found[name] = number + num_rows, first

    def listed(self) -> tuple[UnreadField, ...]:
        """In the order in which they were met."""
        return tuple(UnreadField(name, *found) for name, found in self._found.items())


def in_words(unread: Iterable[UnreadField]) -> str:
    """One line that lists them, or nothing where there are none."""
    listed = ", ".join(map(str, unread))
    return f"fields not read: {listed}" if listed else ""


def unread_of(row: Row, importer: Importer[Any], records: Sequence[object], *, chosen: bool = False) -> list[str]:
    """The names of filled fields that are neither read nor harmless; those inside messages as `messages[].name`.

    Raises BadRow for a meaningful one, unless its value changes nothing or repeats what is read. records: the records
    made from the row. chosen: the caller named the format, so fields that other formats would read as the conversation
    or as a response are ignored.
    """
    names = [*_unread_inside(row, importer.inside)] if importer.inside else []
    for name, is_read in _to_look_at(tuple(row), importer.reads, importer.harmless):
        value = row[name]
        if is_read:
            if isinstance(value, str):
                continue  # text holds no messages
            if isinstance(value, dict) and isinstance(value.get("messages"), list):  # like OpenAI's `input`
                names += _unread_of_messages(f"{name}.messages", value["messages"])
            elif name in HOLD_MESSAGES and (isinstance(value, list) or (not importer.inside and _is_message(value))):
                names += _unread_of_messages(name, value)
        elif not says_nothing(value) and not (name in NAMELESS and _is_a_number(value)):
            meaning = MEANINGFUL.get(name.strip().lower())
            if again := len(records) == 1 and isinstance(records[0], OF_TWO) and names_winner(name):
                if _names_the_preferred(row, name, importer, records[0], chosen=chosen):
                    continue
                if chosen or not is_truth(value) or (names_chosen(row) and preferred(records[0])):
                    meaning = None  # for another task, or read but not understood
            if meaning is None or (chosen and meaning in OF_OTHER_FORMATS) or _is_silent(meaning, value, records):
                names.append(name or "a column without a name")
            elif not _changes_nothing(meaning, value, row, importer, records):
                raise BadRow("unread_field", f"the field '{name}' {meaning.why}", meaning.fix)
            elif again:
                names.append(name)
    return names


def _names_the_preferred(row: Row, name: str, importer: Importer[Any], record: object, *, chosen: bool) -> bool:
    """Whether the field agrees with the format's preference. Raises BadRow where it prefers another answer, or none."""
    sides = preferred(record)
    if sides is None:
        return says_tie(row[name])
    said = says_preferred(row, name, record, sides)
    if said is not False or chosen:
        return said is True
    reason = f"'{name}' is {shown(row[name])}, but the format {importer.name} prefers {shown(sides[0])}"
    fix = f"correct one of them, or ignore '{name}' if it means something else: `format=\"{importer.name}\"`"
    raise BadRow("bad_type", reason, fix)


def _is_silent(meaning: Meaning, value: object, records: Iterable[object]) -> bool:
    """Whether this value is meaningless for such records."""
    if not meaning.says(value):
        return True
    return bool(meaning.nothing_of) and all(type(record).__name__ in meaning.nothing_of for record in records)


def _changes_nothing(
    meaning: Meaning, value: object, row: Row, importer: Importer[Any], records: Iterable[object]
) -> bool:
    same = [row[name] for name in importer.reads if MEANINGFUL.get(name) is meaning and not says_nothing(row.get(name))]
    if meaning.neutral and meaning.is_neutral(value, same):
        return True
    if meaning.may_repeat == "the prompt":
        return all(_repeats(value, _prompt_of(record)) for record in records)
    return meaning.may_repeat == "the row" and _repeats(value, [row.get(name) for name in importer.reads])


def _is_a_number(value: object) -> bool:
    try:
        return isinstance(float(value), float)  # type: ignore[arg-type]  # what it cannot take, it refuses
    except (TypeError, ValueError, OverflowError):
        return False


def harmless_of(row: Row, importer: Importer[Any]) -> list[str]:
    """The names of filled fields that are not read because they are harmless."""
    names = _harmless_names(tuple(row), importer.reads, importer.harmless)
    return [name for name in names if not says_nothing(row[name])]


@lru_cache(maxsize=1000)
def _harmless_names(names: tuple[str, ...], reads: frozenset[str], harmless: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in reads and name in HARMLESS | harmless)


@lru_cache(maxsize=1000)
def _to_look_at(
    names: tuple[str, ...], reads: frozenset[str], harmless: frozenset[str]
) -> tuple[tuple[str, bool], ...]:
    """The fields of a row that are not harmless, and whether each is read; cached, as rows of a file share names."""
    return tuple((name, name in reads) for name in names if name in reads or name not in HARMLESS | harmless)


def _unread_inside(row: Row, inside: Callable[[Row], Iterable[tuple[str, Row]]]) -> dict[str, None]:
    found: dict[str, None] = {}
    for where, held in inside(row):
        for key, value in held.items():
            if not says_nothing(value) and _is_not_known(key, value, f"the field '{where}{key}'"):
                found[f"{where}{key}"] = None
    return found


def _unread_of_messages(name: str, value: Any) -> list[str]:
    strange: set[str] = set()
    for index, message in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(message, dict) or message.keys() <= READ_OF_MESSAGE:
            continue
        for key in (key for key in message if key not in READ_OF_MESSAGE and key not in HARMLESS):
            where = f"the field '{key}' of '{name}[{index}]'"
            is_answer = ROLES.get(message.get("role") or message.get("from") or "") == "assistant"
            if not says_nothing(message[key]) and _is_not_known(key, message[key], where, is_answer=is_answer):
                strange.add(f"{name}[].{key}")
    return sorted(strange)


def _is_not_known(key: str, value: object, where: str, *, is_answer: bool = True) -> bool:
    """Whether a nested field is to be listed. Raises BadRow for a meaningful one that changes something."""
    meaning = MEANINGFUL.get(key.strip().lower())
    if meaning is None or meaning in OF_OTHER_FORMATS or (meaning in OF_ANSWERS and not is_answer):
        return True
    if not meaning.is_neutral(value):
        raise BadRow("unread_field", f"{where} {meaning.why}", meaning.fix)
    return False


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and not value.keys().isdisjoint(("role", "from"))


def _prompt_of(record: object) -> list[str]:
    """The texts of a record's prompt: everything but the last answer."""
    if isinstance(record, Document):
        return [record.text]
    if isinstance(record, Demonstration):
        return [message.content for message in record.messages[:-1]]
    asked: Any = getattr(record, "prompt", None) or getattr(record, "messages", ())
    return [asked] if isinstance(asked, str) else [message.content for message in asked]


def _repeats(value: object, read: Iterable[object]) -> bool:
    """Whether all its text also occurs, as whole words, in the fields that are read."""
    said, texts = set(_said(value)), {text for one in read for text in _said(one) if text}
    return bool(said) and all(one and any(_stands_in(one, text) for text in texts) for one in said)


def _stands_in(said: str, text: str) -> bool:
    return said in text and (said == text or re.search(rf"(?<!\w){re.escape(said)}(?!\w)", text) is not None)


def _said(value: object) -> Iterator[str | None]:
    """The texts in a value: itself, or those of a list, of messages and of their parts; None for anything else."""
    if isinstance(value, str):
        yield from filter(None, [" ".join(value.split())])
    elif isinstance(value, list):
        for one in value:
            yield from _said(one)
    elif isinstance(value, dict):
        for name in (name for name in value if name not in BESIDE_TEXT):
            yield from _said(value[name]) if name in TEXTS else () if says_nothing(value[name]) else (None,)
    elif not says_nothing(value):
        yield None


TEXTS = {"content", "value", "input", "output", "text"}
"""Keys of a message, or of a part of one, that hold its content."""
OF_TWO = (PreferencePair, Comparison, Vote)
"""Records that prefer one of two answers, which a further field may state as well."""
BESIDE_TEXT = {"role", "from", "type", "id", "name", "index", "doc_id", "passage_id", "rank", "score", "url"}
