"""How many pairs a person has left, told so that no known pair and no repeat shows in it.

Where some pairs are known ones or repeats, an exact number would give them away: it moves when an ordinary pair is
answered and stays when another is. So what is told depends on how many were answered, whatever they were.
"""

from math import ceil
from typing import NamedTuple

__all__ = ["ANSWERS_BEFORE_REPEAT", "Extent", "about_left"]

ANSWERS_BEFORE_REPEAT = 10
"""A person is not asked a pair again before so many other answers."""


class Extent(NamedTuple):
    """What there is for one person.

    reach: main tasks they were given or could be given; neither fetching a pair nor answering it changes that.
    done: current answers of every kind, skips too. num_gold: gold tasks of the project. is_over: they have no open
    pair, and there is no main task for them.
    """

    reach: int
    done: int
    num_gold: int
    is_over: bool


def about_left(extent: Extent, gold_share: float, repeat_share: float) -> int:
    """Pairs left, rounded up to tens: main tasks, less those among the answers if the kinds came in their shares.

    0 where nothing is left, and only there.

    Example:
        >>> about_left(Extent(reach=100, done=50, num_gold=20, is_over=False), gold_share=0.1, repeat_share=0.0)
        60
    """
    if extent.is_over:
        return 0
    gold = min(gold_share * extent.done, extent.num_gold)
    repeats = min(repeat_share * extent.done, max(extent.done - ANSWERS_BEFORE_REPEAT, 0))
    left = extent.reach - extent.done + int(gold + repeats)
    return 10 * ceil(max(left, 1) / 10)
