"""How answers are written: their length, what they repeat, how varied they are together, and how they are decorated."""

import re
from collections.abc import Hashable, Sequence

import numpy as np

from penchant.ranking.votes import FloatArray

__all__ = ["distinct", "repetition", "style_features"]

DECORATIONS = (r"(?m)^#{1,6}\s", r"(?m)^\s*(?:[-*+]|\d+[.)])\s", r"\*\*[^*\n]+\*\*|__[^_\n]+__")
"""Headings, items of lists, bold."""


def distinct(answers: Sequence[Sequence[Hashable]], n: int = 2) -> float:
    """distinct-n: different n-grams over all n-grams of these answers, in [0, 1]; 0 where there is none.

    It falls with the number of answers and their length, so compare equal numbers.

    Example:
        >>> distinct([[1, 2, 1, 2]]), distinct([[1, 2], [1, 2]], n=1)
        (0.6666666666666666, 0.5)

    Reference:
        A Diversity-Promoting Objective Function, arXiv 1510.03055, section 5.
    """
    grams = [tuple(one[i : i + n]) for one in answers for i in range(len(one) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(answer: Sequence[Hashable], n: int = 4) -> float:
    """Share of an answer's n-grams that it had before, in [0, 1): 1 - distinct-n of the one answer; 0 if it is short.

    Example:
        >>> repetition([1, 2, 1, 2, 1, 2], n=2), repetition([1, 2, 3])
        (0.6, 0.0)

    Reference:
        Neural Text Generation with Unlikelihood Training, arXiv 1908.04319, section 6 (seq-rep-4).
    """
    return 1 - distinct([answer], n) if len(answer) >= n else 0.0


def style_features(answers: Sequence[str], others: Sequence[str]) -> FloatArray:
    """(a - b) / (a + b) of characters, headings, list items and bold, each over its standard deviation: (N, 4).

    What `controlled_win_rate` takes to control for style as Chatbot Arena does, where length is counted in tokens. Not
    centred, as 0 has to stay where both answers are alike: two models may differ in style in one direction.

    Example:
        >>> style_features(["# A title", "no"], ["plain", "no"])[:, 1].tolist()
        [2.0, 0.0]

    Reference:
        Does Style Matter?, lmsys.org/blog/2024-08-28-style-control.
    """
    a_NF, b_NF = (np.array([_counts(text) for text in side], dtype=np.float64) for side in (answers, others))
    gap_NF = (a_NF - b_NF) / np.maximum(a_NF + b_NF, 1)
    spread_F = gap_NF.std(axis=0)
    return gap_NF / np.where(spread_F > 0, spread_F, 1.0)


def _counts(text: str) -> list[int]:
    return [len(text), *(len(re.findall(pattern, text)) for pattern in DECORATIONS)]
