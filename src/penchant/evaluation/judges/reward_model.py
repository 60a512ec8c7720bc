"""A reward model as a judge: it prefers the response with the higher reward, and can score single responses."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from penchant.data import Comparison, Labelled, Message, Origin, Verdict
from penchant.errors import ConfigError
from penchant.evaluation.judges.protocol import Judgement, decide
from penchant.evaluation.judges.scoring import Asked
from penchant.evaluation.references import ledger_of
from penchant.models.opening import open_reward_model
from penchant.progress import Reporter
from penchant.tokens import Limits, TokenSequence
from penchant.tokens.pairs import PromptAndResponses

if TYPE_CHECKING:
    from penchant.models.reward_model import RewardModel

__all__ = ["EPSILON", "RewardModelJudge", "longest_of", "open_reward_model_judge"]

EPSILON = 1e-4
"""Rewards closer than this are a tie: 32-bit sums round differently in other micro-batches."""
LONGEST = 4096
"""The token limit of a model that is not from a Penchant run, unless its context is shorter."""
CHUNK = 128
"""Responses scored at a time: enough to fill micro-batches, few enough for frequent answers."""


@dataclass(frozen=True)
class RewardModelJudge:
    """max_length: tokens of prompt and response; a longer response is cut, as in training.

    A comparison that cannot be scored, such as one with too long a prompt, is a tie; its details say why.

    Raises:
        ConfigError: from the scoring methods, if a reward is not a finite number, or a single answer cannot be read.
    """

    name: str
    model: RewardModel
    max_length: int
    epsilon: float = EPSILON
    token_budget: int = 4096
    price: ClassVar[str] = "a forward pass a response"

    def score(self, prompt: str, response: str) -> float:
        """The reward of an answer to a single user message."""
        return self.scores([((Message(role="user", content=prompt),), response)])[0]

    def scores(self, answers: Sequence[Asked]) -> list[float]:
        """The reward of every answer, in order; answers to one prompt run it once."""
        found = self._rewards(answers)
        for reward, (_, response) in zip(found, answers, strict=True):
            if isinstance(reward, Verdict):
                raise ConfigError(
                    f"The judge {self.name!r} cannot score the response {response[:60]!r}: {reward.reason}; "
                    f"{reward.fix}."
                )
        return cast(list[float], found)

    def answers(
        self, comparisons: Sequence[Comparison], *, has_answered: bool = False
    ) -> Generator[tuple[int, Judgement], None, None]:
        """Yield the side with the higher reward, in order; both sides of a comparison share a micro-batch."""
        for start in range(0, len(comparisons), CHUNK // 2):
            yield from enumerate(self._chunk(comparisons[start : start + CHUNK // 2]), start)

    def _chunk(self, comparisons: Sequence[Comparison]) -> Iterator[Judgement]:
        rewards = iter(self._rewards([(c.prompt, side.text) for c in comparisons for side in (c.a, c.b)]))
        for comparison, a, b in zip(comparisons, rewards, rewards, strict=True):
            unread = next((found for found in (a, b) if isinstance(found, Verdict)), None)
            if comparison.a.text == comparison.b.text:
                yield Judgement("tie", {"identical": True})
            elif unread is not None:
                yield Judgement("tie", {"unreadable": unread.code})
            else:
                yield decide(cast(float, a), cast(float, b), self.epsilon)

    def _rewards(self, answers: Sequence[Asked]) -> list[float | Verdict]:
        """The reward of every answer, or why it has none."""
        from penchant.models.numerics import computing
        from penchant.models.reward_forward import rewards_of

        found: list[float | Verdict] = []
        for start in range(0, len(answers), CHUNK):
            read = self._encoded(answers[start : start + CHUNK])
            sequences = [(one,) for one in read if isinstance(one, TokenSequence)]
            with computing():  # between chunks the process state is the caller's
                self.model.numerics.take_up()
                rewards = iter(rewards_of(self.model, sequences, token_budget=self.token_budget))
            found += [one if isinstance(one, Verdict) else next(rewards)[0] for one in read]
        for reward, (_, response) in zip(found, answers, strict=True):
            if isinstance(reward, float) and not math.isfinite(reward):
                raise ConfigError(
                    f"The judge {self.name!r} gave the reward {reward} for the response {response[:60]!r}; a reward "
                    "is a finite number, so use another reward model, or float32."
                )
        return found

    def _encoded(self, answers: Sequence[Asked]) -> list[TokenSequence | Verdict]:
        limits = Limits(self.max_length, self.max_length - 1, self.model.context_length)
        texts = PromptAndResponses[Labelled](self.model.encoder, limits, lambda one: (one.prompt, (one.response,)))
        records = [
            Labelled(prompt=tuple(prompt), response=text, desirable=True, origin=Origin(file="", line=line))
            for line, (prompt, text) in enumerate(answers, start=1)
        ]
        return [
            found if isinstance(found, Verdict) else texts.sequence(found[0], found[1][0])
            for _, found in texts.encode(records)
        ]


def open_reward_model_judge(
    name: str,
    *,
    epsilon: float | None = None,
    device: str | None = None,
    dtype: str | None = None,
    reporter: Reporter,
) -> RewardModelJudge:
    """Open the reward model `name` as a judge; otherwise like `open_reward_judge`. Raises UserError."""
    from penchant.models.numerics import computing

    with computing():
        model = open_reward_model(name, device=device, dtype=dtype, special_tokens="text", reporter=reporter)
    tie_within = EPSILON if epsilon is None else epsilon
    return RewardModelJudge(
        name=f"reward:{model.digest[:12]}, epsilon {tie_within:g}",
        model=model,
        max_length=longest_of(name, model),
        epsilon=tie_within,
    )


def longest_of(name: str, model: RewardModel) -> int:
    """The token limit with which the reward model `name` was trained, or LONGEST."""
    trained_with = (ledger_of(name) or {}).get("config", {}).get("data", {})
    return min(int(trained_with.get("max_length", LONGEST)), model.context_length)
