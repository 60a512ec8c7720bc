"""Accuracy of predicted preferences by buckets of confidence, of length, or of any other value.

Shapes: N pairs, M buckets.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from penchant.ranking.votes import FloatArray
from penchant.ranking.winrate import WinRate, win_rate_of

__all__ = ["Bucket", "accuracy_by_length", "accuracy_by_margin", "bins", "by_bucket", "by_quarters"]

AS_LONG = 0.1
"""Lengths that differ by at most this share of the longer one count as the same."""


@dataclass(frozen=True)
class Bucket:
    """The pairs with a value in [start, end): their mean value and the accuracy, with its interval."""

    start: float
    end: float
    mean: float
    share: WinRate


def by_bucket(
    value: Sequence[float] | FloatArray,
    right: Sequence[float] | FloatArray,
    edges: Sequence[float] | FloatArray,
    prompts: Sequence[Hashable],
) -> tuple[Bucket, ...]:
    """The accuracy (1, 0, or 1/2 for a tie) by buckets of a value, such as a margin or a length.

    The last bucket includes its end; values beyond the edges go to the outer buckets; empty buckets are left out.

    Example:
        >>> [(b.start, b.share.rate, b.share.num) for b in by_bucket([1, 2, 9], [0, 1, 1], [0, 5, 10], "abc")]
        [(0.0, 0.5, 2), (5.0, 1.0, 1)]
    """
    value_N, right_N, edge = (np.asarray(one, dtype=np.float64) for one in (value, right, edges))
    bin_N = bins(value_N, edge)
    found = []
    for m in range(len(edge) - 1):
        place = np.flatnonzero(bin_N == m).tolist()
        if place:
            share = win_rate_of(right_N[place].tolist(), [prompts[i] for i in place])
            found.append(Bucket(float(edge[m]), float(edge[m + 1]), float(value_N[place].mean()), share))
    return tuple(found)


def accuracy_by_margin(
    margins: Sequence[float], prompts: Sequence[Hashable], *, num_buckets: int = 4
) -> tuple[Bucket, ...]:
    """The accuracy by quartiles of |margin|, least confident first: confident pairs should be right more often.

    margins: N rewards of chosen less those of rejected; above 0 is right, 0 half right. Equal margins share a bucket,
    so there may be fewer buckets.

    Example:
        >>> [(b.share.rate, b.share.num) for b in accuracy_by_margin([1, -2, 3, 4], "abcd", num_buckets=2)]
        [(0.5, 2), (1.0, 2)]
    """
    size_N = np.abs(np.asarray(margins, dtype=np.float64))
    return by_quarters(size_N, 0.5 + 0.5 * np.sign(margins), prompts, num_buckets=num_buckets)


def by_quarters(
    value: Sequence[float] | FloatArray,
    right: Sequence[float] | FloatArray,
    prompts: Sequence[Hashable],
    *,
    num_buckets: int = 4,
) -> tuple[Bucket, ...]:
    """`by_bucket` with edges at the quartiles; if there are few distinct values, each is a bucket.

    Example:
        >>> [(b.start, b.end, b.share.num) for b in by_quarters([1, 1, 1, 2, 2], [1] * 5, "abcde")]  # ranks apart
        [(1.0, 1.0, 3), (2.0, 2.0, 2)]
    """
    value_N = np.asarray(value, dtype=np.float64)
    values = np.unique(value_N)
    if len(values) <= num_buckets:
        each = by_bucket(value_N, right, [*values, values[-1]], prompts)
        return tuple(replace(one, end=one.start) for one in each)
    return by_bucket(value_N, right, np.unique(np.quantile(value_N, np.linspace(0, 1, num_buckets + 1))), prompts)


def accuracy_by_length(
    right: Sequence[float], lengths: Sequence[tuple[int, int]], prompts: Sequence[Hashable]
) -> dict[str, WinRate]:
    """The accuracy where the chosen response is longer, equally long, or shorter; see AS_LONG.

    A judge of length alone is right in one bucket and wrong in another. lengths: those of chosen and of rejected.

    Example:
        >>> found = accuracy_by_length([1, 1, 0], [(20, 10), (30, 10), (10, 20)], "abc")
        >>> {name: share.rate for name, share in found.items()}
        {'longer': 1.0, 'shorter': 0.0}
    """
    held: dict[str, list[int]] = {"longer": [], "as long": [], "shorter": []}
    for place, (chosen, rejected) in enumerate(lengths):
        alike = abs(chosen - rejected) <= AS_LONG * max(chosen, rejected)
        held["as long" if alike else "longer" if chosen > rejected else "shorter"].append(place)
    return {
        name: win_rate_of([right[i] for i in places], [prompts[i] for i in places])
        for name, places in held.items()
        if places
    }


def bins(value_N: FloatArray, edge: FloatArray) -> np.ndarray:
    """The bucket of each value, (N,)."""
    return np.clip(np.searchsorted(edge, value_N, side="right") - 1, 0, len(edge) - 2)
