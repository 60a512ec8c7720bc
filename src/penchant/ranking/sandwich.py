"""Covariance of fitted parameters that does not trust the model: the sandwich, clustered where votes err together.

Shapes: V votes, C cells, P parameters, E of them outside the design (the tie parameter of Davidson), G clusters.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.sparse import csr_array

from penchant.errors import DataError
from penchant.ranking.design import Design, total
from penchant.ranking.votes import FloatArray, IntArray, Votes

__all__ = ["FEW_CLUSTERS", "cluster_labels", "meat", "sandwich"]

FEW_CLUSTERS = 30
"""Below so many clusters the interval is likely too narrow; the result says so."""

ROWS_AT_ONCE = 8192


def sandwich(information_PP: FloatArray, meat_PP: FloatArray, least_PP: FloatArray) -> FloatArray:
    """H^-1 M H^-1, where M is lifted so that no direction has less than the sandwich of `least_PP`.

    With clusters in two ways M can have negative eigenvalues. The authors set them to zero, which leaves directions
    without any variance; here the directions in which M - M_least is negative get M_least. Directions are those of
    L^-1 (M - M_least) L^-T, where H = L L', so that the units of the parameters do not matter.

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

    Without clusters a vote is a cluster of its own. With several ways of clustering, the sums over every non-empty
    subset of them are added with alternating sign: M(prompt) + M(annotator) - M(prompt and annotator). Each sum is
    multiplied by G / (G - 1).

    Args:
        votes, design: of the fit.
        residual_V: derivative of a vote's log-likelihood in its eta, weight included.
        extra_VE: the same in the parameters outside the design.
        clusters: names out of `votes.clusters`.

    Raises:
        DataError: all votes that count are in one cluster.

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
            score_GP = _cluster_scores(design, residual_V, extra_VE, label_V)
            total_PP -= (-1) ** size * _corrected(_gram(score_GP), num, " and ".join(names))
    return total_PP


def cluster_labels(votes: Votes, names: Sequence[str]) -> tuple[IntArray, int]:
    """Labels (V,) from 0 of the clusters that agree in every name, and how many of them hold a vote that counts."""
    label_V = np.zeros(len(votes), dtype=np.int64)
    for name in names:
        label_V = label_V * (votes.clusters[name].max() + 1) + votes.clusters[name]
        label_V = np.unique(label_V, return_inverse=True)[1]
    return label_V, int(np.count_nonzero(np.bincount(label_V, votes.weight_V)))


def _corrected(meat_PP: FloatArray, num_clusters: int, name: str) -> FloatArray:
    if num_clusters < 2:
        raise DataError(f"An interval needs votes of at least two clusters; every vote that counts has one {name}.")
    return meat_PP * (num_clusters / (num_clusters - 1))


def _separate_meat(design: Design, residual_V: FloatArray, extra_VE: FloatArray) -> FloatArray:
    """Every vote alone: sums of products by cell are enough."""
    num_cells, num_design = len(design.weight_C), design.num_items + len(design.names)
    meat_PP = np.zeros((num_design + extra_VE.shape[1],) * 2)
    meat_PP[:num_design, :num_design] = design.gram(total(design.cell_V, residual_V**2, num_cells))
    for e, extra_V in enumerate(extra_VE.T, start=num_design):
        across = design.pull(total(design.cell_V, residual_V * extra_V, num_cells))
        meat_PP[e, :num_design] = meat_PP[:num_design, e] = across
    meat_PP[num_design:, num_design:] = extra_VE.T @ extra_VE
    return meat_PP


def _gram(score_GP: csr_array) -> FloatArray:
    """S' S; clusters that touch many items are quicker dense, some rows at a time."""
    num_clusters, num_parameters = score_GP.shape
    if score_GP.nnz < 0.1 * num_clusters * num_parameters:
        return np.asarray((score_GP.T @ score_GP).toarray())
    gram_PP = np.zeros((num_parameters, num_parameters))
    for start in range(0, num_clusters, ROWS_AT_ONCE):
        rows = score_GP[start : start + ROWS_AT_ONCE].toarray()
        gram_PP += rows.T @ rows
    return gram_PP


def _cluster_scores(design: Design, residual_V: FloatArray, extra_VE: FloatArray, label_V: IntArray) -> csr_array:
    """The u_g of every cluster as rows of a sparse matrix (G, P): a cluster touches few items."""
    cell_V, num_design = design.cell_V, design.num_items + len(design.names)
    values = [residual_V, -residual_V]
    columns = [design.left_C[cell_V], design.right_C[cell_V]]
    for k in range(len(design.names)):
        values.append(residual_V * design.x_CK[cell_V, k])
        columns.append(np.full(len(cell_V), design.num_items + k))
    for e, extra_V in enumerate(extra_VE.T, start=num_design):
        values.append(extra_V)
        columns.append(np.full(len(cell_V), e))
    rows = np.tile(label_V, len(values))
    shape = (int(label_V.max()) + 1, num_design + extra_VE.shape[1])
    return csr_array((np.concatenate(values), (rows, np.concatenate(columns))), shape=shape)
