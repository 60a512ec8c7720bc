"""Bradley-Terry: abilities such that the odds of beating another item are exp(theta - theta_other).

Shapes: V votes, P parameters.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from penchant.ranking.design import Design
from penchant.ranking.estimate import Likelihood, PairModel, estimate
from penchant.ranking.fit import Fit
from penchant.ranking.prior import Prior
from penchant.ranking.sandwich import Covariance
from penchant.ranking.votes import FloatArray, Votes

__all__ = ["fit_bradley_terry"]


def fit_bradley_terry(
    votes: Votes,
    *,
    position: bool = False,
    covariates: Sequence[str] = (),
    prior: bool | Prior = False,
    covariance: Covariance = "sandwich",
    clusters: Sequence[str] | None = None,
) -> Fit:
    """Maximise sum of w [s log sigma(eta) + (1 - s) log sigma(-eta)] over the abilities theta.

    eta = theta_left - theta_right + gamma + x . beta, and s is the left item's score: 1 won, 0 lost, 1/2 tie, so a tie
    is half a win for each side. gamma is the advantage of the left (first, home) side and beta that of covariates;
    both are fitted only on request. Items are sources, such as a checkpoint at a temperature: single responses are
    hardly ever connected. Memory grows with the square of the number of items.

    Args:
        votes: V votes.
        position: whether to fit gamma, the coefficient "position".
        covariates: names of the votes' covariates to fit (contextual Bradley-Terry): the abilities are those at
            covariates of zero, such as equal length.
        prior: True gives each item half a phantom win and half a phantom loss against an opponent of ability zero;
            `Gaussian(deviation)` is ridge regression. Every item then has a finite ability, and the result's notes
            name those that rest on the prior alone. The prior is on abilities, never on coefficients.
        covariance: "sandwich", which is valid if votes of a cluster are correlated, ties are not coin flips or the
            model is wrong; or "model", the inverse information, which assumes independent votes.
        clusters: names of the votes' clusters for the sandwich; None means all that the votes have, () none.

    Returns:
        A `Fit`; abilities in natural-log units with mean zero.

    Raises:
        DataError: without the prior, items that cannot be ranked (not connected, won or lost every vote), by name; a
            coefficient that the votes do not determine; a fit that does not converge.
        ConfigError: an unknown covariate, cluster, covariance or prior, or clusters with covariance="model".

    Example:
        >>> from penchant.ranking import Votes, fit_bradley_terry
        >>> fit = fit_bradley_terry(Votes.from_counts([("a", "b", 3, 1, 0), ("b", "c", 3, 1, 0)]))
        >>> {item: round(ability, 4) for item, ability in fit.abilities.items()}  # steps of ln 3
        {'a': 1.0986, 'b': 0.0, 'c': -1.0986}

    Reference:
        R. A. Bradley and M. E. Terry, Rank Analysis of Incomplete Block Designs, Biometrika 39, 1952. Position: A.
        Agresti, Categorical Data Analysis, 2002, section 10.6. In preference learning: Direct Preference Optimization,
        arXiv 2305.18290, eq. 1.
    """
    return estimate(
        votes,
        PairModel((), _likelihood, _residuals),
        position=position,
        covariates=covariates,
        prior=prior,
        covariance=covariance,
        clusters=clusters,
    )


def _likelihood(design: Design, parameter_P: FloatArray) -> Likelihood:
    eta_C = design.push(parameter_P)
    win_C, lose_C = expit(eta_C), expit(-eta_C)
    lost_C = design.weight_C - design.score_C
    value = -(design.score_C @ np.logaddexp(0, -eta_C) + lost_C @ np.logaddexp(0, eta_C))
    gradient_P = design.pull(design.score_C * lose_C - lost_C * win_C)
    return Likelihood(float(value), gradient_P, design.gram(design.weight_C * win_C * lose_C))


def _residuals(design: Design, votes: Votes, parameter_P: FloatArray) -> tuple[FloatArray, FloatArray]:
    expected_V = expit(design.push(parameter_P))[design.cell_V]
    return votes.weight_V * (votes.score_V - expected_V), np.empty((len(votes), 0))
