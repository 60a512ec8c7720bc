"""The win rate controlled for length or style, by a logistic model of a judge's preferences.

Shapes: N comparisons, F features, G prompts.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from penchant.ranking.coded import Coded
from penchant.ranking.votes import FloatArray
from penchant.ranking.winrate import WinRate, win_rate_of
from penchant.statistics.resampling import ALIKE, ONE_SIDED, Estimate, resampled
from penchant.statistics.wording import style_features

__all__ = ["controlled_win_rate", "fit_controlled", "length_controlled_win_rate", "style_controlled_win_rate"]

SD_OF_TERMS, SD_OF_PROMPTS = 3.0, 1.0
"""Standard deviations of the normal priors: that of theta and phi, and that of the prompt terms."""
NEARLY_ALL = 0.95
"""Share of the comparisons in which one side has more of a feature, from which on the estimate has a warning."""


def length_controlled_win_rate(
    credits: Sequence[float],
    lengths: Sequence[float],
    other_lengths: Sequence[float],
    prompts: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    seed: int = 0,
    plain: WinRate | None = None,
) -> Estimate:
    """`controlled_win_rate` with the one feature tanh(d / sd(d)), d = length - other length.

    Example:
        >>> longer = [30, 10] * 20  # wins exactly where it is longer
        >>> credits, other, prompts = [1.0, 0.0] * 20, [20] * 40, [i // 2 for i in range(40)]
        >>> round(length_controlled_win_rate(credits, longer, other, prompts).value, 2)
        0.5

    Reference:
        Length-Controlled AlpacaEval, arXiv 2404.04475, eq. 1. Its prompt difficulty is learned from many models; for
        two models it is a term per prompt with a normal prior.
    """
    difference = np.asarray(lengths, dtype=np.float64) - np.asarray(other_lengths, dtype=np.float64)
    spread = difference.std()
    feature = np.tanh(difference / spread) if spread > 0 else np.sign(difference)
    return controlled_win_rate(credits, feature[:, None], prompts, confidence=confidence, seed=seed, plain=plain)


def style_controlled_win_rate(
    credits: Sequence[float],
    answers: Sequence[str],
    others: Sequence[str],
    prompts: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    seed: int = 0,
    plain: WinRate | None = None,
) -> Estimate:
    """`controlled_win_rate` with the four `style_features`: length, headings, list items and bold.

    Example:
        >>> plain, bold = "Rather a long sentence.", "**Bold** words, no more."  # the bold one always wins
        >>> answers, others = [bold, plain] * 20, [plain, bold] * 20
        >>> credits, prompts = [1.0, 0.0] * 20, [i // 2 for i in range(40)]
        >>> round(style_controlled_win_rate(credits, answers, others, prompts).value, 2)
        0.5

    Reference:
        Does Style Matter?, lmsys.org/blog/2024-08-28-style-control: the terms of style in the logistic model of the
        Arena, here beside those of prompts (see `length_controlled_win_rate`).
    """
    feature_NF = style_features(answers, others)
    return controlled_win_rate(credits, feature_NF, prompts, confidence=confidence, seed=seed, plain=plain)


def controlled_win_rate(
    credits: Sequence[float],
    feature_NF: FloatArray,
    prompts: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    num_resamples: int = 500,
    seed: int = 0,
    plain: WinRate | None = None,
) -> Estimate:
    """The mean over comparisons of sigmoid(theta + gamma_x), from the model

        p(win) = sigmoid(theta + phi . f + gamma_x),    theta, phi ~ N(0, 3^2),  gamma_x ~ N(0, 1),

    refitted on every resample of prompts. f is 0 if both answers are equal in it. The interval also contains that of
    `win_rate_of`, shifted by the control's effect: a bootstrap of few prompts, or for a share near 1, is too narrow.
    The estimate has a warning if all comparisons have the same result, or if a feature has the same sign in at least
    95% of them: f = 0 then lies outside the data or nearly, and only the priors separate theta from phi.

    Args:
        credits: N values 1 (won), 0 (lost) or 1/2 (tie); or, with `plain`, the mean of a comparison's verdicts.
        feature_NF: the answer's features minus the other answer's, scaled to about 1.
        prompts: N labels.
        confidence: nominal coverage, between 0 and 1.
        num_resamples, seed: see `resampled`.
        plain: the uncontrolled win rate; None: `win_rate_of` the credits.

    Raises:
        ValueError: as for `win_rate_of`, or mismatched shapes.

    Reference:
        arXiv 2404.04475, section 3; Does Style Matter?, lmsys.org/blog/2024-08-28-style-control.
    """
    credit_N, feature_NF = np.asarray(credits, dtype=np.float64), np.asarray(feature_NF, dtype=np.float64)
    plain = plain or win_rate_of(credits, prompts, confidence)
    if credit_N.size == 0 or not ((credit_N >= 0) & (credit_N <= 1)).all():
        got = f"{credit_N.size} credits from {credit_N.min():g} to {credit_N.max():g}" if credit_N.size else "none"
        raise ValueError(f"Each comparison needs a credit from 0 to 1, and there must be one; got {got}.")
    if feature_NF.ndim != 2 or len(feature_NF) != len(credit_N):
        raise ValueError(f"Features must be (N, F): got {feature_NF.shape} for {len(credit_N)} comparisons.")
    one_sided = bool((np.maximum((feature_NF > 0).mean(0), (feature_NF < 0).mean(0)) >= NEARLY_ALL).any())
    feature_NF = feature_NF[:, feature_NF.any(0)]  # a feature that is always 0 has no effect
    prompt_N = Coded.of(prompts).code_N

    def statistic(weight_N: FloatArray) -> float:
        theta, _phi, gamma_G = fit_controlled(credit_N, feature_NF, prompt_N, weight_N)
        return float(np.average(expit(theta + gamma_G[prompt_N]), weights=weight_N))

    found = resampled(statistic, prompts, confidence=confidence, num_resamples=num_resamples, seed=seed)
    if found.low is None or found.high is None:
        return found
    moved = found.value - plain.rate
    low, high = min(found.low, max(plain.low + moved, 0.0)), max(found.high, min(plain.high + moved, 1.0))
    if len(set(credits)) > 1:
        return replace(found, low=low, high=high, warning=ONE_SIDED if one_sided else found.warning)
    return replace(found, low=min(low, plain.low), high=max(high, plain.high), warning=ALIKE)


def fit_controlled(
    credit_N: FloatArray, feature_NF: FloatArray, prompt_N: np.ndarray, weight_N: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """theta, phi (F,) and gamma (G,) at the posterior mode; see `controlled_win_rate`.

    Newton's method; the Hessian's prompt block is diagonal, so that a step costs O(N F^2).

    Example:
        >>> credit, feature = np.array([1.0, 1.0, 0.0, 0.0]), np.array([[1.0], [-1.0], [1.0], [-1.0]])
        >>> theta, phi, gamma = fit_controlled(credit, feature, np.arange(4), np.ones(4))
        >>> abs(theta) < 1e-6, abs(float(phi[0])) < 1e-6, bool(gamma[0] > 0 > gamma[3])
        (True, True, True)
    """
    x_NP = np.column_stack([np.ones(len(credit_N)), feature_NF])
    num_prompts = int(prompt_N.max()) + 1
    beta_P, gamma_G = np.zeros(x_NP.shape[1]), np.zeros(num_prompts)
    for _ in range(100):
        p_N = expit(x_NP @ beta_P + gamma_G[prompt_N])
        residual_N, curve_N = weight_N * (credit_N - p_N), weight_N * p_N * (1 - p_N)
        slope_P = x_NP.T @ residual_N - beta_P / SD_OF_TERMS**2
        slope_G = np.bincount(prompt_N, residual_N, num_prompts) - gamma_G / SD_OF_PROMPTS**2
        a_PP = (x_NP * curve_N[:, None]).T @ x_NP + np.eye(len(beta_P)) / SD_OF_TERMS**2
        d_G = np.bincount(prompt_N, curve_N, num_prompts) + 1 / SD_OF_PROMPTS**2
        b_GP = np.column_stack([np.bincount(prompt_N, curve_N * x_N, num_prompts) for x_N in x_NP.T])
        step_P = np.linalg.solve(a_PP - (b_GP / d_G[:, None]).T @ b_GP, slope_P - b_GP.T @ (slope_G / d_G))
        step_G = (slope_G - b_GP @ step_P) / d_G
        longest = max(float(np.abs(step_P).max()), float(np.abs(step_G).max()))
        scale = min(1.0, 2.0 / longest) if longest > 0 else 1.0  # large steps overshoot if p is near 0 or 1
        beta_P, gamma_G = beta_P + scale * step_P, gamma_G + scale * step_G
        if longest < 1e-9:
            break
    return float(beta_P[0]), beta_P[1:], gamma_G
