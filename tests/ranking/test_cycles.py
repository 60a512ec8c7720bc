"""HodgeRank: one order, no order, and what lies between."""

import gzip
import json
import math
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.stats import binom, chi2, norm

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
    assert cycle.z**2 == pytest.approx(2 * math.log(8.5 / 2.5) ** 2 / (1 / 8.5 + 1 / 2.5)), "two steps of three go up"
    tails = [chi2.sf(cycle.z**2, degrees) for degrees in (1, 2, 3)]
    assert split.p_value == pytest.approx(tails[0] / 8 + tails[1] / 2 + tails[2] / 8)


def test_votes_in_the_proportions_of_bradley_terry_have_no_cycle():
    split = hodge_rank(of_abilities({"a": 1.0, "b": 0.3, "c": -0.2, "d": -1.1}, 10**9))
    assert split.cyclic_share < 1e-12
    assert split.score_I == pytest.approx([1.0, 0.3, -0.2, -1.1], abs=1e-6)
    assert split.p_value == 1.0
    assert split.cycles == ()


def votes_of(decided_II, nu_II, num: int, seed: int) -> Votes:
    """`num` votes on pairs drawn at random; row beats column by `decided_II` where there is no tie, `nu_II` ties."""
    rng, items = np.random.default_rng(seed), len(decided_II)
    left_V = rng.integers(items, size=num)
    right_V = (left_V + rng.integers(1, items, size=num)) % items
    won_V = rng.random(num) < decided_II[left_V, right_V]
    outcome_V = np.where(rng.random(num) < nu_II[left_V, right_V], 0, np.where(won_V, 1, -1))
    return Votes(tuple("abcdefghijkl"[:items]), left_V, right_V, outcome_V, np.ones(num))


def distances(step: float, num_items: int = 5):
    return step * (np.arange(num_items)[None] - np.arange(num_items)[:, None])


def davidson_ties(difference_II, share: float):
    """Davidson's share of ties, `share` between equals."""
    nu = 2 * share / (1 - share)
    return nu / (nu + 2 * np.cosh(difference_II / 2))


def ordered(kind: str, ties: float):
    """Probabilities of one order: decided votes, and ties."""
    d_II = distances({"bradley_terry": 0.5, "davidson": 0.5, "equal": 0.0}.get(kind, 1.0))
    decided_II = {
        "better_always_wins": (d_II > 0).astype(float),
        "better_mostly_wins": np.where(d_II > 0, 0.7, 0.3),
        "thurstone": norm.cdf(d_II),
    }.get(kind, 1 / (1 + np.exp(-d_II)))
    if kind == "one_equals_both":  # the hardest for triples: a over b surely, c between them and as good as either
        decided_II = np.array([[0.5, 1.0, 0.5], [0.0, 0.5, 0.5], [0.5, 0.5, 0.5]])
        return decided_II, np.full((3, 3), ties)
    return decided_II, davidson_ties(d_II, ties) if kind == "davidson" else np.full(d_II.shape, ties)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("ties", [0.2, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.0, 0.5))])
@pytest.mark.parametrize(
    "kind",
    ["bradley_terry", "davidson", "thurstone", "equal", "better_always_wins", "better_mostly_wins", "one_equals_both"],
)
def test_one_order_seldom_shows_a_circle_however_many_ties_and_however_far_the_better_wins(kind, ties):
    for num in (60, 2000):
        p_values = np.array([hodge_rank(votes_of(*ordered(kind, ties), num, seed)).p_value for seed in range(120)])
        for level in (0.05, 0.2, 0.5):  # 120 draws: three standard errors above the level
            assert np.mean(p_values <= level) <= level + 3 * math.sqrt(level * (1 - level) / 120)


@pytest.mark.parametrize("ties", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("kind", ["bradley_terry", "davidson"])
def test_log_odds_add_up_with_any_number_of_ties(kind, ties):
    shares = [hodge_rank(votes_of(*ordered(kind, ties), 20_000, seed)).cyclic_share for seed in range(10)]
    assert np.mean(shares) < 0.01


@pytest.mark.parametrize("ties", [0.0, 0.2, 0.5])
def test_a_circle_among_three_of_five_is_found(ties):
    decided_II, _ = ordered("davidson", 0.0)
    d_II = np.log(decided_II / (1 - decided_II))
    around = math.log(0.7 / 0.3)
    d_II[:3, :3] = around * np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]])
    planted = 1 / (1 + np.exp(-d_II)), davidson_ties(d_II, ties)
    found = [hodge_rank(votes_of(*planted, 2000, seed)) for seed in range(40)]
    assert np.mean([split.p_value < 0.05 for split in found]) > 0.9
    assert np.mean([set(split.cycles[0].items) == set("abc") for split in found]) > 0.9


def test_a_circle_of_four_that_never_met_across_is_found_and_four_in_order_are_not():
    rounds = [(*pair, 40, 15, 20) for pair in ("ab", "bc", "cd", "da")]
    split = hodge_rank(Votes.from_counts(rounds))
    assert split.cycles == ()
    assert split.p_value == pytest.approx(1 - (1 - binom.sf(39, 55, 0.5)) ** 4)
    turned = [*rounds[:3], ("a", "d", 40, 15, 20)]
    assert hodge_rank(Votes.from_counts(turned)).p_value == 1.0


def test_where_some_pairs_never_met_either_of_the_two_tests_may_find_the_circle():
    rounds = [(*pair, 40, 15, 20) for pair in ("ab", "bc", "cd", "da")]
    alone = hodge_rank(Votes.from_counts(rounds)).p_value
    with_triple = [*rounds, ("a", "e", 5, 5, 0), ("b", "e", 5, 5, 0)]
    assert hodge_rank(Votes.from_counts(with_triple)).p_value == pytest.approx(2 * (1 - (1 - alone) ** (6 / 4)))
    beside = [*CIRCLE, ("rock", "well", 5, 5, 0), ("paper", "fire", 5, 5, 0), ("well", "fire", 5, 5, 0)]
    assert hodge_rank(Votes.from_counts(beside)).p_value == pytest.approx(
        2 * hodge_rank(Votes.from_counts(CIRCLE)).p_value
    )


def test_z_is_the_distance_to_the_nearest_of_the_six_orders():
    rng = np.random.default_rng(11)
    rays = np.array(
        [[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], dtype=float
    ).T  # best over middle, that over worst, ...
    for _ in range(60):
        wins = rng.integers(1, 60, size=(3, 2))
        wins.sort(axis=1)
        wins[:, 1] += 1
        rows = [(a, b, int(high), int(low), 3) for (a, b), (low, high) in zip(("xy", "yz", "zx"), wins, strict=True)]
        split = hodge_rank(Votes.from_counts(rows))
        distances = []
        for best, middle, worst in permutations(range(3)):
            pairs = [(best, middle), (middle, worst), (best, worst)]
            flow = np.array([split.flow_II[pair] for pair in pairs])
            place = {frozenset(pair): number for number, pair in enumerate([(0, 1), (1, 2), (2, 0)])}
            counted = [wins[place[frozenset(pair)]] for pair in pairs]
            scale = np.array([1 / math.sqrt(1 / (low + 0.5) + 1 / (high + 0.5)) for low, high in counted])
            distances.append(nnls(rays * scale[:, None], flow * scale)[1])
        assert split.cycles[0].z == pytest.approx(min(distances), rel=1e-9)


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
    assert split.p_value == pytest.approx(2 * hodge_rank(Votes.from_counts(CIRCLE)).p_value), (
        "two triples were looked at"
    )


def test_groups_that_never_met_are_each_centred_on_zero():
    split = hodge_rank(Votes.from_counts([("a", "b", 9, 1, 0), ("x", "y", 6, 4, 0)]))
    assert split.score_I[:2].sum() == pytest.approx(0.0, abs=1e-12)
    assert split.score_I[2:].sum() == pytest.approx(0.0, abs=1e-12)


def test_where_the_better_always_wins_the_share_is_not_zero_but_no_cycle_is_listed():
    split = hodge_rank(Votes.from_counts([(a, b, 10, 0, 0) for a, b in combinations("abcdef", 2)]))
    assert 0.05 < split.cyclic_share < 1 / 3
    assert (split.cycles, split.p_value) == ((), 1.0)


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
        assert hodge_rank(votes, num_cycles=num).p_value == hodge_rank(votes).p_value
    assert hodge_rank(Votes.from_counts(CIRCLE), num_cycles=0).p_value < 0.1


def test_a_circle_less_sure_than_one_standard_error_is_as_probable_as_its_distribution_says():
    found = hodge_rank(Votes.from_counts([("a", "b", 13, 10, 0), ("b", "c", 13, 10, 0), ("c", "a", 13, 10, 0)]))
    z = found.cycles[0].z
    one, two, three = (float(chi2.sf(z**2, degrees)) for degrees in (1, 2, 3))
    assert 0 < z < 1
    assert found.p_value == pytest.approx((one + 4 * two + three) / 8)
