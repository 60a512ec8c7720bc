"""What was trained on and measured on is called what it is: pairs, prompts, responses or texts."""

import re

import pytest

from penchant.report.counts import KINDS, counts_of, num_held_out_pairs
from penchant.report.measures import measures
from penchant.report.page import render_report
from penchant.report.series import log_prob_change


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_says_of_what_its_numbers_are(kind):
    run = {"command": "rlhf", f"num_train_{kind}": 1920, f"num_held_out_{kind}": 24}
    html = re.sub("<[^>]*>", " ", render_report(run, []))
    assert f"1,920 training {kind} · 24 held-out {kind}" in html
    assert counts_of(run).kind == kind
    others = [other for other in KINDS if other != kind]
    assert not any(f"training {other}" in html for other in others)


def test_an_accuracy_on_pairs_made_of_prompts_is_of_these_pairs():
    run = {"num_train_prompts": 40, "num_held_out_prompts": 8, "num_responses_written": 160, "num_pairs_made": 31}
    accuracy = {"eval_rewards/accuracies": 0.5, "eval_rewards/margins": 0.0}
    rows = [{"step": step, "eval_drawn/pairs": float(num), **accuracy} for step, num in ((5, 6), (9, 5))]
    assert num_held_out_pairs(run, rows) == 5
    assert num_held_out_pairs(run, []) is None
    [measure] = [m for m in measures(run, rows, [], None, str) if m.name == "held-out accuracy"]
    assert measure.num == "5"
    html = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", render_report(run, rows)))
    assert "50.0% of 5" in html
    assert "made while training 160 responses, 31 pairs" in html


def test_a_change_of_log_p_is_called_a_change_and_says_since_when():
    rows = [{"step": 9, "eval_rewards/chosen": 1.8, "eval_rewards/rejected": -0.4}]
    run = {"beta": 0.1, "reference_digest": "a", "model_digest": "a", "num_train_pairs": 8, "num_held_out_pairs": 4}
    found = {m.name: m for m in measures(run, rows, [], None, str)}
    chosen = found["change of log p, chosen"]
    assert (chosen.before, chosen.after, chosen.change, chosen.num) == ("", "", "+18.0", "4")
    assert chosen.what == "log p now less log p at the start, mean of the held-out responses; nats a response"
    logps = [{"step": s, "eval_logps/chosen": -9.0 + s, "eval_logps/rejected": -9.0} for s in (1, 3)]
    assert log_prob_change({}, logps).since == "first evaluation"
    [chosen, _] = measures({}, logps, [], None, str)
    assert chosen.change == "+2.0"
    assert "at the first evaluation" in chosen.what
    own = {**run, "num_train_prompts": 8}
    del own["num_train_pairs"], own["num_held_out_pairs"]
    assert "responses that the model writes itself" in measures(own, rows, [], None, str)[-1].what
