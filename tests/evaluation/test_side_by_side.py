"""Two models side by side: the newer one's side is a fair coin, and its wins are counted wherever it stands."""

import pytest

from penchant.data import Message, Prompt, Source
from penchant.evaluation.judges import FunctionJudge, judge_comparisons
from penchant.evaluation.side_by_side import side_by_side, summarise_sides
from penchant.ranking.cautions import SAME, warning_of
from penchant.ranking.winrate import win_rate_of
from penchant.report.compared_measures import compared_measures
from penchant.report.languages import words_in
from penchant.report.verdict import verdict

PROMPTS = [Prompt(messages=(Message(role="user", content=f"question {i}"),), id=str(i)) for i in range(40)]
LONGER = FunctionJudge("longer", lambda prompt, response: len(response))
BEFORE = {p.id: "aa" for p in PROMPTS}
AFTER = {p.id: "aaa" if i < 20 else "a" if i < 30 else "bb" for i, p in enumerate(PROMPTS)}
SOURCES = (Source(model="old"), Source(model="new"))


def sides(seed=0):
    return side_by_side(PROMPTS, BEFORE, AFTER, SOURCES, [i / 39 for i in range(40)], seed=seed)


def judged(rows):
    return judge_comparisons(LONGER, rows)


def test_the_newer_model_stands_on_either_side_by_a_coin_that_the_seed_fixes():
    newer = [c.meta["after"] for c in sides()]
    assert 10 < newer.count("a") < 30
    assert newer == [c.meta["after"] for c in sides()] != [c.meta["after"] for c in sides(seed=1)]
    for comparison in sides():
        new = comparison.a if comparison.meta["after"] == "a" else comparison.b
        assert (new.source.model, new.text) == ("new", AFTER[comparison.id])


def test_wins_scores_and_kl_are_the_newer_models():
    summary = summarise_sides(judged(sides()), "longer")
    expected = win_rate_of([1.0] * 20 + [0.0] * 10 + [0.5] * 10)
    assert summary["win_rate"] == {
        "rate": 25 / 40, "low": expected.low, "high": expected.high, "wins": 20, "losses": 10, "ties": 10,
    }  # fmt: skip
    assert (summary["mean_before"], summary["mean_after"]) == (2.0, (60 + 10 + 20) / 40)
    assert summary["kl"]["mean"] == pytest.approx(0.5)
    assert summary["kl"]["low"] < 0.5 < summary["kl"]["high"]
    first = summary["pairs"][0]
    assert (first["before"], first["after"], first["score_before"], first["score_after"]) == ("aa", "aaa", 2.0, 3.0)


def test_a_win_rate_of_few_answers_says_of_how_few_whatever_the_number_of_prompts():
    rows = [c.model_copy(update={"outcome": c.meta["after"]}) for c in sides()[:7]] + sides()[7:]
    summary = summarise_sides(rows, "people")
    assert summary["warning"] == warning_of(7)
    assert summary["kl"]["warning"] is None, "of all 40"
    told = {measure.name: measure for measure in compared_measures(summary, str)}
    assert (told["win rate"].num, told["win rate"].beware) == ("7 prompts", warning_of(7))
    assert told["KL from the reference"].num == "40 prompts"
    said = verdict({}, [], summary, str).text
    assert "on 7 prompts" in said
    assert warning_of(7) in said
    assert "只有 7 个提示" in verdict({}, [], summary, words_in("zh")).text
    assert summarise_sides(sides(), "people")["warning"] is None, "there is no win rate to warn of"


def test_where_every_log_ratio_and_score_is_alike_it_is_said_why_there_is_no_interval():
    alike = side_by_side(PROMPTS, BEFORE, BEFORE, SOURCES, [0.5] * 40, seed=0)
    summary = summarise_sides(judged(alike), "longer")
    assert summary["kl"]["warning"] == summary["difference"]["warning"] == SAME


def test_both_bad_is_a_tie_and_an_answer_that_is_missing_counts_for_the_kl_alone():
    rows = [c.model_copy(update={"outcome": "both_bad"}) for c in sides()[:4]] + sides()[4:]
    summary = summarise_sides(rows, "people")
    assert summary["win_rate"]["ties"] == summary["num_answered"] == 4
    assert summary["num_prompts"] == 40
    assert summary["kl"]["mean"] == pytest.approx(0.5)
    assert "mean_after" not in summary
    assert "win_rate" not in summarise_sides(sides(), "people")
