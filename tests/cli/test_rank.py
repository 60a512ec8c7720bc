"""`penchant rank`: what it prints is what the analysis found, every option is read or refused, mistakes are named."""

import csv
import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from penchant.data.importers.vote_formats import VOTE_IMPORTERS
from penchant.ranking import (
    Ballots,
    Gaussian,
    Method,
    Votes,
    fit_bradley_terry,
    fit_davidson,
    standings,
    variance_ratio,
)
from penchant.ranking.position import wilson

TABLE = [("tea", "milk", 9, 4, 2, 1), ("milk", "juice", 7, 5, 0, 0), ("juice", "tea", 3, 8, 1, 0)]


def battles(table=TABLE):
    words = ("model_a", "model_b", "tie", "tie (bothbad)")
    return [
        {"model_a": a, "model_b": b, "winner": word}
        for a, b, *counts in table
        for word, num in zip(words, counts, strict=True)
        for _ in range(num)
    ]


def write(path, rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.fixture
def rank(penchant, tmp_path):
    def run(rows, *more):
        return penchant("rank", write(tmp_path / "votes.jsonl", rows), *more)

    return run


@pytest.fixture
def ranked(rank, tmp_path, monkeypatch):
    """`ranked(rows, *options)`: what rank.json holds; its figure is not drawn each time."""
    monkeypatch.setattr("penchant.report.standings.draw_standings", lambda ranking, stem: [])

    def run(rows, *more):
        result = rank(rows, *more, "--output", tmp_path / "out")
        assert result.code == 0, result.err
        return json.loads((tmp_path / "out" / "rank.json").read_text(encoding="utf-8"))

    return run


def ratings(found):
    return {one["item"]: one["rating"] for group in found["groups"] for one in group["standings"]}


def votes_of(table=TABLE):
    return Votes.from_counts([row[:5] for row in table])


def test_the_table_shows_rank_rating_interval_chance_and_votes_best_first(rank):
    result = rank(battles())
    assert result.code == 0, result.err
    words = {"model_a": "left", "model_b": "right", "tie": "tie", "tie (bothbad)": "both_bad"}
    rows = battles()
    found = standings(
        Ballots([r["model_a"] for r in rows], [r["model_b"] for r in rows], [words[r["winner"]] for r in rows])
    )
    lines = [line.split() for line in result.out.splitlines()]
    header = next(i for i, line in enumerate(lines) if line[:2] == ["rank", "item"])
    for line, one in zip(lines[header + 1 :], found.groups[0].standings, strict=False):
        tally = [one.wins, one.losses, one.ties, one.votes, one.both_bad]
        limits = [f"{one.rating:.0f}", f"{one.low:.0f}", "to", f"{one.high:.0f}", f"{one.win_probability:.0%}"]
        assert line == [str(one.rank), one.item, *limits, *map(str, tally)]
    assert "1 of 40 answers say that both are bad; they rank nothing and are counted apart." in result.out
    assert "39 votes on 3 items (arena_battles)" in result.out


def test_neighbours_that_may_be_equal_come_with_the_votes_that_would_settle_it(rank):
    fit = fit_bradley_terry(votes_of())
    shown = " ".join(rank(battles()).out.split())
    assert f"tea milk {173.7178 * fit.difference('tea', 'milk').estimate:.1f}" in shown
    assert f"{fit.votes_to_separate('milk', 'juice'):.0f} agreement" in shown
    equal = rank(battles([("tea", "milk", 4, 4, 0, 0)])).out
    assert "no number: equal" in equal
    nearly = rank(battles([("tea", "milk", 3001, 3000, 0, 0)])).out
    assert "over 1,000,000" in nearly
    far = rank(battles([("tea", "milk", 90, 9, 0, 0)])).out
    assert "Neighbours" not in far


def test_what_is_not_recorded_is_said_not_to_be_measured(rank):
    shown = rank(battles()).out
    assert "alpha is not defined: the votes do not say which of them judged the same two responses" in shown
    assert "first shown  not measured: no answer says which side was shown first" in shown
    assert "circles" in rank(battles()).out
    assert "not measured: no items were compared in a circle" in rank(battles(TABLE[:1])).out


def comparisons(num=12):
    """Three people answer twelve pairs; the first shown wins two thirds of the time."""
    for n in range(num):
        for who in range(3):
            first = "a" if (n + who) % 2 else "b"
            other = "b" if first == "a" else "a"
            yield {
                "id": f"{n}",
                "prompt": [{"role": "user", "content": f"Question {n}?"}],
                "a": {"text": "yes", "source": {"model": "before"}},
                "b": {"text": "no", "source": {"model": "after", "temperature": 0.7}},
                "outcome": first if n % 3 else other,
                "annotator": "ABC"[who],
                "shown_first": first,
            }


def test_comparisons_of_our_own_are_ranked_with_agreement_and_position_bias(rank):
    result = rank(list(comparisons()))
    assert result.code == 0, result.err
    assert "after t=0.7" in result.out
    assert "Krippendorff's alpha -0." in result.out
    assert "(36 answers to 12 pairs of responses)" in result.out
    assert "Cohen's kappa, A and B" in result.out
    assert "Fleiss' kappa" in result.out
    won, prompts = np.repeat([1.0] * 8 + [0.0] * 4, 3), np.repeat(np.arange(12), 3).tolist()
    people = np.tile(np.arange(3), 12).tolist()
    ratio = max(variance_ratio(won, prompts), variance_ratio(won, people))
    assert ratio > 3, "every prompt is answered one way by all three"
    low, high = wilson(2 / 3, 36 / ratio)
    assert f"won 66.7% of 36 decided votes (95% interval {low:.1%} to {high:.1%}; no bias is 50%)" in result.out
    assert "Votes are not clustered by annotator: 3 recorded" in result.out


def test_a_cycle_is_named(rank):
    table = [("rock", "scissors", 9, 1, 0, 0), ("scissors", "paper", 9, 1, 0, 0), ("paper", "rock", 9, 1, 0, 0)]
    shown = rank(battles(table)).out
    line = (
        "circles      100.0% of the log-odds fit no single order; a circle is surer than chance makes it with one order"
    )
    assert f"{line} (p 0.01)" in shown
    assert "the surest cycle: rock over scissors over paper over rock" in shown


def test_the_better_of_two_always_winning_or_tying_is_no_circle(rank):
    pairs = [("best", "good"), ("good", "fair"), ("best", "fair"), ("fair", "poor"), ("good", "poor"), ("best", "poor")]
    shown = rank(battles([(*pair, 400, 0, 100, 0) for pair in pairs])).out
    assert "of the log-odds fit no single order; no majorities run in a circle" in shown


def test_a_circle_that_chance_may_have_made_is_said_to_be_so(rank):
    table = [("rock", "scissors", 6, 5, 0, 0), ("scissors", "paper", 6, 5, 0, 0), ("paper", "rock", 6, 5, 0, 0)]
    assert "no circle is surer than chance makes it with one order (p 0.6" in rank(battles(table)).out


def test_items_that_cannot_be_ranked_are_marked_and_named_with_the_reason(rank):
    table = [*TABLE, ("top", "tea", 3, 0, 0, 0), ("x", "y", 2, 1, 0, 0), ("z", "tea", 0, 0, 0, 2)]
    shown = rank(battles(table)).out
    assert "top *" in shown
    assert "* 'top' won every vote against the other items, so no finite ability is high enough." in shown
    assert "half a phantom win and half a phantom loss" in shown
    assert "2 groups (4, 2 items) that never met" in shown
    assert "Group 2" in shown
    assert "not ranked   only answers that both are bad: z" in shown
    without = rank(battles(table), "--prior", "none").out
    assert "Not ranked: 'top' won every vote" in without
    assert "top *" not in without


def test_a_long_list_of_groups_is_cut(rank):
    shown = rank(battles([(f"x{n}", f"y{n}", 1, 1, 0, 0) for n in range(23)])).out
    assert "Group 20" in shown
    assert "Group 21" not in shown
    assert "... and 3 groups more, which --output writes to rank.json." in shown


def test_a_long_list_of_reasons_is_cut(rank):
    table = [("tea", "milk", 1, 1, 0, 0), *((f"t{n}", "tea", 1, 0, 0, 0) for n in range(25))]
    shown = rank(battles(table)).out
    assert shown.count("won every vote") == 20
    assert "... and 5 more, which --output writes to rank.json." in shown


def test_ties_both_bad_and_prior_are_read(ranked):
    rows = battles()
    assert ratings(ranked(rows)) == pytest.approx(fit_bradley_terry(votes_of()).elo)
    assert ratings(ranked(rows, "--ties", "davidson")) == pytest.approx(fit_davidson(votes_of()).elo)
    assert ratings(ranked(rows, "--prior", "phantom")) == pytest.approx(fit_bradley_terry(votes_of(), prior=True).elo)
    normal = fit_bradley_terry(votes_of(), prior=Gaussian(100 / 173.71779276130073))
    assert ratings(ranked(rows, "--prior", "100")) == pytest.approx(normal.elo)
    as_ties = [("tea", "milk", 9, 4, 3), *(row[:5] for row in TABLE[1:])]
    tied = fit_bradley_terry(Votes.from_counts(as_ties))
    assert ratings(ranked(rows, "--both-bad", "tie")) == pytest.approx(tied.elo)


@pytest.mark.slow(threads=1)
def test_intervals_level_resamples_and_seed_are_read(ranked):
    rows = battles()

    def first(*options):
        one = ranked(rows, *options)["groups"][0]["standings"][0]
        return one["low"], one["high"]

    drawn = ["--intervals", "bootstrap", "--num-bootstrap", "40"]
    by_hand = standings(
        Ballots(["tea"] * 13, ["milk"] * 13, ["left"] * 9 + ["right"] * 4),
        Method(intervals="bootstrap", num_bootstrap=40, seed=7),
    )
    simple = ranked(battles([("tea", "milk", 9, 4, 0, 0)]), *drawn, "--seed", "7")["groups"][0]["standings"][0]
    assert simple["low"] == by_hand.groups[0].standings[0].low
    assert first(*drawn) != first()
    assert first(*drawn) == first(*drawn, "--seed", "0") != first(*drawn, "--seed", "1")
    assert first(*drawn) != first("--intervals", "bootstrap", "--num-bootstrap", "41")
    low, high = first("--level", "0.5")
    assert first()[0] < low < high < first()[1]


def test_clusters_are_read(ranked):
    rows = [row for n in range(4) for row in comparisons()]
    for cluster, names in (("none", []), ("prompt", ["prompt"]), ("both", ["prompt", "annotator"])):
        assert ranked(rows, "--cluster", cluster)["groups"][0]["clusters"] == names


def test_online_elo_stands_beside_and_its_order_is_spoken_of(rank):
    shown = rank(battles(), "--elo").out
    assert "online Elo" in shown.splitlines()[2]
    assert "depends on the order: the same votes in reverse move a rating by up to" in shown
    assert "online Elo" not in rank(battles()).out


@pytest.mark.slow(threads=1)
def test_output_holds_numbers_and_a_figure_and_the_same_votes_give_the_same_bytes(penchant, tmp_path):
    path = write(tmp_path / "votes.jsonl", battles())
    for folder in "ab":
        result = penchant("rank", path, "--output", tmp_path / folder)
        assert result.code == 0, result.err
    written = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert written == ["rank.json", "ratings.png", "ratings.svg"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in written)
    assert all(str(tmp_path / "b" / name) in result.out for name in written)
    found = json.loads((tmp_path / "a" / "rank.json").read_text(encoding="utf-8"))
    assert found["files"] == [str(path)]
    assert found["rows"] == {"keep": 40}
    assert found["settings"]["ties"] == "half"
    assert len(found["digest"]) == 64
    text = " ".join(ElementTree.parse(tmp_path / "a" / "ratings.svg").getroot().itertext())
    assert all(item in text for item in ("tea", "milk", "juice"))
    with Image.open(tmp_path / "a" / "ratings.png") as image:
        assert image.width > 1000


def test_several_files_are_ranked_together(penchant, tmp_path):
    rows = battles()
    parts = [write(tmp_path / "one.jsonl", rows[:20]), write(tmp_path / "two.jsonl", rows[20:])]
    together, whole = penchant("rank", *parts), penchant("rank", write(tmp_path / "all.jsonl", rows))
    assert together.out == whole.out


def test_bad_rows_can_be_dropped_and_are_listed(rank):
    rows = [*battles(), {"model_a": "tea", "model_b": "tea", "winner": "tie"}]
    result = rank(rows, "--on-bad-row", "drop")
    assert result.code == 0
    assert "votes.jsonl:41: 'tea' is compared with itself" in result.err
    assert "1 of 41 rows left out" in result.err
    assert result.out == rank(battles()).out


GOOD = {"model_a": "tea", "model_b": "milk", "winner": "tie"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([GOOD, {**GOOD, "winner": "cocoa"}], ["votes.jsonl:2", "'winner' is 'cocoa'", "model_a"]),
        ([GOOD, {**GOOD, "model_b": "tea"}], ["votes.jsonl:2", "'tea' is compared with itself"]),
        ([{**GOOD, "model_b": "tea"}], ["votes.jsonl:1", "'tea' is compared with itself"]),
        ([GOOD, "{torn"], ["votes.jsonl:2", "not JSON"]),
        ([{**GOOD, "winner": None}], ["votes.jsonl", "no vote to rank by", "1 unanswered"]),
        ([{**GOOD, "winner": "both_bad"}], ["Every one of the 1 answers is both_bad"]),
        ([{"text": "Once"}], ["votes.jsonl", "no known format has its columns (text)", "model_a, model_b, winner"]),
        ([], ["votes.jsonl", "empty"]),
    ],
)
def test_a_file_that_cannot_be_ranked_is_one_sentence_and_exit_code_2(rank, rows, words):
    result = rank(rows)
    assert result.code == 2
    assert all(word in result.err for word in words), result.err
    assert len(result.err.splitlines()) == 1
    assert result.out == ""


def test_a_missing_file_and_an_unknown_ending_are_named(penchant, tmp_path):
    missing = penchant("rank", tmp_path / "absent.jsonl")
    assert (missing.code, "absent.jsonl: there is no such file" in missing.err) == (2, True)
    (tmp_path / "votes.xlsx").write_bytes(b"PK")
    unknown = penchant("rank", tmp_path / "votes.xlsx")
    assert (unknown.code, "unknown format (.xlsx)" in unknown.err) == (2, True)


def test_ties_alone_are_told_how_to_count_in_the_shells_words(rank):
    rows = [row | {"winner": "tie"} for row in battles()]
    result = rank(rows, "--ties", "davidson")
    assert (result.code, "every vote is a tie; count them by `--ties half`" in result.err) == (2, True), result.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ties", "quarter"], "ties must be one of half, davidson; got 'quarter'"),
        (["--both-bad", "drop"], "--both-bad must be 'apart' or 'tie'; got 'drop'"),
        (["--prior", "1e-320"], "--prior must be auto, none, phantom or a standard deviation"),
        (["--prior", "1e308"], "--prior must be auto, none, phantom or a standard deviation"),
        (["--intervals", "jackknife"], "intervals must be one of sandwich, bootstrap; got 'jackknife'"),
        (["--cluster", "city"], "cluster must be one of"),
        (["--cluster", "prompt"], "Clusters must be different names out of []; got ['prompt']"),
        (
            ["--prior", "flat"],
            "--prior must be auto, none, phantom or a standard deviation in Elo points above 0, got 'flat'",
        ),
        (["--prior", "-3"], "above 0, got '-3'"),
        (["--prior", "inf"], "above 0, got 'inf'"),
        (["--level", "95"], "between 0 and 1; got 95"),
        (["--seed", "1"], "--num-bootstrap and --seed are only read with `--intervals bootstrap`"),
        (["--num-bootstrap", "9"], "--num-bootstrap and --seed are only read with `--intervals bootstrap`"),
        (["--on-bad-row", "skip"], "must be error or drop"),
    ],
)
def test_an_option_that_cannot_be_read_is_refused(rank, options, words):
    result = rank(battles(), *options)
    assert result.code == 2
    assert words in result.err


def test_online_elo_of_a_table_of_counts_is_refused(penchant, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("left,right,left_wins,right_wins\ntea,milk,3,2\n")
    assert penchant("rank", path).code == 0
    result = penchant("rank", path, "--elo")
    assert result.code == 2
    assert "a table of counts has none" in result.err


def test_a_folder_that_cannot_be_written_is_named(rank, tmp_path):
    (tmp_path / "taken").write_text("")
    result = rank(battles(), "--output", tmp_path / "taken")
    assert result.code == 2
    assert "taken" in result.err
    assert "choose another --output" in result.err


def test_a_name_that_steers_the_terminal_is_made_harmless(rank):
    shown = rank(battles([("te\x1b[2Ja", "mi\x1b[2Jlk", 3, 0, 0, 0), ("mi\x1b[2Jlk", "\x1b[2J", 0, 0, 0, 1)]))
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert "only answers that both are bad: \ufffd[2J" in shown.out


@pytest.mark.slow(threads=1)
def test_the_published_ratings_of_genai_arena_come_out_of_the_command(penchant, shared, tmp_path):
    folder = shared / "data" / "genai_arena"
    options = ["--on-bad-row", "drop", "--both-bad", "tie", "--prior", "565.685", "--output", tmp_path]
    result = penchant("rank", folder / "clean_battle_20240220.json.gz", *options)
    assert result.code == 0, result.err
    with (folder / "leaderboard_published_20240220.csv").open(encoding="utf-8", newline="") as lines:
        published = {row["key"]: float(row["Arena Elo rating (full)"]) for row in csv.DictReader(lines)}
    found = json.loads((tmp_path / "rank.json").read_text(encoding="utf-8"))
    assert ratings(found) == pytest.approx(published, abs=5)
    assert [len(group["standings"]) for group in found["groups"]] == [7, 6]


def test_the_published_kappas_of_pandalm_come_out_of_the_command(penchant, shared):
    shown = penchant("rank", shared / "data" / "pandalm" / "testset-v1.json.gz").out
    for pair, kappa in (("annotator1 and annotator2", 0.85), ("annotator1 and annotator3", 0.88)):
        line = next(line for line in shown.splitlines() if pair in line)
        assert float(line.split()[-1]) == pytest.approx(kappa, abs=0.005)


@pytest.mark.slow(threads=1)
def test_the_published_abilities_of_baseball_come_out_of_the_command(penchant, shared, tmp_path):
    folder = shared / "data" / "bt_classic"
    penchant("rank", folder / "baseball_al_east_1987.csv", "--output", tmp_path)
    found = ratings(json.loads((tmp_path / "rank.json").read_text(encoding="utf-8")))
    published = json.loads((folder / "published_values.json").read_text(encoding="utf-8"))["baseball_no_home"]
    ours = {team: (rating - found["Baltimore"]) / 173.71779276130073 for team, rating in found.items()}
    assert ours == pytest.approx(published["log_ability"], abs=6e-5)


def page():
    return (Path(__file__).resolve().parents[2] / "docs" / "ranking.md").read_text(encoding="utf-8")


def test_the_page_shows_what_the_command_prints(penchant, tmp_path, monkeypatch):
    text = page()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drinks.csv").write_text(text.split("```csv\n")[1].split("```")[0], encoding="utf-8")
    assert penchant("rank", "drinks.csv").out == text.split("```text\n")[1].split("```")[0]


def test_the_page_has_a_row_for_every_format():
    assert [importer.name for importer in VOTE_IMPORTERS if f"| `{importer.name}` | " not in page()] == []


def test_the_program_of_the_page_runs():
    names = {}
    exec(page().split("```python\n")[1].split("```")[0], names)
    assert (names["best"].item, names["found"].as_dict()["num_both_bad"]) == ("tea", 1)


def test_the_page_says_how_many_votes_as_the_formula_does():
    rows = re.findall(r"^\| (\d+)% \| (\d+) \| (\d+) \|$", page(), flags=re.M)
    assert len(rows) == 5
    for percent, points, votes in rows:
        p = int(percent) / 100
        odds = math.log(p / (1 - p))
        assert int(points) == round(400 / math.log(10) * odds)
        assert int(votes) == math.ceil((1.959964 / odds) ** 2 / (p * (1 - p)))
