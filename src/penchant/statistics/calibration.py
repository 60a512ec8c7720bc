"""Calibration: whether the predicted probability that a response is better matches how often it is.

Shapes: N pairs, M bins.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from penchant.ranking import expanded_tail
from penchant.ranking.coded import Coded
from penchant.ranking.votes import FloatArray
from penchant.ranking.winrate import paired_means
from penchant.statistics.buckets import Bucket, bins, by_bucket
from penchant.statistics.resampling import NUM_RESAMPLES, Estimate, times_drawn, warning_of, without_width

__all__ = ["Calibration", "calibration", "calibration_error"]


@dataclass(frozen=True)
class Calibration:
    """The curve of confidence against accuracy, the Brier score and the expected calibration error.

    A confidence is max(p, 1 - p), in [1/2, 1].
    """

    curve: tuple[Bucket, ...]
    brier: Estimate
    ece: Estimate


def calibration(
    probability: Sequence[float], prompts: Sequence[Hashable] | None = None, *, num_bins: int = 5, seed: int = 0
) -> Calibration:
    """Compare the predicted p(chosen is better) = sigmoid(margin) with the choices.

    Args:
        probability: N probabilities that the chosen response is better, 1/2 for a tie.
        prompts: N labels; None: every pair has its own prompt.
        num_bins: of equal width, from 1/2 to 1.
        seed: seed of the intervals' resamples.

    Raises:
        ValueError: no pairs, or a number outside [0, 1].

    Example:
        >>> found = calibration([0.9] * 9 + [0.1])  # as sure as it is right
        >>> round(found.ece.value, 6), round(found.brier.value, 6)
        (0.0, 0.09)

    Reference:
        Brier 1950; On Calibration of Modern Neural Networks, arXiv 1706.04599, eq. 3.
    """
    p_N = np.asarray(probability, dtype=np.float64)
    if p_N.size == 0 or not ((p_N >= 0) & (p_N <= 1)).all():
        got = f"{p_N.size} from {p_N.min():g} to {p_N.max():g}" if p_N.size else "none"
        raise ValueError(f"Calibration needs probabilities in [0, 1], at least one; got {got}.")
    labels = range(len(p_N)) if prompts is None else prompts
    sure_N, right_N = np.maximum(p_N, 1 - p_N), 0.5 + 0.5 * np.sign(p_N - 0.5)
    edges = np.linspace(0.5, 1.0, num_bins + 1)
    return Calibration(
        curve=by_bucket(sure_N, right_N, edges, labels),
        brier=_brier(p_N, labels),
        ece=calibration_error(p_N, labels, num_bins=num_bins, seed=seed),
    )


def _brier(p_N: FloatArray, prompts: Sequence[Hashable]) -> Estimate:
    """The Brier score: a mean over pairs, with limits over prompts (`paired_means`)."""
    found = paired_means([0.0] * len(p_N), ((1 - p_N) ** 2).tolist(), prompts)
    low, high = (None if one is None else min(max(one, 0.0), 1.0) for one in (found.low, found.high))
    return Estimate(found.after, low, high, found.num, found.num_prompts, found.warning)


def calibration_error(p_N: FloatArray, prompts: Sequence[Hashable], *, num_bins: int = 5, seed: int = 0) -> Estimate:
    """ECE = sum_m |g_m|, g_m = n_m / n (accuracy - mean confidence in bin m), with limits from resampled prompts.

    The sum is above 0 by chance alone, and even larger in a resample, so its percentiles miss the truth if a model is
    well calibrated. The signed g_m have no such bias, and sum_m |g_m| is never farther from the true sum than
    D = sum_m |g_m - true g_m|: the lower limit is ECE less the 95th percentile of D, which is 0 if chance explains
    everything, and conservative otherwise. The upper limit is the percentile of the sum.
    """
    clusters = Coded.of(prompts)
    num_prompts = len(clusters.labels)
    gap_NM = _gaps(p_N, num_bins)
    gap_GM = np.zeros((num_prompts, num_bins))
    np.add.at(gap_GM, clusters.code_N, gap_NM)
    size_G = np.bincount(clusters.code_N, minlength=num_prompts)
    gap_M = gap_GM.sum(axis=0) / len(p_N)
    value = float(np.abs(gap_M).sum())
    if num_prompts == 1:
        return Estimate(value, None, None, len(p_N), 1, warning_of(1))
    drawn_RM = np.array([t_G @ gap_GM / (t_G @ size_G) for t_G in times_drawn(num_prompts, NUM_RESAMPLES, seed)])
    tail = expanded_tail(0.95, num_prompts)
    off = float(np.quantile(np.abs(drawn_RM - gap_M).sum(axis=1), 1 - 2 * tail))
    high = max(value, float(np.quantile(np.abs(drawn_RM).sum(axis=1), 1 - tail)))
    low = max(0.0, value - off)
    return without_width(Estimate(value, low, high, len(p_N), num_prompts, warning_of(num_prompts)))


def _gaps(p_N: FloatArray, num_bins: int) -> FloatArray:
    """Credit minus confidence of each pair, in the column of its bin, (N, M); 0 elsewhere."""
    sure_N, right_N = np.maximum(p_N, 1 - p_N), 0.5 + 0.5 * np.sign(p_N - 0.5)
    gap_NM = np.zeros((len(p_N), num_bins))
    gap_NM[np.arange(len(p_N)), bins(sure_N, np.linspace(0.5, 1.0, num_bins + 1))] = right_N - sure_N
    return gap_NM
