"""The page of the chat, its own style and scripts, and its texts in all languages of the pages."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import FileResponse, Response

from penchant.feedback.web import languages
from penchant.feedback.web.sessions import Person, room_of

__all__ = ["MAX_CHARACTERS", "router", "words"]

MAX_CHARACTERS = 8000
"""The most characters of one message."""
STATIC = Path(str(files("penchant.feedback.web.chat") / "static"))

router = APIRouter()


@router.get("/chat")
def page(request: Request, person: Person) -> Response:
    """The page; its script fetches the conversation."""
    said = words(languages.choose(request))
    response: Response = room_of(request).pages.render(
        request,
        "chat.html",
        person=person,
        chat=said,
        chat_words=json.dumps(said, ensure_ascii=False),
        max_characters=MAX_CHARACTERS,
    )
    return response


@router.get("/static/chat/{name}")
def static(name: str) -> Response:
    """A file of the page; like all of /static, for anybody."""
    if name not in {file.name for file in STATIC.iterdir()}:
        raise HTTPException(404, "there is no such file")
    return FileResponse(STATIC / name)


@lru_cache(maxsize=len(languages.LANGUAGES))
def words(language: str) -> dict[str, str]:
    """All texts of the chat page and its scripts, by key."""
    text = files("penchant.feedback.web.chat").joinpath("languages", f"{language}.json").read_text(encoding="utf-8")
    own: dict[str, str] = json.loads(text)
    return languages.words_for(language, None) | own
