"""Check that a text's words occur in a rendering, and generate changed versions of a text."""

from __future__ import annotations

from collections.abc import Iterator

from penchant.tokens.skeleton import spelt_in_json

__all__ = ["has_words", "with_a_part_changed"]

NUM_PARTS = 3


def has_words(said: str, text: str) -> bool:
    """Whether the words occur in the text in order, ignoring case and JSON escapes."""
    folded, at = text.casefold(), 0
    for word in said.casefold().split():
        once = spelt_in_json(word)
        spellings = {word, once, spelt_in_json(once), spelt_in_json(word, only_ascii=True)}
        found = [(start, len(one)) for one in spellings if (start := folded.find(one, at)) >= 0]
        if not found:
            return False
        start, length = min(found)
        at = start + length
    return True


def with_a_part_changed(content: str) -> Iterator[str]:
    """Yield the content with one part after another masked, of unchanged length."""
    size = max(-(-len(content) // NUM_PARTS), 1)
    for start in range(0, len(content), size):
        part = content[start : start + size]
        if part.strip():
            cover = "^" if set(part.strip()) == {"~"} else "~"
            covered = "".join(c if c.isspace() else cover for c in part)
            yield content[:start] + covered + content[start + size :]
