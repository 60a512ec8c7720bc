"""The number of standard errors an interval reaches: normal, and wider for few clusters.

Shapes: N answers, G clusters.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from penchant.errors import ConfigError
from penchant.ranking.coded import Coded

__all__ = [
    "expanded_tail",
    "refuse_confidence",
    "skewed_limits",
    "student_limits",
    "two_sided_quantile",
    "variance_ratio",
]


def refuse_confidence(confidence: float) -> None:
    """Raise ConfigError unless 0 < confidence < 1.

    Raises:
        ConfigError: otherwise.

    Example:
        >>> refuse_confidence(0.95)
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"Confidence must lie between 0 and 1; got {confidence}.")


def two_sided_quantile(confidence: float, degrees: float = math.inf) -> float:
    """z with P(|Z| < z) = confidence; Student's t if degrees of freedom are given.

    Raises:
        ConfigError: a confidence outside (0, 1).

    Example:
        >>> round(two_sided_quantile(0.95), 2), round(two_sided_quantile(0.95, 9), 2), two_sided_quantile(0.95, 0)
        (1.96, 2.26, inf)
    """
    refuse_confidence(confidence)
    if degrees < 1:
        return math.inf
    level = (1 + confidence) / 2
    return float(ndtri(level) if math.isinf(degrees) else stdtrit(degrees, level))


def expanded_tail(confidence: float, num_clusters: float) -> float:
    """The share of bootstrap draws to leave out on each side: less than (1 - confidence) / 2 for few clusters.

    A bootstrap of G clusters underestimates the spread by sqrt((G - 1) / G) and ignores Student's t; the normal tail
    beyond sqrt(G / (G - 1)) t corrects both.

    Example:
        >>> round(expanded_tail(0.95, 10), 4), round(expanded_tail(0.95, math.inf), 4)
        (0.0086, 0.025)

    Reference:
        T. C. Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69(4), 2015,
        section 5.3.
    """
    refuse_confidence(confidence)
    if math.isinf(num_clusters):
        return (1 - confidence) / 2
    reach = two_sided_quantile(confidence, num_clusters - 1)
    return float(ndtr(-math.sqrt(num_clusters / (num_clusters - 1)) * reach)) if num_clusters > 1 else 0.0


def student_limits(value_G: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Student's t limits of a mean; the last axis holds the G values, two or more.

    Example:
        >>> [round(float(one), 2) for one in student_limits(np.array([1.0, 2.0, 3.0, 4.0]))]  # 3.182 * sqrt(5 / 3 / 4)
        [0.45, 4.55]
    """
    num = value_G.shape[-1]
    mean, reach = value_G.mean(axis=-1), two_sided_quantile(confidence, num - 1) / math.sqrt(num)
    return mean - reach * value_G.std(axis=-1, ddof=1), mean + reach * value_G.std(axis=-1, ddof=1)


def skewed_limits(value_G: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Limits of a mean of few, possibly skewed values: on each side the wider of Student's t and Hall's.

    Student's t misses the mean of skewed values on the side of their long tail. Hall's transformation removes the
    skewness g from t = (mean - true mean) / s; with q the quantile of Student's t over sqrt(G),

        q = t + g t^2 / 3 + g^2 t^3 / 27 + g / (6 G),    t = 3 / g ((1 + g (q - g / (6 G)))^(1/3) - 1).

    Few values underestimate the skewness, so g is adjusted for their number. The last axis holds the
    G values, two or more, not all equal.

    Example:
        >>> low, high = skewed_limits(np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 5.0]]))
        >>> low.round(2).tolist(), high.round(2).tolist()  # of the first 2.5 -+ 3.182 * sqrt(5 / 3 / 4)
        ([0.45, -1.18], [4.55, 8.99])

    Reference:
        P. Hall, On the Removal of Skewness by Transformation, Journal of the Royal Statistical Society B 54(1), 1992,
        pages 221 to 228; X.-H. Zhou and S. Gao, One-Sided Confidence Intervals for Means of Positively Skewed
        Distributions, The American Statistician 54(2), 2000.
    """
    num = value_G.shape[-1]
    mean, spread = value_G.mean(axis=-1), value_G.std(axis=-1, ddof=1)
    if num < 3:
        return student_limits(value_G, confidence)
    reach = two_sided_quantile(confidence, num - 1) / math.sqrt(num)
    moment = ((value_G - mean[..., None]) ** 3).mean(axis=-1) / value_G.std(axis=-1) ** 3
    skewness = moment * math.sqrt(num * (num - 1)) / (num - 2)
    skewness = np.where(abs(skewness) < 1e-6, 1e-6, skewness)  # the limit of t at 0 is q
    below, above = (
        sign * 3 / skewness * (np.cbrt(1 + skewness * (sign * reach - skewness / (6 * num))) - 1) for sign in (1, -1)
    )
    return mean - np.maximum(below, reach) * spread, mean + np.maximum(above, reach) * spread


def variance_ratio(
    value_N: np.ndarray,
    cluster_N: Sequence[Hashable],
    confidence: float = 0.95,
    *,
    weight_N: np.ndarray | None = None,
) -> float:
    """The design effect by which to divide N in an interval for N independent draws from [0, 1]; >= 1.

    It is the variance of the mean when clusters are drawn, over that when answers are drawn, times (t / z)^2. A design
    effect from a few clusters that nearly all agree would be too small by chance, so it is estimated with one further
    cluster of mean size, half of it all 1 and half all 0; t is Student's with G degrees of freedom. If no cluster has
    two answers it is little more than (t / z)^2, without which an interval for a handful of draws may cover a share
    near 1 only nine times in ten; it is inf if there is only one cluster.

    weight_N: weight of each draw, above 0; None: 1. The sum of the weights w is then divided, and the ratio is at least
    the one that leaves (sum w)^2 / sum w^2 draws, the effective number of independent ones (Kish).

    Example:
        >>> values = np.array([1.0, 1, 0, 0, 1, 1, 0, 0])
        >>> round(variance_ratio(values, list("aabbccdd")), 2), round(variance_ratio(values, list("abcdefgh")), 2)
        (5.08, 1.56)

    Reference:
        An effective number in an interval for independent draws: E. L. Korn and B. I. Graubard, Confidence Intervals
        for Proportions With Small Expected Number of Positive Counts Estimated From Survey Data, Survey Methodology
        24, 1998. L. Kish, Survey Sampling, 1965, section 11.7.
    """
    weight_N = np.ones(len(value_N)) if weight_N is None else weight_N
    clusters = Coded.of(cluster_N)
    num, num_clusters = weight_N.sum(), len(clusters.labels)
    if num_clusters == 1:
        return math.inf
    sum_G, size_G = (np.bincount(clusters.code_N, weight_N * one) for one in (value_N, 1.0))
    size = num / num_clusters
    share = (sum_G.sum() + size / 2) / (num + size)
    of_the_other = ((1 - share) ** 2 + share**2) / 2
    drawn = num_clusters / (num_clusters - 1) * ((sum_G - share * size_G) ** 2).sum() + size**2 * of_the_other
    independent = (weight_N * (value_N - share) ** 2).sum() + size * of_the_other
    wider = two_sided_quantile(confidence, num_clusters) / two_sided_quantile(confidence)
    return max(float(drawn / independent * wider**2), float((weight_N**2).sum() / num))
