"""Online DPO: pairs of the policy's own responses, judged while it is trained."""

import json
import math

import pytest
from safetensors.torch import load_file

import penchant as pt
from penchant.data import Message, Origin
from penchant.data.pairing import Pairing
from penchant.evaluation.judges import open_judge
from penchant.online.choosing import chosen_of
from penchant.online.writing import Written

SMALL = {"save.num_samples": 0, "sampling.max_new_tokens": 5, "optimiser.warmup_ratio": 0.0}


def shorter(prompt, a, b):
    return "tie" if len(a) == len(b) else "a" if len(a) < len(b) else "b"


@pytest.fixture
def dpo(model, prompts):
    def run(judge, *, settings=(), **arguments):
        small = {"learning_rate": 1e-3, "held_out": 0.0, "progress": False}
        return pt.dpo(
            model, prompts, online=pt.Online(judge), settings={**SMALL, **dict(settings)}, **small | arguments
        )

    return run


def written(text, group=0, reward=0.0):
    prompt = (Message(role="user", content=f"Question {group}"),)
    return Written(None, prompt, text, group, True, None, reward, reward, Origin(file="f", line=1))


@pytest.mark.slow(threads=1)
def test_the_judges_score_rises(dpo, brevity):
    reward = dpo(brevity, epochs=6).metrics.column("reward")
    assert sum(reward[-2:]) / 2 > reward[0] + 0.05, reward


@pytest.mark.slow(threads=1)
def test_pairs_are_new_and_the_reference_is_asked_about_them(dpo, brevity):
    rows = dpo(brevity, epochs=2, batch_size=4).metrics
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-4), "the policy is its own reference"
    assert rows[0]["rewards/margins"] == pytest.approx(0, abs=1e-4)
    assert abs(rows[1]["rewards/margins"]) > 1e-3
    assert 0 < rows[0]["pairs_per_prompt"] <= 1, "the best and the worst, where they differ"


def test_a_judge_that_prefers_is_asked_about_two_responses_at_a_time(dpo):
    run = dpo(shorter, max_steps=1)
    assert 0 < run.metrics[0]["pairs_per_prompt"] <= 2, "of four responses"
    assert "reward" not in run.metrics[0]
    assert run.ledger["judge"].endswith(":shorter")


def test_of_scored_responses_the_best_and_the_worst_are_a_pair():
    judge = open_judge(lambda prompt, response: 0.0)
    among = [written("good", reward=2.0), written("bad", reward=-1.0), written("so so"), written("alone", group=1)]
    [(better, worse)] = chosen_of(judge, among, Pairing("best_worst"))
    assert (better.text, worse.text) == ("good", "bad")
    assert len(chosen_of(judge, among, Pairing("all"))) == 3
    assert not chosen_of(judge, among, Pairing("best_worst", min_gap=5))


def test_equal_responses_and_ties_make_no_pair():
    judge = open_judge(shorter)
    assert not chosen_of(judge, [written("same"), written("same")], Pairing())
    assert not chosen_of(judge, [written("this"), written("that")], Pairing())
    assert not chosen_of(open_judge(len_of), [written("this"), written("that")], Pairing())


def len_of(prompt, response):
    return len(response)


def test_a_step_without_a_pair_changes_nothing_and_goes_on(dpo):
    calls = []

    def judge(prompt, response):
        calls.append(response)
        return float(len(response)) if len(calls) > 32 else 0.0  # of the first step's eight prompts none is told apart

    run = dpo(judge, epochs=2)
    rows = [row for row in run.metrics if "grad_norm" in row]
    assert [row["frac_undecided"] < 1 for row in rows] == [False, True]
    assert "loss" not in rows[0]
    assert (rows[0]["drawn/prompts"], rows[0]["drawn/responses"], rows[0]["drawn/pairs"]) == (8, 32, 0)
    assert run.ledger["num_responses_written"] == 64
    assert run.ledger["num_pairs_made"] == rows[1]["drawn/pairs"] > 0
    assert (run.ledger["num_train_prompts"], "num_train_pairs" in run.ledger) == (8, False)


def test_a_judge_that_never_tells_two_answers_apart_ends_the_run_in_words(dpo, tmp_path):
    with pytest.raises(
        pt.TrainingError,
        match=r"judged all responses to a prompt as equally good .* nothing could be learned and no model",
    ):
        dpo(lambda prompt, response: 0.0, epochs=2, output=tmp_path / "run")
    [alarm] = json.loads((tmp_path / "run" / "run.json").read_text())["alarms"]
    assert (alarm["name"], alarm["value"]) == ("judge_undecided", 1.0)
    assert "for 100% of the prompts the judge" in alarm["text"]
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize("objective", ["simpo", pytest.param("aot", marks=pytest.mark.slow)])
def test_other_objectives_are_trained_online_too(dpo, brevity, objective):
    rows = dpo(brevity, objective=objective, max_steps=2, settings={"sampling.minibatches": 2}).metrics
    assert all(math.isfinite(loss) for loss in rows.column("loss"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"objective": "kto"}, "makes pairs, but kto reads single responses"),
        ({"settings": {"sampling.num_responses": 1}}, "training online makes pairs of two responses"),
        ({"settings": {"dpo.moving_reference": {"every": 2}}}, "moving_reference is not read while training online"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(dpo, brevity, arguments, words):
    with pytest.raises(pt.ConfigError, match=words):
        dpo(brevity, **arguments)


def test_a_setting_of_writing_is_not_read_where_pairs_are_there(model):
    with pytest.raises(pt.ConfigError, match="only read while training online"):
        pt.dpo(model, [{"prompt": "A", "chosen": "B", "rejected": "C"}], settings={"sampling.num_responses": 2})


@pytest.mark.slow(threads=1)
def test_what_an_objective_remembers_of_its_own_responses_is_in_the_checkpoint(dpo, tmp_path):
    """beta_dpo's running mean of D, a tenth of the second batch's: that of the first is 0 (arXiv 2407.08639)."""
    calls = []

    def judge(prompt, response):
        calls.append(response)
        if len(calls) > 2 * 4 * 2:
            raise RuntimeError
        return -len(response)

    small = {"save.checkpoint_every": 1, "sampling.num_responses": 4}
    beta_dpo = {"objective": "beta_dpo", "beta": 0.1, "max_steps": 3, "batch_size": 2, "output": tmp_path / "run"}
    with pytest.raises(pt.ConfigError, match="failed"):
        dpo(judge, settings=small, **beta_dpo)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    [remembered] = (tmp_path / "run" / "checkpoints").glob("*/task.safetensors")
    assert load_file(remembered)["memory"].item() == pytest.approx(rows[1]["rewards/margins"] / 0.1 / 10, rel=1e-3)
    assert abs(rows[1]["rewards/margins"]) > 1e-3


@pytest.mark.slow
def test_a_run_that_is_stopped_goes_on_bit_for_bit(tmp_path, stories260k, prompts, without_timings):
    calls, left = [], [-1]

    def judge(prompt, response):
        calls.append(response)
        if len(calls) == left[0]:
            raise RuntimeError
        return -len(response)

    def run(name, **more):
        return pt.dpo(
            str(stories260k), prompts, output=tmp_path / name, online=pt.Online(judge), epochs=3, batch_size=3,
            chat_template="plain", device="cpu", dtype="float32", held_out=0.25, settings=SMALL, progress=False,
            objective="beta_dpo", **more,
        )  # fmt: skip

    straight = run("straight")
    left = [len(calls) // 2]
    calls.clear()
    with pytest.raises(pt.ConfigError, match="failed"):
        run("stopped")
    left = [-1]
    [state] = (tmp_path / "stopped").glob("checkpoints/*/state.json")
    assert json.loads(state.read_text())["step"] > 0
    resumed = run("stopped", resume=True)
    assert without_timings(resumed.metrics) == without_timings(straight.metrics)
    files = [(run.path / "model" / "model.safetensors").read_bytes() for run in (straight, resumed)]
    assert files[0] == files[1]
