"""Two texts with their differences marked, word by word."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

__all__ = ["Piece", "marked"]

Piece = tuple[str, bool]
"""A stretch of text, and whether only this side has it."""
MOST_WORDS = 1500
LEAST_ALIKE = 0.3


def marked(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces that add up to them. Texts that share little, or are very long, are left unmarked."""
    of_before, of_after = (re.findall(r"\s+|[^\s\w]|\w+", text) for text in (before, after))
    if max(len(of_before), len(of_after)) > MOST_WORDS:
        return [(before, False)], [(after, False)]
    matcher = SequenceMatcher(None, of_before, of_after, autojunk=False)
    blocks = matcher.get_matching_blocks()
    alike = sum(_num_words(of_before[block.a : block.a + block.size]) for block in blocks)
    if 2 * alike < LEAST_ALIKE * (_num_words(of_before) + _num_words(of_after)) or not alike:
        return [(before, False)], [(after, False)]
    old = _pieces(of_before, [(block.a, block.size) for block in blocks])
    return list(old), list(_pieces(of_after, [(block.b, block.size) for block in blocks]))


def _num_words(words: list[str]) -> int:
    return sum(not word.isspace() for word in words)


def _pieces(words: list[str], same: list[tuple[int, int]]) -> Iterator[Piece]:
    done = 0
    for start, size in same:
        for text, only_here in (("".join(words[done:start]), True), ("".join(words[start : start + size]), False)):
            if text:
                yield text, only_here
        done = start + size
