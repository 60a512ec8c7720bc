"""Which pair a person is asked next, and with exactly which probability.

Main tasks come from a mixture: a share drawn evenly, so that every task can come up and the answers can stand for all
of them, and the rest the most uncertain first, so that few answers say much.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from penchant.feedback.free import Pool
from penchant.feedback.records import ChosenBy, Kind, Side

__all__ = ["Choice", "choose", "disagreement", "main_probabilities"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The task, why it, and the probability with which this call had to choose it for this reason's kind."""

    task_id: str
    kind: Kind
    chosen_by: ChosenBy
    probability: float
    shown_first: Side


def choose(
    main: Pool,
    gold: Sequence[str],
    repeats: Sequence[str],
    *,
    random_share: float,
    gold_share: float,
    repeat_share: float,
    rng: random.Random,
) -> Choice | None:
    """Choose the next task, and which side is first: either with probability one half.

    With probability gold_share a gold task, repeat_share a repeat, each evenly among those there are; a kind of which
    there is none leaves its share to main. Where no main task is left the person is done, unless everything is gold
    or a repeat by intent (the shares of those there are add up to 1): then None.

    Args:
        main: tasks to answer. gold: tasks with a known answer. repeats: own earlier tasks to ask again.
        random_share: probability that a main task is drawn evenly, and not among the most uncertain.
        rng: everything random is drawn from it.

    Example:
        >>> from penchant.feedback.free import Eligible, Free
        >>> pool = Free([Eligible("sure", 0.0), Eligible("unsure", 0.5)]).but({})
        >>> shares = {"gold_share": 0.0, "repeat_share": 0.0}
        >>> choose(pool, [], [], random_share=0.0, **shares, rng=random.Random(0)).task_id
        'unsure'
    """
    gold_share = gold_share if gold else 0.0
    repeat_share = repeat_share if repeats else 0.0
    main_share = 1 - gold_share - repeat_share
    if not main.num and main_share > 1e-9:
        return None
    shown_first: Side = "a" if rng.random() < 0.5 else "b"
    draw = rng.random()
    if draw < gold_share:
        return Choice(rng.choice(gold), "gold", "gold", gold_share / len(gold), shown_first)
    if repeats and (draw < gold_share + repeat_share or not main.num):
        return Choice(rng.choice(repeats), "repeat", "repeat", repeat_share / len(repeats), shown_first)
    if not main.num:
        return Choice(rng.choice(gold), "gold", "gold", gold_share / len(gold), shown_first)
    evenly = rng.random() < random_share
    task_id = main.draw(rng) if evenly else main.draw_highest(rng)
    low, high = main_probabilities(main.num, main.num_highest, random_share)
    probability = main_share * (high if main.is_highest(task_id) else low)
    return Choice(task_id, "main", "random" if evenly else "uncertainty", probability, shown_first)


def main_probabilities(num: int, num_highest: int, random_share: float) -> tuple[float, float]:
    """Probability of one task below the highest score, and of one at it, among N tasks of which M are highest.

    random_share / N, and random_share / N + (1 - random_share) / M.

    Example:
        >>> main_probabilities(4, 2, 0.5)
        (0.125, 0.375)
    """
    even = random_share / num
    return even, even + (1 - random_share) / num_highest


def disagreement(outcomes: Sequence[str]) -> float:
    """Share of the answers that are not the commonest one; 0 where there is none.

    Example:
        >>> disagreement(["a", "a", "b", "tie"])
        0.5
    """
    if not outcomes:
        return 0.0
    return 1 - max(map(list(outcomes).count, set(outcomes))) / len(outcomes)
