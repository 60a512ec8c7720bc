"""The API of the chat page: reply, stop, choice, and the state of the conversation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from penchant.feedback.records import Text, outcome_at
from penchant.feedback.web import languages
from penchant.feedback.web.chat.conversation import MAX_TURNS, Conversation, Conversations, Outdated, Turn
from penchant.feedback.web.chat.page import MAX_CHARACTERS, words
from penchant.feedback.web.chat.page import router as page_router
from penchant.feedback.web.chat.recording import record_choice
from penchant.feedback.web.chat.replying import Reply, ReplyResponse
from penchant.feedback.web.chat.talker import ModelQueue, Talker
from penchant.feedback.web.chat.views import conversation_view, text_at
from penchant.feedback.web.rendering import pieces
from penchant.feedback.web.sessions import Person, room_of

__all__ = ["chat_router"]

Version = Annotated[int, Field(ge=0, le=2**53)]


class _Sent(BaseModel):
    """version: that of the conversation on the page."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: Version


class SentMessage(_Sent):
    """The person's message; None requests other answers in place of two bad ones."""

    text: Text | None


class SentChoice(_Sent):
    """Which answer is better, by its position. key: made by the page; a choice sent twice counts once."""

    key: Text = Field(min_length=8, max_length=100)
    outcome: Literal["left", "right", "tie", "both_bad"]
    seconds: float = Field(ge=0, le=10_000_000, allow_inf_nan=False)


class SentPick(_Sent):
    """The answer to continue with; no vote."""

    place: Literal["left", "right"]


def chat_router(talker: Talker, *, share: float = 0.3, rng: random.Random | None = None) -> APIRouter:
    """Routes for `create_app(chat=...)`. share: that of replies with two answers to choose from. rng: for tests."""
    router = APIRouter()
    router.include_router(page_router)
    queue, conversations = ModelQueue(), Conversations()
    rng = rng or random.SystemRandom()

    @router.get("/api/chat")
    def conversation(person: Person) -> dict[str, Any]:
        """The state of one's conversation."""
        return conversation_view(conversations.of(person.id))

    @router.post("/api/chat/replies")
    def reply(request: Request, person: Person, sent: SentMessage) -> Response:
        """Send a message; the answers are streamed as lines of JSON."""
        talk = conversations.of(person.id)
        text = _checked(request, talk, sent.text)
        num = 2 if rng.random() < share else 1
        turn = Turn(num, seed=rng.getrandbits(31), shown_first="a" if rng.random() < 0.5 else "b")
        with _as_it_stands(request):
            talk.begin(sent.version, text, turn)
        return ReplyResponse(Reply(queue, talker, talk, lambda: conversation_view(conversations.of(person.id))))

    @router.post("/api/chat/stop")
    def stop(person: Person) -> dict[str, Any]:
        """Stop writing the answers; the text so far stays."""
        talk = conversations.of(person.id)
        with talk.lock:
            if talk.state == "writing" and talk.turn is not None:
                talk.turn.has_stopped = True
        return conversation_view(talk)

    @router.post("/api/chat/choices")
    def choose(request: Request, person: Person, sent: SentChoice) -> dict[str, Any]:
        """Record which answer is better; the reply means that it is on disk."""
        talk, room = conversations.of(person.id), room_of(request)
        with _as_it_stands(request), talk.lock:
            if sent.key != talk.last_key:
                turn = talk.check_choice(sent.version, "choosing")
                outcome: Any = outcome_at(sent.outcome, turn.shown_first)
                source = talker.source(turn.seed)
                told = {"outcome": outcome, "seconds": sent.seconds, "key": sent.key}
                record_choice(room.store, room.project.config, person, talk.messages, turn, source, **told)
                talk.decide(outcome, sent.key)
        return conversation_view(talk)

    @router.post("/api/chat/picks")
    def pick(request: Request, person: Person, sent: SentPick) -> dict[str, Any]:
        """Continue with one of two answers without voting for it."""
        talk = conversations.of(person.id)
        with _as_it_stands(request), talk.lock:
            talk.go_on_with(talk.check_choice(sent.version, "picking").text_at(sent.place))
        return conversation_view(talk)

    @router.post("/api/chat/new")
    def begin_anew(person: Person) -> dict[str, Any]:
        """Forget the conversation; recorded choices stay."""
        conversations.forget(person.id)
        return conversation_view(conversations.of(person.id))

    @router.get("/api/chat/texts/{place}")
    def whole_text(person: Person, place: str) -> dict[str, Any]:
        """The full text of a truncated view, as written, in pieces."""
        text = text_at(conversations.of(person.id), place)
        if text is None:
            raise HTTPException(404, "there is no such text")
        return {"pieces": pieces(text)}

    return router


def _checked(request: Request, talk: Conversation, text: str | None) -> str | None:
    """The stripped message; refused with one sentence if it is invalid."""
    if text is None:
        return None
    text = text.strip()
    problem = "chat_long" if len(text) > MAX_CHARACTERS else "chat_many" if talk.num_turns >= MAX_TURNS else None
    if not text:
        problem = "chat_empty"
    if problem:
        limits = {"characters": MAX_CHARACTERS, "turns": MAX_TURNS}
        raise HTTPException(422, words(languages.choose(request))[problem].format(**limits))
    return text


@contextmanager
def _as_it_stands(request: Request) -> Iterator[None]:
    try:
        yield
    except Outdated:
        raise HTTPException(409, words(languages.choose(request))["chat_outdated"]) from None
