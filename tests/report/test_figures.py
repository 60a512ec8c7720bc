"""Figures and the series they draw."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.report.figures import figures, number
from penchant.report.series import Series, find_beta, log_prob_change, series, smooth, thin


def by_title(run, metrics):
    return {figure.title: figure for figure in figures(run, metrics)}


@pytest.mark.slow(threads=1)
def test_every_figure_tells_the_last_value_of_its_series(run, metrics):
    found = by_title(run, metrics)
    train, held_out = metrics[-2], metrics[-1]
    loss = {label: value for label, value, _ in found["Loss"].legend}
    assert loss == {"training": number(train["loss"]), "held-out": number(held_out["eval_loss"])}
    assert f"training ends at {number(train['loss'])}" in found["Loss"].svg
    assert f"held-out ends at {number(held_out['eval_loss'])}" in found["Loss"].svg
    assert "held-out ends at 0.84" in found["Reward accuracy"].svg
    assert "training ends at 2" in found["Reward margin"].svg
    assert [value for _, value, _ in found["Gradient norm"].legend] == ["3"]


@pytest.mark.slow(threads=1)
def test_figures_are_well_formed_svg_with_theme_colours_only(run, metrics):
    for figure in figures(run, metrics):
        root = ElementTree.fromstring(figure.svg)
        assert root.tag.endswith("svg")
        assert root.get("role") == "img"
        assert "var(--first)" in figure.svg
        assert "var(--muted)" in figure.svg
        assert not re.findall(r"(?:fill|stroke): #", figure.svg)


@pytest.mark.slow(threads=1)
def test_no_identifier_is_shared_between_figures(run, metrics):
    ids = [name for figure in figures(run, metrics) for name in set(re.findall(r' id="([^"]*)"', figure.svg))]
    assert len(ids) == len(set(ids))


@pytest.mark.slow(threads=1)
def test_drawing_leaves_matplotlibs_settings_alone(run, metrics):
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures(run, metrics)
    assert dict(matplotlib.rcParams) == before


def test_a_figure_without_data_is_not_drawn(run):
    assert list(by_title(run, [{"step": 1, "loss": 0.7}])) == ["Loss"]
    assert figures(run, []) == []


def test_a_spike_in_the_gradient_norm_does_not_flatten_the_rest(run):
    rows = [{"step": step, "grad_norm": 900.0 if step == 30 else 2.0 + step % 3} for step in range(60)]
    svg = by_title(run, rows)["Gradient norm"].svg
    assert re.search(r">100<", svg)  # decades label a logarithmic axis
    assert not re.search(r">250<|>500<", svg)


def test_a_long_run_stays_a_small_figure_and_keeps_its_spike(run):
    rows = [{"step": step, "loss": 0.5 + (9.0 if step == 12_345 else 0.0)} for step in range(20_000)]
    figure = by_title(run, rows)["Loss"]
    assert len(figure.svg) < 60_000
    assert max(thin(series(rows, "loss")).values) == 9.5


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000), st.integers(10, 500))
def test_thinning_keeps_ends_extremes_and_order(values, limit):
    line = Series(tuple(range(len(values))), tuple(values))
    thinned = thin(line, limit)
    assert len(thinned) <= max(limit + 2, 0)
    assert thinned.steps == tuple(sorted(set(thinned.steps)))
    assert (thinned.values[0], thinned.values[-1]) == (values[0], values[-1])
    assert (min(thinned.values), max(thinned.values)) == (min(values), max(values))


def test_a_running_mean_appears_only_in_long_series():
    short = Series((0, 1), (1.0, 3.0))
    assert smooth(short) == (short, 1)
    long = Series(tuple(range(100)), tuple(float(i % 2) for i in range(100)))
    means, window = smooth(long)
    assert window == 5
    assert means.values[-1] == pytest.approx(sum(long.values[-5:]) / 5)
    assert means.values[0] == long.values[0]


def test_a_series_skips_rows_without_the_key_and_values_that_are_not_finite():
    rows = [{"step": 1, "loss": 1.0}, {"step": 2}, {"step": 3, "loss": float("nan")}, {"step": 4, "loss": 2}]
    rows.append({"step": 5, "loss": None})
    assert series(rows, "loss") == Series((1.0, 4.0), (1.0, 2.0))


def test_the_log_prob_change_prefers_the_same_pairs_then_the_reference_then_batches(run, metrics):
    held_out = log_prob_change(run, metrics)
    assert held_out.source == "held-out"
    assert (held_out.chosen.values[0], held_out.chosen.values[-1]) == (0.0, pytest.approx(3.0))
    train = [row for row in metrics if "loss" in row]
    reference = log_prob_change(run, train)
    assert reference.source == "reference"
    assert reference.chosen.values[-1] == pytest.approx(5.0)  # reward 0.5 at beta 0.1
    assert reference.rejected.values[-1] == pytest.approx(-15.0)
    batches = log_prob_change({}, train)
    assert batches.source == "batches"
    assert batches.chosen.values[0] == 0.0
    assert log_prob_change(run, [{"step": 1, "loss": 0.7}]) is None


@pytest.mark.slow(threads=1)
def test_likelihood_displacement_is_explained_at_its_figure(run, metrics):
    assert "likelihood displacement" in by_title(run, metrics)["Change of log-probability"].note


def test_beta_is_found_wherever_the_config_keeps_it():
    assert find_beta({"training": {"adam_beta1": 0.9}, "dpo": {"beta": 0.2}}) == 0.2
    assert find_beta({"training": {"betas": [0.9, 0.99]}}) is None
    assert find_beta(None) is None


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (0.69314, "0.6931"), (12.3456, "12.35"), (1203.7, "1,204"), (5e-7, "5e-07")]
)
def test_numbers_are_short(value, shown):
    assert number(value) == shown


def test_a_policy_that_began_as_its_reference_is_measured_from_step_zero_by_its_rewards():
    run = {"beta": 0.5, "reference_digest": "a", "model_digest": "a"}
    rows = [{"step": 10, "eval_rewards/chosen": -1.0, "eval_rewards/rejected": -2.0}]
    change = log_prob_change(run, rows)
    assert (change.chosen.steps, change.chosen.values) == ((0.0, 10.0), (0.0, -2.0))
    assert change.rejected.values == (0.0, -4.0)
    assert log_prob_change({**run, "model_digest": "b"}, rows) is None
