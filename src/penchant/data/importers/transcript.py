r"""Split a transcript of Anthropic's HH form, "\n\nHuman: ...\n\nAssistant: ...", into turns."""

import re

from penchant.data.quickly import text_message
from penchant.data.records import Message, Role
from penchant.data.verdicts import BadRow

__all__ = ["DSP_MARKER", "MARKER", "is_transcript", "split_transcript", "turns_before_answer", "turns_of"]

MARKER = re.compile(r"\n\n(Human|Assistant):")
DSP_MARKER = re.compile(r"\n\n## (Human|Assistant):\n")
"""The same marker as the DSP data sets write it."""
AT_ONE_LINE_END = re.compile(r"[^\n]\n(Human|Assistant):")
SPEAKERS: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


def is_transcript(text: str) -> bool:
    """Whether it begins with a speaker and has an assistant's turn later."""
    transcript = text.lstrip()
    return transcript.startswith(("Human:", "Assistant:")) and "\n\nAssistant:" in transcript


def split_transcript(text: str, name: str, marker: re.Pattern[str] = MARKER) -> tuple[tuple[Message, ...], str]:
    """A transcript as (the turns before the last answer, that answer). Raises BadRow.

    marker: the pattern before a turn, with the speaker in its first group.
    """
    transcript = "\n\n" + text.lstrip()
    markers = list(marker.finditer(transcript))
    if not markers or markers[0].start() != 0:
        raise BadRow("bad_type", f"'{name}' does not begin with 'Human:'", "begin the transcript with a speaker")
    if (markers[-1][1] != "Assistant" or len(markers) == 1) and AT_ONE_LINE_END.search(transcript):
        raise BadRow(
            "bad_type",
            f"the turns of '{name}' are separated by single line ends",
            "put a blank line before every 'Human:' and 'Assistant:'",
        )
    if markers[-1][1] != "Assistant":
        raise BadRow("bad_type", f"the last turn of '{name}' is the human's", "end it with the assistant's response")
    if len(markers) == 1:
        raise BadRow("missing_field", f"'{name}' has no turn before the response", "add the human's turn")
    return turns_of(transcript[: markers[-1].start()], marker), transcript[markers[-1].end() :].strip()


def turns_before_answer(text: str) -> tuple[Message, ...] | None:
    """The turns of a prompt that is a transcript up to where the assistant answers; None for any other text."""
    stripped = text.strip()
    if not stripped.startswith("Human:") or not stripped.endswith("\n\nAssistant:"):
        return None
    transcript = f"\n\n{stripped}"
    return turns_of(transcript.removesuffix("\n\nAssistant:"))


def turns_of(transcript: str, marker: re.Pattern[str] = MARKER) -> tuple[Message, ...]:
    """The turns of a transcript that begins with a marker; those of one speaker that follow each other are joined."""
    pieces = marker.split(transcript)[1:]
    turns: list[tuple[Role, str]] = []
    for speaker, piece in zip(pieces[::2], pieces[1::2], strict=True):
        role, text = SPEAKERS[speaker], piece.strip()
        if turns and turns[-1][0] == role:
            turns[-1] = role, f"{turns[-1][1]}\n\n{text}".strip()
        else:
            turns.append((role, text))
    return tuple(text_message(role, text) for role, text in turns)
