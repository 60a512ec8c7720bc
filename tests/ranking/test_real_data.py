"""Real tables: published abilities, errors and ratings come out, other libraries agree."""

import gzip
import json
import math
from itertools import combinations

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.ranking import (
    Gaussian,
    Votes,
    components,
    fit_bradley_terry,
    fit_davidson,
    online_elo,
    unrankable,
)

WINNERS = {"model_a": "left", "model_b": "right", "tie": "tie", "tie (bothbad)": "tie"}


@pytest.fixture
def published(classic):
    return json.loads((classic / "published_values.json").read_text(encoding="utf-8"))


@pytest.fixture
def baseball(classic, read_csv):
    rows = read_csv(classic / "baseball_al_east_1987.csv")
    return Votes.from_counts(
        [(r["home.team"], r["away.team"], int(r["home.wins"]), int(r["away.wins"]), 0) for r in rows]
    )


def arena(path) -> list[dict]:
    """Battles without those of a model against itself."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [row for row in json.load(lines) if row["model_a"] != row["model_b"]]


def of_battles(rows: list[dict]) -> Votes:
    return Votes.from_columns(
        [row["model_a"] for row in rows], [row["model_b"] for row in rows], [WINNERS[row["winner"]] for row in rows]
    )


def test_baseball_has_the_published_abilities_without_and_with_home_advantage(baseball, published):
    for key, position in (("baseball_no_home", False), ("baseball_home_advantage", True)):
        fit = fit_bradley_terry(baseball, position=position, covariance="model")
        relative = {item: ability - fit.abilities["Baltimore"] for item, ability in fit.abilities.items()}
        assert relative == pytest.approx(published[key]["log_ability"], abs=6e-5)
        boston = fit.difference("Boston", "Baltimore")
        assert 0.25 < (boston.high - boston.estimate) / 1.96 < 0.4  # published as "about 0.3"
    assert fit.coefficients["position"] == pytest.approx(published["baseball_home_advantage"]["at.home"], abs=6e-5)


def test_citations_have_the_published_abilities_and_standard_errors(classic, read_csv, published):
    rows = read_csv(classic / "citations_stigler_1994.csv")
    votes = Votes.from_counts([(r["winner_cited"], r["loser_citing"], int(r["count"]), 0, 0) for r in rows])
    fit = fit_bradley_terry(votes, covariance="model")
    expected = published["citations"]
    for journal, error in expected["std_error"].items():
        interval = fit.difference(journal, "Biometrika")
        assert interval.estimate == pytest.approx(expected["log_ability"][journal], abs=6e-6)
        assert (interval.high - interval.low) / (2 * 1.959964) == pytest.approx(error, abs=6e-6)


@pytest.mark.parametrize("name", ["evalica_food", "evalica_simple"])
def test_the_goldens_of_evalica_come_out(classic, read_csv, name):
    rows = read_csv(classic / f"{name}.csv")
    votes = Votes.from_columns(*([row[key] for row in rows] for key in ("left", "right", "winner")))
    golden = {
        method: {
            r["item"]: float(r["score"]) for r in read_csv(classic / f"{name}-golden.csv") if r["algorithm"] == method
        }
        for method in ("bradley_terry", "elo")
    }
    fit = fit_bradley_terry(votes)
    strength = np.exp(fit.ability_I)
    assert dict(zip(fit.items, strength / strength.sum(), strict=True)) == pytest.approx(
        golden["bradley_terry"], abs=1e-6
    )
    assert online_elo(votes) == pytest.approx(golden["elo"], abs=1e-9)


@pytest.mark.parametrize(("column", "anonymous"), [("anony", True), ("full", False)])
def test_the_published_ratings_of_genai_arena_come_out_within_five_points(shared, read_csv, column, anonymous):
    folder = shared / "data" / "genai_arena"
    rows = [row for row in arena(folder / "clean_battle_20240220.json.gz") if row["anony"] or not anonymous]
    ratings = {
        row["key"]: float(row[f"Arena Elo rating ({column})"])
        for row in read_csv(folder / "leaderboard_published_20240220.csv")
    }
    votes = of_battles(rows)
    groups = components(votes)
    assert [len(group) for group in groups] == [7, 6]
    with pytest.raises(DataError, match="met none of the items"):
        fit_bradley_terry(votes)
    ridge = fit_bradley_terry(votes, prior=Gaussian(math.sqrt(2) * math.log(10)))  # what the leaderboard was made with
    assert ridge.elo == pytest.approx(ratings, abs=5)
    assert "compares the 2 groups" in ridge.notes[-1]
    alone = fit_bradley_terry(votes.among(groups[1]))  # a thousand votes and more; the other group has under a hundred
    assert alone.elo == pytest.approx({item: ratings[item] for item in groups[1]}, abs=5)


def test_crowd_votes_on_language_models_are_ranked_as_by_evalica(shared):
    evalica = pytest.importorskip("evalica")
    path = shared / "data" / "llmfao" / "arena_shape_from_llmfao.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    votes = Votes.from_rows(
        [{"left": r["model_a"], "right": r["model_b"], "outcome": WINNERS[r["winner"]], **r} for r in rows],
        clusters=["pair_id", "judge"],
    )
    problems = unrankable(votes)
    ranked = votes.among([item for item in votes.items if not any(item in problem.items for problem in problems)])
    winner = {1: evalica.Winner.X, 0: evalica.Winner.Draw, -1: evalica.Winner.Y}
    theirs = evalica.bradley_terry(
        [ranked.items[i] for i in ranked.left_V],
        [ranked.items[i] for i in ranked.right_V],
        [winner[outcome] for outcome in ranked.outcome_V.tolist()],
        tolerance=1e-13,
        limit=100_000,
    ).scores
    fit = fit_bradley_terry(ranked)
    log_strength = np.log([theirs[item] for item in fit.items])
    assert fit.ability_I == pytest.approx(log_strength - log_strength.mean(), abs=1e-6)
    best, worst = fit.order[0], fit.order[-1]
    assert fit.difference(best, worst).low > 0
    tied = fit_davidson(ranked, clusters=["pair_id"])
    assert np.corrcoef(tied.ability_I, fit.ability_I)[0, 1] > 0.97


def test_davidson_expects_as_many_ties_as_the_contests_of_springall_had(classic, read_csv):
    rows = read_csv(classic / "springall_contests.csv")
    table = [(r["row"], r["col"], int(r["win"]), int(r["loss"]), int(r["tie"])) for r in rows]
    fit = fit_davidson(Votes.from_counts(table))
    ties = 0.0
    for a, b, *counts in table:
        d = fit.difference(a, b).estimate
        ties += sum(counts) * fit.nu / (np.exp(d / 2) + np.exp(-d / 2) + fit.nu)
    assert ties == pytest.approx(sum(row[4] for row in table))
    assert len(list(combinations(fit.items, 2))) == len(table)
