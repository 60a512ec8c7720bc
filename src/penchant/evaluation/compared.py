"""Summarise two models' answers to the same prompts: who is preferred, how far one moved, what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.data import Prompt, shown
from penchant.evaluation.answers import Answers
from penchant.evaluation.changes import Change, changes
from penchant.evaluation.forgetting import Forgetting
from penchant.evaluation.judges.protocol import Judge, Scorer
from penchant.evaluation.means import Mean, mean_of
from penchant.evaluation.pair_scores import Summary
from penchant.evaluation.verdicts import Two, ask
from penchant.models.sampler import SamplingParams
from penchant.numbers_given import require_whole
from penchant.progress import Reporter, Silent
from penchant.ranking.cautions import warning_of
from penchant.ranking.winrate import WinRate, paired_means, win_rate_of
from penchant.statistics import Estimate, length_controlled_win_rate, style_controlled_win_rate

__all__ = ["Evaluation", "Side", "Wins", "compare_answers"]


@dataclass(frozen=True)
class Wins:
    """The win rate of the policy's responses, a tie counting half, with its 95% limits."""

    rate: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True)
class Side:
    """One response of each model to a prompt, by the prompt's id and last message, and the judge's scores, if any.

    won: 1 if the policy's was preferred, -1 if the other was, else 0; from the judge's first answer.
    """

    id: str
    prompt: str
    before: str
    after: str
    won: int
    score_before: float | None
    score_after: float | None


@dataclass(frozen=True)
class Evaluation:
    """The effect of training. before: the reference's side; after: the policy's. None: not measured.

    judge: its name. num_prompts: distinct ones. num_responses: total per model. win_rate: how often the policy's answer
    is the better one, ties counted half. pairs: the answers side by side, with the verdict. sampling: None if answers
    were given. mean_before, mean_after, difference: of the scores. decided: the win rate without ties. kl: of the
    policy from its reference, in nats per response. policy, reference: their names. kl_exact: the same KL from full
    next-token distributions (`exact_kl`); why_no_exact_kl: in words. length_controlled: the win rate at equal lengths.
    style_controlled: the win rate at equal lengths and equal numbers of headings, list items and bold passages.
    changes: measures of the answers that need no judge. position_bias: for a judge asked in both orders, how often the
    position decided. repeatability: how often it repeated its answer to the same question. accuracy: on held-out
    preference pairs. forgetting: on demonstrations. warning: that prompts are too few for reliable intervals.
    """

    judge: str
    num_prompts: int
    num_responses: int
    sampling: SamplingParams | None
    mean_before: float | None
    mean_after: float | None
    difference: Mean | None
    win_rate: Wins
    decided: WinRate | None
    kl: Mean | None
    pairs: tuple[Side, ...]
    policy: str
    reference: str
    kl_exact: Mean | None
    why_no_exact_kl: str
    length_controlled: Estimate
    style_controlled: Estimate
    changes: tuple[Change, ...]
    position_bias: WinRate | None = None
    repeatability: WinRate | None = None
    accuracy: Summary | None = None
    forgetting: Forgetting | None = None
    warning: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The evaluation as plain dicts, lists and numbers, as in `comparison.json` and the report."""
        facts = asdict(self)
        return facts | {"pairs": list(facts["pairs"]), "changes": list(facts["changes"])}

    def with_kl(
        self, log_ratios: NDArray[np.float64], exact_kl: NDArray[np.float64] | str, prompts: Sequence[Prompt]
    ) -> Evaluation:
        """A copy with the KL from log pi(y|x) - log pi_ref(y|x) of the policy's samples at temperature 1.

        log_ratios: in the prompts' order, equally many per prompt. exact_kl: of the same samples, or why it is missing.
        """
        ids = [prompt.id for prompt in prompts for _ in range(len(log_ratios) // len(prompts))]
        if isinstance(exact_kl, str):
            return replace(self, kl=mean_of(log_ratios.tolist(), ids), why_no_exact_kl=exact_kl)
        exact = mean_of(exact_kl.tolist(), ids)
        low = None if exact.low is None else max(exact.low, 0.0)  # every term is at least 0
        return replace(self, kl=mean_of(log_ratios.tolist(), ids), kl_exact=replace(exact, low=low))


def compare_answers(
    prompts: Sequence[Prompt],
    before: Answers,
    after: Answers,
    judge: Judge | Scorer,
    *,
    policy: str,
    reference: str,
    sampling: SamplingParams | None = None,
    repeats: int = 1,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Judge both sides response by response and summarise.

    Intervals are 95%: of win rates by Tango's score method, with a smaller effective number of comparisons if prompts
    have several or the judge was asked several times; of means over prompts (`paired_means`). seed: decides which
    answer is shown first, and the resamples. Raises UserError if the judge fails.
    """
    require_whole("repeats", repeats)
    require_whole("seed", seed, 0)
    both = [
        Two(prompt, old, new)
        for prompt in prompts
        for old, new in zip(before.texts[prompt.id], after.texts[prompt.id], strict=True)
    ]
    verdicts = ask(judge, both, repeats=repeats, seed=seed, reporter=reporter or Silent())
    ids = [two.prompt.id for two in both]
    credits, asked = [one for row in verdicts.credits for one in row], ids * repeats
    rate, wins, losses = win_rate_of(credits, asked), credits.count(1.0), credits.count(0.0)
    decided = [(one, prompt) for one, prompt in zip(credits, asked, strict=True) if one != 0.5]
    scores = verdicts.scores or ((None, None),) * len(both)
    means = None
    if verdicts.scores is not None:
        means = paired_means([old for old, _ in verdicts.scores], [new for _, new in verdicts.scores], ids)
    texts = [two.after for two in both], [two.before for two in both]
    new, old = ([len(text) for text in side] for side in texts)
    of_answers = np.mean(verdicts.credits, axis=0).tolist()  # repetitions are averaged, not counted as answers
    return Evaluation(
        judge=judge.name,
        num_prompts=len(prompts),
        num_responses=len(both),
        sampling=sampling,
        mean_before=None if means is None else means.before,
        mean_after=None if means is None else means.after,
        difference=None if means is None else Mean(means.difference, means.low, means.high, means.warning),
        win_rate=Wins(rate.rate, rate.low, rate.high, wins, losses, len(credits) - wins - losses),
        decided=win_rate_of([one for one, _ in decided], [prompt for _, prompt in decided]) if decided else None,
        kl=None,
        pairs=tuple(
            Side(two.prompt.id, shown(two.prompt.messages[-1]), two.before, two.after, int(2 * won - 1), *of_both)
            for two, won, of_both in zip(both, verdicts.credits[0], scores, strict=True)
        ),
        policy=policy,
        reference=reference,
        kl_exact=None,
        why_no_exact_kl="",
        length_controlled=length_controlled_win_rate(of_answers, new, old, ids, seed=seed, plain=rate),
        style_controlled=style_controlled_win_rate(of_answers, *texts, ids, seed=seed, plain=rate),
        changes=changes(prompts, before, after),
        position_bias=None if verdicts.tally is None else verdicts.tally.position_bias,
        repeatability=verdicts.repeatability(ids),
        warning=warning_of(len(prompts)),
    )
