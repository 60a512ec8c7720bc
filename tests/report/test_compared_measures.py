"""Whatever an evaluation measured stands in the report, with its interval and of how many, in both languages."""

import json
import re
from dataclasses import asdict, fields, replace
from functools import cache
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest

from penchant.data import Message, Prompt
from penchant.errors import DataError
from penchant.evaluation.answers import Answers
from penchant.evaluation.compared import Evaluation, compare_answers
from penchant.evaluation.forgetting import Forgetting
from penchant.evaluation.judges import FunctionJudge
from penchant.evaluation.means import mean_of
from penchant.evaluation.pair_scores import Summary
from penchant.evaluation.results_in_words import evaluation_lines
from penchant.ranking.cautions import ONE, SAME
from penchant.ranking.winrate import win_rate
from penchant.report.calibration_figure import calibration_figure
from penchant.report.compared_measures import compared_measures
from penchant.report.evaluations import read_evaluations, render_evaluations
from penchant.report.languages import words_in
from penchant.report.page import render_report
from penchant.report.verdict import verdict
from penchant.statistics import (
    WARNINGS,
    Estimate,
    ScoredList,
    accuracy_by_length,
    accuracy_by_margin,
    best_of,
    by_quarters,
    calibration,
)
from penchant.training.run_report import write_page

NO_MEASURES = {"judge", "num_prompts", "num_responses", "sampling", "pairs", "policy", "reference", "warning"}
OF_FIELD = {
    "win_rate": {"win rate"},
    "decided": {"win rate, ties apart"},
    "length_controlled": {"win rate, same length"},
    "style_controlled": {"win rate, same style"},
    "mean_before": {"judge's mean score"},
    "mean_after": {"judge's mean score"},
    "difference": {"judge's mean score"},
    "position_bias": {"judge's order bias"},
    "repeatability": {"judge's repeatability"},
    "kl": {"KL from the reference"},
    "kl_exact": {"KL, exact"},
    "why_no_exact_kl": {"KL, exact"},
    "forgetting": {"perplexity"},
    "changes": {"tokens an answer", "ended by the model", "repetition", "distinct-2", "entropy"},
    "accuracy": {
        "accuracy on preferences", "where chosen is longer", "where both are as long", "where chosen is shorter",
        "where chosen is better by 1", "where chosen is better by 2",
        "where the margin is 0.1 to 1", "where the margin is 1 to 2", "whole lists", "best of n",
        "best of n, Factuality", "calibration error (ECE)",
        "Brier score",
    },
}  # fmt: skip


@cache
def evaluation(num=24):
    """A small one in which everything was measured."""
    prompts = [Prompt(messages=(Message(role="user", content=f"question {i}"),), id=str(i)) for i in range(num)]

    def answers(*texts):
        of_each = {prompt.id: [text[: 30 - i % 3] for text in texts] for i, prompt in enumerate(prompts)}
        lengths = {key: [float(len(text)) for text in each] for key, each in of_each.items()}
        return Answers(of_each, lengths, {key: [1.0, 0.0] for key in of_each}, lengths)

    before = answers("some words of no great length", "and others")
    after = answers("some other words which are as long", "and more others")
    longer = FunctionJudge("longer", lambda prompt, response: len(response))
    found = compare_answers(prompts, before, after, longer, policy="new", reference="old", repeats=2)
    ratios = np.random.default_rng(0).normal(1, 1, 2 * num)
    margins, names = [0.1, -1.0, 1.0, 2.0], list("abcd")
    summary = Summary(
        accuracy=win_rate(3, 1),
        margin=mean_of(margins, names),
        probability=mean_of([0.52, 0.27, 0.73, 0.88], names),
        num_prompts=4,
        by_length=accuracy_by_length([1, 0, 1, 1], [(2, 1), (2, 2), (1, 2), (1, 2)], names),
        by_margin=accuracy_by_margin(margins, names, num_buckets=2),
        by_gap=by_quarters([1, 1, 2, 2], [1, 0, 1, 1], names),
        calibration=calibration([0.52, 0.27, 0.73, 0.88], names),
        lists=win_rate(7, 2),
        parts={name: best_of([ScoredList((1.0,), (0.0,))] * 3, "abc") for name in ("", "Factuality")},
    )
    return replace(
        found.with_kl(ratios, ratios**2, prompts),
        position_bias=win_rate(3, 21),
        accuracy=summary,
        forgetting=Forgetting(10.0, 12.5, 1.25, 1.125, 1.375, 11, 900),
    )


def shown(found, _=str):
    return {measure.name: measure for measure in compared_measures(json.loads(json.dumps(found.as_dict())), _)}


def test_every_field_of_an_evaluation_has_its_lines():
    assert {field.name for field in fields(Evaluation)} == NO_MEASURES | set(OF_FIELD)
    whole = evaluation()
    assert set(shown(whole)) == set.union(*OF_FIELD.values())
    for name in ("decided", "position_bias", "repeatability", "kl", "kl_exact", "forgetting", "accuracy"):
        assert set(shown(whole)) - set(shown(replace(whole, **{name: None}))) == OF_FIELD[name], name


def test_every_line_has_an_interval_and_says_of_how_many():
    for name, measure in shown(evaluation()).items():
        if name in ("repetition", "distinct-2"):  # alike in every answer
            assert (measure.change, measure.beware) == ("0.0%", SAME)
            continue
        assert " – " in measure.change, name
        assert re.fullmatch(r"[\d,]+ (prompts|comparisons|pairs|rows|demonstrations|lists)", measure.num), name


def test_every_line_of_the_terminal_has_an_interval_and_says_of_how_many():
    shown_bare = ("judge ", "repetition", "distinct-2", "of the preferences", "they have", "only ")
    for line in evaluation_lines(evaluation()):
        if not line.strip().startswith(shown_bare):  # the second and third are alike in every answer
            assert re.search(r"\d%? to [+-]?\d", line), line
            assert re.search(r"\d (prompts|comparisons|pairs|rows|lists|demonstrations)|\d won, ", line), line


def test_lines_have_the_numbers_of_the_evaluation():
    whole = evaluation()
    found = shown(whole)
    equal, exact = whole.length_controlled, whole.kl_exact
    assert found["win rate, same length"].change == f"{equal.low:.1%} – {equal.high:.1%}"
    rates = ("win rate", "win rate, ties apart", "win rate, same length", "win rate, same style")
    assert {found[name].before for name in rates} == {"–"}
    assert found["KL, exact"].after == f"{exact.mean:.2f}"
    forgot = found["perplexity"]
    assert (forgot.before, forgot.after, forgot.change) == ("10", "12.5", "× 1.250 (1.125 – 1.375)")
    assert (forgot.num, found["whole lists"].num) == ("11 demonstrations", "9 rows")
    order, again = found["judge's order bias"], found["judge's repeatability"]
    assert (order.after, order.num, again.after, again.num) == ("12.5%", "24 comparisons", "100.0%", "48 comparisons")
    shorter = found["where chosen is shorter"]
    assert (shorter.before, shorter.after, shorter.num) == ("50%", "100.0%", "2 pairs")
    ece = whole.accuracy.calibration.ece
    assert found["calibration error (ECE)"].change == f"{ece.low:.3f} – {ece.high:.3f}"
    assert (found["Brier score"].before, found["calibration error (ECE)"].before) == ("0.25", "0")


def test_a_kl_that_could_not_be_measured_says_why():
    line = shown(replace(evaluation(), kl_exact=None, why_no_exact_kl="heads differ"))["KL, exact"]
    assert (line.after, line.what) == ("not measured", "heads differ")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_too_few_prompts_are_said_where_the_interval_stands(language, run):
    few = json.loads(json.dumps(evaluation(num=7).as_dict()))
    warning = "only 7 prompts" if language == "en" else "只有 7 个提示"
    found = {m.name: m for m in compared_measures(few, words_in(language))}
    assert sum(warning in measure.beware for measure in found.values()) == 1
    assert warning in found["win rate" if language == "en" else "胜率"].beware, "on the first line, once for all"
    assert warning in verdict(run, [], few, words_in(language)).text
    assert "Beware" not in verdict(run, [], json.loads(json.dumps(evaluation().as_dict())), str).text
    assert few["warning"].startswith("only 7 prompts")
    html = render_report(run, [], [], few, language=language)
    assert warning in html
    known = words_in("zh")
    assert all(known(sentence) != sentence for sentence in WARNINGS)


def test_that_there_is_one_prompt_only_is_said_once():
    found = evaluation(num=1).as_dict()
    lines = list(compared_measures({**found, "forgetting": None, "accuracy": None}, str))
    assert [line.name for line in lines if ONE in line.beware] == ["win rate"]
    assert {"judge's mean score", "KL, exact", "tokens an answer"} <= {line.name for line in lines}


def test_an_estimate_with_a_warning_of_its_own_keeps_it():
    own = asdict(Estimate(0.5, 0.4, 0.6, 8, 4, "beware of it"))
    found = shown(evaluation())["win rate, same length"]
    assert found.beware == ""
    [line] = compared_measures({"length_controlled": own}, words_in("zh"))
    assert line.beware == "beware of it"


@pytest.mark.parametrize(("language", "rate"), [("en", "not measured"), ("zh", "未测")])
def test_of_one_prompt_no_rate_at_the_same_length_is_shown(language, rate):
    own = asdict(Estimate(0.83, None, None, 1, 1, "only one prompt: nothing is known about others"))
    [line] = compared_measures({"length_controlled": own}, words_in(language))
    assert rate in line.change or rate in line.after
    assert "83" not in "".join(map(str, asdict(line).values()))


def test_the_calibration_curve_is_drawn_and_told_in_both_languages(run):
    found = json.loads(json.dumps(evaluation().as_dict()))
    figure = calibration_figure(found)
    root = ElementTree.fromstring(figure.svg)
    assert "100% right of 1 pairs where it is 88% sure" in root.get("aria-label")
    assert "50% right of 2 pairs where it is 73% sure" in root.get("aria-label")
    assert "var(--first)" in figure.svg
    assert not re.findall(r"(?:fill|stroke): #", figure.svg)
    for language, words in (("en", ("share right", "how sure the model is")), ("zh", ("正确的比例", "模型有多大把握"))):
        html = render_report(run, [], [], found, language=language)
        assert all(f">{one}</text>" in html for one in words)
    assert calibration_figure({"accuracy": None}) is None
    assert calibration_figure(None) is None
    two = render_evaluations([found, found | {"policy": "other"}])
    ids = re.findall(r' id="([^"]*)"', two)
    assert len(ids) == len(set(ids))
    assert two.count("<svg") == 2


def test_evaluations_are_a_page_of_their_own_with_their_answers(tmp_path):
    two = [evaluation().as_dict(), replace(evaluation(), policy="<b>third</b>", kl_exact=None).as_dict()]
    path = tmp_path / "found.json"
    path.write_text(json.dumps(two), encoding="utf-8")
    page = write_page([path])
    assert page == tmp_path / "found.html"
    html = page.read_text(encoding="utf-8")
    assert html == render_evaluations(read_evaluations(path))
    assert "<b>third" not in html
    text = unescape(re.sub("<[^>]*>", " ", html))
    for words in ("Models compared", "<b>third</b>", "compared with", "question 7", "of 11 demonstrations", "Verdicts"):
        assert words in text, words
    assert "模型的比较" in render_evaluations(two, "zh")
    alone = tmp_path / "one.json"
    alone.write_text(json.dumps(two[0]), encoding="utf-8")
    assert len(read_evaluations(alone)) == 1


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", "[1]", "null", '[{"rate": 1}]'])
def test_a_file_that_holds_no_evaluations_is_refused_by_name(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"other\.json: .*penchant eval"):
        write_page([path])
