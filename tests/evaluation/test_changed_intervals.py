"""How answers changed: what the intervals are, what is said where there is none, and that one unit is used."""

import math

import numpy as np
import pytest

from penchant.data import Message, Prompt
from penchant.evaluation.answers import Answers
from penchant.evaluation.changes import changes
from penchant.evaluation.compared import compare_answers, mean_of
from penchant.evaluation.judges import FunctionJudge
from penchant.evaluation.results_in_words import evaluation_lines
from penchant.ranking.cautions import SAME, warning_of
from penchant.ranking.quantiles import two_sided_quantile
from penchant.ranking.winrate import win_rate
from penchant.report.compared_measures import compared_measures
from penchant.statistics import calibration

PROMPTS = [Prompt(messages=(Message(role="user", content=f"question {i}"),), id=str(i)) for i in range(5)]


def answers(texts, ended):
    """One text to each prompt, or several; whether each was ended."""
    of_each = dict(zip([prompt.id for prompt in PROMPTS], texts, strict=True))
    lengths = {key: [len(text) for text in each] for key, each in of_each.items()}
    return Answers(of_each, lengths, dict(zip(of_each, ended, strict=True)))


def change_of(name, before, after):
    return next(one.means for one in changes(PROMPTS, before, after) if one.name == name)


def test_no_line_of_an_evaluation_of_unchanged_answers_has_an_interval_of_width_zero():
    same = answers([["some words"]] * 5, [[True]] * 5)
    judge = FunctionJudge("words", lambda prompt, response: float(len(response)))
    found = compare_answers(PROMPTS, same, same, judge, policy="p", reference="r")
    lines = "\n".join(evaluation_lines(found))
    assert lines.count("only 5 prompts") == 1, "under the judge, once for all lines"
    assert "+0.000 to +0.000" not in lines
    assert f"tokens       10.0 before, 10.0 after  (change +0.0, no interval: {SAME}; 5 prompts)" in lines
    assert "ended        100.0% before, 100.0% after  (change +0.0 points, 95% interval -" in lines
    facts = found.as_dict()
    assert facts["warning"] == found.warning == warning_of(5)
    ended, tokens = ({c["name"]: c["means"] for c in facts["changes"]}[name] for name in ("ended", "tokens"))
    assert -ended["low"] == ended["high"] >= 2 * win_rate(0, 0, 5).high - 1 > 0.4
    assert (tokens["low"], tokens["high"], tokens["warning"]) == (None, None, SAME)
    assert (facts["difference"]["low"], facts["difference"]["warning"]) == (None, SAME)
    told = {measure.name: measure for measure in compared_measures(facts, str)}
    assert told["tokens an answer"].beware == told["judge's mean score"].beware == SAME


def test_ended_is_the_mean_over_prompts_whatever_their_numbers_of_answers():
    texts = [["a"], ["a", "b"], ["a", "b", "c"], ["a"], ["a", "b"]]
    old = [[True], [False, False], [True, False, False], [True], [False, True]]
    new = [[True], [True, True], [True, True, False], [False], [True, True]]
    means = change_of("ended", answers(texts, old), answers(texts, new))
    assert means.before == pytest.approx((1 + 0 + 1 / 3 + 1 + 1 / 2) / 5)
    assert means.after == pytest.approx((1 + 1 + 2 / 3 + 0 + 1) / 5)
    assert means.low < means.after - means.before < means.high
    twice = [change_of("ended", answers([t * k for t in texts], [o * k for o in old]),
                       answers([t * k for t in texts], [n * k for n in new])) for k in (1, 2)]  # fmt: skip
    assert twice[1].low == pytest.approx(twice[0].low, abs=0.01), "copies add no certainty"


def test_unequal_numbers_of_answers_make_nothing_surer_than_as_many_independent_ones():
    steady = [[True, False], [True, False, True], [True, False], [False, True, False], [True, False]]
    turned = [[not one for one in each] for each in steady]
    found = change_of("ended", answers([["a"] * len(one) for one in steady], steady),
                      answers([["a"] * len(one) for one in turned], turned))  # fmt: skip
    effective = 5**2 / (3 / 2 + 2 / 3)
    z = two_sided_quantile(0.95)
    for limit, sign in ((found.low, -1), (found.high, 1)):  # no tie, so Wilson's
        p, rate = (1 + limit) / 2, (1 + found.difference) / 2
        assert sign * (p - rate) == pytest.approx(z * math.sqrt(p * (1 - p) / effective), rel=1e-6)
    assert (found.num, found.num_prompts) == (12, 5)


def test_numbers_of_answers_without_a_common_divisor_make_no_copies():
    numbers = (7, 9, 11, 13, 16)
    old, new = ([[i % k == 0 for i in range(num)] for num in numbers] for k in (2, 3))
    found = change_of("ended", *(answers([["a"] * num for num in numbers], side) for side in (old, new)))
    assert found.num == sum(numbers)
    assert found.low < found.difference < found.high


def test_a_judge_of_right_and_wrong_has_tangos_interval_too():
    before = answers([["no"]] * 5, [[True]] * 5)
    after = answers([["yes"]] * 5, [[True]] * 5)
    right = FunctionJudge("right", lambda prompt, response: float(response == "yes"))
    found = compare_answers(PROMPTS, before, after, right, policy="p", reference="r").difference
    assert found.mean == found.high == 1.0
    assert found.low < 0.5


def test_an_exact_kl_is_not_said_to_be_below_zero():
    same = answers([["some words"]] * 5, [[True]] * 5)
    judge = FunctionJudge("words", lambda prompt, response: float(len(response)))
    found = compare_answers(PROMPTS, same, same, judge, policy="p", reference="r")
    plain, exact = np.array([-3.0, 1.0, 2.0, 5.0, 9.0]), np.array([0.1, 0.2, 0.1, 0.3, 9.0])
    with_kl = found.with_kl(plain, exact, PROMPTS)
    assert with_kl.kl.low < 0 == with_kl.kl_exact.low
    assert with_kl.kl_exact.mean == exact.mean()


def test_a_kl_or_brier_score_that_is_the_same_for_every_prompt_has_no_interval():
    found = mean_of(np.zeros(6), list("abcdef"))
    assert (found.mean, found.low, found.high, found.warning) == (0.0, None, None, SAME)
    unsure = calibration([0.5] * 6, list("abcdef"))
    assert (unsure.brier.low, unsure.brier.warning) == (None, SAME)
    assert (unsure.ece.value, unsure.ece.low, unsure.ece.warning) == (0.0, None, SAME)
    sure = calibration([1.0] * 5 + [0.0], list("abcdef")).brier
    assert sure.low == 0.0
    assert math.isclose(sure.value, 1 / 6)
    assert sure.high > 0.4
