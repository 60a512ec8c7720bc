"""From votes to a `Fit`: guards, maximum likelihood, covariance; shared by Bradley-Terry and Davidson.

Shapes: V votes, I items, K coefficients of the design, E parameters outside it, P = I + K + E.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from penchant.errors import ConfigError, DataError
from penchant.ranking.connectivity import components, refuse_unrankable, unrankable
from penchant.ranking.design import Design
from penchant.ranking.fit import Fit
from penchant.ranking.newton import Likelihood, maximise
from penchant.ranking.prior import Prior, as_prior
from penchant.ranking.sandwich import FEW_CLUSTERS, cluster_labels, meat, sandwich
from penchant.ranking.votes import FloatArray, Votes

__all__ = ["Covariance", "PairModel", "estimate"]

Covariance = Literal["sandwich", "model"]


class PairModel(NamedTuple):
    """A model of one vote.

    Attributes:
        extra: names of the parameters outside the design; "log_nu" or none.
        likelihood: of all votes, at parameters (P,).
        residuals: derivatives of each vote's log-likelihood, weight included: in its eta (V,), in the extras (V, E).
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
    clusters = _checked_clusters(votes, covariance, clusters)
    belief = as_prior(prior)
    if belief is None:
        refuse_unrankable(votes)
    design = Design.of(votes, position=position, covariates=covariates)

    def penalised(parameter_P: FloatArray) -> Likelihood:
        likelihood = model.likelihood(design, parameter_P)
        return _keep_mean(likelihood, design) if belief is None else _penalised(likelihood, parameter_P, design, belief)

    num_parameters = design.num_items + len(design.names) + len(model.extra)
    counts = _refuse_few_clusters(votes, clusters, num_parameters)
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
        notes=(*_prior_notes(votes, belief), *_cluster_notes(counts)),
        degrees=min(counts.values()) - 1 if counts else math.inf,
    )


def _checked_clusters(votes: Votes, covariance: Covariance, clusters: Sequence[str] | None) -> tuple[str, ...]:
    if covariance not in ("sandwich", "model"):
        raise ConfigError(f"The covariance must be 'sandwich' or 'model'; got {covariance!r}.")
    if covariance == "model":
        if clusters:
            raise ConfigError(f"The model's covariance knows no clusters; got {list(clusters)}. Use 'sandwich'.")
        return ()
    names = tuple(votes.clusters if clusters is None else clusters)
    if len(set(names)) < len(names) or not set(names) <= set(votes.clusters):
        raise ConfigError(f"Clusters must be different names out of {sorted(votes.clusters)}; got {list(names)}.")
    return names


def _keep_mean(likelihood: Likelihood, design: Design) -> Likelihood:
    """A shift of all abilities changes nothing; some information in that direction makes the matrix invertible."""
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
    """The middle of the sandwich, and the least it may be.

    A prior adds its own information: so the covariance is the mean squared error around abilities drawn from the prior,
    and a direction no vote speaks about keeps the prior's spread. The least is nothing with one way of clustering;
    votes taken one by one with several; and the model's information where the prior alone keeps an ability finite, as
    an item that won every vote leaves residuals too small to be believed.
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
    """The linear map from what was fitted to what is reported: abilities around their mean, columns unscaled."""
    num_items, num_coefficients = design.num_items, len(design.names)
    unit_PP = np.eye(num_parameters)
    unit_PP[:num_items, :num_items] -= 1 / num_items
    columns = np.arange(num_items, num_items + num_coefficients)
    unit_PP[columns, columns] = 1 / design.scale_K
    return unit_PP


def _refuse_few_clusters(votes: Votes, clusters: Sequence[str], num_parameters: int) -> dict[str, int]:
    """How many clusters there are in each way; too few cannot fill a covariance matrix."""
    counts = {name: cluster_labels(votes, [name])[1] for name in clusters}
    if counts and max(counts.values()) < num_parameters:
        found = ", ".join(f"{num} of {name!r}" for name, num in counts.items())
        raise DataError(
            f"The clustered sandwich needs at least as many clusters as parameters ({num_parameters}); got {found}. "
            f"Cluster by something finer, or by nothing (clusters=()) or use covariance='model' and say so."
        )
    return counts


def _prior_notes(votes: Votes, prior: Prior | None) -> list[str]:
    if prior is None:
        return []
    notes = [prior.note]
    adrift = [item for problem in unrankable(votes) for item in problem.items]
    if adrift:
        notes.append(f"The prior alone keeps these items finite or in place: {', '.join(dict.fromkeys(adrift))}.")
    num_groups = len(components(votes))
    if num_groups > 1:
        notes.append(f"No vote compares the {num_groups} groups of items; between groups the prior alone speaks.")
    return notes


def _cluster_notes(counts: Mapping[str, int]) -> list[str]:
    return [
        f"{num} clusters of {name!r} are few; the intervals are Student's t, and hold roughly."
        for name, num in counts.items()
        if num < FEW_CLUSTERS
    ]
