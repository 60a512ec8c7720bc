"""The schema of comparison.json, the last evaluation of a run, as far as the report shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penchant.errors import OutputError
from penchant.reading import os_reason
from penchant.strict_json import LACKING, Count, Fields, Number, Text, read_object

__all__ = ["Comparison", "read_comparison"]


class Limits(Fields):
    """The ends of a 95% interval; null if nothing can be inferred about other prompts."""

    low: Number | None = LACKING
    high: Number | None = LACKING


class Share(Fields):
    """A rate with the ends of its interval, and its sample size."""

    rate: Number
    low: Number
    high: Number
    num: Count


class Wins(Limits):
    """How often the answer after training was preferred."""

    rate: Number
    wins: Count | None = LACKING
    losses: Count | None = LACKING
    ties: Count | None = LACKING


class Mean(Limits):
    """A mean over prompts."""

    mean: Number
    warning: Text | None = LACKING


class Estimated(Limits):
    """An estimate by resampling."""

    value: Number
    num: Count
    num_prompts: Count | None = LACKING
    warning: Text | None = LACKING


class Means(Limits):
    """A measure of answers before and after."""

    before: Number
    after: Number
    difference: Number
    num_prompts: Count
    warning: Text | None = LACKING


class Change(Fields):
    """How one measure of the answers changed."""

    name: Text
    means: Means


class Forgetting(Limits):
    """Perplexities of demonstrations."""

    before: Number
    after: Number
    ratio: Number
    num_demonstrations: Count
    warning: Text | None = LACKING


class Bucket(Fields):
    """Pairs of about the same margin, gap or certainty."""

    start: Number
    end: Number
    mean: Number
    share: Share


class Calibration(Fields):
    """A model's confidence, and its accuracy."""

    curve: list[Bucket]
    brier: Estimated
    ece: Estimated


class Accuracy(Fields):
    """The accuracy on held-out preferences."""

    accuracy: Share
    by_length: dict[Text, Share] = LACKING
    by_margin: list[Bucket] = LACKING
    by_gap: list[Bucket] = LACKING
    calibration: Calibration | None = LACKING
    lists: Share | None = LACKING
    parts: dict[Text, Estimated] = LACKING
    warning: Text | None = LACKING


class Side(Fields):
    """A prompt, and its answers before and after training."""

    prompt: Any = LACKING
    before: Text = LACKING
    after: Text = LACKING
    score_before: Number | None = LACKING
    score_after: Number | None = LACKING


class Comparison(Fields):
    """An evaluation; null: not measured."""

    judge: Text = LACKING
    policy: Text = LACKING
    reference: Text = LACKING
    num_prompts: Count = LACKING
    num_answered: Count = LACKING
    mean_before: Number | None = LACKING
    mean_after: Number | None = LACKING
    difference: Mean | None = LACKING
    win_rate: Wins | None = LACKING
    decided: Share | None = LACKING
    length_controlled: Estimated | None = LACKING
    position_bias: Share | None = LACKING
    repeatability: Share | None = LACKING
    kl: Mean | None = LACKING
    kl_exact: Mean | None = LACKING
    why_no_exact_kl: Text = LACKING
    changes: list[Change] = LACKING
    forgetting: Forgetting | None = LACKING
    accuracy: Accuracy | None = LACKING
    warning: Text | None = LACKING
    pairs: list[Side] = LACKING


def read_comparison(run: Path) -> dict[str, Any] | None:
    """Read the last evaluation in a run's folder; None before the first. Raises OutputError."""
    file, mend = run / "comparison.json", "evaluate the run again by `penchant.evaluate`, or remove it"
    if not file.is_file():
        return None
    try:
        return read_object(file, Comparison, OutputError, mend)
    except OSError as error:
        raise OutputError(f"{file}: cannot be read ({os_reason(error)}); {mend}") from error
