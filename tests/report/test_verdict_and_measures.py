"""A reader who was not there is told what may be believed: the verdict, each measure with its interval."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

import penchant.report
from penchant.errors import ConfigError
from penchant.ranking.cautions import SAME, warning_of
from penchant.ranking.winrate import paired_means
from penchant.report.alarms import ALARMS, MOST_WEIGHT
from penchant.report.card import model_card
from penchant.report.languages import words_in
from penchant.report.marked import marked
from penchant.report.measures import measures
from penchant.report.page import About, render_report
from penchant.report.series import limits_of
from penchant.report.several import RunData, render_runs
from penchant.report.verdict import verdict

ROOM = Path(penchant.report.__file__).parent


def said(comparison, metrics=(), run=None):
    return verdict(run or {}, metrics, comparison, str)


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [(0.51, 0.7, "better"), (0.3, 0.49, "worse"), (0.45, 0.6, "unclear"), (0.5, 0.6, "unclear")],
)
def test_a_win_rate_decides_only_where_its_interval_leaves_out_one_half(low, high, kind):
    rate = {"rate": (low + high) / 2, "low": low, "high": high}
    found = said({"judge": "people", "num_prompts": 40, "win_rate": rate})
    assert found.kind == kind
    assert f"95% interval {low:.1%} to {high:.1%}" in found.text
    assert "on 40 prompts" in found.text


def test_scores_decide_where_there_is_no_win_rate():
    assert said({"difference": {"mean": 0.2, "low": 0.1, "high": 0.3}}).kind == "better"
    assert said({"difference": {"mean": -0.2, "low": -0.3, "high": -0.1}}).kind == "worse"
    assert said({"difference": {"mean": 0.2, "low": -0.1, "high": 0.5}}).kind == "unclear"


def test_preferences_over_given_pairs_never_make_answers_better(metrics):
    sure = {"step": 100, "eval_rewards/accuracies": 0.9, "eval_rewards/accuracies_low": 0.8}
    found = said(None, [*metrics, sure | {"eval_rewards/accuracies_high": 0.95}])
    assert found.kind == "unclear"
    assert "90.0%" in found.text
    assert "No answers were compared" in found.text


def test_measures_of_the_fixed_prompts_are_paired_by_prompt():
    before, after = [40, 50, 64, 60], [64, 64, 60, 62]
    rows = [
        {"step": step, "prompt": f"p{i}", "response": "a b c d a b c d", "num_tokens": num, "ended": num < 64}
        for step, lengths in ((0, before), (9, after))
        for i, num in enumerate(lengths)
    ]
    found = {m.name: m for m in measures({}, [], rows, None, str)}
    expected = paired_means(before, after)
    length = found["answer length"]
    assert (length.before, length.after, length.num) == ("53.5", "62.5", "4")
    assert length.change == f"+9 (-{abs(expected.low):.4g} – +{expected.high:.4g})"
    assert (found["answers ended"].before, found["answers ended"].after) == ("75%", "50%")
    assert found["repeated words"].before == "20%"  # of five sequences of four words one is said again
    assert (found["repeated words"].change, found["repeated words"].beware) == ("0%", SAME)
    ended = paired_means([1, 1, 0, 1], [0, 0, 1, 1], are_shares=True)
    assert found["answers ended"].change == f"-25% ({ended.low:.0%} – +{ended.high:.0%})"


def test_a_calibration_error_without_an_interval_does_not_take_that_of_an_earlier_evaluation():
    ece = "eval_rewards/ece"
    first = {"step": 1, ece: 0.3, f"{ece}_low": 0.1, f"{ece}_high": 0.5}

    def line(*rows):
        return next(m for m in measures({}, rows, [], None, str) if m.name == "calibration error")

    assert (line(first, {"loss": 1.0}).after, line(first).change) == ("0.3", "0.100 – 0.500")
    assert (line(first, {"step": 2, ece: 0.0}).after, line(first, {"step": 2, ece: 0.0}).change) == ("0", "")


def test_a_held_out_loss_of_dpo_begins_at_ln_2_only_where_the_policy_is_its_reference(run, metrics):
    def begins(**facts):
        config = {"dpo": {"objective": "dpo"}}
        return next(
            m for m in measures({"config": config, **facts}, metrics, [], None, str) if m.name == "held-out loss"
        ).before

    assert begins(reference_digest="a", model_digest="a") == "0.6931"
    assert begins(reference_digest="b", model_digest="a") == ""


def test_pieces_add_up_to_the_texts_and_mark_what_one_side_alone_has():
    before, after = "The dog sat\non the mat, and slept.", "The old dog sat\non the mat."
    old, new = marked(before, after)
    assert "".join(text for text, _ in old) == before
    assert "".join(text for text, _ in new) == after
    assert [text for text, only_here in new if only_here] == [" old"]
    assert [text for text, only_here in old if only_here] == [", and slept"]


@pytest.mark.parametrize(
    ("before", "after"), [("one two three", "four five six"), ("a " * 2000, "a " * 2001), ("", "x")]
)
def test_texts_that_share_little_or_are_very_long_are_left_unmarked(before, after):
    assert marked(before, after) == ([(before, False)], [(after, False)])


def test_best_middle_and_worst_come_first_by_the_judges_score(run):
    pairs = [
        {"prompt": f"prompt {i}", "before": "x", "after": "y", "score_before": 0.0, "score_after": gain}
        for i, gain in enumerate((0.1, -0.7, 0.9, 0.2, -0.1))
    ]
    html = render_report(run, [], [], {"judge": "j", "pairs": pairs})
    assert re.findall(r"prompt \d", html) == ["prompt 2", "prompt 0", "prompt 1", "prompt 3", "prompt 4"]
    assert html.index("largest gain") < html.index("the middle one") < html.index("largest loss of the judge")


@pytest.mark.slow(threads=1)
def test_formula_lineage_and_command_are_on_the_page_as_text(run, metrics):
    about = About("-logsigmoid(z) <b>", ("run a", "└── data <i>"), "penchant dpo --config a")
    html = render_report(run, metrics, [], None, about)
    for shown in ("-logsigmoid(z) &lt;b&gt;", "└── data &lt;i&gt;", "penchant dpo --config a"):
        assert shown in html


@pytest.mark.slow(threads=1)
def test_all_words_of_the_page_are_there_in_chinese(run, metrics, samples, comparison):
    known = json.loads((ROOM / "zh.json").read_text(encoding="utf-8"))
    used = set()
    for path in (*ROOM.glob("*.py"), *ROOM.glob("*.html")):
        for parts in re.findall(r'(?<![\w.])_\(\s*((?:"[^"]*"\s*)+)\)', path.read_text(encoding="utf-8")):
            used.add("".join(re.findall(r'"([^"]*)"', parts)))
    assert len(used) > 60
    of_alarms = ast.walk(ast.parse((ROOM / "alarms.py").read_text(encoding="utf-8")))
    sentences = {node.value for node in of_alarms if isinstance(node, ast.Constant) and "{" in str(node.value)}
    assert len(sentences) >= len(ALARMS)
    used |= sentences | {name.replace("_", " ") for name in ALARMS}
    assert used <= known.keys()
    assert all(
        set(re.findall(r"{\w+", english)) == set(re.findall(r"{\w+", chinese)) for english, chinese in known.items()
    )
    html = render_report(run, metrics, samples, comparison, language="zh")
    assert '<html lang="zh">' in html
    assert "变好了" in html
    with pytest.raises(ConfigError, match="en or zh, got 'fr'"):
        words_in("fr")


@pytest.mark.slow(threads=1)
def test_remarks_alarms_and_the_ledger_are_said_in_chinese_with_the_same_numbers(run, metrics, comparison):
    facts = {"num": 3, "all": 60, "share": 0.7251, "rows": "p.jsonl:4, p.jsonl:9, p.jsonl:{x}"}
    alarm = {"name": "few_pairs_decide", "step": 40, "value": 0.7251, "limit": 0.6, "action": "note"}
    alarm |= {"text": MOST_WEIGHT.format(**facts), "sentence": MOST_WEIGHT, "facts": facts}
    older = {"name": "grew_longer", "step": 50, "text": "answers grew"}
    run |= {"alarms": [alarm, older], "truncated": False}
    unsure = comparison | {"win_rate": {"rate": 0.55, "low": 0.451, "high": 0.643}}
    chinese, english = (
        re.sub("<[^>]*>", " ", render_report(run, metrics, [], unsure, language=language)) for language in ("zh", "en")
    )
    for words in (
        "第 40 步的警报：少数偏好对主导梯度",
        "60 对中的 3 对占了梯度的 73%，其余已经学会",
        "请检查 p.jsonl:4, p.jsonl:9, p.jsonl:{x}。",
        "胜率的置信区间是 45.1% 到 64.3%，所以这次比较无法判断哪个模型更好。",
        "1,920 个训练偏好对 · 240 个留出偏好对",
        "240 对中的 84.0%",
        "训练偏好对数",
    ):
        assert words in chinese, words
    assert "Answers grew。" in chinese
    assert "3 of 60 pairs make 73% of the gradient" in english
    assert "few_pairs_decide (step 40), grew_longer (step 50)" in english
    assert not re.search("[\u4e00-\u9fff]", english)


def test_runs_are_compared_column_by_column_and_their_curves_drawn_over_one_another(run, metrics, samples, comparison):
    other = [{**row, "loss": row["loss"] + 0.1} if "loss" in row else row for row in metrics]
    html = render_runs([RunData("first <b>", run, metrics, samples, comparison), RunData("second", run, other)])
    assert "first &lt;b&gt;" in html
    assert html.count("<svg") == 4
    assert "77.5%" in html
    assert "https" not in html


def test_the_card_says_what_the_report_says_and_its_head_is_yaml(run, metrics, comparison):
    hostile = run | {"config": {"model": {"name": "org/model: [x]"}, "dpo": {"objective": "dpo"}}}
    card = model_card(hostile, metrics, [], comparison | {"judge": "a|b <script>"}, repeat="penchant dpo")
    assert "only" not in card
    few = model_card(run, metrics, [], comparison | {"num_prompts": 7, "warning": warning_of(7)})
    assert "- win rate: only 7 prompts" in few
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "base_model": "org/model: [x]", "library_name": "transformers", "tags": ["penchant", "dpo"],
    }  # fmt: skip
    assert "**Better.** a\\|b &lt;script&gt; prefers" in body
    assert "| win rate | – | 77.5% | 72.6% – 81.7% |" in body
    assert "<script>" not in card


def test_a_value_has_its_own_interval_or_none():
    """A score of all right answers has none, and that of an earlier evaluation is not its own."""
    before = {"eval_reward": 0.6, "eval_reward_low": 0.5, "eval_reward_high": 0.7}
    assert limits_of([before, {"loss": 1.0}], "eval_reward") == (0.5, 0.7)
    assert limits_of([before, {"eval_reward": 1.0}], "eval_reward") is None
    assert limits_of([{"loss": 1.0}], "eval_reward") is None


@pytest.mark.slow(threads=1)
def test_reinforcement_learning_is_shown_by_score_and_kl_and_not_by_its_loss():
    about = {"loss": 0.01, "entropy": 2.0, "completions/mean_length": 30.0}
    rows = [{"step": step, "reward": 0.1 * step, "kl": 0.3 * step, **about} for step in range(1, 6)]
    rows += [{"step": step, "eval_loss": 0.0, "eval_reward": 0.1 * step, "eval_kl": 0.4 * step} for step in (2, 5)]
    rows[-1] |= {"eval_reward_low": 0.25, "eval_reward_high": 0.75, "eval_kl_low": 1.0, "eval_kl_high": 3.0}
    run = {"command": "rlhf", "num_held_out_pairs": 7}
    found = {m.name: (m.before, m.after, m.change, m.num) for m in measures(run, rows, [], None, str)}
    assert found == {
        "judge's mean score in training": ("0.2", "0.5", "0.25 – 0.75", "7"),
        "KL in training": ("0", "2.00", "1.00 – 3.00", "7"),
    }
    html = render_report(run, rows)
    assert "RLHF report" in html
    for title in ("Judge&#39;s score", "KL from the reference", "Entropy", "Response length"):
        assert title in html
    assert "Training loss" not in html
