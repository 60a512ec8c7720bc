"""Davidson's model: Bradley-Terry with ties as a separate outcome.

Shapes: V votes, C cells, P parameters (abilities, coefficients, log nu).
"""

import math
from collections.abc import Sequence

import numpy as np

from penchant.errors import DataError
from penchant.ranking.design import Design
from penchant.ranking.estimate import Likelihood, PairModel, estimate
from penchant.ranking.fit import Fit
from penchant.ranking.prior import Prior
from penchant.ranking.sandwich import Covariance
from penchant.ranking.votes import FloatArray, Votes

__all__ = ["davidson_probabilities", "fit_davidson"]


def davidson_probabilities(difference: float, nu: float) -> tuple[float, float, float]:
    """Win, tie and loss: e^(d/2), nu and e^(-d/2), normalised by their sum.

    With strengths pi = e^theta this is the paper's pi_i : nu sqrt(pi_i pi_j) : pi_j. Between equal items a tie is nu
    times as likely as a win; nu = 0 gives Bradley-Terry.

    Args:
        difference: d = theta - theta_other, natural-log units.
        nu: tie parameter, >= 0.

    Example:
        >>> davidson_probabilities(0.0, 2.0)
        (0.25, 0.5, 0.25)

    Reference:
        R. R. Davidson, On Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison Experiments,
        Journal of the American Statistical Association 65(329), 1970.
    """
    win, loss = math.exp(difference / 2), math.exp(-difference / 2)
    total = win + nu + loss
    return win / total, nu / total, loss / total


def fit_davidson(
    votes: Votes,
    *,
    position: bool = False,
    covariates: Sequence[str] = (),
    prior: bool | Prior = False,
    covariance: Covariance = "sandwich",
    clusters: Sequence[str] | None = None,
) -> Fit:
    """Maximise sum of w log P(outcome), P as in `davidson_probabilities` with d = eta of `fit_bradley_terry`.

    Arguments and errors are those of `fit_bradley_terry`. At the maximum, the model's expectation of each item's wins
    plus half its ties, and of the number of ties, equals the observed one (without a prior).

    Returns:
        A `Fit` with `nu` and the coefficient "log_nu".

    Raises:
        DataError: also if no vote, or every vote, is a tie: then nu is 0 or infinite.

    Example:
        >>> from penchant.ranking import Votes, fit_davidson
        >>> fit = fit_davidson(Votes.from_counts([("a", "b", 40, 10, 20)]))
        >>> round(math.exp(fit.difference("a", "b").estimate), 6), round(fit.nu, 6)  # 40 / 10, and 20 / sqrt(40 * 10)
        (4.0, 1.0)

    Reference:
        Davidson, 1970; position as a factor on both strengths: R. R. Davidson and R. J. Beaver, On Extending the
        Bradley-Terry Model to Incorporate Within-Pair Order Effects, Biometrics 33(4), 1977.
    """
    is_tie = votes.outcome_V[votes.weight_V > 0] == 0
    if is_tie.all() or not is_tie.any():
        which = "every" if is_tie.all() else "no"
        raise DataError(
            f'Davidson\'s model needs ties and decided votes, but {which} vote is a tie; count them by `ties="half"`.'
        )
    return estimate(
        votes,
        PairModel(("log_nu",), _likelihood, _residuals),
        position=position,
        covariates=covariates,
        prior=prior,
        covariance=covariance,
        clusters=clusters,
    )


def _likelihood(design: Design, parameter_P: FloatArray) -> Likelihood:
    """A vote's log-probability contains s eta, with s = 1/2 won, 0 tie, -1/2 lost, and log nu for a tie."""
    win_C, tie_C, loss_C, log_total_C = _probabilities(design, parameter_P)
    eta_C, log_nu = design.push(parameter_P[:-1]), parameter_P[-1]
    sign_C = design.score_C - design.weight_C / 2
    expected_C = (win_C - loss_C) / 2
    value = sign_C @ eta_C + log_nu * design.tie_C.sum() - design.weight_C @ log_total_C
    gradient_P = np.append(
        design.pull(sign_C - design.weight_C * expected_C), (design.tie_C - design.weight_C * tie_C).sum()
    )
    # Variances without cancellation: with w, t, l the probabilities, (w + l) / 4 - (w - l)^2 / 4 equals this sum.
    variance_C = win_C * loss_C + tie_C * (win_C + loss_C) / 4
    across_P = design.pull(-design.weight_C * expected_C * tie_C)
    tie_variance = design.weight_C @ (tie_C * (win_C + loss_C))
    information_PP = np.block(
        [[design.gram(design.weight_C * variance_C), across_P[:, None]], [across_P[None], np.array([[tie_variance]])]]
    )
    return Likelihood(float(value), gradient_P, information_PP)


def _residuals(design: Design, votes: Votes, parameter_P: FloatArray) -> tuple[FloatArray, FloatArray]:
    win_C, tie_C, loss_C, _ = _probabilities(design, parameter_P)
    residual_V = votes.outcome_V / 2 - ((win_C - loss_C) / 2)[design.cell_V]
    tie_residual_V = (votes.outcome_V == 0) - tie_C[design.cell_V]
    return votes.weight_V * residual_V, (votes.weight_V * tie_residual_V)[:, None]


def _probabilities(design: Design, parameter_P: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Win, tie and loss probabilities, and the log of their normaliser, each of shape (C,)."""
    eta_C, log_nu = design.push(parameter_P[:-1]), parameter_P[-1]
    log_total_C = np.logaddexp(np.logaddexp(eta_C / 2, -eta_C / 2), log_nu)
    return (
        np.exp(eta_C / 2 - log_total_C),
        np.exp(log_nu - log_total_C),
        np.exp(-eta_C / 2 - log_total_C),
        log_total_C,
    )
