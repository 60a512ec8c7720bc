"""Check that rendered HTML keeps all of its source text: no word and no letter may vanish."""

from __future__ import annotations

import re
from collections import Counter
from html import unescape
from itertools import groupby

__all__ = ["loses"]


def loses(text: str, html: str, told: list[str]) -> bool:
    """Whether a letter or a word of the text is missing from the visible HTML.

    told: text shown in another way: rendered formulas, and addresses that are the text of their link. A
    character that the text names (`&copy;`) counts as itself.
    """
    numbers = " ".join(re.findall(r'<li value="(\d+)">', html))
    seen = _plain(re.sub("<[^>]*>", "", html)) + " " + " ".join(map(_plain, [numbers, *told]))
    meant = _plain(text)
    words = {"".join(run) for is_word, run in groupby(meant, str.isalnum) if is_word}
    return not (_letters(meant) <= _letters(seen) and all(word in seen for word in words))


def _plain(text: str) -> str:
    while (plain := unescape(text)) != text:
        text = plain
    return text


def _letters(text: str) -> Counter[str]:
    return Counter(character for character in text if character.isalnum())
