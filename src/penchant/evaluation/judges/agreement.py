"""Measure how far a judge agrees with people who answered some of the same comparisons.

Three answers are distinguished: a, b, and neither; tie and both_bad count as neither, as a judge of scores cannot say
that both are bad, and neither makes a training pair. Comparisons are matched by their texts, whatever their ids and
whichever response was called a. Each person's answer counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penchant.data import Comparison, prompt_key
from penchant.ranking import cohen_kappa, expanded_tail
from penchant.ranking.winrate import WinRate, win_rate_of

__all__ = ["Estimate", "JudgeAgreement", "agreement_in_words", "agreement_with_people", "shared_answers"]

LABELS = ("a", "b", "neither")
NUM_RESAMPLES = 2000

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% limits; all None, with a reason, if there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class JudgeAgreement:
    """share: of people's answers that equal the judge's. kappa: Cohen's, corrected for chance.

    decided: among answers where both the judge and the person preferred a side, the share that preferred the same one;
    None if there are none.
    """

    num_comparisons: int
    num_answers: int
    share: Estimate
    kappa: Estimate
    decided: WinRate | None


def shared_answers(judged: Sequence[Comparison], people: Sequence[Comparison]) -> list[list[tuple[str, str]]]:
    """For each comparison that both answered, (judge's answer, person's answer) for each person's answer."""
    by_judge = {_key(comparison): comparison for comparison in judged}
    shared: defaultdict[Key, list[tuple[str | None, str | None]]] = defaultdict(list)
    for answer in people:
        comparison = by_judge.get(_key(answer))
        if comparison is not None and answer.outcome is not None:
            shared[_key(answer)].append((_preferred(comparison), _preferred(answer)))
    return [[(_label(theirs, key), _label(ones, key)) for theirs, ones in pairs] for key, pairs in shared.items()]


def agreement_with_people(shared: Sequence[Sequence[tuple[str, str]]], *, seed: int = 0) -> JudgeAgreement:
    """Agreement of `shared_answers`, with intervals that treat whole comparisons as the sampling unit.

    The share's interval is that of `win_rate_of`. Kappa's is from bootstrap percentiles, widened for few comparisons
    (`penchant.ranking.expanded_tail`). A resample in which kappa is undefined, because all answers are the same, counts
    as the lowest value for the lower limit and as the highest for the upper. Raises ValueError if no answers are
    shared.
    """
    pairs = [pair for group in shared for pair in group]
    if not pairs:
        raise ValueError(
            "The judge and the people answered no comparison in common; give answers to the same prompts and responses."
        )
    tables_GLL = np.stack([_table(group) for group in shared])
    same = [(float(judge == person), number) for number, group in enumerate(shared) for judge, person in group]
    decided = [one for one, pair in zip(same, pairs, strict=True) if "neither" not in pair]
    share = _rate(same)
    kappa_D = _kappa(_resampled(tables_GLL, seed)) if len(shared) > 1 else None
    exact = cohen_kappa(*zip(*pairs, strict=True))
    return JudgeAgreement(
        num_comparisons=len(shared),
        num_answers=len(pairs),
        share=Estimate(share.rate, share.low, share.high) if len(shared) > 1 else Estimate(share.rate),
        kappa=Estimate(None, reason=exact.reason)
        if exact.value is None
        else Estimate(exact.value, *_limits(kappa_D, len(shared))),
        decided=_rate(decided) if decided else None,
    )


def agreement_in_words(judged: Sequence[Comparison], people: Sequence[Comparison]) -> list[str]:
    """The agreement in words, as lines. Raises ValueError if no answers are shared."""
    found = agreement_with_people(shared_answers(judged, people))
    lines = [
        f"people gave {found.num_answers} answers to {found.num_comparisons} of these comparisons",
        f"agreement      {_in_words(found.share, '{:.1%}')}",
        f"Cohen's kappa  {_in_words(found.kappa, '{:.3f}')}",
    ]
    if (rate := found.decided) is not None:
        lines.append(
            f"where both preferred a side, the same one in {rate.rate:.1%} "
            f"(95% interval {rate.low:.1%} to {rate.high:.1%}, {rate.num} answers)"
        )
    return lines


def _in_words(of: Estimate, form: str) -> str:
    if of.value is None:
        return f"not defined: {of.reason}"
    if of.low is None:
        return f"{form.format(of.value)} (no interval: one comparison)"
    return f"{form.format(of.value)} (95% interval {form.format(of.low)} to {form.format(of.high)})"


def _rate(answers: Sequence[tuple[float, int]]) -> WinRate:
    """answers: for each, whether the two agree (1 or 0), and the index of its comparison."""
    return win_rate_of([same for same, _ in answers], [number for _, number in answers])


def _kappa(tables_DLL: np.ndarray) -> np.ndarray:
    """Cohen's kappa of D tables of counts, judge by person; NaN if it is 0 / 0."""
    share_DLL = tables_DLL / tables_DLL.sum((1, 2), keepdims=True)
    same_D = np.trace(share_DLL, axis1=1, axis2=2)
    chance_D = (share_DLL.sum(1) * share_DLL.sum(2)).sum(1)
    with np.errstate(invalid="ignore"):
        return np.where(chance_D < 1, (same_D - chance_D) / (1 - chance_D), np.nan)


def _resampled(tables_GLL: np.ndarray, seed: int) -> np.ndarray:
    rng, num = np.random.default_rng(seed), len(tables_GLL)
    flat_GM = tables_GLL.reshape(num, -1)
    draws = [np.bincount(rng.integers(num, size=num), minlength=num) @ flat_GM for _ in range(NUM_RESAMPLES)]
    return np.stack(draws).reshape(NUM_RESAMPLES, len(LABELS), len(LABELS))


def _limits(kappa_D: np.ndarray | None, num_groups: int) -> tuple[float | None, float | None]:
    if kappa_D is None:
        return None, None
    tail = expanded_tail(0.95, num_groups)
    low, high = np.nan_to_num(kappa_D, nan=-1.0), np.nan_to_num(kappa_D, nan=1.0)
    return float(np.quantile(low, tail)), float(np.quantile(high, 1 - tail))


def _table(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    table_LL = np.zeros((len(LABELS), len(LABELS)))
    for judge, person in pairs:
        table_LL[LABELS.index(judge), LABELS.index(person)] += 1
    return table_LL


def _key(comparison: Comparison) -> Key:
    first, second = sorted((comparison.a.text, comparison.b.text))
    return prompt_key(comparison.prompt), first, second


def _preferred(comparison: Comparison) -> str | None:
    """The text that was preferred; None for neither."""
    return {"a": comparison.a.text, "b": comparison.b.text}.get(str(comparison.outcome))


def _label(preferred: str | None, key: Key) -> str:
    return "neither" if preferred is None else LABELS[preferred != key[1]]
