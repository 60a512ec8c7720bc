"""Votes: what goes in comes out, nothing can be changed, and nonsense is refused in one sentence."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.ranking import Votes

ROWS = [
    {"left": "a", "right": "b", "outcome": "left", "prompt": "p1", "length": 3},
    {"left": "b", "right": "c", "outcome": "tie", "prompt": "p2", "length": -1},
    {"left": "c", "right": "a", "outcome": "right", "prompt": "p1", "length": 0},
]


def plain(**changes) -> Votes:
    columns = {
        "items": ("a", "b", "c"),
        "left_V": np.array([0, 1]),
        "right_V": np.array([1, 2]),
        "outcome_V": np.array([1, 0]),
        "weight_V": np.ones(2),
    }
    return Votes(**{**columns, **changes})


def test_rows_become_columns_with_items_numbered_as_they_appear():
    votes = Votes.from_rows(ROWS, clusters=["prompt"], covariates=["length"])
    assert votes.items == ("a", "b", "c")
    assert votes.left_V.tolist() == [0, 1, 2]
    assert votes.right_V.tolist() == [1, 2, 0]
    assert votes.outcome_V.tolist() == [1, 0, -1]
    assert votes.score_V.tolist() == [1, 0.5, 0]
    assert votes.weight_V.tolist() == [1, 1, 1]
    assert votes.clusters["prompt"].tolist() == [0, 1, 0]
    assert votes.covariates["length"].tolist() == [3, -1, 0]
    assert len(votes) == 3


def test_weights_are_read_from_rows_where_every_row_has_one():
    assert Votes.from_rows([row | {"weight": 2} for row in ROWS]).weight_V.tolist() == [2, 2, 2]
    with pytest.raises(DataError, match="Vote 2 has no 'weight'"):
        Votes.from_rows([ROWS[0] | {"weight": 2}, ROWS[1]])


def test_counts_become_single_votes():
    votes = Votes.from_counts([("a", "b", 2, 1, 1), ("b", "c", 0, 1, 0)])
    assert votes.outcome_V.tolist() == [1, 1, -1, 0, -1]
    assert votes.left_V.tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("count", [-1, 0.5])
def test_a_count_that_is_no_count_is_refused(count):
    with pytest.raises(DataError, match="of 'a' against 'b' must be a whole number"):
        Votes.from_counts([("a", "b", count, 1, 0)])


def test_columns_cannot_be_written_to_and_are_not_the_callers():
    outcome_V = np.array([1, 0])
    votes = plain(outcome_V=outcome_V)
    outcome_V[0] = -1
    assert votes.outcome_V.tolist() == [1, 0]
    with pytest.raises(ValueError, match="read-only"):
        votes.outcome_V[0] = 0
    with pytest.raises(TypeError):
        votes.clusters["x"] = outcome_V


def test_reweighted_votes_keep_everything_else():
    votes = Votes.from_rows(ROWS, clusters=["prompt"])
    other = votes.reweighted([1, 2, 3])
    assert other.weight_V.tolist() == [1, 2, 3]
    assert other.left_V is votes.left_V
    assert votes.weight_V.tolist() == [1, 1, 1]


def test_votes_among_some_items_have_these_items_and_their_columns_only():
    everything = Votes.from_rows(ROWS, clusters=["prompt"], covariates=["length"])
    votes = everything.among(["c", "a"])
    assert votes.items == ("c", "a")
    assert (votes.left_V.tolist(), votes.right_V.tolist(), votes.outcome_V.tolist()) == ([0], [1], [-1])
    assert (votes.clusters["prompt"].tolist(), votes.covariates["length"].tolist()) == ([0], [0])
    with pytest.raises(DataError, match="No votes have an item called 'z'; the items are a, b, c"):
        everything.among(["z", "a"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"items": ("a",)}, "at least two items"),
        ({"items": ("a", "b", "a")}, "'a' is named twice"),
        ({"items": ("a", None, "b")}, "must be text; got None"),
        ({"right_V": np.array([1, 3])}, "numbered 0 to 2; got 0 to 3"),
        ({"left_V": np.array([-1, 1])}, "numbered 0 to 2; got -1 to 2"),
        ({"right_V": np.array([1, 1])}, "Vote 2 compares an item with itself"),
        ({"outcome_V": np.array([1, 2])}, "Vote 2 has an outcome other than"),
        ({"weight_V": np.array([-1.0, 1.0])}, "Vote 1 has a weight"),
        ({"weight_V": np.array([1.0, np.nan])}, "Vote 2 has a weight"),
        ({"weight_V": np.zeros(2)}, "Every vote has weight 0"),
        ({"weight_V": np.ones(3)}, "'weight' must have one value a vote"),
        ({"clusters": {"prompt": np.array([0, -1])}}, r"Vote 2 has a label in 'prompt' outside 0 to 2\^31"),
        ({"clusters": {"prompt": np.array([2**40, 0])}}, "Vote 1 has a label in 'prompt' outside"),
        ({"clusters": {"prompt": np.array([0])}}, "'prompt' must have one value a vote"),
        ({"covariates": {"length": np.array([0.0, np.inf])}}, "Vote 2 has a 'length' that is not a finite number"),
    ],
)
def test_nonsense_is_refused_with_the_vote_and_the_reason(changes, sentence):
    with pytest.raises(DataError, match=sentence):
        plain(**changes)


def test_no_votes_an_unknown_outcome_a_missing_key_and_a_missing_label_are_refused():
    with pytest.raises(DataError, match="got 0 votes"):
        Votes.from_rows([])
    with pytest.raises(DataError, match="Vote 2 has the outcome 'both bad'"):
        Votes.from_columns(["a", "a"], ["b", "b"], ["left", "both bad"])
    with pytest.raises(DataError, match="got 2 items left and 1 right"):
        Votes.from_columns(["a", "a"], ["b"], ["left", "tie"])
    with pytest.raises(DataError, match="Vote 3 has no 'annotator'"):
        Votes.from_rows([row | {"annotator": 1} for row in ROWS[:2]] + ROWS[2:], clusters=["annotator"])
    with pytest.raises(DataError, match="Vote 2 has no 'annotator'"):
        Votes.from_columns(["a", "a"], ["b", "b"], ["left", "tie"], clusters={"annotator": ["Ann", None]})


def test_votes_of_no_weight_are_votes_and_an_item_may_be_without_votes():
    votes = plain(weight_V=np.array([1.0, 0.0]))
    assert len(replace(votes, items=("a", "b", "c", "d")).items) == 4
