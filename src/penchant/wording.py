"""Make untrusted text fit for messages: encodable, on one line, bounded, with its important parts kept.

A row, a file name or another library's error may contain lone surrogates, line ends, or megabytes. Every message of
Penchant passes through here when it is created (`PenchantError`, `BadRow`), so that it can be shown, written to
run.json and drawn in a report.
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
"""Lone surrogates, which no encoding has bytes for, are written as \\udce9, JSON's own escape."""
MAX_MESSAGE = 2_000
"""The longest message, in characters."""
MAX_REASON = 600
"""The longest reason within a message, in characters: of a bad row, or of another library's error."""
MOST_GUESSES = 10_000
JOINERS = "\u200c\u200d"
"""Formally unprintable, but needed for Persian, Hindi and emoji."""
LINE_ENDS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")


def bytes_in_words(num: float) -> str:
    """A number of bytes as "3.2 GB" or "12.5 MB", in powers of ten, so that a small number never reads as 0."""
    size, unit = next(
        (size, unit) for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if num >= size or size == 1e3
    )
    return f"{num / size:,.1f} {unit}"


def encodable(text: str) -> str:
    """The text with lone surrogates spelt out, as \\udce9, because no encoding has bytes for them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def in_short(text: str, limit: int) -> str:
    """At most about `limit` characters: a long text loses its middle, as the end often says what to do."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[len(text) - limit // 3 :]
    return f"{head} [... {len(text) - len(head) - len(tail):,} characters ...] {tail}"


def one_line(text: str, limit: int = MAX_MESSAGE) -> str:
    """The text on one line, encodable and in short."""
    return encodable(LINE_ENDS.sub(" ", in_short(text.strip(), limit)))


def sanitise(text: str) -> str:
    """Make untrusted text safe to show: characters that move the cursor, colour or reverse text become U+FFFD.

    That is every control character but newline and tab, among them the escape of ANSI sequences, and the marks that
    reorder text (bidirectional overrides and isolates). Letters and spaces of every script stay as they are.
    """
    return "".join(c if _is_safe(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def _is_safe(c: str) -> bool:
    return c.isprintable() or c in "\n\t" or c in JOINERS or unicodedata.category(c) == "Zs"


def kind_and_reason_of(error: BaseException) -> str:
    """The type of an error and its message, for errors in users' code."""
    return f"{type(error).__name__}: {one_line(str(error), MAX_REASON)}"


def reason_of(error: BaseException) -> str:
    """The full message of another library's error on one line: the reason is often not in the first sentence.

    An error whose message is only a name, like KeyError, is prefixed by its type. Python's limit on the digits of a
    number is reworded, as its message is for programmers.
    """
    text = one_line(str(error), MAX_REASON).rstrip(".")
    if isinstance(error, ValueError) and "integer string conversion" in text:
        return f"a number has more than {sys.get_int_max_str_digits():,} digits"
    return text if " " in text else f"{type(error).__name__}: {text}".removesuffix(": ")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, up to a typo; None if none is close enough.

    `generations` is no typo of `conversations`, although most letters are the same.
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
