"""A column of labels stored as numbers: each label once, and for every cell the index of its label.

Shapes: N cells.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import count
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coded", "first_appearance"]


class Coded(Sequence[Any]):
    """N cells as a sequence of their labels; millions of cells take few bytes each.

    Attributes:
        labels: each label once.
        code_N: index into `labels`, int32.

    Example:
        >>> column = Coded.of(["tea", "milk", "tea"])
        >>> column.labels, column.code_N.tolist(), list(column)
        (('tea', 'milk'), [0, 1, 0], ['tea', 'milk', 'tea'])
    """

    def __init__(self, labels: Sequence[Hashable], code_N: NDArray[np.int32]) -> None:
        self.labels = tuple(labels)
        self.code_N = code_N

    @classmethod
    def of(cls, cells: Sequence[Hashable]) -> "Coded":
        """The column of these cells; labels are numbered in order of appearance.

        Example:
            >>> Coded.of("abca").code_N.tolist()
            [0, 1, 2, 0]
        """
        if isinstance(cells, Coded):
            return cells
        numbers: defaultdict[Hashable, int] = defaultdict(count().__next__)
        codes = np.fromiter(map(numbers.__getitem__, cells), dtype=np.int32, count=len(cells))
        return cls(tuple(numbers), codes)

    def __len__(self) -> int:
        return len(self.code_N)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> "Coded": ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Coded(self.labels, self.code_N[index])
        return self.labels[self.code_N[index]]

    def __iter__(self) -> Iterator[Any]:
        return map(self.labels.__getitem__, self.code_N.tolist())

    def where(self, *labels: Hashable) -> NDArray[np.bool_]:
        """(N,) whether a cell holds one of these labels.

        Example:
            >>> Coded.of("abca").where("a").tolist()
            [True, False, False, True]
        """
        wanted = np.array([label in labels for label in self.labels], dtype=bool)
        return wanted[self.code_N] if len(wanted) else np.zeros(len(self), dtype=bool)


def first_appearance(code_N: NDArray[Any], num_labels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The codes in order of first appearance, and (N,) the position of each cell's code in it.

    Example:
        >>> order, place_N = first_appearance(np.array([2, 0, 2]), 3)
        >>> order.tolist(), place_N.tolist()
        ([2, 0], [0, 1, 0])
    """
    num = len(code_N)
    first = np.full(num_labels, num)
    first[code_N[::-1]] = np.arange(num - 1, -1, -1)  # the last write wins: the first in the column
    there = np.flatnonzero(first < num)
    order = there[np.argsort(first[there], kind="stable")]
    place = np.zeros(num_labels, dtype=np.int64)
    place[order] = np.arange(len(order))
    return order, place[code_N]
