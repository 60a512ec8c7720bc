"""Compute a `Fit` from votes: maximum likelihood by Newton's method, and its covariance, for both models.

Shapes: V votes, I items, K coefficients of the design, E parameters outside it, P = I + K + E.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from penchant.errors import DataError
from penchant.ranking.connectivity import refuse_unrankable, unrankable
from penchant.ranking.design import Design
from penchant.ranking.fit import Fit
from penchant.ranking.prior import Prior, as_prior, prior_notes
from penchant.ranking.sandwich import Covariance, checked_clusters, cluster_notes, count_clusters, meat, sandwich
from penchant.ranking.votes import FloatArray, Votes

__all__ = ["Likelihood", "PairModel", "estimate", "maximise"]

MAX_STEPS = 50
"""The most steps of Newton's method."""


class Likelihood(NamedTuple):
    """Log-likelihood in nats, its gradient (P,), and the information (P, P), minus its Hessian."""

    value: float
    gradient_P: FloatArray
    information_PP: FloatArray


class PairModel(NamedTuple):
    """A model of one vote.

    Attributes:
        extra: names of the parameters outside the design; "log_nu" or none.
        likelihood: of all votes, at parameters (P,).
        residuals: derivatives of each vote's weighted log-likelihood in eta (V,) and in the extra parameters (V, E).
    """

    extra: tuple[str, ...]
    likelihood: Callable[[Design, FloatArray], Likelihood]
    residuals: Callable[[Design, Votes, FloatArray], tuple[FloatArray, FloatArray]]


def estimate(
    votes: Votes,
    model: PairModel,
    *,
    position: bool,
    covariates: Sequence[str],
    prior: bool | Prior,
    covariance: Covariance,
    clusters: Sequence[str] | None,
) -> Fit:
    """Fit a model; the options are those of `fit_bradley_terry`.

    Example:
        >>> from penchant.ranking.bradley_terry import fit_bradley_terry  # which calls this with its own PairModel
        >>> round(fit_bradley_terry(Votes.from_counts([("a", "b", 3, 1, 0)])).difference("a", "b").estimate, 4)
        1.0986
    """
    clusters = checked_clusters(votes, covariance, clusters)
    belief = as_prior(prior)
    if belief is None:
        refuse_unrankable(votes)
    design = Design.of(votes, position=position, covariates=covariates)

    def penalised(parameter_P: FloatArray) -> Likelihood:
        likelihood = model.likelihood(design, parameter_P)
        return _keep_mean(likelihood, design) if belief is None else _penalised(likelihood, parameter_P, design, belief)

    num_parameters = design.num_items + len(design.names) + len(model.extra)
    counts = count_clusters(votes, clusters, num_parameters)
    parameter_P, maximum = maximise(penalised, num_parameters)
    unit_PP = _to_units(design, num_parameters)
    model_PP = unit_PP @ np.linalg.inv(maximum.information_PP) @ unit_PP.T
    covariance_PP = model_PP
    if covariance == "sandwich":
        meat_PP, least_PP = _middle(votes, model, design, parameter_P, maximum, clusters, belief)
        covariance_PP = unit_PP @ sandwich(maximum.information_PP, meat_PP, least_PP) @ unit_PP.T
    ability_I, coefficient_K = np.split(unit_PP @ parameter_P, [design.num_items])
    names = (*design.names, *model.extra)
    return Fit(
        items=votes.items,
        ability_I=ability_I,
        coefficients=dict(zip(names, coefficient_K.tolist(), strict=True)),
        covariance_PP=covariance_PP,
        model_covariance_PP=model_PP,
        log_likelihood=model.likelihood(design, parameter_P).value,
        nu=float(np.exp(coefficient_K[-1])) if model.extra else 0.0,
        notes=(*prior_notes(votes, belief), *cluster_notes(counts)),
        degrees=min(counts.values()) - 1 if counts else math.inf,
    )


def maximise(likelihood: Callable[[FloatArray], Likelihood], num_parameters: int) -> tuple[FloatArray, Likelihood]:
    """Return the parameters (P,) that maximise a concave function, and the function there.

    Starts at zero. A step that lowers the value is halved until it does not. Stops when no parameter moves by more than
    1e-8; since Newton's last step squares the error, only rounding remains.

    Raises:
        DataError: not converged after 50 steps, because a parameter diverges.

    Example:
        >>> from penchant.ranking.estimate import Likelihood, maximise
        >>> point, _ = maximise(lambda x: Likelihood(-((x[0] - 3) ** 2), -2 * (x - 3), np.array([[2.0]])), 1)
        >>> point
        array([3.])
    """
    point_P = np.zeros(num_parameters)
    here = likelihood(point_P)
    for _ in range(MAX_STEPS):
        step_P = np.linalg.solve(here.information_PP, here.gradient_P)
        there = likelihood(point_P + step_P)
        while there.value < here.value - 1e-12 * abs(here.value):
            step_P = step_P / 2
            there = likelihood(point_P + step_P)
        point_P, here = point_P + step_P, there
        if abs(step_P).max() < 1e-8:
            return point_P, here
    raise DataError(
        f"The fit did not converge in {MAX_STEPS} steps: some ability or coefficient can grow for ever because it "
        f"decides every vote (a side that always wins, a covariate without exception, ties in one direction only); "
        f"collect votes that go the other way, leave out the coefficient, or add phantom votes (prior=True)."
    )


def _keep_mean(likelihood: Likelihood, design: Design) -> Likelihood:
    """Add information along the shift of all abilities, to which votes are invariant, for invertibility."""
    num = design.num_items
    information_PP = likelihood.information_PP.copy()
    information_PP[:num, :num] += np.trace(information_PP[:num, :num]) / num**2
    return likelihood._replace(information_PP=information_PP)


def _penalised(likelihood: Likelihood, parameter_P: FloatArray, design: Design, prior: Prior) -> Likelihood:
    penalty = prior.penalty(parameter_P[: design.num_items])
    gradient_P = likelihood.gradient_P.copy()
    gradient_P[: design.num_items] += penalty.gradient_I
    information_PP = likelihood.information_PP + _prior_matrix(parameter_P, design, prior)
    return Likelihood(likelihood.value + penalty.value, gradient_P, information_PP)


def _prior_matrix(parameter_P: FloatArray, design: Design, prior: Prior) -> FloatArray:
    diagonal_P = np.zeros(len(parameter_P))
    diagonal_P[: design.num_items] = prior.penalty(parameter_P[: design.num_items]).information_I
    return np.diag(diagonal_P)


def _middle(
    votes: Votes,
    model: PairModel,
    design: Design,
    parameter_P: FloatArray,
    maximum: Likelihood,
    clusters: Sequence[str],
    prior: Prior | None,
) -> tuple[FloatArray, FloatArray]:
    """The middle of the sandwich, and its lower bound.

    A prior adds its own information, so the covariance is the mean squared error around abilities drawn from the prior,
    and a direction without votes keeps the prior's variance. The lower bound is zero with one kind of cluster; that of
    unclustered votes with several; and the model's information where only the prior keeps an ability finite, because
    the residuals of an item that won every vote are too small to trust.
    """
    residuals = model.residuals(design, votes, parameter_P)
    meat_PP = meat(votes, design, *residuals, clusters)
    least_PP = meat(votes, design, *residuals, ()) if len(clusters) > 1 else np.zeros_like(meat_PP)
    if prior is not None:
        prior_PP = _prior_matrix(parameter_P, design, prior)
        meat_PP, least_PP = meat_PP + prior_PP, least_PP + prior_PP
        if unrankable(votes):
            least_PP = maximum.information_PP
    return meat_PP, least_PP


def _to_units(design: Design, num_parameters: int) -> FloatArray:
    """The linear map from fitted to reported parameters: abilities around their mean, columns unscaled."""
    num_items, num_coefficients = design.num_items, len(design.names)
    unit_PP = np.eye(num_parameters)
    unit_PP[:num_items, :num_items] -= 1 / num_items
    columns = np.arange(num_items, num_items + num_coefficients)
    unit_PP[columns, columns] = 1 / design.scale_K
    return unit_PP
