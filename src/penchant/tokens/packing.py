"""Which items go into one micro-batch: as many as a token budget holds, counting shared tokens once."""

from __future__ import annotations

from collections.abc import Sequence

from penchant.tokens.forest import TokenSequence, shared_prefix_length

__all__ = ["pack"]


def pack(items: Sequence[Sequence[TokenSequence]], token_budget: int, *, share: bool = True) -> list[list[int]]:
    """Split `items` (a pair is an item of two sequences) into micro-batches of at most `token_budget` unique tokens.

    Items that share a prefix are put side by side. An item larger than the budget is a micro-batch of its own. Every
    index appears exactly once. With share=False every token counts.
    """
    assert token_budget > 0, "a token budget is positive"
    order = sorted(range(len(items)), key=lambda i: items[i][0].ids.tolist()) if share else list(range(len(items)))
    batches: list[list[int]] = []
    used = 0
    previous: TokenSequence | None = None
    for i in order:
        cost = _cost(items[i], previous, share)
        if not batches or used + cost > token_budget:
            batches.append([])
            used, cost = 0, _cost(items[i], None, share)
        batches[-1].append(i)
        used += cost
        previous = items[i][0]
    return batches


def _cost(item: Sequence[TokenSequence], previous: TokenSequence | None, share: bool) -> int:
    total = 0
    for sequence in item:
        shared = shared_prefix_length(previous.ids, sequence.ids) if share and previous is not None else 0
        total += len(sequence) - shared
        previous = sequence
    return total
