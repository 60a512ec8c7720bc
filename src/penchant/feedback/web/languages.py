"""The texts of the pages in English and Chinese, and the choice of a request's language."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

from starlette.requests import Request

__all__ = ["COOKIE", "LANGUAGES", "choose", "words", "words_for"]

LANGUAGES = ("en", "zh")
COOKIE = "penchant_language"


def choose(request: Request) -> str:
    """The language from `?lang=`, else from the cookie, else from the browser; English if none is supported."""
    for asked in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        if asked in LANGUAGES:
            return asked
    return _best(request.headers.get("accept-language", ""))


def _best(header: str) -> str:
    """The supported language of highest weight in an Accept-Language header, as `zh-CN,zh;q=0.9,en;q=0.8`."""
    found: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        tag, _, weight = part.strip().partition(";q=")
        language = tag.partition("-")[0].strip().lower()
        if language in LANGUAGES:
            try:
                found.append((-float(weight or 1), language))
            except ValueError:
                continue
    return min(found, key=lambda pair: pair[0])[1] if found else LANGUAGES[0]


@lru_cache(maxsize=len(LANGUAGES))
def words(language: str) -> dict[str, str]:
    """All texts of the pages in one language, by key."""
    return _read(language)["annotators"] | _read(language)["admins"]


def words_for(language: str, role: str | None) -> dict[str, str]:
    """The texts for a page's scripts; those of the admin pages only for admins."""
    return words(language) if role == "admin" else _read(language)["annotators"]


@lru_cache(maxsize=len(LANGUAGES))
def _read(language: str) -> dict[str, dict[str, str]]:
    text = files("penchant.feedback.web").joinpath("languages", f"{language}.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = json.loads(text)
    return found
