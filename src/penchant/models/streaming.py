"""Responses to one prompt as text, piece by piece, while they are sampled.

The tokens are those of `generate`: the prompt is run once, the responses are written side by side, and each draws its
own random numbers. Only what is read is different: after every step, the text that can no longer change.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence

from penchant.errors import ConfigError
from penchant.models.continuous_batch import ContinuousBatch
from penchant.models.language_model import LanguageModel
from penchant.models.requests import Job, Request
from penchant.models.sampler import SamplingParams
from penchant.models.unshared import write_one_by_one

__all__ = ["stream"]

Written = dict[int, Sequence[int]]
"""The tokens of each response so far, by index."""

BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""The name of a token that is one byte, in vocabularies that spell rare characters by their bytes."""
LONGEST_CLEANED = 4
"""Some tokenizers take out spaces such as that of " n't"; none of what they look for is longer."""


def stream(
    model: LanguageModel, request: Request, params: SamplingParams, *, num_responses: int = 1
) -> Iterator[tuple[int, str]]:
    """Pieces of text, each with the index of the response that it continues, as they are sampled.

    The pieces of an index make up the text that `generate` gives for the same request, settings and num_responses (up
    to the rounding of matrix products, as there). A character comes when all of its bytes have. Closing the iterator
    stops the sampling. Raises ConfigError and ModelError as `generate` does, before anything is sampled.
    """
    if num_responses < 1:
        raise ConfigError(f"num_responses is at least 1, got {num_responses}; pass how many are wanted")
    job = Job.of(model, request, params, num_responses)
    return _pieces(model, job, (_together if model.shares else write_one_by_one)(model, job, params))


def _pieces(model: LanguageModel, job: Job, steps: Iterator[Written]) -> Iterator[tuple[int, str]]:
    texts = {index: _GrowingText(model) for index in job.indices}
    for written in steps:
        for index, token_ids in written.items():
            if piece := texts[index].grow(token_ids):
                yield index, piece
    for response in job.responses():
        if piece := texts[response.index].finish(response.token_ids):
            yield response.index, piece


def _together(model: LanguageModel, job: Job, params: SamplingParams) -> Iterator[Written]:
    waiting = deque([job])
    batch = ContinuousBatch(model, [job], params, len(job.indices))
    while waiting or batch.num_rows:
        batch.step(waiting)
        yield {index: batch.tokens[row, : batch.count[row]].tolist() for row, (_, index) in enumerate(batch.owner)}


class _GrowingText:
    """What of a response's text has been given out: what its next tokens might still change is held back."""

    def __init__(self, model: LanguageModel) -> None:
        self.encoder, self.tokenizer = model.encoder, model.tokenizer
        cleans = getattr(self.tokenizer, "clean_up_tokenization_spaces", False)
        self.num_held = LONGEST_CLEANED if cleans else 0
        self.given = ""

    def grow(self, token_ids: Sequence[int]) -> str:
        """What is new and certain; bytes wait for the character that they end, as U+FFFD stands for half of one."""
        end = len(token_ids)
        while end and self._is_byte(token_ids[end - 1]):
            end -= 1
        text = self.encoder.decode(token_ids[:end]).rstrip("\N{REPLACEMENT CHARACTER}")
        return self._give(text[: max(0, len(text) - self.num_held)])

    def finish(self, token_ids: Sequence[int]) -> str:
        """All that is left."""
        return self._give(self.encoder.decode(token_ids))

    def _is_byte(self, token_id: int) -> bool:
        name = self.tokenizer.convert_ids_to_tokens(token_id)
        return isinstance(name, str) and BYTE.fullmatch(name) is not None

    def _give(self, text: str) -> str:
        if not text.startswith(self.given):
            return ""
        piece, self.given = text[len(self.given) :], text
        return piece
