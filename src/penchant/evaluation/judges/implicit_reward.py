"""A trained model as a judge: it prefers the response with the higher implicit reward (arXiv 2305.18290, eq. 5).

reward = beta (log pi(y|x) - log pi_ref(y|x))
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from penchant.data import Comparison, Origin, PreferencePair
from penchant.evaluation.judges.protocol import Judgement, decide
from penchant.evaluation.pair_scores import PairScore, beta_of, response_logprobs, score_rewards
from penchant.evaluation.references import find_reference, ledger_of, require_reference
from penchant.models.opening import open_model
from penchant.progress import Reporter
from penchant.tokens import EncodedPair, Limits, tokenise_pairs

if TYPE_CHECKING:
    from torch import Tensor

    from penchant.models.language_model import LanguageModel

__all__ = ["EPSILON", "RewardJudge", "open_reward_judge"]

EPSILON = 1e-3
"""Rewards, in nats, closer than this are a tie: the precision of 32-bit log-probs of hundreds of tokens."""

CHUNK = 64
"""Comparisons scored at a time: enough to fill micro-batches, few enough for frequent answers."""


@dataclass(frozen=True)
class RewardJudge:
    """reference: None means the policy with its adapter off. max_length: tokens of prompt and response, then cut.

    Both models are in memory at once, so that answers can be streamed. A comparison that cannot be scored, such as a
    prompt that is too long, is a tie; its details say why.
    """

    name: str
    policy: LanguageModel
    reference: LanguageModel | None
    beta: float
    max_length: int
    epsilon: float = EPSILON
    token_budget: int = 2048
    price: ClassVar[str] = "two forward passes a response"

    def answers(
        self, comparisons: Sequence[Comparison], *, has_answered: bool = False
    ) -> Generator[tuple[int, Judgement], None, None]:
        """Yield the side with the higher reward, in order; both sides of a comparison share a micro-batch."""
        for start in range(0, len(comparisons), CHUNK):
            yield from enumerate(self._chunk(comparisons[start : start + CHUNK]), start)

    def _chunk(self, comparisons: Sequence[Comparison]) -> Iterator[Judgement]:
        pairs = [
            PreferencePair(prompt=c.prompt, chosen=c.a.text, rejected=c.b.text, origin=Origin(file="", line=i))
            for i, c in enumerate(comparisons)
        ]
        tokenised = tokenise_pairs(self.policy.encoder, pairs, Limits(self.max_length, self.max_length - 1))
        scores = {score.origin.line: score for score in self._scores(tokenised.items)}
        problems = {verdict.origin.line: verdict.code for verdict in tokenised.problems}
        for i, comparison in enumerate(comparisons):
            if i in scores:
                yield decide(scores[i].reward_chosen, scores[i].reward_rejected, self.epsilon)
            elif comparison.a.text == comparison.b.text:
                yield Judgement("tie", {"identical": True})
            else:
                yield Judgement("tie", {"unreadable": problems[i]})

    def _scores(self, items: Sequence[EncodedPair]) -> list[PairScore]:
        from penchant.models.numerics import computing

        if not items:
            return []
        with computing():  # between chunks the process state is the caller's
            self.policy.numerics.take_up()
            policy_B2 = self._logprobs(self.policy, items)
            if self.reference is not None:
                reference_B2 = self._logprobs(self.reference, items)
            else:
                with self.policy.as_reference():
                    reference_B2 = self._logprobs(self.policy, items)
        return score_rewards(items, policy_B2, reference_B2, self.beta)

    def _logprobs(self, model: LanguageModel, items: Sequence[EncodedPair]) -> Tensor:
        return response_logprobs(model, items, token_budget=self.token_budget)


def open_reward_judge(
    run: str,
    reference: str | None = None,
    *,
    epsilon: float | None = None,
    device: str | None = None,
    dtype: str | None = None,
    reporter: Reporter,
) -> RewardJudge:
    """Open the implicit reward of a run, relative to `reference` or, by default, to the run's own.

    epsilon: default EPSILON. device, dtype: by default the best available. Raises UserError.
    """
    from penchant.models.numerics import computing

    require_reference(run, reference, "judge_reference")
    with computing():
        policy = open_model(run, device=device, dtype=dtype, special_tokens="text", reporter=reporter)
        source = find_reference(run, policy, reference, "judge_reference")
        other = None if source.is_adapter_off else source.load(reporter.say)
    against = "" if other is None else f" against {other.digest[:12]}"
    ledger = ledger_of(run) or {}
    tie_within = EPSILON if epsilon is None else epsilon
    longest = int(ledger.get("config", {}).get("data", {}).get("max_length", 1024))
    return RewardJudge(
        name=f"run:{policy.digest[:12]}{against}, epsilon {tie_within:g}",
        policy=policy,
        reference=other,
        beta=beta_of(ledger, reporter.say),
        max_length=min(longest, policy.context_length),
        epsilon=tie_within,
    )
