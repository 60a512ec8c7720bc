"""The sentences of the chat, in the languages of the other pages and together with theirs."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

from penchant.feedback.web import languages

__all__ = ["words"]


@lru_cache(maxsize=len(languages.LANGUAGES))
def words(language: str) -> dict[str, str]:
    """Every sentence that the page of the chat and its scripts may say, by its key."""
    text = files("penchant.feedback.web.chat").joinpath("languages", f"{language}.json").read_text(encoding="utf-8")
    own: dict[str, str] = json.loads(text)
    return languages.words_for(language, None) | own
