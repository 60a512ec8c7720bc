"""Join turns of a conversation into token sequences: one if every turn continues the text before, else one per turn."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from penchant.tokens.forest import TokenSequence

__all__ = ["joined_turns"]


def joined_turns(turns: Iterable[tuple[list[int], list[int], float]]) -> tuple[TokenSequence, ...]:
    """The sequences of turns, each given as the preceding ids, its own ids, and its weight."""
    chains: list[_Chain] = []
    for prompt, answer, weight in turns:
        if not chains or not chains[-1].grow(prompt, answer, weight):
            chains.append(_Chain(prompt, answer, weight))
    return tuple(chain.sequence() for chain in chains)


class _Chain:
    """Turns of a conversation that each continue the one before."""

    def __init__(self, prompt: list[int], answer: list[int], weight: float) -> None:
        self.ids: list[int] = []
        self.weights: list[float] = []  # of every token; 0 is not scored
        self._add(prompt, answer, weight)

    def grow(self, prompt: list[int], answer: list[int], weight: float) -> bool:
        """Add a turn, unless its preceding ids differ from this chain."""
        if prompt[: len(self.ids)] != self.ids:
            return False
        self._add(prompt[len(self.ids) :], answer, weight)
        return True

    def _add(self, read: list[int], answer: list[int], weight: float) -> None:
        self.ids += [*read, *answer]
        self.weights += [*([0.0] * len(read)), *([weight] * len(answer))]

    def sequence(self) -> TokenSequence:
        weights = np.array(self.weights, dtype=np.float32)
        scored = weights > 0
        inside = weights[scored]
        ids = np.array(self.ids, dtype=np.int64)
        return TokenSequence(ids, scored, None if (inside == 1).all() else inside)
