"""Which items go into one micro-batch: as many as a token budget holds, counting shared tokens once."""

from __future__ import annotations

from collections.abc import Sequence

from penchant.tokens.forest import TokenSequence, shared_prefix_length

__all__ = ["pack"]


def pack(items: Sequence[Sequence[TokenSequence]], token_budget: int, *, share: bool = True) -> list[list[int]]:
    """Split `items` (a pair is an item of two sequences) into micro-batches of at most `token_budget` unique tokens.

    Items that share a prefix are put side by side. An item larger than the budget is a micro-batch of its own. Every
    index appears exactly once. A common prefix counts as shared whatever its length, so what a forest finds too short
    to share may exceed the budget a little. With share=False every token counts.
    """
    assert token_budget > 0, "a token budget is positive"
    order = sorted(range(len(items)), key=lambda i: items[i][0].ids.tolist()) if share else list(range(len(items)))
    batches: list[list[int]] = []
    inside: list[TokenSequence] = []
    used = 0
    for i in order:
        cost = _cost(items[i], inside if share else None)
        if not batches or used + cost > token_budget:
            batches.append([])
            inside, used = [], 0
            cost = _cost(items[i], inside if share else None)
        batches[-1].append(i)
        inside += items[i]
        used += cost
    return batches


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
