"""Win rates and mean score differences of two models, each with an interval."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from penchant.ranking.cautions import warning_of
from penchant.ranking.quantiles import skewed_limits, student_limits, two_sided_quantile, variance_ratio

__all__ = ["PairedMeans", "WinRate", "paired_means", "win_rate", "win_rate_of"]

NO_COMPARISON = "A win rate needs at least one comparison; got none."


@dataclass(frozen=True)
class WinRate:
    """A win rate in [0, 1] with ties counted half, its confidence limits, and the number of comparisons."""

    rate: float
    low: float
    high: float
    num: int


@dataclass(frozen=True)
class PairedMeans:
    """Mean scores before and after on the same prompts, and their difference with confidence limits.

    `low` and `high` are None if there is only one prompt, or if the difference is the same for every prompt: then
    nothing can be inferred about other prompts. warning: why there is no interval, or that prompts are few.
    """

    before: float
    after: float
    difference: float
    low: float | None
    high: float | None
    num: int
    num_prompts: int
    warning: str | None = None


def win_rate(wins: int, losses: int, ties: int = 0, confidence: float = 0.95) -> WinRate:
    """Share of comparisons won, a tie counting as half a win, with a score interval.

    Without ties the interval is Wilson's (1927). With ties, n comparisons are draws from (win, loss, tie) and
    rate = (1 + delta) / 2 with delta = p(win) - p(loss), the same problem as the difference of two paired proportions.
    The interval is Tango's (Statistics in Medicine 17, 1998, pages 891 to 908): every delta that the score test does
    not reject, with p(tie) re-estimated under each delta. It equals Wilson's exactly without ties, gets
    narrower with ties (they have less variance), and never has width zero, not even if all are ties.

    Comparisons are assumed independent, and the interval is the textbook one; `win_rate_of` allows for several
    comparisons per prompt, and for few prompts.

    Args:
        wins, losses, ties: counts, at least one above zero.
        confidence: nominal coverage, between 0 and 1.

    Raises:
        ValueError: a negative count, no comparison, or a confidence outside (0, 1).

    Example:
        >>> found = win_rate(wins=8, losses=2)
        >>> found.rate, round(found.low, 3), round(found.high, 3)
        (0.8, 0.49, 0.943)
    """
    if min(wins, losses, ties) < 0:
        raise ValueError(f"Counts cannot be negative: got {wins} wins, {losses} losses, {ties} ties.")
    num = wins + losses + ties
    return WinRate(*_score_interval(wins, losses, num, 1.0, confidence), num)


def win_rate_of(
    credits: Sequence[float],
    prompts: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    *,
    weights: Sequence[float] | None = None,
) -> WinRate:
    """The `win_rate` of comparisons clustered by prompt.

    The interval is that of N / d comparisons, where d >= 1 is the ratio of the rate's variance between sets of prompts
    to that of N independent comparisons, and accounts for few prompts (`penchant.ranking.variance_ratio`), even if each
    has one comparison; for a single prompt it is [0, 1], as nothing can be inferred about others.

    Args:
        credits: N values 1 (won), 0 (lost) or 1/2 (tie).
        prompts: N labels; equal labels are one prompt. None: every comparison has its own prompt.
        confidence: nominal coverage, between 0 and 1.
        weights: N relative weights above 0; None: equal weights.

    Raises:
        ValueError: an invalid credit, different lengths, no comparison, a weight that is not above 0, or a
            confidence outside (0, 1).

    Example:
        >>> credits, prompts = [1.0] * 8 + [0.0] * 2, list("aabbccddee")
        >>> one, clustered = win_rate_of(credits), win_rate_of(credits, prompts)
        >>> round(one.low, 2), round(clustered.low, 2)
        (0.43, 0.26)
    """
    labels = range(len(credits)) if prompts is None else prompts
    if len(labels) != len(credits) or not set(credits) <= {0.0, 0.5, 1.0}:
        raise ValueError(
            f"Each comparison needs a credit of 1, 0.5 or 0, and a prompt: got {len(credits)} credits "
            f"({sorted(set(credits))[:5]}), {len(labels)} prompts."
        )
    if not credits:
        raise ValueError(NO_COMPARISON)
    credit_N, weight_N = np.array(credits), _weights(weights, len(credits))
    wins, losses = (float(weight_N[credit_N == one].sum()) for one in (1.0, 0.0))
    ratio = variance_ratio(credit_N, labels, _checked(confidence), weight_N=weight_N)
    return WinRate(*_score_interval(wins, losses, float(weight_N.sum()), ratio, confidence), len(credits))


def paired_means(
    before: Sequence[float],
    after: Sequence[float],
    prompts: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    are_shares: bool | None = None,
    weights: Sequence[float] | None = None,
) -> PairedMeans:
    """Mean score before and after, and the mean difference with an interval clustered by prompt.

    Scores of one prompt are correlated, so the standard error is a jackknife that leaves out whole prompts, never
    single responses. The interval uses Student's t with the number of prompts less one as degrees of freedom, and is
    extended on the side of the long tail for skewed prompts (`penchant.ranking.quantiles.skewed_limits`). For scores of
    0 and 1, which are shares, Student's t is too narrow: the interval is then Tango's (`win_rate_of`).

    Args:
        before, after: scores of shape (N,), position i of both for the same prompt.
        prompts: N labels; equal labels form a cluster. None: every position has its own prompt.
        confidence: nominal coverage, between 0 and 1.
        are_shares: whether scores are only 0 or 1; None: detected if both occur. False is for means of many answers per
            prompt, whose shares are between 0 and 1 without a long tail: Student's t alone.
        weights: N relative weights above 0; None: equal weights.

    Raises:
        ValueError: different lengths, no scores, a score that is not finite, a weight that is not above 0, or a
            confidence outside (0, 1).

    Example:
        >>> found = paired_means([0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0])
        >>> round(found.low, 3), round(found.high, 3)  # not skewed: 2.5 -+ 3.182 * sqrt(5 / 3 / 4)
        (0.446, 4.554)

    Reference:
        B. Efron and C. Stein, The Jackknife Estimate of Variance, Annals of Statistics 9(3), 1981.
    """
    x, y = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    labels = range(len(x)) if prompts is None else prompts
    if x.ndim != 1 or x.shape != y.shape or len(labels) != len(x):
        raise ValueError(
            f"Scores and prompts must align: got {x.shape} before, {y.shape} after, {len(labels)} prompts."
        )
    if len(x) == 0:
        raise ValueError("Mean scores need at least one response; got none.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("Scores must be finite numbers; got inf or nan.")
    _checked(confidence)
    number_of = {label: g for g, label in enumerate(dict.fromkeys(labels))}
    cluster_N, num_prompts = [number_of[label] for label in labels], len(number_of)
    weight_N = _weights(weights, len(x))
    sum_G, size_G = (np.bincount(cluster_N, weight_N * one) for one in (y - x, 1.0))
    old, new, change = (float(np.average(one, weights=weight_N)) for one in (x, y, y - x))
    found = PairedMeans(old, new, change, None, None, len(x), num_prompts, warning_of(num_prompts))
    if num_prompts == 1:
        return found
    if are_shares or (are_shares is None and set(x) | set(y) == {0.0, 1.0}):
        rate = win_rate_of((0.5 + (y - x) / 2).tolist(), labels, confidence, weights=weights)
        return replace(found, low=2 * rate.low - 1, high=2 * rate.high - 1)
    if np.ptp(sum_G / size_G) <= 1e-12 * max(np.abs(x).max(), np.abs(y).max()):  # rounding apart
        return replace(found, warning=warning_of(num_prompts, is_same=True))
    without_G = (sum_G.sum() - sum_G) / (size_G.sum() - size_G)
    limits = student_limits if are_shares is False else skewed_limits
    low, high = limits((num_prompts - 1) * (without_G.mean() - without_G), confidence)
    return replace(found, low=found.difference + float(low), high=found.difference + float(high))


def _weights(weights: Sequence[float] | None, num: int) -> np.ndarray:
    weight_N = np.ones(num) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight_N.shape != (num,) or not (np.isfinite(weight_N) & (weight_N > 0)).all():
        raise ValueError(f"Weights are finite numbers above 0, one for each of {num}; got {weight_N}.")
    return weight_N


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"Confidence must lie between 0 and 1; got {confidence}.")
    return confidence


def _score_interval(
    wins: float, losses: float, num: float, ratio: float, confidence: float
) -> tuple[float, float, float]:
    """The rate, and Tango's limits for `num` / `ratio` comparisons: the quantile is multiplied by sqrt(ratio)."""
    if num == 0:
        raise ValueError(NO_COMPARISON)
    rate = (num + wins - losses) / (2 * num)
    if math.isinf(ratio):
        return rate, 0.0, 1.0
    z = two_sided_quantile(_checked(confidence)) * math.sqrt(ratio)
    low, high = _lowest_delta(wins, losses, num, z), -_lowest_delta(losses, wins, num, z)
    return rate, (1 + low) / 2, (1 + high) / 2


def _lowest_delta(wins: float, losses: float, num: float, z: float) -> float:
    """Smallest p(win) - p(loss) that the score test does not reject, by bisection: the statistic decreases in delta."""
    low, high = -1.0, (wins - losses) / num
    while high - low > 1e-13:
        delta = (low + high) / 2
        rejected = wins - losses - num * delta > z * math.sqrt(num * _variance(wins, losses, num, delta))
        low, high = (delta, high) if rejected else (low, delta)
    return (low + high) / 2


def _variance(wins: float, losses: float, num: float, delta: float) -> float:
    """Variance of one draw of +1, -1, 0 under the most likely p(loss) that fits the counts and delta."""
    b = (2 * num - wins + losses) * delta - wins - losses
    c = -losses * delta * (1 - delta)
    p_loss = (math.sqrt(max(b * b - 8 * num * c, 0.0)) - b) / (4 * num)
    return max(2 * p_loss + delta * (1 - delta), 0.0)
