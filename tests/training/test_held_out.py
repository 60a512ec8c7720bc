"""What is said of held-out pairs beside their mean: counted by hand."""

import math

import pytest
from scipy.stats import t as student_t

from penchant.ranking.winrate import win_rate_of
from penchant.training.held_out import _limits_of, _of_pairs


def test_accuracy_by_length_and_calibration_are_those_counted_by_hand():
    logit = math.log(0.85 / 0.15)
    margins = [logit] * 8 + [-logit] * 2  # 0.85 sure, right in eight of ten
    lengths = [(20, 10)] * 4 + [(10, 20)] * 4 + [(10, 20), (10, 10)]
    right = [1.0] * 8 + [0.0] * 2
    found = _of_pairs(right, [str(i) for i in range(10)], margins, lengths)
    assert found["eval_rewards/ece"] == pytest.approx(0.05)
    for name, rate, num in (("longer", 1.0, 4), ("shorter", 0.8, 5), ("as_long", 0.0, 1)):
        key = f"eval_rewards/accuracies/chosen_{name}"
        assert (found[key], found[f"{key}_num"]) == (rate, num)
        assert found[f"{key}_low"] <= rate <= found[f"{key}_high"]


def test_margins_that_are_not_finite_have_no_calibration():
    assert "eval_rewards/ece" not in _of_pairs([0.5], ["a"], [math.nan], [(1, 1)])


def test_a_mean_over_items_has_the_interval_of_its_prompts_or_none():
    values, prompts = [0.0, 2.0, 1.0, 3.0, 3.0, 3.0], list("aabbcc")  # prompts at 1, 2 and 3: not skewed
    found = _limits_of("reward", values, prompts)
    half = student_t(2).ppf(0.975) / math.sqrt(3)
    assert (found["eval_reward_low"], found["eval_reward_high"]) == pytest.approx((2 - half, 2 + half))
    assert _limits_of("reward", [0.0, 1.0, 1.0], list("abc")) == {
        f"eval_reward_{end}": getattr(win_rate_of([0.0, 1.0, 1.0], list("abc")), end) for end in ("low", "high")
    }
    for none in (([1.0, 2.0], ["a", "a"]), ([1.0, 1.0], ["a", "b"]), ([1.0, math.inf], ["a", "b"]), ([], [])):
        assert _limits_of("reward", *none) == {}
