"""Foreign text made fit for a message: it can be encoded, is one line and bounded, and keeps what says why.

A row, a file name or another library's error may hold half a surrogate pair, line ends, or megabytes. Everything that
Penchant says passes through here where it is made (`PenchantError`, `BadRow`), so that it can be shown, written to
run.json and drawn in a report alike.
"""

from __future__ import annotations

import re
import reprlib
import sys
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

__all__ = [
    "MAX_MESSAGE",
    "MAX_REASON",
    "SPELT_OUT",
    "bytes_in_words",
    "encodable",
    "in_short",
    "kind_and_reason_of",
    "nearest",
    "one_line",
    "reason_of",
    "sanitise",
    "shown",
]

SPELT_OUT = "backslashreplace"
"""How half a surrogate pair is written, which no encoding has bytes for: as \\udce9, in JSON the escape of its own."""
MAX_MESSAGE = 2_000
"""Characters of the longest message."""
MAX_REASON = 600
"""Characters of the longest reason within one: of a bad row, of another library's error."""
MOST_GUESSES = 10_000
JOINERS = "\u200c\u200d"
"""Unprintable by the letter, but Persian, Hindi and emoji are spelt with them."""
LINE_ENDS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")


def bytes_in_words(num: float) -> str:
    """A number of bytes as "3.2 GB" or "12.5 MB", in powers of ten, so that little never reads as nothing."""
    size, unit = next(
        (size, unit) for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if num >= size or size == 1e3
    )
    return f"{num / size:,.1f} {unit}"


def encodable(text: str) -> str:
    """The text with every half of a surrogate pair spelt out, as \\udce9: no encoding has bytes for it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def in_short(text: str, limit: int) -> str:
    """At most about `limit` characters: what is too long loses its middle, as the end often says what to do."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[len(text) - limit // 3 :]
    return f"{head} [... {len(text) - len(head) - len(tail):,} characters ...] {tail}"


def one_line(text: str, limit: int = MAX_MESSAGE) -> str:
    """The text on one line, encodable and in short."""
    return encodable(LINE_ENDS.sub(" ", in_short(text.strip(), limit)))


def sanitise(text: str) -> str:
    """Foreign text made safe to show: what could move the cursor, colour or reverse what follows becomes U+FFFD.

    That is every control character but newline and tab, among them the escape of ANSI sequences, and the marks that
    reorder text (bidirectional overrides and isolates). Letters and spaces of every script stay as they are.
    """
    return "".join(c if _is_safe(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def _is_safe(c: str) -> bool:
    return c.isprintable() or c in "\n\t" or c in JOINERS or unicodedata.category(c) == "Zs"


def kind_and_reason_of(error: BaseException) -> str:
    """The kind of an error and what it says, for code that a user wrote."""
    return f"{type(error).__name__}: {one_line(str(error), MAX_REASON)}"


def reason_of(error: BaseException) -> str:
    """What another library's error says, whole but on one line: the sentence that says why is often not the first.

    An error that says no more than a name, as KeyError does, is introduced by its kind. Python's limit on the digits
    of a number is worded for programmers, so it is said anew.
    """
    text = one_line(str(error), MAX_REASON).rstrip(".")
    if isinstance(error, ValueError) and "integer string conversion" in text:
        return f"a number has more than {sys.get_int_max_str_digits():,} digits"
    return text if " " in text else f"{type(error).__name__}: {text}".removesuffix(": ")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was perhaps meant, but for a slip of the pen; None where none is that close.

    `generations` is not what `conversations` was to be, though most of its letters are the same.
    """
    folded = {name.casefold(): name for name in islice(known, MOST_GUESSES)}
    near = get_close_matches(word.casefold()[:200], folded, 1, cutoff=0.8)
    return folded[near[0]] if near else None


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80
        self.maxlevel = 3

    def repr_int(self, x: int, level: int) -> str:
        if abs(x) < 10**40:
            return super().repr_int(x, level)
        return f"a number of about {x.bit_length() * 30103 // 100_000 + 1} digits"


def shown(value: object) -> str:
    """`repr` of a value from a file or the command line, bounded in length and depth, encodable, on one line."""
    return one_line(_Short().repr(value))
