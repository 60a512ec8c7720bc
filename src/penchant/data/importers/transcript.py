r"""A transcript in the form of Anthropic's HH data, "\n\nHuman: ...\n\nAssistant: ...", as turns."""

import re

from penchant.data.quickly import text_message
from penchant.data.records import Message, Role

__all__ = ["MARKER", "turns_before_answer", "turns_of"]

MARKER = re.compile(r"\n\n(Human|Assistant):")
SPEAKERS: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


def turns_before_answer(text: str) -> tuple[Message, ...] | None:
    """The turns of a prompt that is a transcript up to where the assistant answers; None for any other text."""
    stripped = text.strip()
    if not stripped.startswith("Human:") or not stripped.endswith("\n\nAssistant:"):
        return None
    transcript = f"\n\n{stripped}"
    return turns_of(transcript.removesuffix("\n\nAssistant:"))


def turns_of(transcript: str) -> tuple[Message, ...]:
    """The turns of a transcript that begins with a marker; those of one speaker that follow each other are joined."""
    pieces = MARKER.split(transcript)[1:]
    turns: list[tuple[Role, str]] = []
    for speaker, piece in zip(pieces[::2], pieces[1::2], strict=True):
        role, text = SPEAKERS[speaker], piece.strip()
        if turns and turns[-1][0] == role:
            turns[-1] = role, f"{turns[-1][1]}\n\n{text}".strip()
        else:
            turns.append((role, text))
    return tuple(text_message(role, text) for role, text in turns)
