"""Derive records from records: pairs from comparisons, labelled responses from pairs, gaps from scores."""

from collections.abc import Iterable
from math import isfinite

from penchant.data.records import SCORES, Comparison, Labelled, PreferencePair

__all__ = ["gap_between", "gap_of", "labelled_from_pairs", "pairs_from_comparisons"]


def pairs_from_comparisons(comparisons: Iterable[Comparison]) -> list[PreferencePair]:
    """Turn answers into training pairs, in order.

    Outcome "a" makes a chosen and b rejected, "b" the other way round. A tie, both_bad and an unanswered comparison
    make no pair; the caller counts them (`len(comparisons) - len(pairs)`).
    """
    pairs = []
    for comparison in comparisons:
        sides, gap = (comparison.a.text, comparison.b.text), gap_of(comparison)
        if comparison.outcome in ("a", "b"):
            chosen, rejected = sides if comparison.outcome == "a" else sides[::-1]
            pairs.append(PreferencePair(prompt=comparison.prompt, chosen=chosen, rejected=rejected, gap=gap))
    return pairs


def gap_of(record: object) -> float | None:
    """The difference of scores in favour of the preferred side, or the strength of the preference.

    None if neither is recorded, or if no side is preferred.
    """
    if isinstance(record, PreferencePair):
        return record.gap
    if not isinstance(record, Comparison) or record.outcome not in ("a", "b"):
        return None
    a, b = (record.meta.get(name) for name in SCORES)
    scored = gap_between(a, b) if record.outcome == "a" else gap_between(b, a)
    said = (scored, gap_between(record.meta.get("gap"), 0), record.strength)
    return next((float(gap) for gap in said if gap is not None), None)


def gap_between(high: object, low: object) -> float | None:
    """The difference of two scores; None if either is no finite number or the difference is not finite.

    A score may be the text of a number, as in a csv file.
    """
    scores = (high, low)
    if not all(isinstance(score, int | float | str) and not isinstance(score, bool) for score in scores):
        return None
    try:
        gap = float(high) - float(low)  # type: ignore[arg-type]  # one of these, see above
    except (ValueError, OverflowError):
        return None
    return gap if isfinite(gap) else None


def labelled_from_pairs(pairs: Iterable[PreferencePair]) -> list[Labelled]:
    """Split pairs, in order, into labelled responses: each chosen one is good, each rejected one is bad.

    A preference says which response is better, not that one is good: use it only where no labels were collected.
    """
    return [
        Labelled(prompt=pair.prompt, response=text, desirable=desirable, weight=pair.weight, origin=pair.origin)
        for pair in pairs
        for text, desirable in ((pair.chosen, True), (pair.rejected, False))
    ]
