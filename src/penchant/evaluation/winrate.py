"""How often one model beats another, and by how much, each with an interval that says how sure we are."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

__all__ = ["PairedMeans", "WinRate", "paired_means", "win_rate"]


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

    `low` and `high` are None where there is one prompt only: nothing can be said about other prompts then.
    """

    before: float
    after: float
    difference: float
    low: float | None
    high: float | None
    num: int
    num_prompts: int


def win_rate(wins: int, losses: int, ties: int = 0, confidence: float = 0.95) -> WinRate:
    """Share of comparisons won, a tie counting as half a win, with a score interval.

    Without ties the interval is Wilson's (1927). With ties, n comparisons are draws from (win, loss, tie) and
    rate = (1 + delta) / 2 with delta = p(win) - p(loss), the same problem as the difference of two paired proportions.
    The interval is Tango's (Statistics in Medicine 17, 1998, pages 891 to 908): every delta that the score test does
    not reject, with p(tie) estimated anew under each delta. It becomes Wilson's exactly when no tie was seen, gets
    narrower with ties (they carry less spread), and never has width zero, not even when everything tied.

    Comparisons are taken as independent. Several of one prompt are not: give one comparison per prompt.

    Args:
        wins, losses, ties: counts, at least one of them above zero.
        confidence: coverage asked for, between 0 and 1.

    Raises:
        ValueError: a negative count, no comparison at all, or a confidence outside (0, 1).
    """
    if min(wins, losses, ties) < 0:
        raise ValueError(f"Counts cannot be negative: got {wins} wins, {losses} losses, {ties} ties.")
    num = wins + losses + ties
    if num == 0:
        raise ValueError("A win rate needs at least one comparison; got none.")
    z = _quantile(confidence)
    low = _lowest_delta(wins, losses, num, z)
    high = -_lowest_delta(losses, wins, num, z)
    return WinRate((wins + ties / 2) / num, (1 + low) / 2, (1 + high) / 2, num)


def paired_means(
    before: Sequence[float],
    after: Sequence[float],
    prompts: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
) -> PairedMeans:
    """Mean score before and after, and the mean difference with a bootstrap interval clustered by prompt.

    Scores of one prompt move together, so whole prompts are drawn with replacement, never single responses; the limits
    are percentiles of the resampled mean difference. With fewer than some 20 prompts such an interval is too narrow.

    Args:
        before, after: scores of shape (N,), position i of both for the same prompt.
        prompts: N labels; equal labels form a cluster. None: every position is a prompt of its own.
        confidence: coverage asked for, between 0 and 1.
        num_resamples: bootstrap draws.
        seed: of numpy's generator; the same seed gives the same limits.

    Raises:
        ValueError: lengths differ, nothing to compare, a score that is not finite, or a confidence outside (0, 1).
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
    _quantile(confidence)
    index = {label: position for position, label in enumerate(dict.fromkeys(labels))}
    cluster = np.array([index[label] for label in labels])
    sums, counts = np.bincount(cluster, weights=y - x), np.bincount(cluster)
    low = high = None
    if len(index) > 1:
        rng = np.random.default_rng(seed)
        means = np.empty(num_resamples)
        for i in range(num_resamples):
            drawn = rng.integers(len(index), size=len(index))
            means[i] = sums[drawn].sum() / counts[drawn].sum()
        tail = (1 - confidence) / 2
        low, high = (float(limit) for limit in np.quantile(means, [tail, 1 - tail]))
    return PairedMeans(float(x.mean()), float(y.mean()), float((y - x).mean()), low, high, len(x), len(index))


def _quantile(confidence: float) -> float:
    """Two-sided standard normal quantile."""
    if not 0 < confidence < 1:
        raise ValueError(f"Confidence must lie between 0 and 1; got {confidence}.")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _lowest_delta(wins: int, losses: int, num: int, z: float) -> float:
    """Smallest p(win) - p(loss) that the score test keeps, by bisection: the test's statistic falls as delta grows."""
    low, high = -1.0, (wins - losses) / num
    while high - low > 1e-13:
        delta = (low + high) / 2
        rejected = wins - losses - num * delta > z * math.sqrt(num * _variance(wins, losses, num, delta))
        low, high = (delta, high) if rejected else (low, delta)
    return (low + high) / 2


def _variance(wins: int, losses: int, num: int, delta: float) -> float:
    """Variance of one draw of +1, -1, 0 under the most likely p(loss) that fits the counts and delta."""
    b = (2 * num - wins + losses) * delta - wins - losses
    c = -losses * delta * (1 - delta)
    p_loss = (math.sqrt(max(b * b - 8 * num * c, 0.0)) - b) / (4 * num)
    return max(2 * p_loss + delta * (1 - delta), 0.0)
