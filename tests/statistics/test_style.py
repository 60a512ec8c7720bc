"""The win rate at equal length and style: its features counted by hand, its fit by a general optimiser."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from penchant import statistics as st
from penchant.ranking.winrate import win_rate_of
from penchant.statistics.resampling import ONE_SIDED


def decorated(length, headings, items, bold):
    return "# title\n" * headings + "- item\n" * items + "**b** " * bold + "x" * length


def answers_of(seed, num, more=0):
    """N texts of two models with their counts (characters, headings, items, bold), the newer with more of all."""
    rng = np.random.default_rng(seed)
    sides = []
    for extra in (more, 0):
        rows = np.column_stack([rng.integers(400, 800, num), *(rng.poisson(2 + extra, num) for _ in range(3))])
        texts = [decorated(*row) for row in rows]
        sides.append((texts, np.column_stack([[len(text) for text in texts], rows[:, 1:]])))
    return sides


def test_features_are_differences_over_sums_over_their_spread_and_0_where_answers_are_alike():
    (texts, a_NF), (others, b_NF) = answers_of(0, 12)
    gap_NF = (a_NF - b_NF) / np.maximum(a_NF + b_NF, 1)
    np.testing.assert_allclose(st.style_features(texts, others), gap_NF / np.sqrt((gap_NF**2).mean(0)))
    assert not st.style_features(texts, texts).any()
    lengths = st.style_features(["我很好。"] * 2, ["我很好,谢谢,你呢?"] * 2)[:, 0]
    assert lengths.tolist() == pytest.approx([-1.0] * 2), "texts without spaces have a length too"


def test_the_rate_is_that_of_the_model_fitted_by_a_general_optimiser():
    (texts, a_NF), (others, b_NF) = answers_of(1, 12)
    gap_NF = (a_NF - b_NF) / np.maximum(a_NF + b_NF, 1)
    f_NF, prompt_N = gap_NF / np.sqrt((gap_NF**2).mean(0)), np.arange(12) // 2
    credits = [1.0, 0.0, 1.0, 1.0, 0.5, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.5]

    def logit(parameters):
        return parameters[0] + f_NF @ parameters[1:5] + parameters[5:][prompt_N]

    def penalised(parameters):
        loss = (parameters[:5] ** 2).sum() / 18 + (parameters[5:] ** 2).sum() / 2
        return loss + sum(math.log1p(math.exp(z)) - c * z for z, c in zip(logit(parameters), credits, strict=True))

    best = minimize(penalised, np.zeros(11), method="BFGS", options={"gtol": 1e-7}).x
    expected = np.mean(1 / (1 + np.exp(-(best[0] + best[5:][prompt_N]))))
    found = st.style_controlled_win_rate(credits, texts, others, prompt_N.tolist())
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.low < found.value < found.high
    assert "only 6 prompts" in found.warning


@pytest.mark.slow(threads=1)
def test_a_model_that_wins_by_lists_alone_wins_half_at_equal_style_but_not_at_equal_length():
    (texts, a_NF), (others, b_NF) = answers_of(2, 240, more=2)
    more = (a_NF[:, 2] - b_NF[:, 2]) / (a_NF[:, 2] + b_NF[:, 2]).clip(1)
    won = (np.random.default_rng(3).random(240) < 1 / (1 + np.exp(-4 * more))).astype(float).tolist()
    prompts = (np.arange(240) // 2).tolist()
    style = st.style_controlled_win_rate(won, texts, others, prompts)
    length = st.length_controlled_win_rate(won, a_NF[:, 0], b_NF[:, 0], prompts)
    assert win_rate_of(won, prompts).low > 0.5
    assert length.low > 0.5
    assert style.low < 0.5 < style.high
    assert abs(style.value - 0.5) < 0.15
    assert (style.num, style.num_prompts, style.warning) == (240, 120, None)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("num_equal", [0, 1, 5])
def test_a_heading_that_one_model_nearly_always_has_is_told_from_nothing_and_moves_nothing_by_itself(num_equal):
    """A scale about the mean would make 199 headings of 200 count 14 each, and all 10 of 10 infinitely many."""
    headed, bare = ["x" * 44] * num_equal + ["# a\n" + "x" * 40] * (40 - num_equal), ["y" * 44] * 40
    assert abs(st.style_features(headed, bare)).max() < 1.1
    credits = ([1.0] * 9 + [0.0]) * 4
    found = st.style_controlled_win_rate(credits, headed, bare, list(range(40)))
    assert (found.warning == ONE_SIDED) == (num_equal < 3)
    assert 0.7 < found.value < 0.95
    same = st.style_features(["# a\n# b\n" + "x" * 4] * 10, ["# a\n" + "x" * 8] * 10)
    assert same[:, 1].tolist() == pytest.approx([1.0] * 10)


@pytest.mark.slow(threads=1)
def test_where_one_model_is_always_the_longer_or_more_decorated_one_the_estimate_says_so():
    credits, prompts = [1.0, 0.0, 1.0, 1.0] * 6, [i // 2 for i in range(24)]
    plain, listed = ["x" * (20 + i) for i in range(24)], ["- x\n" * (1 + i % 3) + "y" * (40 - i) for i in range(24)]
    assert st.style_controlled_win_rate(credits, plain, listed, prompts).warning == ONE_SIDED
    longer, as_long = range(30, 54), [*range(30, 53), 60]
    assert st.length_controlled_win_rate(credits, longer, [n - 1 for n in longer], prompts).warning == ONE_SIDED
    assert st.length_controlled_win_rate(credits, longer, as_long, prompts).warning != ONE_SIDED
