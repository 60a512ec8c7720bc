"""What an experiment returns: series that are whole, and dicts that survive JSON."""

import json

import pytest

from penchant.lab import EXPERIMENTS, Figure, Result, Series, TreeFigure


@pytest.mark.parametrize(
    "limits", [{"low": [0.0]}, {"low": [0.0, 0.0], "high": [1.0]}, {"low": [0.0], "high": [1.0]}, {"high": [1.0, 1.0]}]
)
def test_limits_are_given_for_every_point_or_for_none(limits):
    with pytest.raises(ValueError, match="'loss' has 2 x, 2 y"):
        Series.of("loss", [1, 2], [0.5, 0.2], **limits)


def test_a_series_has_one_y_an_x():
    with pytest.raises(ValueError, match="'loss' has 2 x, 1 y"):
        Series.of("loss", [1, 2], [0.5])


def test_figures_of_both_kinds_become_plain_dicts_that_say_which_they_are():
    curves = Figure("A line", "x", "y", (Series.of("one", ["a"], [1.0], low=[0.5], high=[1.5], colour="c", dash="d"),))
    tree = TreeFigure("A tree", ({"kind": "leaf", "column": 0, "row": 0, "probability": 1.0},), ())
    found = json.loads(json.dumps(Result("n", "C.", {}, {}, (curves, tree), {}, ({"a": "b"},)).as_dict()))
    assert [figure["kind"] for figure in found["figures"]] == ["curves", "tree"]
    assert found["figures"][0]["series"][0] == {
        "label": "one",
        "x": ["a"],
        "y": [1.0],
        "low": [0.5],
        "high": [1.5],
        "colour": "c",
        "dash": "d",
        "points": False,
    }
    assert found["table"] == [{"a": "b"}]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_figure_says_in_a_sentence_what_it_shows(name, result):
    for figure in result(name).figures:
        assert len(figure.title.split()) >= 5
        assert not figure.title.endswith(".")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_curve_over_steps_or_games_begins_where_training_did(name, result):
    for figure in result(name).figures:
        if figure.x_label.startswith(("steps", "games")):
            assert {one.x[0] for one in figure.series} == {0}


def test_curves_of_one_beta_share_a_colour_and_those_of_one_objective_a_dash(result):
    for figure in result("overfitting").figures:
        for one in figure.series:
            objective, beta = one.label.split(", ")
            assert (one.colour, one.dash) == (beta, objective)
        low, high = figure.y_range
        for one in figure.series:
            assert sum(low < y < high for y in one.y) >= 3, "no curve is out of the picture"
