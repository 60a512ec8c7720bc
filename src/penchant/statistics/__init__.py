"""What answers and scores say of a model, each number with an interval. numpy and scipy only, no torch.

resampling.py    an interval for any statistic, by prompts drawn again
crossed.py       a mean over prompts and seeds of training
controlled.py    win rates with length or style held equal
buckets.py       accuracy apart by margin, length or any other value
best_of.py       how well rewards pick the right answers of lists, as RewardBench 2 counts
calibration.py   whether sigmoid(margin) is right as often as it says
wording.py       repetition, distinct n-grams, and decoration
"""

from penchant.statistics.best_of import ScoredList, best_of, mean_of_parts, ties_score
from penchant.statistics.buckets import Bucket, accuracy_by_length, accuracy_by_margin, by_bucket, by_quarters
from penchant.statistics.calibration import (
    Calibration,
    brier_score,
    calibration,
    calibration_error,
    expected_calibration_error,
)
from penchant.statistics.controlled import (
    controlled_win_rate,
    fit_controlled,
    length_controlled_win_rate,
    style_controlled_win_rate,
)
from penchant.statistics.crossed import Crossed, crossed
from penchant.statistics.resampling import FEW_PROMPTS, WARNINGS, Estimate, resampled
from penchant.statistics.wording import distinct, repetition, style_features

__all__ = [
    "FEW_PROMPTS",
    "WARNINGS",
    "Bucket",
    "Calibration",
    "Crossed",
    "Estimate",
    "ScoredList",
    "accuracy_by_length",
    "accuracy_by_margin",
    "best_of",
    "brier_score",
    "by_bucket",
    "by_quarters",
    "calibration",
    "calibration_error",
    "controlled_win_rate",
    "crossed",
    "distinct",
    "expected_calibration_error",
    "fit_controlled",
    "length_controlled_win_rate",
    "mean_of_parts",
    "repetition",
    "resampled",
    "style_controlled_win_rate",
    "style_features",
    "ties_score",
]
