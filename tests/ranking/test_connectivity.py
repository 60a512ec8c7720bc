"""Which items can be ranked: groups, and reasons in words."""

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.ranking import Votes, components, refuse_unrankable, strong_components, unrankable

TWO_GROUPS = [("a", "b", 1, 1, 0), ("b", "c", 1, 1, 0), ("x", "y", 1, 1, 0)]


def test_votes_connect_items_whatever_their_outcome():
    votes = Votes.from_counts([("a", "b", 1, 0, 0), ("c", "b", 0, 0, 1), ("x", "y", 0, 1, 0)])
    assert components(votes) == [("a", "b", "c"), ("x", "y")]


def test_a_vote_of_weight_zero_connects_nothing():
    votes = Votes.from_columns(["a", "b"], ["b", "c"], ["tie", "tie"], weight=[1, 0])
    assert components(votes) == [("a", "b"), ("c",)]
    assert strong_components(votes) == [("a", "b"), ("c",)]


def test_a_tie_counts_as_half_a_win_for_both_sides():
    assert strong_components(Votes.from_counts([("a", "b", 0, 0, 1), ("c", "a", 0, 0, 1)])) == [("a", "b", "c")]


def test_a_circle_is_one_strong_group_and_a_chain_is_none():
    circle = Votes.from_counts([("a", "b", 1, 0, 0), ("b", "c", 1, 0, 0), ("c", "a", 1, 0, 0)])
    chain = Votes.from_counts([("a", "b", 1, 0, 0), ("b", "c", 1, 0, 0)])
    assert unrankable(circle) == []
    refuse_unrankable(circle)
    assert len(strong_components(chain)) == 3


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ([("top", "a", 2, 0, 0)], "'top' won every vote"),
        ([("a", "bottom", 2, 0, 0)], "'bottom' lost every vote"),
        ([("a", "middle", 1, 0, 0), ("middle", "end", 1, 0, 0)], "'middle' won every vote against some items and lost"),
        ([("u", "v", 1, 1, 0), ("u", "a", 3, 0, 0)], "'u', 'v' won every vote"),
    ],
)
def test_the_items_without_a_finite_ability_are_named_with_the_reason(extra, reason):
    votes = Votes.from_counts([("a", "b", 1, 1, 0), ("b", "c", 1, 1, 0), *extra])
    assert any(problem.reason.startswith(reason) for problem in unrankable(votes))
    with pytest.raises(DataError, match=reason):
        refuse_unrankable(votes)


def test_groups_that_never_met_are_named_and_so_is_what_is_wrong_within_them():
    votes = Votes.from_counts([*TWO_GROUPS, ("y", "z", 1, 0, 0)])
    groups = {problem.items: problem.reason for problem in unrankable(votes)}
    assert groups[("x", "y", "z")].startswith("'x', 'y', 'z' met none of the items")
    assert groups[("z",)].startswith("'z' lost every vote")
    assert set(groups) == {("x", "y", "z"), ("z",)}


def test_a_long_list_of_items_or_of_reasons_is_cut_short():
    many = Votes.from_counts([("a", "b", 1, 1, 0)] + [(f"top{k}", "a", 1, 0, 0) for k in range(5)])
    with pytest.raises(DataError, match="; and 2 groups more"):
        refuse_unrankable(many)
    ring = [f"r{k}" for k in range(8)]
    circles = [(ring[k], ring[(k + 1) % 8], 1, 0, 0) for k in range(8)]
    big = [(f"b{k}", f"b{(k + 1) % 9}", 1, 0, 0) for k in range(9)]
    with pytest.raises(DataError, match="'r4' and 3 more met none"):
        refuse_unrankable(Votes.from_counts(circles + big))


def test_twenty_thousand_responses_compared_two_by_two_are_told_so_at_once():
    rows = [(f"r{k}", f"r{k + 1}", 1, 0, 0) for k in range(0, 20_000, 2)]
    with pytest.raises(DataError, match=r"'r2', 'r3' met none .* and 19996 groups more"):
        refuse_unrankable(Votes.from_counts(rows))


def test_an_item_that_nobody_voted_on_cannot_be_ranked():
    votes = Votes(("a", "b", "c"), np.array([0, 1]), np.array([1, 0]), np.array([1, 1]), np.ones(2))
    assert [problem.items for problem in unrankable(votes)] == [("c",)]
