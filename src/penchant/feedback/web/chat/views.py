"""A conversation as its page shows it: rendered texts, left and right; no sources, no seeds, no sides."""

from __future__ import annotations

from typing import Any

from penchant.feedback.web.chat.conversation import MAX_TURNS, Conversation
from penchant.feedback.web.views import text_view

__all__ = ["conversation_view", "text_at"]


def conversation_view(talk: Conversation) -> dict[str, Any]:
    """version, state, messages; left and right while two answers wait; is_voted: whether they have been compared.

    draft: a message without an answer. turns_left: the messages the person may still send.
    """
    with talk.lock:
        turn = talk.turn if talk.state in ("choosing", "picking") else None
        return {
            "version": talk.version,
            "state": talk.state,
            "messages": [{"role": message.role, **text_view(message.content)} for message in talk.messages],
            "left": turn and text_view(turn.text_at("left")),
            "right": turn and text_view(turn.text_at("right")),
            "is_voted": talk.is_voted,
            "draft": talk.draft,
            "turns_left": MAX_TURNS - talk.num_turns,
        }


def text_at(talk: Conversation, place: str) -> str | None:
    """The full text at `left`, `right` or `message-N`, N counted from 0; None for any other position."""
    with talk.lock:
        texts = {f"message-{i}": message.content for i, message in enumerate(talk.messages)}
        if talk.turn is not None and talk.state in ("choosing", "picking"):
            texts |= {side: talk.turn.text_at(side) for side in ("left", "right")}
        return texts.get(place)
