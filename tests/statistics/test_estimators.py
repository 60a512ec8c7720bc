"""Win rates with length held equal, calibration, repetition: against slow fits, hand counts, simulated truth."""

import doctest
import importlib
import math
import pkgutil

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

import penchant.statistics as st

MODULES = [one.name for one in pkgutil.iter_modules(st.__path__, "penchant.statistics.")]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run(module):
    found = doctest.testmod(importlib.import_module(module), extraglobs={"np": np})
    assert found.failed == 0
    assert found.attempted > 0


def simulated(rng, num_prompts, *, theta, phi, each=2):
    prompt_N = np.repeat(np.arange(num_prompts), each)
    feature_N = rng.normal(0.7, 1.0, len(prompt_N))
    gamma_G = rng.normal(0, 1, num_prompts)
    won_N = rng.random(len(prompt_N)) < expit(theta + phi * feature_N + gamma_G[prompt_N])
    return won_N.astype(float), feature_N[:, None], prompt_N


def test_newtons_fit_is_the_minimum_that_a_general_optimiser_finds():
    credit_N, feature_NF, prompt_N = simulated(np.random.default_rng(3), 6, theta=0.3, phi=1.0)
    weight_N = np.array([1, 2, 0, 1, 1, 3, 1, 1, 0, 0, 2, 1.0])

    def penalised(parameters):
        theta, phi, gamma_G = parameters[0], parameters[1], parameters[2:]
        loss = (theta**2 + phi**2) / 18 + (gamma_G**2).sum() / 2
        for i, credit in enumerate(credit_N):
            p = 1 / (1 + math.exp(-(theta + phi * feature_NF[i, 0] + gamma_G[prompt_N[i]])))
            loss -= weight_N[i] * (credit * math.log(p) + (1 - credit) * math.log(1 - p))
        return loss

    expected = minimize(penalised, np.zeros(8), method="BFGS", options={"gtol": 1e-7}).x
    theta, phi, gamma_G = st.fit_controlled(credit_N, feature_NF, prompt_N, weight_N)
    np.testing.assert_allclose([theta, *phi, *gamma_G], expected, atol=1e-5)


@pytest.mark.slow(threads=1)
def test_a_model_that_wins_by_length_alone_has_a_controlled_win_rate_of_a_half():
    rng = np.random.default_rng(0)
    credit_N, feature_NF, prompt_N = simulated(rng, 400, theta=0.0, phi=2.0)
    found = st.controlled_win_rate(credit_N.tolist(), feature_NF, prompt_N.tolist())
    assert credit_N.mean() > 0.65
    assert found.low < 0.5 < found.high
    assert abs(found.value - 0.5) < 0.06
    assert found.warning is None
    assert (found.num, found.num_prompts) == (800, 400)


@pytest.mark.slow
def test_controlled_intervals_of_30_prompts_hold_the_truth_nine_times_in_ten():
    rng, trials = np.random.default_rng(1), 60
    covered = 0
    for _ in range(trials):
        credit_N, feature_NF, prompt_N = simulated(rng, 30, theta=0.0, phi=1.0)
        found = st.resampled(
            lambda weight_N, c=credit_N, f=feature_NF, p=prompt_N: st.fit_controlled(c, f, p, weight_N)[0],
            prompt_N.tolist(),
            num_resamples=100,
        )
        covered += found.low <= 0.0 <= found.high
    assert covered >= 0.88 * trials


def test_where_everything_was_won_the_interval_is_not_a_point():
    found = st.length_controlled_win_rate([1.0] * 10, range(10), [3] * 10, [i // 2 for i in range(10)])
    assert found.high == 1.0
    assert found.low < 0.8
    assert "same result" in found.warning


def test_answers_of_one_prompt_have_no_interval_and_a_warning():
    found = st.length_controlled_win_rate([1.0, 0.0], [5, 5], [5, 5], ["x", "x"])
    assert (found.low, found.high) == (None, None)
    assert "one prompt" in found.warning


def test_features_of_another_length_are_refused():
    with pytest.raises(ValueError, match="Features must be"):
        st.controlled_win_rate([1.0, 0.0], np.zeros((3, 1)), ["a", "b"])


def test_calibration_of_true_probabilities_has_an_error_near_zero_and_of_overconfident_ones_does_not():
    rng = np.random.default_rng(2)
    margin_N = rng.normal(0, 2, 4000)
    right_N = np.where(rng.random(4000) < expit(margin_N), margin_N, -margin_N)  # the margin as the chosen side sees it
    honest, boasting = st.calibration(expit(right_N)), st.calibration(expit(3 * right_N))
    assert honest.ece.value < 0.02
    assert boasting.ece.low > 0.05
    assert honest.brier.high < boasting.brier.low
    assert sum(bucket.share.num for bucket in honest.curve) == 4000


def test_probabilities_outside_zero_and_one_are_refused():
    for wrong in ([], [1.2], [float("nan")]):
        with pytest.raises(ValueError, match="probabilities"):
            st.calibration(wrong)


def test_text_without_n_grams_repeats_nothing():
    assert st.distinct([[1]], n=2) == 0.0
    assert st.repetition([1, 1, 1]) == 0.0
    assert st.style_features(["**a** b\n- c\n1. d"], ["a"]).shape == (1, 4)
