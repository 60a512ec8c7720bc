"""Distribute items over processes, and pack them into micro-batches by a token budget, counting shared tokens once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

from penchant.tokens.forest import MIN_SHARED, TokenSequence, shared_prefix_length
from penchant.tokens.order import order_key

__all__ = ["deal", "pack", "pack_ordered"]

TRUNKS = 4
"""A micro-batch may reach this many times its common prefix, which smaller ones would rerun too often."""


def pack(items: Sequence[Sequence[TokenSequence]], token_budget: int, *, share: bool = True) -> list[list[int]]:
    """Split `items` (a pair is an item of two sequences) into micro-batches of at most `token_budget` unique tokens.

    Items that share a prefix are adjacent. Every index appears exactly once. There are two exceptions to the budget: a
    larger item is its own micro-batch, and a micro-batch with a long common prefix may hold TRUNKS times that prefix. A
    common prefix counts as shared at any length, so what a forest finds too short to share may exceed the budget a
    little. With share=False every token counts.
    """
    order = sorted(range(len(items)), key=lambda i: order_key(items[i][0].ids)) if share else range(len(items))
    return list(pack_ordered(((i, items[i]) for i in order), token_budget, share=share))


def deal(items: Sequence[Sequence[TokenSequence]], num: int) -> list[list[int]]:
    """Split `items` into `num` parts with similar token counts; items of one prompt stay together.

    The largest tree goes first, each to the part with the fewest tokens so far. A part keeps the order of the items,
    and is empty if there are fewer trees than parts.
    """
    if num == 1:
        return [list(range(len(items)))]
    trees: dict[Hashable, list[int]] = {}
    tokens: dict[Hashable, int] = {}
    for i, item in enumerate(items):
        num_read = int((~item[0].scored).sum())
        tree: Hashable = item[0].context if num_read >= MIN_SHARED else i
        tokens.setdefault(tree, num_read)
        trees.setdefault(tree, []).append(i)
        tokens[tree] += sum(int(sequence.scored.sum()) for sequence in item)
    parts: list[list[int]] = [[] for _ in range(num)]
    loads = [0] * num
    for tree in sorted(trees, key=lambda tree: -tokens[tree]):
        lightest = loads.index(min(loads))
        parts[lightest] += trees[tree]
        loads[lightest] += tokens[tree]
    return [sorted(part) for part in parts]


def pack_ordered(
    items: Iterable[tuple[int, Sequence[TokenSequence]]], token_budget: int, *, share: bool = True
) -> Iterator[list[int]]:
    """The same for numbered items sorted by their first sequences' tokens."""
    assert token_budget > 0, "a token budget is positive"
    batch: list[int] = []
    firsts: list[TokenSequence] = []
    others: list[TokenSequence] = []
    used = trunk = 0
    for i, item in items:
        cost, shared = _added(item, firsts, others, trunk) if share else (sum(map(len, item)), 0)
        if batch and used + cost > max(token_budget, TRUNKS * shared):
            yield batch
            batch, firsts, others, used = [], [], [], 0
            cost, shared = _added(item, (), (), 0) if share else (sum(map(len, item)), 0)
        batch.append(i)
        firsts.append(item[0])
        others += item[1:]
        used, trunk = used + cost, shared
    if batch:
        yield batch


def _added(
    item: Sequence[TokenSequence], firsts: Sequence[TokenSequence], others: Sequence[TokenSequence], trunk: int
) -> tuple[int, int]:
    """The tokens that an item adds to a micro-batch, and the length of the then common prefix.

    firsts, others: the sequences in it, of which `trunk` leading tokens are shared. In their order none of the firsts
    shares more with the item's own first than the latest does.
    """
    cost = 0
    present = [*firsts[-1:], *others]
    for number, sequence in enumerate(item):
        cost += len(sequence) - max((shared_prefix_length(other.ids, sequence.ids) for other in present), default=0)
        if number == 0:
            present += firsts[:-1]
        present.append(sequence)
    first = firsts[0] if firsts else item[0]
    shared = min(shared_prefix_length(first.ids, sequence.ids) for sequence in item)
    return cost, min(trunk, shared) if firsts else shared
