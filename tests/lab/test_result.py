"""What an experiment returns: series that are whole, and dicts that survive JSON."""

import json

import pytest

from penchant.lab import Figure, Result, Series, TreeFigure


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
