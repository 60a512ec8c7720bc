"""Remove held-out prompts from the user's own preferences and demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from penchant.data import Demonstration, Document, PreferencePair, Prompt
from penchant.data.reading import Loaded
from penchant.data.records import prompt_key
from penchant.errors import DataError

__all__ = ["without_held_out"]

Record = TypeVar("Record", bound=PreferencePair | Demonstration | Document)


def without_held_out(
    loaded: Loaded[Record], held_out: Sequence[Prompt], name: str, say: Callable[[str], None]
) -> list[Record]:
    """The records that answer no held-out prompt; reports how many do. Raises DataError if none is left.

    A conversation answers every prompt before one of the assistant's turns; a document, a prompt that it begins with.
    """
    for line in loaded.left_out(most=3):
        say(f"{name}: {line}")
    keys = {prompt_key(prompt.messages) for prompt in held_out}
    beginnings = tuple(prompt.messages[0].content for prompt in held_out if len(prompt.messages) == 1)
    kept = [
        record
        for record in loaded.records
        if not (
            record.text.startswith(beginnings) if isinstance(record, Document) else keys.intersection(_answered(record))
        )
    ]
    total = len(loaded.records)
    if not kept:
        raise DataError(
            f"{name}: all {total} records answer prompts held out for measuring, so none is left to train on; give "
            "records of other prompts too, or another file of `prompts`"
        )
    if len(kept) < total:
        say(f"{name}: left out {total - len(kept)} of {total} records, which answer prompts held out for measuring")
    return kept


def _answered(record: PreferencePair | Demonstration) -> Iterator[str]:
    if isinstance(record, PreferencePair):
        yield prompt_key(record.prompt)
        return
    for place, message in enumerate(record.messages):
        if message.role == "assistant":
            yield prompt_key(record.messages[:place])
