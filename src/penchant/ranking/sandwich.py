"""Robust covariance of fitted parameters: the sandwich, clustered where errors of votes are correlated.

Shapes: V votes, C cells, P parameters, E of them outside the design (the tie parameter of Davidson), G clusters.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from penchant.errors import ConfigError, DataError
from penchant.ranking.design import Design, total
from penchant.ranking.votes import FloatArray, IntArray, Votes

__all__ = ["Covariance", "checked_clusters", "cluster_labels", "cluster_notes", "count_clusters", "meat", "sandwich"]

Covariance = Literal["sandwich", "model"]

FEW_CLUSTERS = 30
"""Below this many clusters the interval is approximate, and a note says so."""

ROWS_AT_ONCE = 8192
DENSE_SCORES = 2**24
"""The most numbers (128 MB) for which cluster scores are summed in a dense matrix."""


def sandwich(information_PP: FloatArray, meat_PP: FloatArray, least_PP: FloatArray) -> FloatArray:
    """H^-1 M H^-1, where M is raised so that no direction has less variance than the sandwich of `least_PP`.

    With two kinds of clusters M can have negative eigenvalues. The authors set them to zero, which leaves directions
    without any variance; here, directions in which M - M_least is negative get M_least. Directions are those of
    L^-1 (M - M_least) L^-T, where H = L L', so that the parameters' units do not matter.

    Args:
        information_PP: H, positive definite.
        meat_PP: M, symmetric.
        least_PP: M_least, positive semidefinite.

    Example:
        >>> sandwich(np.array([[2.0]]), np.array([[8.0]]), np.array([[1.0]]))
        array([[2.]])
        >>> sandwich(np.array([[2.0]]), np.array([[-8.0]]), np.array([[1.0]]))
        array([[0.25]])

    Reference:
        H. White, Maximum Likelihood Estimation of Misspecified Models, Econometrica 50, 1982, theorem 3.2. Negative
        eigenvalues: A. C. Cameron, J. B. Gelbach and D. L. Miller, Robust Inference With Multiway Clustering, Journal
        of Business & Economic Statistics 29(2), 2011.
    """
    inverse_PP = np.linalg.inv(np.linalg.cholesky(information_PP))
    value, vector = np.linalg.eigh(inverse_PP @ (meat_PP - least_PP) @ inverse_PP.T)
    lifted_PP = (vector * np.maximum(value, 0.0)) @ vector.T + inverse_PP @ least_PP @ inverse_PP.T
    return np.asarray(inverse_PP.T @ lifted_PP @ inverse_PP)


def meat(
    votes: Votes, design: Design, residual_V: FloatArray, extra_VE: FloatArray, clusters: Sequence[str]
) -> FloatArray:
    """M = sum over clusters g of u_g u_g', u_g = sum over votes v of g of (residual_v x_v, extra_v); shape (P, P).

    Without clusters each vote is its own cluster. With several kinds of clusters, the sums over every non-empty subset
    of them are added with alternating signs: M(prompt) + M(annotator) - M(prompt and annotator). Each sum is multiplied
    by G / (G - 1).

    Args:
        votes, design: those of the fit.
        residual_V: derivative of a vote's log-likelihood with respect to eta, including its weight.
        extra_VE: the same for the parameters outside the design.
        clusters: names in `votes.clusters`.

    Raises:
        DataError: all votes of positive weight are in one cluster.

    Example:
        >>> votes = Votes.from_columns(["a"] * 2, ["b"] * 2, ["left", "right"])
        >>> design = Design.of(votes, position=False, covariates=())
        >>> meat(votes, design, np.array([0.5, -0.5]), np.empty((2, 0)), ())  # 2 votes, each 1/4, times 2 / (2 - 1)
        array([[ 1., -1.],
               [-1.,  1.]])

    Reference:
        K.-Y. Liang and S. L. Zeger, Longitudinal Data Analysis Using Generalized Linear Models, Biometrika 73, 1986;
        several ways: Cameron, Gelbach and Miller, 2011 (see `sandwich`).
    """
    if not clusters:
        num = int((votes.weight_V > 0).sum())
        return _corrected(_separate_meat(design, residual_V, extra_VE), num, "vote")
    total_PP = np.zeros((design.num_items + len(design.names) + extra_VE.shape[1],) * 2)
    for size in range(1, len(clusters) + 1):
        for names in combinations(clusters, size):
            label_V, num = cluster_labels(votes, names)
            clustered_PP = _clustered_meat(design, residual_V, extra_VE, label_V)
            total_PP -= (-1) ** size * _corrected(clustered_PP, num, " and ".join(names))
    return total_PP


def cluster_labels(votes: Votes, names: Sequence[str]) -> tuple[IntArray, int]:
    """Labels (V,) of the intersections of the named clusters, and how many have a vote of positive weight.

    Example:
        >>> ways = {"prompt": ["p", "p", "q"], "annotator": ["Ann", "Bo", "Bo"]}
        >>> votes = Votes.from_columns(["a"] * 3, ["b"] * 3, ["left"] * 3, clusters=ways)
        >>> cluster_labels(votes, ["prompt"]), cluster_labels(votes, ["prompt", "annotator"])
        ((array([0, 0, 1]), 2), (array([0, 1, 2]), 3))
    """
    label_V = np.zeros(len(votes), dtype=np.int64)
    for name in names:
        label_V = _from_zero(label_V * (votes.clusters[name].max() + 1) + votes.clusters[name])
    return label_V, int(np.count_nonzero(np.bincount(label_V, votes.weight_V)))


def checked_clusters(votes: Votes, covariance: Covariance, clusters: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the clusters to use: those requested, or all that the votes have.

    Raises:
        ConfigError: an invalid covariance, an unknown or repeated cluster, or any cluster with covariance="model".

    Example:
        >>> votes = Votes.from_columns(["a"], ["b"], ["left"], clusters={"prompt": ["p"]})
        >>> checked_clusters(votes, "sandwich", None), checked_clusters(votes, "model", None)
        (('prompt',), ())
    """
    if covariance not in ("sandwich", "model"):
        raise ConfigError(f"The covariance must be 'sandwich' or 'model'; got {covariance!r}.")
    if covariance == "model":
        if clusters:
            raise ConfigError(f"The covariance 'model' takes no clusters; got {list(clusters)}. Use 'sandwich'.")
        return ()
    names = tuple(votes.clusters if clusters is None else clusters)
    if len(set(names)) < len(names) or not set(names) <= set(votes.clusters):
        raise ConfigError(f"Clusters must be different names out of {sorted(votes.clusters)}; got {list(names)}.")
    return names


def count_clusters(votes: Votes, clusters: Sequence[str], num_parameters: int) -> dict[str, int]:
    """The number of clusters of each kind.

    Raises:
        DataError: every kind has fewer clusters than there are parameters, so the covariance would be singular.

    Example:
        >>> votes = Votes.from_columns(["a"] * 2, ["b"] * 2, ["left"] * 2, clusters={"prompt": ["p", "q"]})
        >>> count_clusters(votes, ["prompt"], 2)
        {'prompt': 2}
    """
    counts = {name: cluster_labels(votes, [name])[1] for name in clusters}
    if counts and max(counts.values()) < num_parameters:
        found = ", ".join(f"{num} of {name!r}" for name, num in counts.items())
        raise DataError(
            f"The clustered sandwich needs at least as many clusters as parameters ({num_parameters}); got {found}. "
            f"Cluster by something finer, or by nothing (clusters=()), or use covariance='model' and report that."
        )
    return counts


def cluster_notes(counts: Mapping[str, int]) -> list[str]:
    """Caveats on intervals from these numbers of clusters.

    Example:
        >>> cluster_notes({"prompt": 500})
        []
    """
    return [
        f"{num} clusters of {name!r} are few; the intervals are Student's t, and hold roughly."
        for name, num in counts.items()
        if num < FEW_CLUSTERS
    ]


def _corrected(meat_PP: FloatArray, num_clusters: int, name: str) -> FloatArray:
    if num_clusters < 2:
        raise DataError(f"An interval needs votes of at least two clusters; every vote that counts has one {name}.")
    return meat_PP * (num_clusters / (num_clusters - 1))


def _separate_meat(design: Design, residual_V: FloatArray, extra_VE: FloatArray) -> FloatArray:
    """The meat without clusters, from sums of products by cell."""
    num_cells, num_design = len(design.weight_C), design.num_items + len(design.names)
    meat_PP = np.zeros((num_design + extra_VE.shape[1],) * 2)
    meat_PP[:num_design, :num_design] = design.gram(total(design.cell_V, residual_V**2, num_cells))
    for e, extra_V in enumerate(extra_VE.T, start=num_design):
        across = design.pull(total(design.cell_V, residual_V * extra_V, num_cells))
        meat_PP[e, :num_design] = meat_PP[:num_design, e] = across
    meat_PP[num_design:, num_design:] = extra_VE.T @ extra_VE
    return meat_PP


def _clustered_meat(design: Design, residual_V: FloatArray, extra_VE: FloatArray, label_V: IntArray) -> FloatArray:
    """The clustered meat; singleton clusters, the majority where two kinds cross, are summed by cell."""
    alone_V = np.bincount(label_V)[label_V] == 1
    meat_PP = _separate_meat(design, residual_V * alone_V, extra_VE * alone_V[:, None])
    together = np.flatnonzero(~alone_V)
    if len(together):
        label_N, cell_N = _from_zero(label_V[together]), design.cell_V[together]
        meat_PP += _gram(*_scores(design, cell_N, residual_V[together], extra_VE[together]), label_N, len(meat_PP))
    return meat_PP


def _scores(
    design: Design, cell_N: IntArray, residual_N: FloatArray, extra_NE: FloatArray
) -> tuple[list[FloatArray], list[IntArray]]:
    """The nonzero derivatives of each vote's log-likelihood: values and parameter indices."""
    values = [residual_N, -residual_N]
    columns = [design.left_C[cell_N], design.right_C[cell_N]]
    others = [*(residual_N * x_C[cell_N] for x_C in design.x_CK.T), *extra_NE.T]
    for column, value_N in enumerate(others, start=design.num_items):
        values.append(value_N)
        columns.append(np.full(len(cell_N), column))
    return values, columns


def _gram(values: list[FloatArray], columns: list[IntArray], label_N: IntArray, num_parameters: int) -> FloatArray:
    """S' S, where S (G, P) holds the sum of the scores of each cluster.

    Dense if small, else sparse, as a cluster touches few items; clusters that touch many are faster dense, in blocks of
    rows.
    """
    shape = (int(label_N.max()) + 1, num_parameters)
    if shape[0] * shape[1] <= DENSE_SCORES:
        codes = np.concatenate([label_N * num_parameters + column_N for column_N in columns])
        score_GP = total(codes, np.concatenate(values), shape[0] * shape[1]).reshape(shape)
        return score_GP.T @ score_GP
    rows = np.tile(label_N, len(values))
    sparse_GP = csr_array((np.concatenate(values), (rows, np.concatenate(columns))), shape=shape)
    if sparse_GP.nnz < 0.1 * shape[0] * shape[1]:
        return np.asarray((sparse_GP.T @ sparse_GP).toarray())
    gram_PP = np.zeros((num_parameters, num_parameters))
    for start in range(0, shape[0], ROWS_AT_ONCE):
        score_RP = sparse_GP[start : start + ROWS_AT_ONCE].toarray()
        gram_PP += score_RP.T @ score_RP
    return gram_PP


def _from_zero(code_V: IntArray) -> IntArray:
    """Renumber groups from 0 without gaps, in order of their codes; without sorting if codes are small."""
    if code_V.max() > 8 * len(code_V):
        return np.unique(code_V, return_inverse=True)[1]
    occurs = np.zeros(code_V.max() + 1, dtype=bool)
    occurs[code_V] = True
    return (np.cumsum(occurs) - 1)[code_V]
