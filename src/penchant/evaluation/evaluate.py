"""The whole evaluation: a policy and its reference answer the same prompts, and a judge scores both.

Also how far the policy moved from its reference: KL(policy || reference) per response, estimated on the policy's own
samples at temperature 1 as the mean of log pi(y|x) - log pi_ref(y|x), in nats (unbiased; the DPO paper's x-axis, arXiv
2305.18290, figure 2).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.data import Prompt, shown
from penchant.errors import DataError
from penchant.evaluation.answers import Answers, Asked, answer_as_policy, answer_as_reference
from penchant.evaluation.changes import Change, changes
from penchant.evaluation.exact_kl import exact_kl_from, predict
from penchant.evaluation.judges.protocol import Scorer
from penchant.evaluation.judges.scoring import scores_of
from penchant.evaluation.policies import AnyModel, Loader, open_policy
from penchant.evaluation.references import find_reference
from penchant.files.whole import write_atomically
from penchant.models.requests import refuse_long_prompts
from penchant.models.sampler import SamplingParams
from penchant.progress import Reporter, Silent
from penchant.ranking.winrate import paired_means, win_rate_of
from penchant.statistics import Estimate, length_controlled_win_rate
from penchant.tokens import SpecialTokens
from penchant.training.run_report import write_run_report

__all__ = ["Evaluation", "Mean", "Side", "Wins", "compare_answers", "evaluate", "write_evaluation"]

ADAPTER_OFF = "the adapter switched off"
DEFAULT_SAMPLING = SamplingParams(max_new_tokens=128)


@dataclass(frozen=True)
class Mean:
    """A mean over prompts with its 95% limits (Student's t), None for both where there is one prompt."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Wins:
    """How often the policy's response scored higher; rate: a tie counts half; with its 95% limits."""

    rate: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True)
class Side:
    """One response of each model to a prompt, by the prompt's id and last message, and the judge's scores."""

    id: str
    prompt: str
    before: str
    after: str
    score_before: float
    score_after: float


@dataclass(frozen=True)
class Evaluation:
    """What training changed. before: the reference's side; after: the policy's.

    difference: of the mean scores. kl: of the policy from its reference, in nats a response. reference: its name.
    kl_exact: the same from whole distributions of the next token (`exact_kl`); None where a model gives none.
    length_controlled: the win rate if both answers were as long. changes: of the answers, whoever judges them.
    """

    judge: str
    num_prompts: int
    num_responses: int
    sampling: SamplingParams
    mean_before: float
    mean_after: float
    difference: Mean
    win_rate: Wins
    kl: Mean
    pairs: tuple[Side, ...]
    reference: str
    kl_exact: Mean | None
    length_controlled: Estimate
    changes: tuple[Change, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers, as `comparison.json` and the report have it."""
        facts = asdict(self)
        return facts | {"pairs": list(facts["pairs"]), "changes": list(facts["changes"])}


def evaluate(
    policy: AnyModel,
    prompts: Sequence[Prompt],
    judge: Scorer,
    *,
    reference: AnyModel | None = None,
    num_responses: int = 1,
    sampling: SamplingParams = DEFAULT_SAMPLING,
    batch_size: int = 64,
    special_tokens: SpecialTokens = "refuse",
    load: Loader | None = None,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Compare a policy with its reference on prompts, which training should not have seen. Writes nothing.

    Args:
        policy: a run folder or another model's name, which is loaded here and given back before its reference is; or a
            model in memory.
        prompts: with ids that differ.
        judge: scores every response.
        reference: what to compare with; None for the one the policy was trained against (see `find_reference`).
        num_responses: of each model to each prompt.
        sampling: how both answer.
        batch_size: responses sampled at once.
        special_tokens: what to make of a prompt that spells one.
        load: makes a model of a policy's name; None for the best device and dtype there are.
        reporter: hears of progress.

    Raises:
        DataError: there is no prompt.
        ConfigError: nothing names a reference, or the judge fails.
        ModelError: a model cannot be loaded, has another tokenizer than the policy, or has no room for a prompt.
    """
    if not prompts:
        raise DataError("there is no prompt to answer; give at least one")
    reporter = reporter or Silent()
    name, model = open_policy(policy, reference, special_tokens=special_tokens, load=load, reporter=reporter)
    refuse_long_prompts(model, prompts)
    source = find_reference(name, model, reference)
    asked = Asked(prompts, sampling, num_responses, batch_size)
    own = answer_as_policy(model, asked, reporter)
    predicted = predict(model, own.sequences)
    if source.is_adapter_off:
        with model.as_reference():
            before, log_ratios = answer_as_reference(model, asked, own, reporter)
            exact = exact_kl_from(predicted, model, own.sequences)
    else:
        del model  # one model in memory at a time; of the policy its head stays
        other = source.load(reporter.say)
        before, log_ratios = answer_as_reference(other, asked, own, reporter)
        exact = exact_kl_from(predicted, other, own.sequences)
    return compare_answers(
        asked,
        before,
        own.answers,
        judge,
        log_ratios.numpy(),
        reference=source.name or ADAPTER_OFF,
        exact_kl=None if exact is None else exact.numpy(),
    )


def compare_answers(
    asked: Asked,
    before: Answers,
    after: Answers,
    judge: Scorer,
    log_ratios: NDArray[np.float64],
    *,
    reference: str,
    exact_kl: NDArray[np.float64] | None = None,
) -> Evaluation:
    """Judge both sides response by response and summarise.

    log_ratios: log pi(y|x) - log pi_ref(y|x) of the policy's temperature-1 samples, in the prompts' order; exact_kl:
    of the same samples, see there. Intervals are 95%: of the win rate by Tango's score method, for fewer comparisons
    where each prompt has several; of means by Student's t, over prompts.
    """
    prompts = asked.prompts
    sides = [
        (prompt, a, b)
        for prompt in prompts
        for a, b in zip(before.texts[prompt.id], after.texts[prompt.id], strict=True)
    ]
    scores = iter(scores_of(judge, [(prompt.messages, text) for prompt, a, b in sides for text in (a, b)]))
    pairs = [
        Side(prompt.id, shown(prompt.messages[-1]), a, b, score_a, score_b)
        for (prompt, a, b), score_a, score_b in zip(sides, scores, scores, strict=True)
    ]
    old, new, ids = [p.score_before for p in pairs], [p.score_after for p in pairs], [p.id for p in pairs]
    credit = [0.5 + 0.5 * ((b > a) - (b < a)) for a, b in zip(old, new, strict=True)]
    rate, wins, losses = win_rate_of(credit, ids), credit.count(1.0), credit.count(0.0)
    means = paired_means(old, new, ids)
    own_ids = [p.id for p in prompts for _ in range(len(log_ratios) // len(prompts))]
    kl = _mean_of(log_ratios, own_ids)
    return Evaluation(
        judge=judge.name,
        num_prompts=len(prompts),
        num_responses=len(pairs),
        sampling=asked.sampling,
        mean_before=means.before,
        mean_after=means.after,
        difference=Mean(means.difference, means.low, means.high),
        win_rate=Wins(rate.rate, rate.low, rate.high, wins, losses, len(pairs) - wins - losses),
        kl=kl,
        pairs=tuple(pairs),
        reference=reference,
        kl_exact=None if exact_kl is None else _mean_of(exact_kl, own_ids),
        length_controlled=length_controlled_win_rate(
            credit, [len(p.after) for p in pairs], [len(p.before) for p in pairs], ids
        ),
        changes=changes(prompts, before, after),
    )


def _mean_of(values: NDArray[np.float64], prompts: Sequence[str]) -> Mean:
    found = paired_means([0.0] * len(values), values.tolist(), prompts)
    return Mean(found.after, found.low, found.high)


def write_evaluation(
    run: Path, found: Evaluation, *, prompts: str, say: Callable[[str], None] = lambda _: None
) -> Path:
    """Write `comparison.json` and the report into a run folder; returns the report's path.

    prompts: what they are called.
    """
    text = json.dumps(found.as_dict() | {"prompts": prompts}, indent=2, ensure_ascii=False)
    write_atomically(run / "comparison.json", text + "\n")
    return write_run_report(run, say)
