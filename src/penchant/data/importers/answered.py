"""Import ms-swift's pairs: messages that end with the chosen answer, with the rejected one beside them.

rejected_response is a text; rejected_messages is the whole conversation with the other answer at its end.
"""

from functools import partial

from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, NUMBERS, Importer, conversation_field, filled, require_question
from penchant.data.importers.named import QUESTION
from penchant.data.importers.sides import pair_of
from penchant.data.records import PreferencePair
from penchant.data.verdicts import BadRow

__all__ = ["ANSWERED"]

ANSWER = "A star, the nearest one."
OTHER_SIDES = ("chosen", "chosen_response", "rejected")
"""Fields in whose presence `messages` is not the chosen side."""


def convert(row: Row, *, rejected: str) -> PreferencePair:
    messages = conversation_field(row, "messages")
    if messages[-1].role != "assistant":
        reason = f"the last message of 'messages' is the {messages[-1].role}'s, but it must be the chosen response"
        raise BadRow("bad_type", reason, "end it with the assistant's response")
    require_question(messages[:-1])
    return pair_of(row, messages[:-1], ("messages", rejected))


def matches(row: Row, *, rejected: str) -> bool:
    return filled(row, "messages", rejected) and not any(filled(row, name) for name in OTHER_SIDES)


def _beside(rejected: str, description: str, other: object) -> Importer[PreferencePair]:
    return Importer(
        name=f"messages_{rejected}",
        description=f"messages (which end with the chosen response), {rejected} ({description})",
        example={
            "messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}],
            rejected: other,
        },
        needs=("messages", rejected),
        matches=partial(matches, rejected=rejected),
        convert=partial(convert, rejected=rejected),
        reads=BESIDE.union(NUMBERS, ("messages", rejected)),
    )


ANSWERED = (
    _beside("rejected_response", "text", "A lamp."),
    _beside(
        "rejected_messages",
        "the same with the other response",
        [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "A lamp."}],
    ),
)
