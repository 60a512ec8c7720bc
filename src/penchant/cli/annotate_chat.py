"""The chat of `penchant annotate`: a language model as what its page talks to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter

    from penchant.data import Message, Source
    from penchant.models.language_model import LanguageModel
    from penchant.models.sampler import SamplingParams

__all__ = ["ChatOptions", "ModelTalker", "make_chat"]

MODEL, SHARE, TEMPERATURE, MAX_NEW_TOKENS = "smollm2-135m", 0.3, 0.8, 256
KEY = "chat"
"""What the random numbers of an answer are drawn for, besides the seed that is recorded."""


@dataclass(frozen=True)
class ChatOptions:
    """What the command line says of the chat; None where it says nothing."""

    model: str | None = None
    chat_share: float | None = None
    temperature: float | None = None
    max_new_tokens: int | None = None
    chat_template: str | None = None

    def check(self, *, is_on: bool) -> None:
        """Raises ConfigError for an option that would not be read, or that leaves nothing to choose from."""
        from penchant.errors import ConfigError

        given = [name.replace("_", "-") for name, value in vars(self).items() if value is not None]
        if given and not is_on:
            raise ConfigError(f"--{given[0]} is only read with --chat; add it, or leave --{given[0]} out")
        if self.temperature == 0 and self.chat_share != 0:
            raise ConfigError("--temperature 0 gives the same answer twice; raise it, or pass --chat-share 0")


def make_chat(options: ChatOptions) -> APIRouter:
    """The pages of the chat, with the model loaded. Raises UserError."""
    from penchant.cli.console import Reporter
    from penchant.cli.loading import load
    from penchant.data.records import Message
    from penchant.errors import ConfigError
    from penchant.feedback.web.chat import chat_router
    from penchant.models.sampler import SamplingParams

    params = SamplingParams(
        temperature=TEMPERATURE if options.temperature is None else options.temperature,
        max_new_tokens=MAX_NEW_TOKENS if options.max_new_tokens is None else options.max_new_tokens,
    )
    with Reporter() as reporter:
        model = load(options.model or MODEL, None, None, options.chat_template, reporter, special_tokens="text")
    share = SHARE if options.chat_share is None else options.chat_share
    talker = ModelTalker(model, params)
    if not talker.fits([Message(role="user", content="?")]):
        raise ConfigError(
            f"--max-new-tokens {params.max_new_tokens}: leaves no room for a question, as the model reads "
            f"{model.context_length} tokens in all; lower it"
        )
    return chat_router(talker, share=share)


@dataclass(frozen=True)
class ModelTalker:
    """A `penchant.feedback.web.chat.Talker`. params: its seed is replaced by that of each reply."""

    model: LanguageModel
    params: SamplingParams

    def source(self, seed: int) -> Source:
        from penchant.evaluation.candidates import source_of

        return source_of(self.model, replace(self.params, seed=seed))

    def fits(self, messages: Sequence[Message]) -> bool:
        num_prompt = len(self.model.encoder.encode_prompt(messages))
        return num_prompt + self.params.max_new_tokens <= self.model.context_length

    def reply(self, messages: Sequence[Message], num: int, seed: int) -> Iterator[tuple[int, str]]:
        from penchant.models.requests import Request
        from penchant.models.streaming import stream

        request = Request(tuple(self.model.encoder.encode_prompt(messages)), KEY)
        return stream(self.model, request, replace(self.params, seed=seed), num_responses=num)
