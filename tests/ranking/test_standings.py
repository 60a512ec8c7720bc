"""Standings: the whole analysis in one call, each choice of method read, and everything that cannot be said, said."""

import json
import math
import sys
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.ranking import (
    Ballots,
    Gaussian,
    Method,
    Votes,
    bootstrap,
    fit_bradley_terry,
    fit_davidson,
    hodge_rank,
    online_elo,
    standings,
)
from penchant.ranking.group import rank_group

TABLE = [("a", "b", 7, 3, 2), ("b", "c", 6, 4, 0), ("c", "a", 2, 8, 1)]


def ballots_of(table, **columns) -> Ballots:
    rows = [
        (left, right, outcome)
        for left, right, *counts in table
        for outcome, num in zip(("left", "right", "tie", "both_bad"), counts, strict=False)
        for _ in range(num)
    ]
    return Ballots(*(list(column) for column in zip(*rows, strict=True)), **columns)


@pytest.fixture
def ballots() -> Ballots:
    return ballots_of(TABLE)


def by_item(found) -> dict:
    return {one.item: one for group in found.groups for one in group.standings}


def test_the_table_holds_what_the_fit_says_and_the_votes_of_each_item(ballots):
    found = standings(ballots)
    (group,) = found.groups
    fit = fit_bradley_terry(Votes.from_counts(TABLE))
    assert [(one.rank, one.item) for one in group.standings] == [(1, "a"), (2, "b"), (3, "c")]
    for one in group.standings:
        interval = fit.ability(one.item)
        assert (one.rating, one.low, one.high) == pytest.approx(
            [1000 + 400 / math.log(10) * value for value in (interval.estimate, interval.low, interval.high)]
        )
        assert one.win_probability == pytest.approx(1 / (1 + 10 ** ((1000 - one.rating) / 400)))
    tallies = {one.item: (one.wins, one.losses, one.ties, one.votes) for one in group.standings}
    assert tallies == {"a": (15, 5, 3, 23), "b": (9, 11, 2, 22), "c": (6, 14, 1, 21)}
    assert (found.num_votes, found.num_both_bad, found.notes, group.notes) == (33, 0, (), ())


def test_ratings_average_to_a_thousand_and_the_interval_is_narrower_at_a_lower_level(ballots):
    wide, narrow = standings(ballots), standings(ballots, Method(level=0.5))
    assert np.mean([one.rating for one in wide.groups[0].standings]) == pytest.approx(1000)
    ratios = [
        (n.high - n.low) / (w.high - w.low)
        for w, n in zip(wide.groups[0].standings, narrow.groups[0].standings, strict=True)
    ]
    assert ratios == pytest.approx([0.67449 / 1.959964] * 3, rel=1e-5)


def test_neighbours_that_are_not_separated_say_how_many_votes_would_do_it(ballots):
    fit = fit_bradley_terry(Votes.from_counts(TABLE))
    first, second = standings(ballots).groups[0].neighbours
    interval = fit.difference("a", "b")
    assert (first.better, first.worse) == ("a", "b")
    assert (first.difference, first.low, first.high) == pytest.approx(
        [400 / math.log(10) * value for value in (interval.estimate, interval.low, interval.high)]
    )
    assert first.votes_missing == fit.votes_to_separate("a", "b") > 0
    assert second.votes_missing == fit.votes_to_separate("b", "c") > 0
    far = standings(ballots_of([("a", "b", 90, 10, 0)])).groups[0].neighbours[0]
    assert far.low > 0
    assert far.votes_missing == 0
    equal = standings(ballots_of([("a", "b", 5, 5, 0)]))
    assert equal.groups[0].neighbours[0].votes_missing is None
    assert [one.rank for one in equal.groups[0].standings] == [1, 1]


def test_an_undefeated_item_is_ranked_by_phantom_votes_and_marked():
    found = standings(ballots_of([*TABLE, ("top", "a", 3, 0, 0)]))
    (group,) = found.groups
    assert group.standings[0].item == "top"
    assert {one.item for one in group.standings if one.by_prior} == {"top"}
    assert group.problems[0].reason.startswith("'top' won every vote against the other items")
    assert any("half a phantom win" in note for note in group.notes)
    expected = fit_bradley_terry(Votes.from_counts([*TABLE, ("top", "a", 3, 0, 0)]), prior=True)
    assert by_item(found)["top"].rating == pytest.approx(expected.elo["top"])


def test_without_a_prior_the_rest_is_ranked_and_the_undefeated_item_is_not():
    table = [*TABLE, ("top", "a", 3, 0, 0)]
    (group,) = standings(ballots_of(table), Method(prior="none")).groups
    assert group.unranked == ("top",)
    assert group.problems[0].reason.startswith("'top' won every vote")
    alone = fit_bradley_terry(Votes.from_counts(TABLE))
    assert {one.item: one.rating for one in group.standings} == pytest.approx(alone.elo)
    assert not any(one.by_prior for one in group.standings)
    rankable, chain = ballots_of([("x", "y", 1, 1, 0)]), [("a", "b", 1, 0, 0), ("b", "c", 1, 0, 0)]
    assert standings(rankable, Method(prior="none")).groups[0].unranked == ()
    with pytest.raises(DataError, match=r"No item can be ranked without a prior: .*won every.*phantom votes"):
        standings(ballots_of(chain), Method(prior="none"))
    both = standings(ballots_of([*chain, ("x", "y", 1, 1, 0)]), Method(prior="none"))
    assert [group.unranked for group in both.groups] == [("a", "b", "c"), ()]


def test_phantom_votes_and_a_normal_prior_can_be_asked_for(ballots):
    votes = Votes.from_counts(TABLE)
    for prior, expected in (("phantom", True), (Gaussian(0.3), Gaussian(0.3)), ("auto", False)):
        found = {item: one.rating for item, one in by_item(standings(ballots, Method(prior=prior))).items()}
        assert found == pytest.approx(fit_bradley_terry(votes, prior=expected).elo)


def test_groups_that_never_met_have_tables_of_their_own_and_the_largest_is_first():
    found = standings(ballots_of([("x", "y", 3, 1, 0), *TABLE]))
    assert [[one.item for one in group.standings] for group in found.groups] == [["a", "b", "c"], ["x", "y"]]
    assert "2 groups (3, 2 items) that never met" in found.notes[0]
    alone = standings(ballots_of([("x", "y", 3, 1, 0)]))
    assert found.groups[1].standings == alone.groups[0].standings


def test_both_bad_is_counted_apart_and_an_item_with_nothing_else_is_named():
    table = [*TABLE, ("a", "b", 0, 0, 0, 5), ("a", "z", 0, 0, 0, 2)]
    apart, ties = standings(ballots_of(table)), standings(ballots_of(table), both_bad="tie")
    assert apart.only_both_bad == ("z",)
    assert (apart.num_votes, apart.num_both_bad) == (33, 7)
    assert "7 of 40 answers say that both are bad; they rank nothing" in apart.notes[0]
    assert {item: (one.votes, one.both_bad) for item, one in by_item(apart).items()} == {
        "a": (23, 7),
        "b": (22, 5),
        "c": (21, 0),
    }
    assert by_item(apart)["a"].rating == by_item(standings(ballots_of(TABLE)))["a"].rating
    assert by_item(ties)["a"].ties == 10
    assert "count as ties, as asked" in ties.notes[0]
    assert ties.only_both_bad == ()


def test_davidsons_model_is_fitted_where_there_are_ties_and_said_to_be_bradley_terrys_where_not(ballots):
    (group,) = standings(ballots, Method(ties="davidson")).groups
    fit = fit_davidson(Votes.from_counts(TABLE))
    assert {one.item: one.rating for one in group.standings} == pytest.approx(fit.elo)
    assert group.nu == pytest.approx(fit.nu)
    decided = standings(ballots_of([("a", "b", 3, 1, 0)]), Method(ties="davidson")).groups[0]
    assert decided.nu == 0
    assert decided.notes == ("No vote is a tie, so Davidson's model is Bradley-Terry's.",)
    with pytest.raises(DataError, match="every vote is a tie"):
        standings(ballots_of([("a", "b", 0, 0, 4)]), Method(ties="davidson"))


def test_the_bootstrap_gives_the_percentiles_of_its_resamples(ballots):
    table = [("a", "b", 30, 20, 0), ("b", "c", 30, 20, 0)]
    method = Method(intervals="bootstrap", num_bootstrap=50, seed=3)
    (group,) = standings(ballots_of(table), method).groups
    by_model = partial(fit_bradley_terry, covariance="model")
    drawn = bootstrap(Votes.from_counts(table), by_model, num_resamples=50, seed=3)
    for one in group.standings:
        limits = drawn.ability(one.item)
        scale = 400 / math.log(10)
        assert (one.low, one.high) == pytest.approx((1000 + scale * limits.low, 1000 + scale * limits.high))
    assert group.neighbours[0].low == pytest.approx(scale * drawn.difference("a", "b").low)
    other = standings(ballots_of(table), replace(method, seed=4)).groups[0]
    assert other.standings[0].low != group.standings[0].low
    assert group.neighbours[1].votes_missing == drawn.votes_to_separate("b", "c")


def test_votes_without_spread_get_intervals_of_the_model_and_say_so():
    for table in ([("a", "b", 0, 0, 8)], [("a", "b", 1, 0, 0)]):
        for kind in ("sandwich", "bootstrap"):
            (group,) = standings(ballots_of(table), Method(intervals=kind, num_bootstrap=5)).groups
            assert "show no spread" in group.notes[-1]
            assert group.standings[0].low < group.standings[0].rating < group.standings[0].high


def clustered(simulate, **options) -> Ballots:
    votes = simulate(1, **options)
    names = {1: "left", 0: "tie", -1: "right"}
    return Ballots(
        [votes.items[i] for i in votes.left_V],
        [votes.items[i] for i in votes.right_V],
        [names[outcome] for outcome in votes.outcome_V.tolist()],
        prompt=votes.clusters["prompt"].tolist(),
        annotator=votes.clusters["annotator"].tolist(),
    )


@pytest.mark.parametrize(
    ("cluster", "names"),
    [
        ("none", ()),
        ("prompt", ("prompt",)),
        ("annotator", ("annotator",)),
        ("both", ("prompt", "annotator")),
        ("auto", ("prompt", "annotator")),
    ],
)
def test_votes_are_clustered_as_asked(simulate, cluster, names):
    ballots = clustered(simulate)
    (group,) = standings(ballots, Method(cluster=cluster)).groups
    fit = fit_bradley_terry(ballots.votes(), clusters=names)
    assert group.clusters == names
    assert {one.item: one.high for one in group.standings} == pytest.approx(
        {item: 1000 + 400 / math.log(10) * fit.ability(item).high for item in fit.items}
    )


def test_the_bootstrap_draws_the_clusters_asked_for(simulate):
    ballots = clustered(simulate)
    for cluster, names in (("prompt", ["prompt"]), ("none", [])):
        method = Method(intervals="bootstrap", num_bootstrap=20, cluster=cluster)
        (group,) = standings(ballots, method).groups
        by_model = partial(fit_bradley_terry, covariance="model")
        drawn = bootstrap(ballots.votes(), by_model, clusters=names, num_resamples=20)
        best = group.standings[0]
        assert best.high == pytest.approx(1000 + 400 / math.log(10) * drawn.ability(best.item).high)


def test_by_itself_it_does_not_cluster_by_what_is_too_few_and_says_so(simulate):
    (group,) = standings(clustered(simulate, num_annotators=3)).groups
    assert group.clusters == ("prompt",)
    assert "Votes are not clustered by annotator: 3 recorded, too few for 4 items" in group.notes[-1]
    (alone,) = standings(clustered(simulate, num_annotators=1)).groups
    assert alone.notes[-1].endswith("do not hold beyond this one.")
    many = standings(clustered(simulate, num_items=8, num_prompts=11, num_annotators=2), Method(ties="half"))
    assert many.groups[0].clusters == ("prompt",)
    wide = Ballots(*zip(*[(f"i{k}", f"i{(k + 1) % 12}", "left") for k in range(12)] * 10, strict=True))
    few = replace(wide, prompt=[k % 11 for k in range(120)])
    assert standings(few).groups[0].clusters == ()  # eleven clusters cannot fill twelve parameters
    with pytest.raises(ConfigError, match="Clusters must be"):
        standings(wide, Method(cluster="prompt"))


def test_agreement_is_that_of_units_and_kappas_are_given_where_they_apply():
    answers = ["left", "left", "right", "right", "left", "right", "left", "left"]
    ballots = Ballots(["a"] * 8, ["b"] * 8, answers, unit=[k // 2 for k in range(8)], annotator=["Ann", "Bo"] * 4)
    found = standings(ballots)
    assert found.agreement.value == pytest.approx(1 - (2 / 8) / (2 * 5 * 3 / (8 * 7)))
    assert "people agree fairly" in found.reading
    assert list(found.kappas) == ["Cohen's kappa, Ann and Bo", "Fleiss' kappa"]
    assert found.kappas["Cohen's kappa, Ann and Bo"].value == pytest.approx(0.5)
    apart = replace(ballots, annotator=["Ann", "Bo", "Ann", "Cy", "Bo", "Cy", "Di", "Ed"])
    assert len(standings(apart).kappas) == 5  # four pairs who judged the same, and Fleiss'
    crowd = replace(ballots, annotator=list("ABCDEFGH"), unit=[0, 0, 0, 1, 1, 2, 2, 2])
    assert list(standings(crowd).kappas) == []


def test_agreement_that_is_not_defined_says_why(ballots):
    assert standings(ballots).agreement.reason == "the votes do not say which of them judged the same two responses"
    alone = replace(ballots, unit=list(range(len(ballots))), annotator=["Ann"] * len(ballots))
    assert standings(alone).agreement.reason == "nobody judged two responses that somebody else judged too"
    assert standings(alone).reading == ""
    one = Ballots(["a"] * 2, ["b"] * 2, ["left"] * 2, unit=[1, 1], annotator=["Ann", "Bo"])
    assert "every answer is 'left'" in standings(one).agreement.reason


def test_votes_that_name_nobody_are_no_people_and_this_is_said():
    """Two unnamed answers that differ may be one person's second thought, and two that agree one double press."""
    sides = {"left": ["a"] * 5, "right": ["b"] * 5, "outcome": ["left", "left", "right", "right", "right"]}
    named = standings(Ballots(**sides, unit=[1] * 5, annotator=["Ann", "Bo", None, None, None]))
    assert (named.agreement.num_answers, list(named.kappas)) == (2, ["Cohen's kappa, Ann and Bo", "Fleiss' kappa"])
    assert named.notes == (
        "3 of 5 answers do not say who gave them: they are no part of the agreement between people, and no votes are "
        "clustered by annotator.",
    )
    assert named.groups[0].standings[0].wins == 3, "they rank all the same"
    nobody = standings(Ballots(**sides, unit=[1] * 5))
    assert nobody.agreement.reason == "the votes do not say who gave them, so two may be one person's"
    assert (nobody.kappas, nobody.notes) == ({}, ())
    asked = standings(Ballots(**sides, prompt=["p", "p", "p", "q", None]))
    assert asked.notes == ("1 of 5 answers do not say which prompt they are about: no votes are clustered by prompt.",)


def test_circles_are_those_of_hodge_rank():
    rows = [("rock", "scissors", 9, 1, 0), ("scissors", "paper", 9, 1, 0), ("paper", "rock", 9, 1, 0)]
    found = standings(ballots_of(rows)).circularity
    split = hodge_rank(Votes.from_counts(rows))
    assert (found.share, found.p_value, found.worst_z) == (split.cyclic_share, split.p_value, split.cycles[0].z)
    assert found.worst == ("rock", "scissors", "paper")
    chain = standings(ballots_of([("a", "b", 2, 1, 0), ("b", "c", 2, 1, 0)])).circularity
    assert (chain.share, chain.reason) == (None, "no items were compared in a circle")
    ordered = standings(ballots_of([("a", "b", 8, 1, 0), ("b", "c", 8, 1, 0), ("a", "c", 9, 1, 0)])).circularity
    assert ordered.worst is None
    assert ordered.share > 0


def test_circles_are_not_looked_for_among_too_many_items(monkeypatch, ballots):
    monkeypatch.setattr(sys.modules["penchant.ranking.standings"], "MOST_ITEMS", 2)
    assert standings(ballots).circularity.reason == "not looked for among more than 2 items"


def test_online_elo_comes_with_what_another_order_would_have_given(ballots):
    assert standings(ballots).online is None
    online = standings(ballots, elo=True).online
    votes = ballots.votes()
    assert online.ratings == online_elo(votes)
    back = Votes.from_columns(ballots.left[::-1], ballots.right[::-1], ballots.outcome[::-1])
    assert online.reversed == pytest.approx(online_elo(back))
    assert online.largest_change == pytest.approx(
        max(abs(online.ratings[item] - online.reversed[item]) for item in votes.items)
    )


def test_position_bias_is_measured_where_it_is_recorded(ballots):
    found = standings(replace(ballots, shown_first=["left"] * len(ballots)), Method(level=0.9))
    assert found.first_shown.value == pytest.approx(15 / 30)
    assert found.first_shown.num == 30


def test_as_a_dict_everything_is_json_and_votes_are_there():
    table = [("a", "b", 5, 5, 1), ("x", "y", 1, 0, 0)]
    found = standings(ballots_of(table), elo=True)
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["groups"][0]["standings"][0]["votes"] == 11
    assert plain["groups"][0]["neighbours"][0]["votes_missing"] is None
    assert plain["groups"][1]["problems"][0]["items"] == ["y"] or plain["groups"][1]["problems"][0]["items"] == ["x"]
    assert plain["online"]["ratings"].keys() == {"a", "b", "x", "y"}
    assert plain.keys() == asdict(found).keys()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"ties": "quarter"}, "ties must be one of half, davidson; got 'quarter'"),
        ({"intervals": "jackknife"}, "intervals must be one of sandwich, bootstrap"),
        ({"cluster": "city"}, "cluster must be one of auto, none, prompt, annotator, both"),
        ({"prior": "flat"}, "prior must be one of auto, none, phantom; got 'flat'"),
        ({"ties": Gaussian(1.0)}, "ties must be one of half, davidson"),
        ({"level": 95}, "between 0 and 1; got 95"),
        ({"num_bootstrap": 1}, "num_bootstrap must be at least 2; got 1"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Method(**options)


def test_a_group_can_be_ranked_on_its_own():
    group = rank_group(Votes.from_counts(TABLE), Method(), {"a": 4})
    assert {one.item: one.both_bad for one in group.standings} == {"a": 4, "b": 0, "c": 0}
