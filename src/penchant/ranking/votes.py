"""Votes as columns: the two items, the winner, and what is known about each vote.

Shapes: V votes, I items.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penchant.errors import DataError

__all__ = ["OUTCOMES", "FloatArray", "IntArray", "Votes"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

OUTCOMES: Mapping[str, int] = MappingProxyType({"left": 1, "tie": 0, "right": -1})
"""The outcomes of a vote, and the sign stored for each."""


@dataclass(frozen=True, eq=False)
class Votes:
    """V votes between I items, immutable; arrays are copied if needed and made read-only.

    Build it with `from_rows`, `from_columns` or `from_counts`; the plain constructor takes indices.

    Attributes:
        items: I different names.
        left_V, right_V: index into `items` of the item shown at the left (or first, or at home) and of the other.
        outcome_V: 1 left won, 0 tie, -1 right won.
        weight_V: weight of a vote, >= 0. A vote of weight 3 is one vote that counts three times, not three votes:
            this matters for the intervals.
        clusters: name -> (V,) labels from 0 of votes with correlated errors (one prompt, one annotator).
        covariates: name -> (V,) finite numbers that may affect a vote, left minus right (a difference in length).

    Raises:
        DataError: fewer than two items or no vote, a name given twice, columns of different length, an index out of
            range, an item against itself, an unknown outcome, weights that are negative, not finite or all zero.

    Example:
        >>> votes = Votes.from_rows([{"left": "tea", "right": "coffee", "outcome": "left"}])
        >>> votes.items, votes.left_V, votes.right_V, votes.outcome_V
        (('tea', 'coffee'), array([0]), array([1]), array([1]))
    """

    items: tuple[str, ...]
    left_V: IntArray
    right_V: IntArray
    outcome_V: IntArray
    weight_V: FloatArray
    clusters: Mapping[str, IntArray] = field(default_factory=dict)
    covariates: Mapping[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("left_V", "right_V", "outcome_V"):
            object.__setattr__(self, name, _locked(getattr(self, name), np.int64))
        object.__setattr__(self, "weight_V", _locked(self.weight_V, np.float64))
        labels = {name: _locked(column, np.int64) for name, column in self.clusters.items()}
        numbers = {name: _locked(column, np.float64) for name, column in self.covariates.items()}
        object.__setattr__(self, "clusters", MappingProxyType(labels))
        object.__setattr__(self, "covariates", MappingProxyType(numbers))
        _refuse_nonsense(self)

    @classmethod
    def from_rows(
        cls, rows: Iterable[Mapping[str, Any]], *, clusters: Sequence[str] = (), covariates: Sequence[str] = ()
    ) -> Self:
        """Votes from rows with the keys left, right and outcome: "left", "right" or "tie"; weight in all rows or none.

        Args:
            rows: one mapping per vote; other keys are ignored.
            clusters: keys whose values label clusters; any hashable value except None.
            covariates: keys whose values are numbers, left minus right.

        Raises:
            DataError: a row lacks a key, or the votes are invalid (see the class).

        Example:
            >>> rows = [{"left": "a", "right": "b", "outcome": "tie", "annotator": "Ann", "length": 12}]
            >>> votes = Votes.from_rows(rows, clusters=["annotator"], covariates=["length"])
            >>> dict(votes.clusters), dict(votes.covariates)
            ({'annotator': array([0])}, {'length': array([12.])})
        """
        rows = list(rows)
        weighted = any("weight" in row for row in rows)
        keys = ["left", "right", "outcome", *clusters, *covariates, *(["weight"] if weighted else [])]
        columns: dict[str, list[Any]] = {key: [] for key in keys}
        for number, row in enumerate(rows, start=1):
            for key, column in columns.items():
                if key not in row:
                    raise DataError(f"Vote {number} has no {key!r}: got {sorted(row)}; give every vote the same keys.")
                column.append(row[key])
        return cls.from_columns(
            columns["left"],
            columns["right"],
            columns["outcome"],
            weight=columns.get("weight"),
            clusters={name: columns[name] for name in clusters},
            covariates={name: columns[name] for name in covariates},
        )

    @classmethod
    def from_columns(
        cls,
        left: Sequence[str],
        right: Sequence[str],
        outcome: Sequence[str],
        *,
        weight: ArrayLike | None = None,
        clusters: Mapping[str, Sequence[Hashable]] | None = None,
        covariates: Mapping[str, ArrayLike] | None = None,
    ) -> Self:
        """Votes from columns of V names and outcomes; items are numbered in order of appearance.

        Example:
            >>> Votes.from_columns(["a", "b"], ["b", "c"], ["left", "tie"]).items
            ('a', 'b', 'c')
        """
        if len(left) != len(right):
            raise DataError(f"Every vote has two sides; got {len(left)} items left and {len(right)} right.")
        names = dict.fromkeys(chain.from_iterable(zip(left, right, strict=True)))
        index = {item: position for position, item in enumerate(names)}
        for number, answer in enumerate(outcome, start=1):
            if answer not in OUTCOMES:
                raise DataError(f"Vote {number} has the outcome {answer!r}; it must be 'left', 'right' or 'tie'.")
        return cls(
            items=tuple(index),
            left_V=np.array([index[item] for item in left], dtype=np.int64),
            right_V=np.array([index[item] for item in right], dtype=np.int64),
            outcome_V=np.array([OUTCOMES[answer] for answer in outcome], dtype=np.int64),
            weight_V=np.ones(len(left)) if weight is None else np.asarray(weight, dtype=np.float64),
            clusters={name: _labels(name, column) for name, column in (clusters or {}).items()},
            covariates={name: np.asarray(column, np.float64) for name, column in (covariates or {}).items()},
        )

    @classmethod
    def from_counts(cls, rows: Iterable[tuple[str, str, int, int, int]]) -> Self:
        """Expand rows of (left, right, left wins, right wins, ties) into votes of weight 1.

        Example:
            >>> Votes.from_counts([("a", "b", 2, 1, 0)]).outcome_V
            array([ 1,  1, -1])
        """
        lefts: list[str] = []
        rights: list[str] = []
        outcomes: list[str] = []
        for left, right, *counts in rows:
            for outcome, count in zip(("left", "right", "tie"), counts, strict=True):
                if count < 0 or count != int(count):
                    raise DataError(f"The count {count} of {left!r} against {right!r} must be a whole number >= 0.")
                lefts += [left] * int(count)
                rights += [right] * int(count)
                outcomes += [outcome] * int(count)
        return cls.from_columns(lefts, rights, outcomes)

    def __len__(self) -> int:
        return len(self.left_V)

    @property
    def score_V(self) -> FloatArray:
        """The left item's score: 1 won, 0 lost, 1/2 tie."""
        return (self.outcome_V + 1) / 2

    def reweighted(self, weight_V: ArrayLike) -> Self:
        """The same votes with other weights.

        Example:
            >>> Votes.from_columns(["a"], ["b"], ["left"]).reweighted([2.0]).weight_V
            array([2.])
        """
        return replace(self, weight_V=np.asarray(weight_V, dtype=np.float64))

    def among(self, items: Iterable[str]) -> Self:
        """The votes between these items only, with these items only, in the order given.

        Example:
            >>> votes = Votes.from_columns(["a", "b", "a"], ["b", "c", "c"], ["left", "tie", "right"])
            >>> len(votes.among(["c", "a"]))
            1
        """
        kept = tuple(items)
        unknown = [item for item in kept if item not in self.items]
        if unknown:
            raise DataError(f"No votes have an item called {unknown[0]!r}; the items are {', '.join(self.items)}.")
        new_I = np.full(len(self.items), -1)
        new_I[[self.items.index(item) for item in kept]] = np.arange(len(kept))
        inside = (new_I[self.left_V] >= 0) & (new_I[self.right_V] >= 0)
        return replace(
            self,
            items=kept,
            left_V=new_I[self.left_V[inside]],
            right_V=new_I[self.right_V[inside]],
            outcome_V=self.outcome_V[inside],
            weight_V=self.weight_V[inside],
            clusters={name: column[inside] for name, column in self.clusters.items()},
            covariates={name: column[inside] for name, column in self.covariates.items()},
        )


def _locked(column: ArrayLike, dtype: type) -> NDArray[Any]:
    """A read-only column; one that is already read-only is not copied."""
    array: NDArray[Any] = np.asarray(column, dtype=dtype)
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def _labels(name: str, column: Sequence[Hashable]) -> IntArray:
    index = {label: position for position, label in enumerate(dict.fromkeys(column))}
    if None in index:
        number = list(column).index(None) + 1
        raise DataError(f"Vote {number} has no {name!r}; label every vote, or do not cluster by {name!r}.")
    return np.array([index[label] for label in column], dtype=np.int64)


def _refuse_nonsense(votes: Votes) -> None:
    """Raise DataError with one sentence on the first error; see the class for the list."""
    num_votes, num_items = len(votes.left_V), len(votes.items)
    columns = {"left": votes.left_V, "right": votes.right_V, "outcome": votes.outcome_V, "weight": votes.weight_V}
    for name, column in {**columns, **votes.clusters, **votes.covariates}.items():
        if column.shape != (num_votes,):
            raise DataError(f"The column {name!r} must have one value a vote ({num_votes}); got shape {column.shape}.")
    if num_votes == 0 or num_items < 2:
        raise DataError(f"A ranking needs votes between at least two items; got {num_votes} votes, {num_items} items.")
    for item in votes.items:
        if not isinstance(item, str):
            raise DataError(f"The name of an item must be text; got {item!r}.")
    if len(set(votes.items)) < num_items:
        twice = next(item for item in votes.items if votes.items.count(item) > 1)
        raise DataError(f"The item {twice!r} is named twice; every item needs a name of its own.")
    sides = np.stack([votes.left_V, votes.right_V])
    if sides.min() < 0 or sides.max() >= num_items:
        raise DataError(f"Items are numbered 0 to {num_items - 1}; got {sides.min()} to {sides.max()}.")
    _refuse_vote(votes.left_V == votes.right_V, "compares an item with itself; leave it out")
    _refuse_vote(abs(votes.outcome_V) > 1, "has an outcome other than 1 (left), 0 (tie) and -1 (right)")
    _refuse_vote(~(np.isfinite(votes.weight_V) & (votes.weight_V >= 0)), "has a weight that is negative or not finite")
    if not votes.weight_V.any():
        raise DataError("Every vote has weight 0; at least one must count.")
    for name, labels in votes.clusters.items():
        _refuse_vote((labels < 0) | (labels >= 2**31), f"has a label in {name!r} outside 0 to 2^31 - 1")
    for name, numbers in votes.covariates.items():
        _refuse_vote(~np.isfinite(numbers), f"has a {name!r} that is not a finite number")


def _refuse_vote(wrong_V: NDArray[np.bool_], what: str) -> None:
    if wrong_V.any():
        raise DataError(f"Vote {int(wrong_V.argmax()) + 1} {what}.")
