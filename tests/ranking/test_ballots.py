"""Ballots: what people answered, what of it ranks, and who answered what about which two responses."""

import pytest

from penchant.errors import ConfigError, DataError
from penchant.ranking import Ballots


@pytest.fixture
def mixed() -> Ballots:
    return Ballots(
        ["tea", "tea", "milk", "milk"],
        ["milk", "milk", "tea", "juice"],
        ["left", "tie", "both_bad", "both_bad"],
        prompt=["p", "p", "q", "q"],
        annotator=["Ann", "Bo", "Ann", None],
    )


def test_both_bad_is_no_vote_unless_it_is_asked_for_as_a_tie(mixed):
    apart, ties = mixed.votes(), mixed.votes("tie")
    assert (apart.items, apart.outcome_V.tolist()) == (("tea", "milk"), [1, 0])
    assert (ties.items, ties.outcome_V.tolist()) == (("tea", "milk", "juice"), [1, 0, 0, 0])
    assert [mixed.count(answer) for answer in ("left", "right", "tie", "both_bad")] == [1, 0, 1, 2]
    assert mixed.both_bad_of() == {"tea": 1, "milk": 2, "juice": 1}


def test_votes_are_clustered_by_what_every_ballot_records(mixed):
    assert mixed.recorded == ("prompt",)
    assert {name: labels.tolist() for name, labels in mixed.votes("tie").clusters.items()} == {"prompt": [0, 0, 1, 1]}
    assert Ballots(["a"], ["b"], ["left"]).votes().clusters == {}


def test_answers_are_turned_to_the_sides_of_the_units_first_ballot():
    ballots = Ballots(
        ["a", "b", "b", "a", "x", "b"],
        ["b", "a", "a", "b", "y", "a"],
        ["left", "left", "tie", "both_bad", "left", "right"],
        unit=[1, 1, 1, 1, 2, 1],
        annotator=["Ann", "Bo", "Cy", "Di", "Ann", "Ed"],
    )
    first = {"Ann": "left", "Bo": "right", "Cy": "tie", "Di": "both_bad", "Ed": "left"}
    assert ballots.answers() == [first, {"Ann": "left"}]


def test_who_answers_twice_counts_with_the_last_and_answers_that_name_nobody_are_no_persons():
    unnamed = Ballots(["a"] * 4, ["b"] * 4, ["left", "right", "tie", "tie"], unit=[1, 1, 1, None])
    assert (unnamed.answers(), unnamed.num_without("annotator"), unnamed.num_without("prompt")) == ([], 4, 4)
    some = Ballots(["a"] * 3, ["b"] * 3, ["left", "right", "tie"], unit=[1] * 3, annotator=[None, "Ann", None])
    assert (some.answers(), some.num_without("annotator"), some.recorded) == ([{"Ann": "right"}], 2, ())
    twice = Ballots(["a"] * 2, ["b"] * 2, ["left", "right"], unit=[1, 1], annotator=["Ann", "Ann"])
    assert twice.answers() == [{"Ann": "right"}]
    assert Ballots(["a"], ["b"], ["left"]).answers() == []


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"outcome": ["left", "won"]}, "Ballot 2 has the outcome 'won'"),
        ({"shown_first": ["left", "top"]}, "Ballot 2 has the shown_first 'top'"),
        ({"prompt": ["p"]}, "column 'prompt' must have 2 values; got 1"),
        ({"left": [], "right": [], "outcome": []}, "needs votes; got none"),
    ],
)
def test_columns_that_are_no_ballots_are_refused(columns, sentence):
    good = {"left": ["a", "a"], "right": ["b", "b"], "outcome": ["left", "left"]}
    with pytest.raises(DataError, match=sentence):
        Ballots(**{**good, **columns})


def test_nothing_but_both_bad_ranks_nothing():
    with pytest.raises(DataError, match="Every one of the 2 answers is both_bad"):
        Ballots(["a"] * 2, ["b"] * 2, ["both_bad"] * 2).votes()
    with pytest.raises(ConfigError, match="'apart' or 'tie'; got 'half'"):
        Ballots(["a"], ["b"], ["left"]).votes("half")
