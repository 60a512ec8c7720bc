"""A forest: token sequences merged into prefix trees, so that shared prefixes are run once.

Shape suffixes: T packed tokens, K scored tokens, R responses (sequences), S segments.

Every sequence is a path from a root to a node of a compressed prefix tree. A common prefix of several sequences (a
system prompt, a prompt with two responses, the earlier turns of a conversation) is one segment, at any depth, without
special cases. Segments are packed one after the other in depth-first order, without padding, and a token sees exactly
the tokens of its own path:

    i sees j   iff   j <= i  and  enter[j] <= enter[i] < exit[j]

where [enter, exit) is the Euler-tour interval of a token's segment.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Forest", "Segment", "TokenSequence", "as_array", "behind", "shared_prefix_length"]

MIN_SHARED = 8
"""A split that saves fewer tokens than this costs more in bookkeeping than it saves in arithmetic."""

Ids: TypeAlias = Sequence[int] | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TokenSequence:
    """One response with its full context.

    ids: (n,) int64, prompt and completion. scored: (n,) bool, True for tokens whose log-probability counts. The
    first token can never be scored, as nothing predicts it. weights: one factor for each scored token's log-prob, in
    order; None if all are 1.
    """

    ids: NDArray[np.int64]
    scored: NDArray[np.bool_]
    weights: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        assert self.ids.shape == self.scored.shape, "ids and scored must have one entry a token"
        assert len(self.ids) > 0, "a sequence has at least one token"
        assert not self.scored[0], "no token predicts the first one"
        assert self.weights is None or len(self.weights) == self.scored.sum(), "one weight for each scored token"

    @classmethod
    def of(cls, prompt: Ids, completion: Ids) -> TokenSequence:
        """A prompt as context, followed by a completion with all tokens scored."""
        ids = np.concatenate([as_array(prompt), as_array(completion)], dtype=np.int64)
        return cls(ids, behind(len(prompt), len(ids)))

    def __len__(self) -> int:
        return len(self.ids)

    def weighted(self, weights: NDArray[np.float32]) -> TokenSequence:
        """The same tokens with a factor for each scored one, in order."""
        return replace(self, weights=weights)

    def cut(self, max_length: int) -> TokenSequence:
        """The first `max_length` tokens."""
        scored = self.scored[:max_length]
        weights = None if self.weights is None else self.weights[: scored.sum()]
        return TokenSequence(self.ids[:max_length], scored, weights)

    @property
    def total_weight(self) -> float:
        """Sum of the weights of the scored tokens, their number if all are 1."""
        return float(self.scored.sum() if self.weights is None else self.weights.sum())

    @property
    def context(self) -> bytes:
        """The identity of the context tokens; equal for all responses to a prompt."""
        return self.ids[~self.scored].tobytes()

    @cached_property
    def key(self) -> bytes:
        """The identity of a response in its context: tokens, scored positions, and weights."""
        parts = [self.ids.tobytes(), self.scored.tobytes()]
        if self.weights is not None and not (self.weights == 1).all():
            parts.append(self.weights.astype(np.float32).tobytes())
        return hashlib.blake2b(b"|".join(parts), digest_size=16).digest()


@dataclass(frozen=True)
class Segment:
    """A run of packed tokens [start, stop) whose first token has position `position`; parent is an index or -1."""

    start: int
    stop: int
    position: int
    parent: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class Forest:
    """One packed micro-batch of prefix trees.

    input_ids_T, position_ids_T: the packed tokens and their positions. hidden_index_K, target_ids_K, response_of_K:
    the packed state that predicts each scored token, the token, and the sequence it belongs to. last_index_R: end of
    each sequence. weight_K: factors on the tokens' log-probs, None where all are 1.
    """

    input_ids_T: NDArray[np.int64]
    position_ids_T: NDArray[np.int64]
    hidden_index_K: NDArray[np.int64]
    target_ids_K: NDArray[np.int64]
    response_of_K: NDArray[np.int64]
    last_index_R: NDArray[np.int64]
    segments: tuple[Segment, ...]
    num_responses: int
    weight_K: NDArray[np.float32] | None = None

    @classmethod
    def plant(cls, sequences: Sequence[TokenSequence], *, share: bool = True, min_shared: int = MIN_SHARED) -> Forest:
        """Merge `sequences` into prefix trees; with share=False every sequence is its own tree."""
        assert sequences, "a forest has at least one sequence"
        ids = [sequence.ids for sequence in sequences]
        chunks, segments, leaf_of = _fold(ids, min_shared) if share else _lay_side_by_side(ids)
        hidden_index, targets, response_of = [], [], []
        for r, sequence in enumerate(sequences):
            packed_index = _path_index(segments, leaf_of[r])
            (scored,) = np.nonzero(sequence.scored)
            hidden_index.append(packed_index[scored - 1])
            targets.append(sequence.ids[scored])
            response_of.append(np.full(len(scored), r, dtype=np.int64))
        return cls(
            input_ids_T=np.concatenate(chunks),
            position_ids_T=np.concatenate([np.arange(s.position, s.position + len(s)) for s in segments]),
            hidden_index_K=np.concatenate(hidden_index),
            target_ids_K=np.concatenate(targets),
            response_of_K=np.concatenate(response_of),
            last_index_R=np.array([segments[leaf].stop - 1 for leaf in leaf_of], dtype=np.int64),
            segments=tuple(segments),
            num_responses=len(sequences),
            weight_K=_weights(sequences),
        )

    @property
    def num_tokens(self) -> int:
        """Tokens run through the model: the unique ones."""
        return len(self.input_ids_T)

    @cached_property
    def max_position(self) -> int:
        return int(self.position_ids_T.max())

    def lineage(self, index: int) -> list[int]:
        """Segment indices from the root down to `index`, itself included."""
        path = [index]
        while self.segments[path[-1]].parent >= 0:
            path.append(self.segments[path[-1]].parent)
        return path[::-1]

    def spans(self, index: int) -> list[tuple[int, int]]:
        """Packed [start, stop) ranges that segment `index` sees, in path order; adjacent ones are merged."""
        merged: list[tuple[int, int]] = []
        for ancestor in self.lineage(index):
            segment = self.segments[ancestor]
            if merged and merged[-1][1] == segment.start:
                merged[-1] = (merged[-1][0], segment.stop)
            else:
                merged.append((segment.start, segment.stop))
        return merged

    def enter_exit(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Euler-tour interval of every token's segment, two arrays (T,)."""
        exits = np.arange(1, len(self.segments) + 1)
        for index in range(len(self.segments) - 1, -1, -1):
            parent = self.segments[index].parent
            if parent >= 0:
                exits[parent] = max(exits[parent], exits[index])
        lengths = [len(segment) for segment in self.segments]
        return np.repeat(np.arange(len(self.segments)), lengths), np.repeat(exits, lengths)


def as_array(ids: Ids) -> NDArray[np.int64]:
    """Token ids as (n,) int64."""
    return ids if isinstance(ids, np.ndarray) else np.fromiter(ids, dtype=np.int64, count=len(ids))


def behind(num_prompt: int, length: int) -> NDArray[np.bool_]:
    """The mask over `length` tokens with all scored except those of the prompt."""
    scored = np.ones(length, dtype=np.bool_)
    scored[:num_prompt] = False
    return scored


def shared_prefix_length(a: NDArray[np.int64], b: NDArray[np.int64]) -> int:
    """How many leading tokens `a` and `b` have in common."""
    length = min(len(a), len(b))
    differs = a[:length] != b[:length]
    return int(differs.argmax()) if differs.any() else length


_Folded = tuple[list[NDArray[np.int64]], list[Segment], list[int]]


def _lay_side_by_side(ids: list[NDArray[np.int64]]) -> _Folded:
    starts = np.cumsum([0, *map(len, ids)])
    segments = [Segment(int(a), int(b), 0, -1) for a, b in itertools.pairwise(starts)]
    return ids, segments, list(range(len(ids)))


def _fold(ids: list[NDArray[np.int64]], min_shared: int) -> _Folded:
    order = sorted(range(len(ids)), key=lambda r: ids[r].tolist())
    ordered = [ids[r] for r in order]
    common = [0, *(shared_prefix_length(a, b) for a, b in itertools.pairwise(ordered))]
    chunks: list[NDArray[np.int64]] = []
    segments: list[Segment] = []
    leaf_of = [-1] * len(ids)

    def runs(low: int, high: int, threshold: int) -> Iterator[tuple[int, int]]:
        """Neighbours in sorted order whose common prefix reaches `threshold`."""
        begin = low
        for i in range(low + 1, high + 1):
            identical = i < high and common[i] == len(ordered[i]) == len(ordered[i - 1])
            if i == high or (common[i] < threshold and not identical):
                yield begin, i
                begin = i

    def grow(low: int, high: int, parent: int, depth: int) -> None:
        for begin, end in runs(low, high, depth + min_shared):
            stop = min((common[i] for i in range(begin + 1, end)), default=len(ordered[begin]))
            node = parent
            if stop > depth:
                start = segments[-1].stop if segments else 0
                segments.append(Segment(start, start + stop - depth, depth, parent))
                chunks.append(ordered[begin][depth:stop])
                node = len(segments) - 1
            if stop == len(ordered[end - 1]):  # the longest of the run ends here, so all of them do
                for i in range(begin, end):
                    leaf_of[order[i]] = node
            else:
                grow(begin, end, node, stop)

    grow(0, len(ids), -1, 0)
    return chunks, segments, leaf_of


def _weights(sequences: Sequence[TokenSequence]) -> NDArray[np.float32] | None:
    if all(sequence.weights is None for sequence in sequences):
        return None
    ones = (np.ones(sequence.scored.sum(), dtype=np.float32) for sequence in sequences)
    return np.concatenate([one if s.weights is None else s.weights for s, one in zip(sequences, ones, strict=True)])


def _path_index(segments: list[Segment], leaf: int) -> NDArray[np.int64]:
    """Packed index of every position on the path from the root to `leaf`."""
    parts = []
    while leaf >= 0:
        parts.append(np.arange(segments[leaf].start, segments[leaf].stop))
        leaf = segments[leaf].parent
    return np.concatenate(parts[::-1])
