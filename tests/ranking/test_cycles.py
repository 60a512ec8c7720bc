"""HodgeRank: one order, no order, and what lies between."""

import gzip
import json
import math
from itertools import combinations

import numpy as np
import pytest

from penchant.ranking import Votes, fit_bradley_terry, hodge_rank

CIRCLE = [("rock", "scissors", 8, 2, 0), ("scissors", "paper", 8, 2, 0), ("paper", "rock", 8, 2, 0)]


def of_abilities(ability: dict[str, float], num: int) -> Votes:
    """Votes in exactly the proportions of Bradley-Terry, as weights."""
    pairs = list(combinations(ability, 2))
    p = [1 / (1 + math.exp(ability[b] - ability[a])) for a, b in pairs]
    return Votes.from_columns(
        [a for a, _ in pairs] * 2,
        [b for _, b in pairs] * 2,
        ["left"] * len(pairs) + ["right"] * len(pairs),
        weight=[num * x for x in p] + [num * (1 - x) for x in p],
    )


def test_rock_paper_scissors_is_all_cycle():
    split = hodge_rank(Votes.from_counts(CIRCLE))
    assert split.cyclic_share == pytest.approx(1.0, abs=1e-12)
    assert split.score_I == pytest.approx(np.zeros(3), abs=1e-12)
    (cycle,) = split.cycles
    assert cycle.items == ("rock", "scissors", "paper")
    assert cycle.curl == pytest.approx(3 * math.log(8.5 / 2.5))
    assert cycle.z == pytest.approx(cycle.curl / math.sqrt(3 * (1 / 8.5 + 1 / 2.5)))
    assert split.p_value == pytest.approx(math.erfc(cycle.z / math.sqrt(2)))


def test_votes_in_the_proportions_of_bradley_terry_have_no_cycle():
    split = hodge_rank(of_abilities({"a": 1.0, "b": 0.3, "c": -0.2, "d": -1.1}, 10**9))
    assert split.cyclic_share < 1e-12
    assert split.score_I == pytest.approx([1.0, 0.3, -0.2, -1.1], abs=1e-6)
    assert split.p_value == pytest.approx(1.0)
    assert split.cycles == ()


def test_simulated_votes_of_one_order_leave_chance_and_little_else(simulate):
    p_values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        left_V = rng.integers(5, size=2000)
        right_V = (left_V + rng.integers(1, 5, size=2000)) % 5
        won_V = rng.random(2000) < 1 / (1 + np.exp(0.5 * (left_V - right_V)))
        split = hodge_rank(Votes(tuple("abcde"), left_V, right_V, np.where(won_V, 1, -1), np.ones(2000)))
        assert split.cyclic_share < 0.05
        p_values.append(split.p_value)
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) < 0.05) < 0.15


def test_the_residual_is_orthogonal_to_every_order_and_adds_up_with_it():
    split = hodge_rank(Votes.from_counts([*CIRCLE, ("rock", "well", 3, 4, 2), ("paper", "well", 9, 1, 1)]))
    gradient_II = split.score_I[:, None] - split.score_I[None]
    met_II = split.flow_II != 0
    assert (gradient_II + split.residual_II)[met_II] == pytest.approx(split.flow_II[met_II])
    assert split.residual_II == pytest.approx(-split.residual_II.T)
    assert not split.residual_II[~met_II].any()
    assert 0 < split.cyclic_share < 1


def test_the_surest_cycles_come_first_and_the_list_ends_where_asked():
    second = [("x", "y", 90, 10, 0), ("y", "z", 90, 10, 0), ("z", "x", 90, 10, 0)]
    votes = Votes.from_counts([*CIRCLE, *second])
    assert [cycle.items for cycle in hodge_rank(votes).cycles] == [("x", "y", "z"), ("rock", "scissors", "paper")]
    assert len(hodge_rank(votes, num_cycles=1).cycles) == 1


def test_cycles_are_found_whatever_the_order_of_the_items():
    votes = Votes.from_counts(CIRCLE)
    for items in (("paper", "scissors", "rock"), ("scissors", "rock", "paper")):
        (cycle,) = hodge_rank(votes.among(items)).cycles
        assert "".join(cycle.items) * 2 in "rockscissorspaper" * 4
        assert cycle.curl > 0


def test_every_cycle_of_a_loop_over_triples_is_found_once():
    rng = np.random.default_rng(3)
    left_V = rng.integers(9, size=400)
    right_V = (left_V + rng.integers(1, 9, size=400)) % 9
    votes = Votes(tuple("abcdefghi"), left_V, right_V, rng.integers(-1, 2, size=400), np.ones(400))
    split = hodge_rank(votes, num_cycles=1000)
    beats_II = split.flow_II > 0
    expected = {
        frozenset(three)
        for three in combinations(range(9), 3)
        for i, j, k in (three, three[::-1])
        if beats_II[i, j] and beats_II[j, k] and beats_II[k, i]
    }
    assert len(split.cycles) == len(expected) > 3
    assert {frozenset("abcdefghi".index(item) for item in cycle.items) for cycle in split.cycles} == expected
    assert [cycle.z for cycle in split.cycles] == sorted((cycle.z for cycle in split.cycles), reverse=True)


def test_without_a_closed_path_there_is_no_test_and_without_preferences_no_share():
    chain = hodge_rank(Votes.from_counts([("a", "b", 3, 1, 0), ("b", "c", 3, 1, 0)]))
    assert (chain.p_value, chain.cyclic_share) == (None, pytest.approx(0.0, abs=1e-12))
    ties = hodge_rank(Votes.from_counts([("a", "b", 0, 0, 5)]))
    assert (ties.cyclic_share, ties.cycles) == (0.0, ())


def test_each_group_that_never_met_the_others_has_its_own_circles():
    second = [("x", "y", 6, 5, 0), ("y", "z", 6, 5, 0), ("z", "x", 6, 5, 0)]
    split = hodge_rank(Votes.from_counts([*CIRCLE, *second]))
    assert split.p_value == pytest.approx(math.exp(-sum(cycle.z**2 for cycle in split.cycles) / 2))


def test_groups_that_never_met_are_each_centred_on_zero():
    split = hodge_rank(Votes.from_counts([("a", "b", 9, 1, 0), ("x", "y", 6, 4, 0)]))
    assert split.score_I[:2].sum() == pytest.approx(0.0, abs=1e-12)
    assert split.score_I[2:].sum() == pytest.approx(0.0, abs=1e-12)


def test_where_the_better_always_wins_the_share_is_not_zero_but_no_cycle_is_listed():
    split = hodge_rank(Votes.from_counts([(a, b, 10, 0, 0) for a, b in combinations("abcdef", 2)]))
    assert 0.05 < split.cyclic_share < 1 / 3
    assert split.cycles == ()


def test_real_votes_on_five_models_run_in_one_order(shared):
    with gzip.open(shared / "data" / "pandalm" / "testset-v1.json.gz", "rt", encoding="utf-8") as lines:
        rows = json.load(lines)
    sides = [row["cmp_key"].split("_") for row in rows]
    outcomes = [["tie", "left", "right"][row["annotator1"]] for row in rows]
    votes = Votes.from_columns([side[0] for side in sides], [side[1] for side in sides], outcomes)
    split = hodge_rank(votes)
    assert split.cyclic_share < 0.1
    best = split.items[int(split.score_I.argmax())]
    assert best == fit_bradley_terry(votes).order[0]


def test_a_short_list_of_cycles_has_the_surest_of_all():
    rng = np.random.default_rng(0)
    votes = Votes.from_counts([(a, b, *rng.integers(0, 12, size=2), 0) for a, b in combinations("abcdefgh", 2)])
    every = hodge_rank(votes, num_cycles=1000).cycles
    assert len(every) > 5
    assert [cycle.z for cycle in every] == sorted((cycle.z for cycle in every), reverse=True)
    assert len({cycle.items[0] for cycle in every}) > 2
    for num in (0, 1, 4):
        assert hodge_rank(votes, num_cycles=num).cycles == every[:num]
