"""Measures of how answers are written: length, repetition, diversity, and style."""

import re
from collections.abc import Hashable, Sequence

import numpy as np

from penchant.ranking.votes import FloatArray

__all__ = ["distinct", "repetition", "style_features"]

DECORATIONS = (r"(?m)^#{1,6}\s", r"(?m)^\s*(?:[-*+]|\d+[.)])\s", r"\*\*[^*\n]+\*\*|__[^_\n]+__")
"""Headings, items of lists, bold."""


def distinct(answers: Sequence[Sequence[Hashable]], n: int = 2) -> float:
    """distinct-n: distinct n-grams over all n-grams of these answers, in [0, 1]; 0 if there are none.

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
    """Share of an answer's n-grams that occurred before, in [0, 1): 1 - its distinct-n; 0 if it is short.

    Example:
        >>> repetition([1, 2, 1, 2, 1, 2], n=2), repetition([1, 2, 3])
        (0.6, 0.0)

    Reference:
        Neural Text Generation with Unlikelihood Training, arXiv 1908.04319, section 6 (seq-rep-4).
    """
    return 1 - distinct([answer], n) if len(answer) >= n else 0.0


def style_features(answers: Sequence[str], others: Sequence[str]) -> FloatArray:
    """(a - b) / (a + b) of characters, headings, list items and bold, each divided by its root mean square: (N, 4).

    The features for `controlled_win_rate` that control for style as Chatbot Arena does (which counts length in tokens,
    and divides by the standard deviation). They are 0 if both answers are equal or have none, so the mean is not
    subtracted; nor may it be in the scale, or a heading that one side nearly always has would count as many.

    Example:
        >>> style_features(["# A title", "no"], ["plain", "no"])[:, 1].round(3).tolist()
        [1.414, 0.0]

    Reference:
        Does Style Matter?, lmsys.org/blog/2024-08-28-style-control.
    """
    a_NF, b_NF = (np.array([_counts(text) for text in side], dtype=np.float64) for side in (answers, others))
    gap_NF = (a_NF - b_NF) / np.maximum(a_NF + b_NF, 1)
    size_F = np.sqrt((gap_NF**2).mean(axis=0))
    return gap_NF / np.where(size_F > 0, size_F, 1.0)


def _counts(text: str) -> list[int]:
    return [len(text), *(len(re.findall(pattern, text)) for pattern in DECORATIONS)]
