"""Agreement of annotators: raw, Cohen's kappa, Fleiss' kappa, Krippendorff's alpha, all for nominal answers.

A unit is what was judged (one pair of responses); its answers are labels, None if a person did not answer.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from penchant.errors import DataError

__all__ = ["Agreement", "alpha_reading", "cohen_kappa", "fleiss_kappa", "krippendorff_alpha", "raw_agreement"]

Units = Sequence[Sequence[Hashable]]


@dataclass(frozen=True)
class Agreement:
    """A coefficient, or None with a reason; 1 is full agreement and, except for raw agreement, 0 is chance.

    num_units and num_answers count units with at least two answers, and their answers.
    """

    value: float | None
    num_units: int
    num_answers: int
    reason: str = ""


def raw_agreement(units: Units) -> Agreement:
    """Probability that two answers to the same unit are equal; every unit has equal weight.

    The mean over units of sum_c n_c (n_c - 1) / (n (n - 1)), where n_c of n answers are c. Not corrected for chance.

    Args:
        units: answers of each unit; units with fewer than two answers are skipped.

    Example:
        >>> raw_agreement([["left", "left"], ["left", "tie"]]).value
        0.5
    """
    counts = _counted(units)
    if not counts:
        return _undefined(counts, "no unit has two answers")
    return _agreement(sum(_agreeing_share(count) for count in counts) / len(counts), counts)


def krippendorff_alpha(units: Units) -> Agreement:
    """1 - D_observed / D_expected for nominal answers; allows missing answers and any number of people.

    D_observed is the share of disagreeing pairs within units, where a unit of n answers has weight n; D_expected is the
    same share among all answers pooled, drawn without replacement.

    Args:
        units: answers of each unit; units with fewer than two answers are skipped.

    Example:
        >>> round(krippendorff_alpha([["left", "left"], ["right", "right"], ["left", "right", None]]).value, 4)
        0.4444

    Reference:
        K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, section C (nominal data, several observers,
        missing data).
    """
    counts = _counted(units)
    pooled: Counter[Hashable] = sum(counts, Counter())
    if len(pooled) < 2:
        return _undefined(counts, _one_answer(pooled))
    num = pooled.total()
    observed = sum(count.total() * (1 - _agreeing_share(count)) for count in counts) / num
    return _agreement(1 - observed / (1 - _agreeing_share(pooled)), counts)


def alpha_reading(alpha: float) -> str:
    """Interpret alpha in words; votes on language models' responses mostly have values between 0.1 and 0.5.

    Example:
        >>> alpha_reading(0.3)
        'people agree somewhat; one person says little about the next, many together say more'

    Reference:
        K. Krippendorff, Content Analysis, 2004, section 11.4: rely on 0.8 and above, conclude with care from 0.667.
    """
    for least, words in (
        (0.8, "people agree so well that one can stand for the others"),
        (0.667, "people agree well enough for careful conclusions"),
        (0.4, "people agree fairly; a vote is a matter of judgement as well as of quality"),
        (0.1, "people agree somewhat; one person says little about the next, many together say more"),
        (-0.1, "people agree hardly more than if everybody had answered at random"),
    ):
        if alpha >= least:
            return words
    return "people contradict each other more than chance would: some may have read the question the other way round"


def fleiss_kappa(units: Units) -> Agreement:
    """(P - P_e) / (1 - P_e): P is raw agreement, P_e the sum of squared shares of the answers.

    Args:
        units: answers of each unit, the same number (two or more) for every one.

    Raises:
        DataError: units with different numbers of answers, or fewer than two.

    Example:
        >>> round(fleiss_kappa([["left", "left"], ["right", "right"], ["left", "right"]]).value, 4)
        0.3333

    Reference:
        J. L. Fleiss, Measuring Nominal Scale Agreement Among Many Raters, Psychological Bulletin 76(5), 1971.
    """
    counts = _counted(units)
    sizes = {count.total() for count in counts}
    if len(counts) < len(units) or len(sizes) > 1:
        raise DataError(
            "Fleiss' kappa needs the same number of answers, two or more, for every unit; use krippendorff_alpha, "
            "which takes missing answers."
        )
    pooled: Counter[Hashable] = sum(counts, Counter())
    if len(pooled) < 2:
        return _undefined(counts, _one_answer(pooled))
    raw = sum(_agreeing_share(count) for count in counts) / len(counts)
    chance = sum((count / pooled.total()) ** 2 for count in pooled.values())
    return _agreement((raw - chance) / (1 - chance), counts)


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> Agreement:
    """(p - p_e) / (1 - p_e): p is the observed agreement, p_e the one expected from each person's marginals.

    Args:
        first, second: the answers of two people to the same N units, none missing.

    Raises:
        DataError: different lengths, or a missing answer.

    Example:
        >>> cohen_kappa(["left", "left", "right", "right"], ["left", "left", "right", "left"]).value
        0.5

    Reference:
        J. Cohen, A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20(1), 1960.
    """
    num_missing = list(first).count(None) + list(second).count(None)
    if len(first) != len(second) or num_missing:
        raise DataError(
            f"Cohen's kappa needs two answers for every unit; got {len(first)} and {len(second)} answers with "
            f"{num_missing} missing. Leave units out, or use krippendorff_alpha."
        )
    counts = _counted(list(zip(first, second, strict=True)))
    num = len(counts)
    shares, others = Counter(first), Counter(second)
    chance = sum(shares[answer] * others[answer] for answer in shares)
    if chance == num**2:
        return _undefined(counts, _one_answer(shares))
    raw = sum(_agreeing_share(count) for count in counts) / num
    return _agreement((raw - chance / num**2) / (1 - chance / num**2), counts)


def _counted(units: Units) -> list[Counter[Hashable]]:
    """Counts of the answers of each unit with at least two."""
    counts = [Counter(answer for answer in unit if answer is not None) for unit in units]
    return [count for count in counts if count.total() > 1]


def _agreeing_share(count: Counter[Hashable]) -> float:
    """Probability that two answers drawn without replacement are equal."""
    num = count.total()
    return sum(n * (n - 1) for n in count.values()) / (num * (num - 1))


def _one_answer(pooled: Counter[Hashable]) -> str:
    if not pooled:
        return "no unit has two answers"
    return f"every answer is {next(iter(pooled))!r}, so agreement cannot be told from chance"


def _agreement(value: float, counts: Sequence[Counter[Hashable]]) -> Agreement:
    return Agreement(value, len(counts), sum(count.total() for count in counts))


def _undefined(counts: Sequence[Counter[Hashable]], reason: str) -> Agreement:
    return Agreement(None, len(counts), sum(count.total() for count in counts), reason)
