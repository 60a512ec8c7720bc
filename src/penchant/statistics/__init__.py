"""What answers and scores say of a model, each number with an interval. numpy and scipy only, no torch.

resampling.py    an interval for any statistic, by prompts drawn again
controlled.py    win rates with length or style held equal
calibration.py   whether sigmoid(margin) is right as often as it says
wording.py       repetition, distinct n-grams, and decoration
"""

from penchant.statistics.calibration import (
    Bucket,
    Calibration,
    brier_score,
    by_bucket,
    calibration,
    expected_calibration_error,
)
from penchant.statistics.controlled import controlled_win_rate, fit_controlled, length_controlled_win_rate
from penchant.statistics.resampling import FEW_PROMPTS, Estimate, resampled
from penchant.statistics.wording import distinct, repetition, style_features

__all__ = [
    "FEW_PROMPTS",
    "Bucket",
    "Calibration",
    "Estimate",
    "brier_score",
    "by_bucket",
    "calibration",
    "controlled_win_rate",
    "distinct",
    "expected_calibration_error",
    "fit_controlled",
    "length_controlled_win_rate",
    "repetition",
    "resampled",
    "style_features",
]
