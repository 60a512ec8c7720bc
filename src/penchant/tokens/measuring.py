"""How many tokens everything has before training's rule cuts it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penchant.data import Labelled, Message, PreferencePair, Response
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.forest import TokenSequence

__all__ = ["MeasuringEncoder"]


class MeasuringEncoder(ChatEncoder):
    """An encoder that remembers how long everything was, since training's own rule cuts it afterwards."""

    def __init__(self, encoder: ChatEncoder) -> None:
        super().__init__(
            encoder.tokenizer,
            template=encoder.template,
            end_ids=tuple(encoder.end_ids),
            special_tokens=encoder.special_tokens,
            clock=encoder.clock,
        )
        self.prompts: list[int] = []
        self.responses: dict[tuple[Any, Response], int] = {}
        self.texts: list[int] = []

    def encode_prompt(self, prompt: Sequence[Message]) -> list[int]:
        ids = super().encode_prompt(prompt)
        self.prompts.append(len(ids))
        return ids

    def encode_response(self, prompt: Sequence[Message], response: Response) -> list[int]:
        ids = super().encode_response(prompt, response)
        self.responses[prompt, response] = len(ids)
        return ids

    def encode_conversation(self, messages: Sequence[Message]) -> tuple[TokenSequence, ...]:
        turns = super().encode_conversation(messages)
        self.texts += map(len, turns)
        return turns

    def encode_document(self, text: str) -> list[int]:
        ids = super().encode_document(text)
        self.texts.append(len(ids))
        return ids

    def lengths_of(self, pairs: Sequence[PreferencePair]) -> dict[str, list[int]]:
        """Tokens of prompts, chosen and rejected responses that were encoded."""
        chosen = [self.responses[key] for p in pairs if (key := (p.prompt, p.chosen)) in self.responses]
        rejected = [self.responses[key] for p in pairs if (key := (p.prompt, p.rejected)) in self.responses]
        return {"prompt": self.prompts, "chosen": chosen, "rejected": rejected}

    def lengths_by_label(self, records: Sequence[Labelled]) -> dict[str, list[int]]:
        """Tokens of prompts, good and bad responses that were encoded."""
        lengths: dict[str, list[int]] = {"good": [], "bad": []}
        for record in records:
            if (key := (record.prompt, record.response)) in self.responses:
                lengths["good" if record.desirable else "bad"].append(self.responses[key])
        return {"prompt": self.prompts, **lengths}
