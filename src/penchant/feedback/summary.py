"""All statistics for an admin, as one plain dict, with an explanation where a number is not yet meaningful.

They are computed from the current answers: counts, agreement, biases, and a ranking of sources.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from penchant.data.importers.judged import HUMAN
from penchant.data.records import Candidate, Comparison
from penchant.errors import DataError
from penchant.feedback.details import UNKNOWN
from penchant.feedback.reliability import label_noise, named_votes, position_bias, reliability, share
from penchant.feedback.storing import Store
from penchant.feedback.training import detail, training_pairs

__all__ = ["agreement", "length_bias", "source_label", "source_table", "summary"]


def summary(store: Store) -> dict[str, Any]:
    """The content of the admin page, as JSON values.

    counts, progress: see `Counts`, `Progress`. agreement: `agreement`. position_bias, length_bias: shares of
    preferences for the side shown first and for the longer text. sources: `source_table`. reliability, label_noise:
    see reliability.py. pairs: training pairs by majority. disagreements: the number of tasks waiting for a verdict.
    """
    answers = list(store.comparisons())
    main = [c for c in answers if (detail(c, "kind") or "main") == "main"]
    disagreements = store.disagreements()
    return {
        "title": store.project.config.title,
        "counts": store.counts().model_dump(mode="json"),
        "progress": store.progress().model_dump(mode="json"),
        "agreement": agreement(main),
        "position_bias": asdict(position_bias(main)),
        "length_bias": asdict(length_bias(main)),
        "sources": source_table(main),
        "reliability": [asdict(one) for one in reliability(answers)],
        "label_noise": asdict(label_noise(answers)),
        "pairs": training_pairs(answers).counts,
        "disagreements": {
            "open": sum(found.adjudication is None for found in disagreements),
            "settled": sum(found.adjudication is not None for found in disagreements),
        },
    }


def agreement(main: Sequence[Comparison]) -> dict[str, Any]:
    """Krippendorff's alpha over the four outcomes, the raw share of equal answers, and an interpretation.

    They use `named_votes`: one answer per person and task. The words are `penchant.ranking.alpha_reading`'s. value is
    None, with a reason, if no task has two votes or all answers are the same. num_unnamed: anonymous answers.
    """
    from penchant.ranking import alpha_reading, krippendorff_alpha, raw_agreement

    units = [list(votes.values()) for votes in named_votes(main).values()]
    num_unnamed = sum(answer.annotator in (None, UNKNOWN) for answer in main)
    alpha, raw = krippendorff_alpha(units), raw_agreement(units)
    reading = f"not known: {alpha.reason}" if alpha.value is None else alpha_reading(alpha.value)
    if not alpha.num_units and num_unnamed:
        reading += f" by people with names; {num_unnamed:,} answers name nobody, and may be of one person or of many"
    return {
        "value": alpha.value,
        "raw": raw.value,
        "num_tasks": alpha.num_units,
        "num_answers": alpha.num_answers,
        "num_unnamed": num_unnamed,
        "reading": reading,
    }


def length_bias(main: Sequence[Comparison]) -> Any:
    """Share of preferences for the longer text, without pairs of equal length (in characters).

    Longer answers may be better ones: this describes the answers, and is no error of the annotators.
    """
    unequal = [c for c in main if c.outcome in ("a", "b") and len(c.a.text) != len(c.b.text)]
    longer = sum((c.outcome == "a") == (len(c.a.text) > len(c.b.text)) for c in unequal)
    return share(longer, len(unequal))


def source_table(main: Sequence[Comparison]) -> dict[str, Any]:
    """Bradley-Terry over the sources, best first: Elo points around a mean of 1000 with 95 % limits.

    A tie is half a win for each side. both_bad and comparisons of a source with itself say nothing about the order and
    are counted in `both_bad` and `same_source`. Half a phantom win and loss keep sources that won, or lost, everything
    finite. Answers to one task may be correlated, so intervals are the sandwich's, clustered by task, if there are
    enough tasks, and the model's otherwise. rows is empty, with a reason, if there are fewer than two sources.
    """
    from penchant.ranking import Votes

    different = [c for c in main if source_label(c.a) != source_label(c.b)]
    between = [c for c in different if c.outcome != "both_bad"]
    left_out = {"same_source": len(main) - len(different), "both_bad": len(different) - len(between)}
    table: dict[str, Any] = {"rows": [], "notes": [], "reason": "", **left_out}
    if not between:
        return table | {"reason": "no answer compares two sources"}
    votes = Votes.from_rows(map(_vote, between), clusters=["task"])
    try:
        fit, kind = _fit(votes)
    except DataError as error:
        return table | {"reason": str(error)}
    return table | {"rows": _rows(fit, between), "notes": list(fit.notes), "intervals": kind}


def source_label(candidate: Candidate) -> str:
    """The name of a source in the table: its model, and the temperature if known."""
    source = candidate.source
    if source is None:
        return HUMAN
    return source.model if source.temperature is None else f"{source.model} (temperature {source.temperature:g})"


def _vote(comparison: Comparison) -> dict[str, Any]:
    outcome = {"a": "left", "b": "right"}.get(str(comparison.outcome), "tie")
    sides = {"left": source_label(comparison.a), "right": source_label(comparison.b)}
    return {**sides, "outcome": outcome, "task": comparison.id}


def _fit(votes: Any) -> tuple[Any, str]:
    from penchant.ranking import fit_bradley_terry

    try:
        return fit_bradley_terry(votes, prior=True), "sandwich, clustered by task"
    except DataError:
        return fit_bradley_terry(votes, prior=True, covariance="model"), "model"


def _rows(fit: Any, between: Sequence[Comparison]) -> list[dict[str, Any]]:
    from penchant.ranking import to_elo

    tally: defaultdict[str, dict[str, int]] = defaultdict(lambda: {"wins": 0, "losses": 0, "ties": 0})
    for comparison in between:
        for side, other, candidate in (("a", "b", comparison.a), ("b", "a", comparison.b)):
            word = {side: "wins", other: "losses"}.get(str(comparison.outcome), "ties")
            tally[source_label(candidate)][word] += 1
    elo, rows = fit.elo, []
    for item in fit.order:
        limits = fit.ability(item)
        rows.append(
            {"source": item, "elo": elo[item], "low": to_elo(limits.low), "high": to_elo(limits.high), **tally[item]}
        )
    return rows
