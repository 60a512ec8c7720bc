"""Statistics of answers and scores, each number with an interval. numpy and scipy only, no torch.

resampling.py    bootstrap intervals for any statistic, by resampling prompts
crossed.py       means over prompts and training seeds
controlled.py    win rates controlled for length or style
buckets.py       accuracy by margin, length or any other value
best_of.py       how well rewards pick the right answers of lists, as in RewardBench 2
calibration.py   whether sigmoid(margin) matches the accuracy
wording.py       repetition, distinct n-grams, and style
"""

from penchant.statistics.best_of import ScoredList, best_of, mean_of_parts, ties_score
from penchant.statistics.buckets import Bucket, accuracy_by_length, accuracy_by_margin, by_bucket, by_quarters
from penchant.statistics.calibration import Calibration, calibration, calibration_error
from penchant.statistics.controlled import controlled_win_rate, fit_controlled, length_controlled_win_rate
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
    "by_bucket",
    "by_quarters",
    "calibration",
    "calibration_error",
    "controlled_win_rate",
    "crossed",
    "distinct",
    "fit_controlled",
    "length_controlled_win_rate",
    "mean_of_parts",
    "repetition",
    "resampled",
    "style_features",
    "ties_score",
]
