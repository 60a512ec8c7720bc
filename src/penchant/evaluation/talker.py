"""A language model that people talk to on the chat page (`penchant.feedback.web.chat.Talker`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from penchant.data import Message, Source
from penchant.errors import ConfigError
from penchant.evaluation.authors import source_of
from penchant.models.language_model import LanguageModel
from penchant.models.requests import Request
from penchant.models.sampler import SamplingParams
from penchant.models.streaming import stream

__all__ = ["ModelTalker"]

KEY = "chat"
"""The name that seeds an answer's random numbers, together with the recorded seed."""


@dataclass(frozen=True)
class ModelTalker:
    """params: the seed is replaced by each reply's. Raises ConfigError if no room is left for a question."""

    model: LanguageModel
    params: SamplingParams

    def __post_init__(self) -> None:
        if not self.fits([Message(role="user", content="?")]):
            raise ConfigError(
                f"`max_new_tokens={self.params.max_new_tokens}`: leaves no room for a question, as the model reads "
                f"{self.model.context_length} tokens in all; lower it"
            )

    def source(self, seed: int) -> Source:
        """The model and its sampling settings."""
        return source_of(self.model, replace(self.params, seed=seed))

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether these messages and the longest answer fit the model's context."""
        num_prompt = len(self.model.encoder.encode_prompt(messages))
        return num_prompt + self.params.max_new_tokens <= self.model.context_length

    def reply(self, messages: Sequence[Message], num: int, seed: int) -> Iterator[tuple[int, str]]:
        """Yield pieces of `num` answers as they are generated, each with the index of its answer."""
        request = Request(tuple(self.model.encoder.encode_prompt(messages)), KEY)
        return stream(self.model, request, replace(self.params, seed=seed), num_responses=num)
