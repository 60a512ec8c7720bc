"""Responses to one prompt as text, piece by piece, while they are sampled.

The tokens are those of `generate`: the prompt is run once, responses are generated together, and each has its own
random numbers. Only the output differs: after every step, the text that can no longer change.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from penchant.errors import ConfigError
from penchant.models.generate import writer_for
from penchant.models.language_model import LanguageModel
from penchant.models.requests import Job, Request
from penchant.models.sampler import SamplingParams

__all__ = ["GrowingText", "stream"]

BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""The name of a single-byte token, in vocabularies that encode rare characters by bytes."""
LONGEST_CLEANED = 4
"""Some tokenizers remove spaces, as in " n't"; no such pattern is longer."""


def stream(
    model: LanguageModel, request: Request, params: SamplingParams, *, num_responses: int = 1
) -> Iterator[tuple[int, str]]:
    """Yield pieces of text as they are sampled, each with the index of its response.

    The pieces of an index form the text of `generate` for the same request, settings and num_responses (up to rounding
    in matrix products, as there). A character is yielded once all of its bytes are known. Closing the iterator stops
    the sampling. Raises ConfigError and ModelError like `generate`, before anything is sampled.
    """
    if num_responses < 1:
        raise ConfigError(f"num_responses must be at least 1, got {num_responses}")
    return _pieces(model, Job.of(model, request, params, num_responses))


def _pieces(model: LanguageModel, job: Job) -> Iterator[tuple[int, str]]:
    texts = {index: GrowingText(model.tokenizer, model.encoder.decode) for index in job.indices}
    waiting, writer = deque([job]), writer_for(model, [job], 1)
    while waiting or writer.rows:
        writer.step(waiting)
        for row in writer.rows:
            if piece := texts[row.index].grow(row.token_ids):
                yield row.index, piece
    for response in job.responses():
        if piece := texts[response.index].finish(response.token_ids):
            yield response.index, piece


class GrowingText:
    """Tracks the emitted text of a response; text that later tokens might change is held back.

    decode: maps its tokens to its text.
    """

    def __init__(self, tokenizer: Any, decode: Callable[[Sequence[int]], str]) -> None:
        self.tokenizer, self.decode = tokenizer, decode
        cleans = getattr(self.tokenizer, "clean_up_tokenization_spaces", False)
        self.num_held = LONGEST_CLEANED if cleans else 0
        self.given = ""

    def grow(self, token_ids: Sequence[int]) -> str:
        """New text that is final; incomplete characters, decoded as U+FFFD, wait."""
        end = len(token_ids)
        while end and self._is_byte(token_ids[end - 1]):
            end -= 1
        text = self.decode(token_ids[:end]).rstrip("\N{REPLACEMENT CHARACTER}")
        return self._give(text[: max(0, len(text) - self.num_held)])

    def finish(self, token_ids: Sequence[int]) -> str:
        """The remaining text."""
        return self._give(self.decode(token_ids))

    def _is_byte(self, token_id: int) -> bool:
        name = self.tokenizer.convert_ids_to_tokens(token_id)
        return isinstance(name, str) and BYTE.fullmatch(name) is not None

    def _give(self, text: str) -> str:
        if not text.startswith(self.given):
            return ""
        piece, self.given = text[len(self.given) :], text
        return piece
