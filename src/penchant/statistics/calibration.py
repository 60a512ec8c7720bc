"""Whether a probability that one response is the better one is right as often as it says.

Shapes: N pairs, M bins.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from penchant.ranking.votes import FloatArray
from penchant.statistics.buckets import Bucket, bins, by_bucket
from penchant.statistics.resampling import Estimate, resampled

__all__ = ["Calibration", "brier_score", "calibration", "expected_calibration_error"]


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
    """How sigmoid(margin) = p(chosen is better) agrees with what was chosen.

    Args:
        probability: N probabilities that the chosen response is the better one, 1/2 for a tie.
        prompts: N labels; None: every pair has a prompt of its own.
        num_bins: of equal width, from 1/2 to 1.
        seed: of the intervals' resamples.

    Raises:
        ValueError: no pair, or a number outside [0, 1].

    Example:
        >>> found = calibration([0.9] * 9 + [0.1])  # as sure as it is right
        >>> round(found.ece.value, 6), round(found.brier.value, 6)
        (0.0, 0.09)

    Reference:
        Brier 1950; On Calibration of Modern Neural Networks, arXiv 1706.04599, eq. 3.
    """
    p_N = np.asarray(probability, dtype=np.float64)
    if p_N.size == 0 or not ((p_N >= 0) & (p_N <= 1)).all():
        raise ValueError(f"Calibration needs probabilities in [0, 1], at least one: got {p_N.size}.")
    labels = range(len(p_N)) if prompts is None else prompts
    sure_N, right_N = np.maximum(p_N, 1 - p_N), 0.5 + 0.5 * np.sign(p_N - 0.5)
    edges = np.linspace(0.5, 1.0, num_bins + 1)
    return Calibration(
        curve=by_bucket(sure_N, right_N, edges, labels),
        brier=resampled(lambda weight_N: brier_score(p_N, weight_N), labels, seed=seed),
        ece=resampled(lambda weight_N: expected_calibration_error(p_N, weight_N, num_bins), labels, seed=seed),
    )


def brier_score(p_N: FloatArray, weight_N: FloatArray) -> float:
    """Mean of (1 - p)^2: 0 where every pair is sure and right, 1/4 where every p is 1/2.

    Example:
        >>> brier_score(np.array([0.5, 1.0]), np.ones(2))
        0.125
    """
    return float(np.average((1 - p_N) ** 2, weights=weight_N))


def expected_calibration_error(p_N: FloatArray, weight_N: FloatArray, num_bins: int = 5) -> float:
    """sum_m n_m / n |share right in bin m - mean confidence in bin m|. It errs upwards where bins hold few pairs.

    Example:
        >>> expected_calibration_error(np.array([1.0, 0.0]), np.ones(2))  # sure, and right half of the time
        0.5
    """
    sure_N, right_N = np.maximum(p_N, 1 - p_N), 0.5 + 0.5 * np.sign(p_N - 0.5)
    bin_N = bins(sure_N, np.linspace(0.5, 1.0, num_bins + 1))
    gap_M = np.bincount(bin_N, weight_N * (right_N - sure_N), num_bins)
    return float(np.abs(gap_M).sum() / weight_N.sum())
