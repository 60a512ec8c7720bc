"""Read `weight` and `reasoning_content` of a row: fields of demonstrations that belong to their answers."""

from dataclasses import replace

from penchant.data.files import Row
from penchant.data.importers.base import Importer, text_field
from penchant.data.importers.messages import factor_in
from penchant.data.importers.values import says_nothing
from penchant.data.records import Demonstration, Message
from penchant.data.verdicts import BadRow

__all__ = ["with_reasoning", "with_weight"]

REASONING = ("reasoning_content", "thinking")


def with_weight(one: Importer[Demonstration]) -> Importer[Demonstration]:
    """Extend an importer to rows with a `weight`, a factor on the weight of every answer."""

    def convert(row: Row) -> Demonstration:
        record, factor = one.convert(row), factor_in(row, "the row")
        if factor == 1:
            return record
        return Demonstration(messages=tuple(_scaled(message, factor) for message in record.messages))

    return replace(one, convert=convert, reads=one.reads | {"weight"})


def with_reasoning(one: Importer[Demonstration]) -> Importer[Demonstration]:
    """Extend an importer to rows with `reasoning_content` (`thinking`): the reasoning before the only answer."""

    def convert(row: Row) -> Demonstration:
        record = one.convert(row)
        for name in REASONING:
            if not says_nothing(row.get(name)):
                record = Demonstration(messages=_thought(record.messages, text_field(row, name), name))
        return record

    return replace(one, convert=convert, reads=one.reads.union(REASONING))


def _thought(messages: tuple[Message, ...], reasoning: str, name: str) -> tuple[Message, ...]:
    *before, answer = messages
    if any(message.role == "assistant" for message in before):
        reason = f"the field '{name}' is beside several answers, so it is unknown to which one it belongs"
        raise BadRow("unread_field", reason, f"write it in the assistant's message, as '{name}'")
    if answer.reasoning is not None and answer.reasoning.strip() != reasoning.strip():
        raise BadRow("bad_type", f"the reasoning in the answer differs from the field '{name}'", "keep one of them")
    return (*before, Message(**{"reasoning": reasoning, **answer.model_dump()}))


def _scaled(message: Message, factor: float) -> Message:
    if message.role != "assistant":
        return message
    return Message(**(message.model_dump() | {"weight": message.weight * factor}))
