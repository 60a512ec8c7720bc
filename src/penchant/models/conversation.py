"""A conversation with a model, alone or beside its reference: its history, and replies to new messages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

from penchant.data import Message
from penchant.errors import ModelError
from penchant.models.language_model import LanguageModel
from penchant.models.requests import Request
from penchant.models.sampler import SamplingParams
from penchant.models.streaming import stream
from penchant.tokens import BoundaryError

__all__ = ["Conversation"]


@dataclass
class Conversation:
    """A history and both models. reference: None, or the policy itself for its adapter off."""

    policy: LanguageModel
    reference: LanguageModel | None
    params: SamplingParams
    messages: list[Message] = field(default_factory=list)
    num_turns: int = 0

    def reply(
        self, text: str, say: Callable[[str], None], on_piece: Callable[[str], None] = lambda piece: None
    ) -> dict[str, str]:
        """Answer the user's message, by model. The conversation continues with the policy's answer.

        on_piece: called with each piece of the policy's answer as it is generated. Turns that do not fit the context
        are dropped, oldest first; `say` reports how many. Raises ModelError if the message alone is too long, or the
        chat template refuses it; the history is then unchanged.
        """
        asked = self._within_context([*self.messages, Message(role="user", content=text)], say)
        answers = {"policy": self._answer(self.policy, asked, on_piece)}
        if self.reference is not None:
            with self.policy.as_reference() if self.reference is self.policy else nullcontext():
                answers["reference"] = self._answer(self.reference, asked, lambda piece: None)
        self.messages = [*asked, Message(role="assistant", content=answers["policy"])]
        self.num_turns += 1
        return answers

    def reset(self) -> None:
        """Clear the history."""
        self.messages.clear()

    def _answer(self, model: LanguageModel, messages: list[Message], on_piece: Callable[[str], None]) -> str:
        request = Request(tuple(model.encoder.encode_prompt(messages)), f"turn {self.num_turns}")
        pieces = []
        for _, piece in stream(model, request, self.params):
            pieces.append(piece)
            on_piece(piece)
        return "".join(pieces).strip()

    def _within_context(self, messages: list[Message], say: Callable[[str], None]) -> list[Message]:
        models = [m for m in (self.policy, self.reference) if m is not None]
        num_forgotten = 0
        while any(self._room(model, messages) < 0 for model in models):
            if len(messages) == 1:
                raise ModelError(
                    f"the message is {-min(self._room(model, messages) for model in models)} tokens too long for the "
                    "model's context; write less, or lower `max_new_tokens=...`"
                )
            messages = messages[2:]  # a question and its answer
            num_forgotten += 1
        if num_forgotten:
            turns = "turn is" if num_forgotten == 1 else f"{num_forgotten} turns are"
            say(f"(the context is full: the oldest {turns} forgotten)")
        return messages

    def _room(self, model: LanguageModel, messages: list[Message]) -> int:
        """Tokens left after the longest possible answer."""
        try:
            num = len(model.encoder.encode_prompt(messages))
        except BoundaryError as error:
            raise ModelError(f"{error}; give another `chat_template=...`") from error
        return model.context_length - num - self.params.max_new_tokens
