"""Count a judge's answers, and put the counts in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from penchant.data import Comparison, prompt_key
from penchant.evaluation.judges.lines import details_of
from penchant.ranking.winrate import WinRate, win_rate_of

__all__ = ["Tally", "in_words", "tally"]

ORDERS = ("agreed", "first", "second", "disagreed")
"""Results of comparisons whose replies in both orders could be read."""


@dataclass(frozen=True)
class Tally:
    """Counts of a judge's answers. num_first and num_second: asked in both orders, it chose the same position twice.

    num_identical: comparisons of two identical texts, whether the judge was asked or not. num_disagreed: the orders
    disagreed in another way, such as a tie in one. All of these, and unreadable replies, are ties in `outcomes`.
    num_refused: unreadable ones that the server refused. num_in_both_orders: comparisons whose two replies could be
    read. position_bias: the share of these that the position decided, with an interval clustered by prompt; None if
    there are none.
    """

    outcomes: dict[str, int]
    num_identical: int
    num_unreadable: int
    num_refused: int
    num_in_both_orders: int
    num_first: int
    num_second: int
    num_disagreed: int
    position_bias: WinRate | None


def tally(comparisons: Iterable[Comparison]) -> Tally:
    """Count a judge's answers, from the details beside each."""
    outcomes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    by_place: list[tuple[float, str]] = []
    for comparison in comparisons:
        outcomes[str(comparison.outcome)] += 1
        how = _how(comparison)
        counts[how] += 1
        if how in ORDERS:
            by_place.append((float(how in ("first", "second")), prompt_key(comparison.prompt)))
        counts["refused"] += str(details_of(comparison).get("unreadable")).startswith("HTTP ")
    return Tally(
        outcomes={name: outcomes[name] for name in ("a", "b", "tie", "both_bad")},
        num_identical=counts["identical"],
        num_unreadable=counts["unreadable"],
        num_refused=counts["refused"],
        num_in_both_orders=sum(counts[name] for name in ORDERS),
        num_first=counts["first"],
        num_second=counts["second"],
        num_disagreed=counts["disagreed"],
        position_bias=win_rate_of([share for share, _ in by_place], [prompt for _, prompt in by_place])
        if by_place
        else None,
    )


def in_words(counts: Tally, name: str) -> list[str]:
    """The counts in words, as lines."""
    shown = ", ".join(f"{num} {outcome}" for outcome, num in counts.outcomes.items() if num)
    lines = [f"{sum(counts.outcomes.values())} comparisons answered by the stand-in '{name}': {shown}"]
    if counts.num_identical:
        lines.append(f"{counts.num_identical} had identical responses: ties")
    if counts.num_unreadable:
        lines.append(f"{counts.num_unreadable} got an answer that cannot be read, or no score: ties")
    if counts.num_refused:
        lines.append(f"{counts.num_refused} of these were refused by the server; their field meta.judge says why")
    if bias := counts.position_bias:
        lines.append(
            f"position bias {bias.rate:.1%} (95% interval {bias.low:.1%} to {bias.high:.1%}): of {bias.num} asked in "
            f"both orders, {counts.num_first} went to the first place twice and {counts.num_second} to the second: ties"
        )
    if counts.num_disagreed:
        lines.append(f"{counts.num_disagreed} more got one answer in one order and another in the other: ties")
    return lines


def _how(comparison: Comparison) -> str:
    """The kind of a judgement, in one word."""
    details = details_of(comparison)
    orders = details.get("orders")
    if comparison.a.text == comparison.b.text:  # judges that score, and people, do not mark it
        return "identical"
    if "unreadable" in details or (orders and None in orders):
        return "unreadable"
    if not orders:
        return "scored"
    if orders[0] == orders[1]:
        return str(orders[0]) if orders[0] in ("first", "second") else "agreed"
    return "agreed" if set(orders) == {"first", "second"} else "disagreed"
