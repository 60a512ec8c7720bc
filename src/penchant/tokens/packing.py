"""Which items go into one micro-batch: as many as a token budget holds, counting shared tokens once."""

from __future__ import annotations

from collections.abc import Sequence

from penchant.tokens.forest import TokenSequence, shared_prefix_length

__all__ = ["pack"]

TRUNKS = 4
"""A micro-batch may hold so many times the prefix that all its items share: cut smaller, it would be run too often."""


def pack(items: Sequence[Sequence[TokenSequence]], token_budget: int, *, share: bool = True) -> list[list[int]]:
    """Split `items` (a pair is an item of two sequences) into micro-batches of at most `token_budget` unique tokens.

    Items that share a prefix are put side by side. Every index appears exactly once. Two exceptions to the budget: an
    item larger than it is a micro-batch of its own, and a micro-batch whose items all share a long prefix may hold
    TRUNKS times that prefix. A common prefix counts as shared whatever its length, so what a forest finds too short
    to share may exceed the budget a little. With share=False every token counts.
    """
    assert token_budget > 0, "a token budget is positive"
    order = sorted(range(len(items)), key=lambda i: items[i][0].ids.tolist()) if share else list(range(len(items)))
    batches: list[list[int]] = []
    inside: list[TokenSequence] = []
    used = 0
    for i in order:
        cost = _cost(items[i], inside if share else None)
        trunk = _trunk([*inside, *items[i]]) if share else 0
        if not batches or used + cost > max(token_budget, TRUNKS * trunk):
            batches.append([])
            inside, used = [], 0
            cost = _cost(items[i], inside if share else None)
        batches[-1].append(i)
        inside += items[i]
        used += cost
    return batches


def _trunk(sequences: Sequence[TokenSequence]) -> int:
    """How many leading tokens all of them share."""
    return min(shared_prefix_length(sequences[0].ids, other.ids) for other in sequences)


def _cost(item: Sequence[TokenSequence], inside: Sequence[TokenSequence] | None) -> int:
    """Tokens that the item adds to a micro-batch that holds `inside` already; None: nothing is shared."""
    if inside is None:
        return sum(map(len, item))
    total = 0
    present = list(inside)
    for sequence in item:
        total += len(sequence) - max((shared_prefix_length(other.ids, sequence.ids) for other in present), default=0)
        present.append(sequence)
    return total
