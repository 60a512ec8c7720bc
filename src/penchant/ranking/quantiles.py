"""How many standard errors an interval reaches: normal, and wider where few clusters say how large an error is.

Shapes: N answers, G clusters.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from penchant.errors import ConfigError
from penchant.ranking.coded import Coded

__all__ = ["expanded_tail", "refuse_confidence", "two_sided_quantile", "variance_ratio"]


def refuse_confidence(confidence: float) -> None:
    """Nothing where 0 < confidence < 1.

    Raises:
        ConfigError: otherwise.

    Example:
        >>> refuse_confidence(0.95)
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"Confidence must lie between 0 and 1; got {confidence}.")


def two_sided_quantile(confidence: float, degrees: float = math.inf) -> float:
    """z with P(|Z| < z) = confidence; Student's t where the standard error has so many degrees of freedom.

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
    """The share of bootstrap draws to leave out on each side: less than (1 - confidence) / 2 where clusters are few.

    A bootstrap of G clusters spreads by sqrt((G - 1) / G) too little and knows nothing of Student's t; the normal tail
    beyond sqrt(G / (G - 1)) t makes up for both.

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


def variance_ratio(value_N: np.ndarray, cluster_N: Sequence[Hashable], confidence: float = 0.95) -> float:
    """By how much to divide N in an interval for independent draws from [0, 1], if clusters are what is drawn; >= 1.

    The design effect, the variance of the mean when clusters are drawn over that when answers are, times (t / z)^2. A
    design effect from a few clusters that nearly all agree would be too small by chance, so it is estimated with one
    cluster more, of mean size, half of it all 1 and half all 0; t is Student's with G degrees of freedom. It is 1 where
    no cluster has two answers, and inf where there is one cluster only.

    Example:
        >>> values = np.array([1.0, 1, 0, 0, 1, 1, 0, 0])
        >>> round(variance_ratio(values, list("aabbccdd")), 2), variance_ratio(values, list("abcdefgh"))
        (5.08, 1.0)

    Reference:
        An effective number in an interval for independent draws: E. L. Korn and B. I. Graubard, Confidence Intervals
        for Proportions With Small Expected Number of Positive Counts Estimated From Survey Data, Survey Methodology
        24, 1998.
    """
    clusters = Coded.of(cluster_N)
    num, num_clusters = len(value_N), len(clusters.labels)
    if num_clusters == num:
        return 1.0
    if num_clusters == 1:
        return math.inf
    sum_G, size_G = np.bincount(clusters.code_N, value_N), np.bincount(clusters.code_N)
    size = num / num_clusters
    share = (sum_G.sum() + size / 2) / (num + size)
    of_the_other = ((1 - share) ** 2 + share**2) / 2
    drawn = num_clusters / (num_clusters - 1) * ((sum_G - share * size_G) ** 2).sum() + size**2 * of_the_other
    independent = ((value_N - share) ** 2).sum() + size * of_the_other
    wider = two_sided_quantile(confidence, num_clusters) / two_sided_quantile(confidence)
    return max(float(drawn / independent * wider**2), 1.0)
