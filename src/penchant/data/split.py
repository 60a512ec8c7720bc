"""Split records into training and held-out sets by prompt, so that no prompt is on both sides.

A prompt's place is u = int(first 16 hex digits of sha256("{seed}\\n{prompt_key}")) / 2**64, a number in [0, 1); it is
held out if u < fraction. It depends only on the prompt and the seed: reordering or appending rows moves no prompt, and
a larger fraction only adds prompts to the held-out side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from penchant.data.records import Demonstration, Document, Message, Prompt, prompt_key
from penchant.errors import ConfigError

if TYPE_CHECKING:  # annotation pages start without it
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["held_out_by_place", "place_of", "split_by_prompt", "split_demonstrations", "split_prompts"]


class HasPrompt(Protocol):
    """A record with a prompt: a PreferencePair, a Labelled or a Comparison."""

    @property
    def prompt(self) -> tuple[Message, ...]: ...


Item = TypeVar("Item", bound=HasPrompt)
Record = TypeVar("Record")
Text = TypeVar("Text", bound=Demonstration | Document)


def split_by_prompt(pairs: Sequence[Item], fraction: float, seed: int) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Return (train, held_out): all pairs of one prompt on the same side, each side in the order given.

    fraction: expected share of the prompts (not of the pairs) held out, 0 <= fraction < 1. With at least two prompts
    and fraction > 0 neither side is empty: if the rule holds out nothing, the prompt with the lowest place is held
    out; if it holds out everything, the one with the highest place stays. In that case, which occurs only with a few
    prompts, appending rows can move that one prompt. With a single prompt everything is for training.

    Raises ConfigError for a fraction outside [0, 1).
    """
    return _split(pairs, [prompt_key(pair.prompt) for pair in pairs], fraction, seed)


def split_prompts(
    prompts: Sequence[Prompt], fraction: float, seed: int
) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """Like `split_by_prompt`, for prompts alone."""
    return _split(prompts, [prompt_key(prompt.messages) for prompt in prompts], fraction, seed)


def split_demonstrations(
    records: Sequence[Text], fraction: float, seed: int
) -> tuple[tuple[Text, ...], tuple[Text, ...]]:
    """Like `split_by_prompt`: conversations by what precedes the first answer to a user, documents by their text.

    Later turns do not count: every answer of a conversation is trained on, so a longer conversation contains what a
    shorter one of the same prompt holds. If no user speaks, the prompt is what precedes the last answer or, if nothing
    does, the conversation itself.
    """
    return _split(records, [_key_of_text(record) for record in records], fraction, seed)


def _key_of_text(record: Demonstration | Document) -> str:
    if isinstance(record, Document):
        return record.text
    messages = record.messages
    asked = next((i for i, message in enumerate(messages) if message.role == "user"), len(messages))
    answered = (i for i, message in enumerate(messages) if i > asked and message.role == "assistant")
    return prompt_key(messages[: next(answered, -1)] or messages)


def held_out_by_place(places: NDArray[np.float64], fraction: float) -> NDArray[np.bool_]:
    """Which records are held out, from the places of their prompts; see `split_by_prompt`. Raises ConfigError."""
    if not 0 <= fraction < 1:
        raise ConfigError(f"the held-out fraction must be at least 0 and below 1, got {fraction}; 0.1 is usual.")
    held_out: NDArray[np.bool_] = places < fraction
    if not len(places) or (places == places[0]).all():
        held_out[:] = False
    elif fraction > 0 and not held_out.any():
        held_out[:] = places == places.min()
    elif held_out.all():
        held_out[:] = places != places.max()
    return held_out


def _split(
    records: Sequence[Record], keys: Sequence[str], fraction: float, seed: int
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    import numpy as np

    held_out = held_out_by_place(np.array([place_of(key, seed) for key in keys], dtype=np.float64), fraction)
    sides: tuple[list[Record], list[Record]] = [], []
    for record, is_out in zip(records, held_out, strict=True):
        sides[bool(is_out)].append(record)
    return tuple(sides[0]), tuple(sides[1])


def place_of(key: str, seed: int) -> float:
    """The place of the prompt with this key, in [0, 1)."""
    digest = hashlib.sha256(f"{seed}\n{key}".encode()).hexdigest()
    return int(digest[:16], 16) / 2**64
