"""The options of the model behind a project's chat page, and the model they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penchant.errors import ConfigError
from penchant.models.opening import open_model
from penchant.progress import Reporter

if TYPE_CHECKING:
    from penchant.evaluation.talker import ModelTalker

__all__ = ["TalkOptions"]

MODEL, SHARE, TEMPERATURE, MAX_NEW_TOKENS = "smollm2-135m", 0.3, 0.8, 256


@dataclass(frozen=True)
class TalkOptions:
    """The options of the chat; None if not given."""

    model: str | None = None
    chat_share: float | None = None
    temperature: float | None = None
    max_new_tokens: int | None = None
    chat_template: str | None = None

    @property
    def share(self) -> float:
        """The share of turns with two answers."""
        return SHARE if self.chat_share is None else self.chat_share

    def check(self, *, is_on: bool) -> None:
        """Raise ConfigError for an option without effect, or one that leaves nothing to choose from."""
        given = [f"`{name}=...`" for name, value in vars(self).items() if value is not None]
        if given and not is_on:
            raise ConfigError(f"{given[0]} is only read with `chat=True`; add it, or leave {given[0]} out")
        if self.temperature == 0 and self.chat_share != 0:
            raise ConfigError("`temperature=0` gives the same answer twice; raise it, or pass `chat_share=0`")

    def talker(self, reporter: Reporter) -> ModelTalker:
        """Load the model. Raises UserError."""
        from penchant.models.sampler import SamplingParams

        params = SamplingParams(
            temperature=TEMPERATURE if self.temperature is None else self.temperature,
            max_new_tokens=MAX_NEW_TOKENS if self.max_new_tokens is None else self.max_new_tokens,
        )
        name = self.model or MODEL
        model = open_model(name, chat_template=self.chat_template, special_tokens="text", reporter=reporter)
        from penchant.evaluation.talker import ModelTalker

        return ModelTalker(model, params)
