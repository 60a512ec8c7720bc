"""Votes as the sufficient statistics of a linear model: eta = theta_left - theta_right + x . gamma.

Without covariates all votes of one (left, right) pair form one cell, so that a step of the fit costs the same for a
thousand votes as for two million. With covariates each vote is its own cell.

Shapes: V votes, C cells, I items, K coefficients (position, covariates), P = I + K parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penchant.errors import ConfigError, DataError
from penchant.ranking.votes import FloatArray, IntArray, Votes

__all__ = ["Design", "total"]


def total(group_V: IntArray, value_V: FloatArray, num_groups: int) -> FloatArray:
    """Sum of the values in each group, shape (num_groups,).

    Example:
        >>> total(np.array([0, 2, 0]), np.array([1.0, 5.0, 2.0]), 3)
        array([3., 0., 5.])
    """
    return np.bincount(group_V, weights=value_V, minlength=num_groups).astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class Design:
    """The implicit matrix X of shape (C, P), and the observations in each cell.

    Attributes:
        num_items: I.
        names: of the K coefficients.
        scale_K: root mean square of each column; the columns here are divided by it.
        left_C, right_C: items of a cell.
        x_CK: columns of ones (position) and covariates.
        cell_V: the cell of each vote.
        weight_C, score_C, tie_C: sums over the votes of a cell: weight, weight times the left's score, weight of ties.
    """

    num_items: int
    names: tuple[str, ...]
    scale_K: FloatArray
    left_C: IntArray
    right_C: IntArray
    x_CK: FloatArray
    cell_V: IntArray
    weight_C: FloatArray
    score_C: FloatArray
    tie_C: FloatArray

    @classmethod
    def of(cls, votes: Votes, *, position: bool, covariates: Sequence[str]) -> "Design":
        """The design of these votes.

        Example:
            >>> votes = Votes.from_counts([("a", "b", 2, 1, 0), ("b", "a", 1, 0, 0)])
            >>> design = Design.of(votes, position=True, covariates=())
            >>> design.weight_C, design.score_C, design.x_CK.tolist()
            (array([3., 1.]), array([2., 1.]), [[1.0], [1.0]])

        Raises:
            ConfigError: a covariate that the votes do not have, or one named twice.
            DataError: a covariate that is always 0, or is collinear with the abilities and other coefficients.
        """
        names = (*(["position"] if position else []), *covariates)
        unknown = [name for name in covariates if name not in votes.covariates]
        if unknown or len({"log_nu", *names}) <= len(names):  # log_nu is reserved for Davidson's model
            raise ConfigError(
                f"Covariates must be different names out of {sorted(votes.covariates)}; got {list(covariates)}."
            )
        columns = [np.ones(len(votes))] * position + [votes.covariates[name] for name in covariates]
        x_VK = np.stack(columns, axis=1) if columns else np.empty((len(votes), 0))
        scale_K = np.sqrt((x_VK**2).mean(axis=0))
        if not scale_K.all():
            name = names[int((scale_K == 0).argmax())]
            raise DataError(f"The covariate {name!r} is 0 in every vote, so it has no coefficient; leave it out.")
        if covariates:
            cell_V, first_C = np.arange(len(votes)), np.arange(len(votes))
        else:
            cell_V, first_C = _cells(votes)
        num = len(first_C)
        design = cls(
            num_items=len(votes.items),
            names=names,
            scale_K=scale_K,
            left_C=votes.left_V[first_C],
            right_C=votes.right_V[first_C],
            x_CK=x_VK[first_C] / scale_K,
            cell_V=cell_V,
            weight_C=total(cell_V, votes.weight_V, num),
            score_C=total(cell_V, votes.weight_V * votes.score_V, num),
            tie_C=total(cell_V, votes.weight_V * (votes.outcome_V == 0), num),
        )
        design._refuse_collinear()
        return design

    def push(self, parameter_P: FloatArray) -> FloatArray:
        """eta = X parameter, shape (C,).

        Example:
            >>> design = Design.of(Votes.from_counts([("a", "b", 2, 1, 0)]), position=False, covariates=())
            >>> design.push(np.array([0.5, -0.25]))
            array([0.75])
        """
        ability_I, coefficient_K = np.split(parameter_P, [self.num_items])
        return ability_I[self.left_C] - ability_I[self.right_C] + self.x_CK @ coefficient_K

    def pull(self, value_C: FloatArray) -> FloatArray:
        """X' value, shape (P,).

        Example:
            >>> design = Design.of(Votes.from_counts([("a", "b", 2, 1, 0)]), position=False, covariates=())
            >>> design.pull(np.array([3.0]))
            array([ 3., -3.])
        """
        num = self.num_items
        ability_I = total(self.left_C, value_C, num) - total(self.right_C, value_C, num)
        return np.concatenate([ability_I, self.x_CK.T @ value_C])

    def gram(self, weight_C: FloatArray) -> FloatArray:
        """X' diag(weight) X, shape (P, P); the block of the items is the Laplacian of the graph of votes.

        Example:
            >>> design = Design.of(Votes.from_counts([("a", "b", 2, 1, 0)]), position=False, covariates=())
            >>> design.gram(np.array([3.0]))
            array([[ 3., -3.],
                   [-3.,  3.]])
        """
        num = self.num_items
        pair_II = total(self.left_C * num + self.right_C, weight_C, num * num).reshape(num, num)
        gram_PP = np.zeros((num + len(self.names),) * 2)
        gram_PP[:num, :num] = np.diag(pair_II.sum(axis=0) + pair_II.sum(axis=1)) - pair_II - pair_II.T
        for k, x_C in enumerate(self.x_CK.T, start=num):
            gram_PP[:, k] = gram_PP[k, :] = self.pull(weight_C * x_C)
        return gram_PP

    def _refuse_collinear(self) -> None:
        """Raise DataError if the coefficients' columns, projected off the abilities, are linearly dependent."""
        if not self.names:
            return
        num = self.num_items
        gram_PP = self.gram(self.weight_C / self.weight_C.sum())
        cross_IK = gram_PP[:num, num:]
        left_KK = gram_PP[num:, num:] - cross_IK.T @ np.linalg.pinv(gram_PP[:num, :num], hermitian=True) @ cross_IK
        if np.linalg.eigvalsh(left_KK)[0] < 1e-9:
            raise DataError(
                f"The votes cannot tell the coefficients of {', '.join(self.names)} from the abilities or from each "
                f"other; leave out a covariate that follows from which items are compared, or from the others."
            )


def _cells(votes: Votes) -> tuple[IntArray, IntArray]:
    """The cell of each vote, and one vote of each cell; one cell per (left, right) that occurs."""
    num = len(votes.items)
    pair_V = votes.left_V * num + votes.right_V
    vote_of_pair = np.full(num * num, -1)
    vote_of_pair[pair_V] = np.arange(len(votes))
    occurs = vote_of_pair >= 0
    return (np.cumsum(occurs) - 1)[pair_V], vote_of_pair[occurs]
