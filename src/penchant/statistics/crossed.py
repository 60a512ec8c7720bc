"""The mean over prompts and training seeds when every seed answers every prompt: both factors are random.

Shapes: S seeds, G prompts.
"""

import math
from dataclasses import dataclass

import numpy as np

from penchant.ranking import two_sided_quantile
from penchant.ranking.votes import FloatArray

__all__ = ["Crossed", "crossed"]


@dataclass(frozen=True)
class Crossed:
    """A mean, the variance of its error, and the half-width of its interval.

    over_prompts: the half-width if these seeds were all there are; over_seeds: if these prompts were. For one prompt
    all three are infinite and the variance is NaN; for one seed over_seeds is 0.
    """

    mean: float
    variance: float
    reach: float
    over_prompts: float
    over_seeds: float


def crossed(value_SG: FloatArray, confidence: float = 0.95) -> Crossed:
    """The mean of (S, G) values, with an interval that generalises to other prompts and other seeds.

    The error has two parts: v_G, the variance of the prompts' means over seeds, divided by G; and v_S, that of the
    seeds' means over prompts, divided by S, less v_SG, the part due to the interaction of prompt and seed. Each is
    multiplied by Student's t with its own degrees of freedom, and they are added in quadrature:

        reach^2 = t(G - 1)^2 v_G + t(S - 1)^2 max(v_S - v_SG, 0)

    so that two seeds that differ give a wide interval (t(1) = 12.7). One seed gives no information on others, and the
    interval is then that over prompts.

    Example:
        >>> one, two = crossed(np.array([[1.0, 2.0, 3.0, 4.0]])), crossed(np.array([[1.0, 2, 3, 4], [3.0, 4, 5, 6]]))
        >>> round(one.reach, 3), one.over_seeds  # 3.182 * sqrt(5 / 3 / 4)
        (2.054, 0.0)
        >>> two.mean, round(two.variance, 3), round(two.reach, 1)  # 5 / 3 / 4 + 2 / 2, and sqrt(2.054^2 + 12.7^2)
        (3.5, 1.417, 12.9)

    Reference:
        The variances of a crossed design with two random factors: S. R. Searle, G. Casella and C. E. McCulloch,
        Variance Components, 1992, chapter 4. Limits of a sum from those of its terms: G. Y. Zou and A. Donner,
        Construction of confidence limits about effect measures, Statistics in Medicine 27, 2008.
    """
    num_seeds, num_prompts = value_SG.shape
    mean = float(value_SG.mean())
    if num_prompts == 1:
        return Crossed(mean, math.nan, math.inf, math.inf, math.inf)
    of_G, of_S = np.mean(value_SG, axis=0), np.mean(value_SG, axis=1)
    v_G = float(of_G.var(ddof=1)) / num_prompts
    over_prompts = two_sided_quantile(confidence, num_prompts - 1) * math.sqrt(v_G)
    if num_seeds == 1:
        return Crossed(mean, v_G, over_prompts, over_prompts, 0.0)
    rest = float(((value_SG - of_G - of_S[:, None] + mean) ** 2).sum()) / ((num_seeds - 1) * (num_prompts - 1))
    v_S = max(float(of_S.var(ddof=1)) / num_seeds - rest / (num_seeds * num_prompts), 0.0)
    over_seeds = two_sided_quantile(confidence, num_seeds - 1) * math.sqrt(v_S)
    return Crossed(mean, v_G + v_S, math.hypot(over_prompts, over_seeds), over_prompts, over_seeds)
