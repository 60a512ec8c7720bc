"""Whole runs on a tiny real model: they learn, stop, go on bit for bit, and refuse to hide a fault."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM

from penchant.data import Message
from penchant.errors import ConfigError, DataError, OutputError, TrainingError
from penchant.models.load import load_model
from penchant.objectives import LABELLED_OBJECTIVES, OBJECTIVES
from penchant.training import policies, run_folder
from penchant.training import run as run_module
from penchant.training.config import DPOConfig, ObjectiveConfig, OptimiserConfig
from penchant.training.interrupt import Interrupted
from penchant.training.objective import choose_recipe, usual_learning_rate
from penchant.training.preferences import PreferenceTask
from penchant.training.run_folder import RunFolder, read_rows_written

TIMINGS = {"tokens_per_second", "step_seconds"}


def rows(folder):
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in read_rows_written(folder.metrics)]


def weights(folder):
    (file,) = (folder.path / "model").glob("*.safetensors")
    return file.read_bytes()


def steps(folder):
    return [row for row in rows(folder) if "grad_norm" in row]


@pytest.mark.slow(threads=1)
def test_dpo_learns_which_of_its_pairs_are_preferred(dpo, stories260k):
    folder = dpo(data={"held_out": 0}, optimiser={"epochs": 8, "learning_rate": 1e-3, "batch_size": 16})
    first, last = steps(folder)[0], steps(folder)[-1]
    assert first["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-4)
    assert last["rewards/accuracies"] > 0.9
    assert last["loss"] < 0.6 < first["loss"]
    assert last["rewards/chosen"] > last["rewards/rejected"]
    AutoModelForCausalLM.from_pretrained(folder.model)


@pytest.mark.slow(threads=1)
def test_a_list_is_paired_by_the_rule_of_the_settings_which_the_ledger_names(dpo, tmp_path):
    file = tmp_path / "lists.jsonl"
    row = {"prompt": "Once there was", "responses": [" a dog.", " a cat.", " an owl."], "scores": [3, 1, 2]}
    file.write_text("".join(json.dumps(row | {"prompt": f"{n} times"}) + "\n" for n in range(4)), encoding="utf-8")
    ledger = dpo(data={"files": [str(file)], "held_out": 0, "pairing": "adjacent", "min_gap": 1}).ledger
    assert (ledger["num_train_pairs"], ledger["data_format"]) == (8, "answer_columns")
    assert (ledger["config"]["data"]["pairing"], ledger["config"]["data"]["min_gap"]) == ("adjacent", 1)


@pytest.mark.slow(threads=1)
def test_what_was_learned_is_in_the_saved_model(dpo, pairs, model):
    from penchant.models.forward import score_sequences
    from penchant.models.load import load_model

    folder = dpo(data={"held_out": 0}, optimiser={"epochs": 8, "learning_rate": 1e-3, "batch_size": 16})
    trained = load_model(str(folder.path), model.numerics, chat_template="plain")
    with torch.no_grad():
        sequences = [s for pair in pairs for s in pair.sequences]
        gain = score_sequences(trained, sequences) - score_sequences(model, sequences)
    assert float((gain[0::2] > gain[1::2]).float().mean()) > 0.9
    assert trained.digest != model.digest


@pytest.mark.slow(threads=1)
@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's list of mapped files")
def test_weights_that_are_trained_do_not_lie_in_the_models_file(dpo, make_reporter, stories260k, tmp_path):
    """Whoever writes to a file from which memory is mapped changes, or ends, the process that has mapped it."""
    source = tmp_path / "source"
    shutil.copytree(stories260k, source, copy_function=shutil.copyfile)
    mapped = []

    def look():
        mapped.extend(line for line in Path("/proc/self/maps").read_text().splitlines() if str(source) in line)

    dpo(make_reporter({1: look}), model={"name": str(source)})
    assert mapped == []


@pytest.mark.slow(threads=1)
def test_sft_lowers_its_loss(sft):
    folder = sft(data={"held_out": 0}, optimiser={"epochs": 6, "learning_rate": 2e-3, "batch_size": 8})
    losses = [row["loss"] for row in steps(folder)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow(threads=1)
def test_held_out_rows_are_measured_after_every_epoch_and_never_trained_on(dpo):
    folder = dpo()
    evaluations = [row for row in rows(folder) if "eval_loss" in row]
    assert [row["epoch"] for row in evaluations] == [1.0, 2.0]
    ledger = json.loads((folder.path / "run.json").read_text())
    assert ledger["num_train_pairs"] + ledger["num_held_out_pairs"] == 16
    assert ledger["num_held_out_pairs"] == 4


@pytest.mark.slow(threads=1)
def test_conversations_of_one_prompt_and_texts_that_come_twice_lie_on_one_side(sft, monkeypatch, tmp_path):
    path = tmp_path / "demonstrations.jsonl"
    asked = [[{"role": "user", "content": f"Who is {name}?"}] for name in ("Lily", "Tom", "Ben", "Mia")]
    answers = [[{"role": "assistant", "content": f"A child. {i}"}] for i in range(6)]
    path.write_text("".join(json.dumps({"messages": q + a}) + "\n" for a in answers for q in asked))
    seen = []

    class Look(run_module.Loop):
        def run(self, stop):
            sides = self.data.train, self.data.held_out
            seen.append([{item.sequences[0].context for item in side} for side in sides])
            super().run(stop)

    monkeypatch.setattr(run_module, "Loop", Look)
    ledger = sft(data={"files": [str(path)], "held_out": 0.5}, optimiser={"max_steps": 1}).ledger
    ((train, held_out),) = seen
    assert (len(train | held_out), train & held_out) == (4, set())
    assert ledger["num_held_out_texts"] == 6 * len(held_out) > 0


@pytest.mark.slow(threads=1)
def test_the_ledger_names_data_weights_reference_and_outcome(dpo, model, pairs_file):
    import hashlib

    folder = dpo()
    ledger = json.loads((folder.path / "run.json").read_text())
    assert ledger["status"] == "finished"
    assert ledger["model_digest"] == ledger["reference_digest"] == model.digest
    assert ledger["data_digest"] == hashlib.sha256(pairs_file.read_bytes()).hexdigest()
    assert ledger["num_steps"] == len(steps(folder)) == 6
    assert ledger["rows"] == {"keep": 16}
    assert ledger["num_tokens"] == steps(folder)[-1]["num_tokens"]


@pytest.mark.slow(threads=1)
def test_the_same_settings_give_the_same_bits_and_another_seed_does_not(dpo, tmp_path):
    first, second = (dpo(output=str(tmp_path / name)) for name in "ab")
    assert weights(first) == weights(second)
    assert rows(first) == rows(second)
    assert weights(dpo(output=str(tmp_path / "c"), seed=1)) != weights(first)


LORA = {"lora": {"rank": 4}}
KINDS = {"full": {}, "LoRA": LORA}


def stop_by(number):
    return lambda: os.kill(os.getpid(), number)


STOPPED = {f"{number.name}-{kind}": (number, kind) for kind in KINDS for number in (signal.SIGTERM, signal.SIGINT)}
IN_PASSING = "SIGTERM-full"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        pytest.param(*one, id=name, marks=[] if name == IN_PASSING else [pytest.mark.slow])
        for name, one in STOPPED.items()
    ],
)
def test_a_stopped_run_saves_and_goes_on_bit_for_bit(dpo, make_reporter, tmp_path, kind, number):
    options = {"model": KINDS[kind], "save": {"eval_every": 2}}
    straight = dpo(output=str(tmp_path / "straight"), **options)
    with pytest.raises(Interrupted, match="after step 4 of 6, saved; continue with `resume=True`") as caught:
        dpo(make_reporter({4: stop_by(number)}), output=str(tmp_path / "stopped"), **options)
    assert caught.value.exit_code == 128 + number
    reporter = make_reporter()
    resumed = dpo(reporter, output=str(tmp_path / "stopped"), resume=True, **options)
    assert "resumed at step 4 of 6" in reporter.said
    assert weights(resumed) == weights(straight)
    assert rows(resumed) == rows(straight)


@pytest.mark.slow(threads=1)
def test_a_resumed_run_multiplies_as_it_began_whatever_was_measured_since(dpo, make_reporter):
    before = torch.get_float32_matmul_precision()
    try:
        with pytest.raises(Interrupted):
            dpo(make_reporter({2: stop_by(signal.SIGTERM)}))
        other = "highest" if before != "highest" else "medium"
        torch.set_float32_matmul_precision(other)
        dpo(resume=True)
        assert torch.get_float32_matmul_precision() == before
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.slow(threads=1)
def test_the_answers_to_fixed_prompts_are_recorded_and_the_same_after_a_stop(dpo, make_reporter, tmp_path):
    options = {"save": {"num_samples": 2, "sample_tokens": 6, "eval_every": 2}}
    straight = dpo(output=str(tmp_path / "straight"), **options)
    with pytest.raises(Interrupted):
        dpo(make_reporter({3: stop_by(signal.SIGTERM)}), output=str(tmp_path / "stopped"), **options)
    resumed = dpo(output=str(tmp_path / "stopped"), resume=True, **options)
    answers = read_rows_written(straight.samples)
    assert [row["step"] for row in answers] == [0, 0, 2, 2, 4, 4, 6, 6]
    assert read_rows_written(resumed.samples) == answers
    assert all(row["prompt"] and row["response"] for row in answers)


def crash():
    raise RuntimeError("the power went")


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("command", ["dpo", "sft"])
def test_a_crashed_run_goes_on_from_its_checkpoint_bit_for_bit(request, make_reporter, tmp_path, command):
    train = request.getfixturevalue(command)
    options = {"save": {"checkpoint_every": 2}, "optimiser": {"batch_size": 2, "epochs": 2}}
    straight = train(output=str(tmp_path / "straight"), **options)
    with pytest.raises(RuntimeError, match="the power went"):
        train(make_reporter({5: crash}), output=str(tmp_path / "crashed"), **options)
    reporter = make_reporter()
    resumed = train(reporter, output=str(tmp_path / "crashed"), resume=True, **options)
    assert any("resumed at step 4" in text for text in reporter.said)
    assert weights(resumed) == weights(straight)
    assert rows(resumed) == rows(straight)


@pytest.mark.slow(threads=1)
def test_a_run_that_crashed_before_its_first_checkpoint_begins_again_without_doubled_metrics(
    dpo, make_reporter, tmp_path
):
    straight = dpo(output=str(tmp_path / "straight"))
    with pytest.raises(RuntimeError):
        dpo(make_reporter({3: crash}), output=str(tmp_path / "crashed"))
    resumed = dpo(output=str(tmp_path / "crashed"), resume=True)
    assert rows(resumed) == rows(straight)
    assert weights(resumed) == weights(straight)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("keep", "step"), [(2, 3), pytest.param(1, 0, marks=pytest.mark.slow)])
def test_a_cut_newest_checkpoint_is_skipped_aloud_and_the_end_is_the_same(dpo, make_reporter, tmp_path, keep, step):
    options = {"save": {"checkpoint_every": 1, "keep_checkpoints": keep}}
    straight = dpo(output=str(tmp_path / "straight"), **options)
    with pytest.raises(RuntimeError):
        dpo(make_reporter({5: crash}), output=str(tmp_path / "crashed"), **options)
    cut = tmp_path / "crashed" / "checkpoints" / "step-4" / "weights.safetensors"
    cut.write_bytes(cut.read_bytes()[:-100])
    reporter = make_reporter()
    resumed = dpo(reporter, output=str(tmp_path / "crashed"), resume=True, **options)
    assert "skipped checkpoint step-4: weights.safetensors is damaged" in reporter.said
    assert any(text.startswith(f"resumed at step {step} of ") for text in reporter.said)
    assert weights(resumed) == weights(straight)
    assert rows(resumed) == rows(straight)


@pytest.mark.slow(threads=1)
def test_a_full_disk_ends_the_run_with_one_sentence_and_it_goes_on_when_there_is_room(dpo, tmp_path, monkeypatch):
    from safetensors import SafetensorError

    from penchant.models import slices

    options = {"save": {"checkpoint_every": 2}}
    straight = dpo(output=str(tmp_path / "straight"), **options)
    original, calls = slices.save_file, []

    def full(*args):
        calls.append(1)
        if len(calls) == 4:  # the optimiser of the second checkpoint
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        return original(*args)

    monkeypatch.setattr(slices, "save_file", full)
    with pytest.raises(OutputError, match="the disk is full; free some space and continue with `resume=True`"):
        dpo(output=str(tmp_path / "full"), **options)
    assert [p.name for p in (tmp_path / "full" / "checkpoints").iterdir()] == ["step-2"]
    resumed = dpo(output=str(tmp_path / "full"), resume=True, **options)
    assert weights(resumed) == weights(straight)


@pytest.fixture
def poison(monkeypatch):
    """Make the loss of the given lines of the file not a number."""

    def lines(*bad):
        class Poisoned(PreferenceTask):
            def losses(self, model, items):
                loss, metrics = super().losses(model, items)
                factor = float("nan") if any(item.origin.line in bad for item in items) else 1.0
                return loss * factor, metrics

        monkeypatch.setattr("penchant.training.objective.PreferenceTask", Poisoned)

    return lines


ONE_BY_ONE = {"data": {"held_out": 0}, "optimiser": {"batch_size": 1, "epochs": 1}, "save": {"checkpoint_every": 1}}


@pytest.mark.slow(threads=1)
def test_a_non_finite_step_is_skipped_aloud_and_leaves_the_weights_alone(dpo, poison, make_reporter, tmp_path):
    from safetensors.torch import load_file

    poison(7)
    kept = {}
    folder_of = tmp_path / "run" / "checkpoints"

    def remember(step):
        file = folder_of / f"step-{step}" / "weights.safetensors"
        for _ in range(1000):  # it is written while the next step is taken
            if file.exists():
                kept[step] = load_file(file)
                return
            time.sleep(0.01)

    class Remember(make_reporter):
        def progress(self, what, done, total, facts):
            if what == "training" and done > 1:
                remember(done - 1)

    reporter = Remember()
    folder = dpo(reporter, **ONE_BY_ONE)
    skipped = [row["step"] for row in steps(folder) if row.get("skipped")]
    (step,) = skipped
    assert any(f"step {step}: loss or gradient is not finite" in text and ":7" in text for text in reporter.said)
    changed = {n: not torch.equal(kept[step][n], kept[step - 1][n]) for n in kept[step]}
    assert not any(changed.values()), "the skipped step moved nothing"
    assert any(not torch.equal(kept[step + 1][n], kept[step][n]) for n in kept[step]), "the next one did"
    assert all(torch.isfinite(w).all() for w in load_file(folder.model / "model.safetensors").values())


@pytest.mark.slow(threads=1)
def test_too_many_non_finite_steps_in_a_row_stop_the_run_and_name_the_rows(dpo, poison, make_reporter):
    poison(*range(1, 17))
    reporter = make_reporter()
    with pytest.raises(TrainingError, match=r"pairs.jsonl:\d+; 2 steps in a row, so training stopped"):
        dpo(reporter, **{**ONE_BY_ONE, "optimiser": {"batch_size": 1, "epochs": 1, "max_bad_steps": 2}})
    assert len([text for text in reporter.said if "the step was skipped" in text]) == 1


def test_a_reference_that_is_not_the_policy_is_found_before_the_first_step(dpo, monkeypatch):
    original = policies.reference_logprobs
    monkeypatch.setattr(
        policies, "reference_logprobs", lambda *a, **k: {key: v - 3 for key, v in original(*a, **k).items()}
    )
    with pytest.raises(TrainingError, match="all rewards must be 0"):
        dpo()


@pytest.mark.slow(threads=1)
def test_another_reference_is_used_and_named(dpo, sft, tmp_path, model):
    other = sft(output=str(tmp_path / "other"), optimiser={"learning_rate": 1e-3})
    folder = dpo(output=str(tmp_path / "run"), model={"reference": str(other.path)})
    ledger = json.loads((folder.path / "run.json").read_text())
    assert ledger["reference_digest"] != ledger["model_digest"] == model.digest
    assert abs(steps(folder)[0]["rewards/chosen"]) > 1e-3, "the policy is not its own reference"


@pytest.mark.slow(threads=1)
def test_a_reference_with_as_many_tokens_but_other_ones_is_refused(dpo, monkeypatch, stories260k, tmp_path):
    shutil.copytree(stories260k, tmp_path / "other")
    original = policies.load_model

    def with_two_words_exchanged(name, *args, **options):
        model = original(name, *args, **options)
        if name == str(tmp_path / "other"):
            (one, i), (two, j), *rest = model.tokenizer.get_vocab().items()
            exchanged = {one: j, two: i, **dict(rest)}
            monkeypatch.setattr(model.tokenizer, "get_vocab", lambda: exchanged)
        return model

    monkeypatch.setattr(policies, "load_model", with_two_words_exchanged)
    with pytest.raises(ConfigError, match=r"model\.reference: the tokenizer of .*other is not that of .*stories260k"):
        dpo(model={"reference": str(tmp_path / "other")})


@pytest.mark.slow(threads=1)
def test_a_second_run_on_the_same_data_scores_no_reference_again(dpo, tmp_path, monkeypatch):
    dpo(output=str(tmp_path / "one"))
    costs = []
    original = policies.reference_logprobs

    def counted(model, *args, **options):
        before = model.num_tokens_run
        values = original(model, *args, **options)
        costs.append(model.num_tokens_run - before)
        return values

    monkeypatch.setattr(policies, "reference_logprobs", counted)
    dpo(output=str(tmp_path / "two"), dpo={"beta": 0.5}, optimiser={"learning_rate": 1e-5})
    assert costs[0] < 4 * 60


@pytest.mark.slow(threads=1)
def test_the_number_of_bad_rows_decides_whether_a_run_begins(dpo, tmp_path, pairs_file):
    bad = tmp_path / "bad.jsonl"
    bad.write_text(pairs_file.read_text() + '{"prompt": "x", "chosen": "same", "rejected": "same"}\n')
    folder = dpo(output=str(tmp_path / "dropped"), data={"files": [str(bad)]})
    ledger = json.loads((folder.path / "run.json").read_text())
    assert ledger["rows"] == {"keep": 16, "equal_responses": 1}
    assert "bad.jsonl:17" in ledger["problems"][0]
    with pytest.raises(DataError, match=r"bad.jsonl:17"):
        dpo(output=str(tmp_path / "refused"), data={"files": [str(bad)], "on_bad_row": "error"})
    assert not (tmp_path / "refused").exists(), "nothing was begun"
    with pytest.raises(DataError, match=r"more than the share of 0\.01"):
        dpo(output=str(tmp_path / "refused"), data={"files": [str(bad)], "max_bad_share": 0.01})


@pytest.mark.parametrize(
    ("objective", "message"),
    [({"objective": "dop"}, "dop"), ({"objective": "dpo", "label_smoothing": 0.1}, "label_smoothing")],
)
def test_an_objective_or_parameter_that_is_not_there_is_refused(dpo, objective, message):
    with pytest.raises(ConfigError, match=message):
        dpo(dpo=objective)


def test_every_parameter_of_every_objective_can_be_set():
    parameters = {name for row in (*OBJECTIVES.values(), *LABELLED_OBJECTIVES.values()) for name in row.defaults}
    assert parameters == set(ObjectiveConfig.settings({})) - {
        "objective",
        "sft_weight",
        "weighting",
        "band",
        "moving_reference",
    }
    for name in parameters:
        assert ObjectiveConfig(**{name: 0.25}).parameters == {name: 0.25}


@pytest.mark.slow(threads=1)
def test_a_function_of_ones_own_is_trained_with_and_its_parameter_is_a_setting(dpo, tmp_path, monkeypatch):
    (tmp_path / "losses_of_mine.py").write_text(
        "from penchant.objectives import dpo\n\ndef scaled(batch, beta=0.1, factor=1.0):\n"
        "    return factor * dpo(batch, beta=beta)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = {"objective": "losses_of_mine:scaled"}
    folder, ours = dpo(dpo=mine), dpo(output=str(tmp_path / "ours"), dpo={"objective": "dpo"})
    assert [row["loss"] for row in steps(folder)] == [row["loss"] for row in steps(ours)]
    assert folder.ledger["config"]["dpo"]["objective"] == "losses_of_mine:scaled"
    double = dpo(output=str(tmp_path / "double"), dpo=mine | {"factor": 2.0})
    assert steps(double)[0]["loss"] == pytest.approx(2 * steps(ours)[0]["loss"], rel=1e-6)
    with pytest.raises(ConfigError, match="has no parameter 'fctor'; did you mean 'factor'"):
        dpo(output=str(tmp_path / "refused"), dpo=mine | {"fctor": 2.0})


@pytest.mark.slow(threads=1)
def test_an_objective_that_needs_no_reference_scores_none(dpo, reporter, monkeypatch):
    monkeypatch.setattr(policies, "reference_logprobs", None)
    folder = dpo(dpo={"objective": "simpo", "gamma": 0.5})
    first = steps(folder)[0]
    assert first["rewards/chosen"] == pytest.approx(2.0 * first["logps/chosen"], rel=1e-5), "beta log pi"
    assert json.loads((folder.path / "run.json").read_text())["reference_digest"] == ""


def test_a_reference_that_the_objective_does_not_read_is_refused(dpo, stories260k):
    with pytest.raises(ConfigError, match=r"model\.reference is not read by simpo, which needs none; leave it out"):
        dpo(dpo={"objective": "simpo"}, model={"reference": str(stories260k)})


LEARNED = [
    *({"objective": name} for name in ("kto", "bco", "aot", "aot_unpaired", "ld_dpo", "d2po")),
    {"objective": "dpo", "weighting": "wpo"},
    {"objective": "dpo", "moving_reference": {"every": 2, "mixup": 0.5}},
    {"objective": "kto", "moving_reference": {"every": 3, "mixup": 0.2}},
    *({"objective": name} for name in ("alpha_dpo", "beta_dpo", "tdpo2")),
    {"objective": "simpo", "band": {}, "sft_weight": 0.1},
    {"objective": "dpo", "band": {}, "moving_reference": {"every": 2}},
]


IN_EVERY_TEST_RUN = (0, 2, 7)
"""Of LEARNED: single responses, whole batches, a reference that moves. The others go the same ways."""


def in_passing(places):
    return [pytest.param(LEARNED[i], marks=[] if i in IN_EVERY_TEST_RUN else [pytest.mark.slow]) for i in places]


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective",
    in_passing(range(len(LEARNED))),
    ids=lambda o: "-".join(o[k] for k in o if isinstance(o[k], str)),
)
def test_every_kind_of_task_learns_to_tell_the_sides_apart(dpo, objective):
    folder = dpo(dpo=objective, optimiser={"epochs": 4, "learning_rate": 1e-3})
    first, last = steps(folder)[0], steps(folder)[-1]
    if objective["objective"] != "simpo":
        assert abs(first["rewards/chosen"]) < 1e-3, "the policy is its own reference"
    assert last["rewards/chosen"] > last["rewards/rejected"]
    evaluated = [row for row in rows(folder) if "eval_loss" in row]
    assert evaluated[-1]["eval_rewards/chosen"] > evaluated[-1]["eval_rewards/rejected"]


@pytest.mark.slow
@pytest.mark.parametrize("objective", in_passing([6, 7, 0, 1, 2, 10, 11, 12, 13]), ids=str)
def test_every_kind_of_task_resumes_bit_for_bit(dpo, tmp_path, make_reporter, objective):
    options = {"dpo": objective, "save": {"checkpoint_every": 1}}
    straight = dpo(output=str(tmp_path / "straight"), **options)
    with pytest.raises(Interrupted):
        dpo(make_reporter({3: lambda: os.kill(os.getpid(), signal.SIGTERM)}), output=str(tmp_path / "cut"), **options)
    resumed = dpo(output=str(tmp_path / "cut"), resume=True, **options)
    assert weights(resumed) == weights(straight)


@pytest.fixture
def labels_file(tmp_path, pairs_file):
    pairs = [json.loads(line) for line in pairs_file.read_text().splitlines()]
    labelled = [(p["prompt"], p[side], side == "chosen") for p in pairs for side in ("chosen", "rejected")]
    path = tmp_path / "labels.jsonl"
    lines = [json.dumps({"prompt": p, "completion": c, "label": good}) + "\n" for p, c, good in labelled]
    path.write_text("".join(lines))
    return path


@pytest.mark.slow(threads=1)
def test_labelled_responses_train_as_the_pairs_they_were_taken_from(dpo, labels_file, tmp_path):
    alone = dpo(output=str(tmp_path / "alone"), dpo={"objective": "kto"}, data={"files": [str(labels_file)]})
    apart = dpo(output=str(tmp_path / "apart"), dpo={"objective": "kto"})
    assert [row["loss"] for row in steps(alone)] == pytest.approx([row["loss"] for row in steps(apart)], rel=1e-5)
    assert len(steps(alone)) == 2 * 24 / 4, "two responses of 12 pairs, 2 epochs, 4 a step"


def test_labels_are_refused_by_an_objective_of_pairs_with_what_to_use(dpo, labels_file):
    with pytest.raises(
        DataError, match=r"labels\.jsonl: its responses are labelled one by one.*`objective=\"kto\"` or"
    ):
        dpo(data={"files": [str(labels_file)]})


REFUSED = [
    ({"dpo": {"objective": "kto", "sft_weight": 0.1}}, r"dpo\.sft_weight is not read by kto"),
    ({"dpo": {"objective": "bco", "weighting": "wpo"}}, r"wpo weights each pair by itself, but bco does not"),
    ({"dpo": {"objective": "kto", "band": {}}}, r"dpo\.band is not read by kto"),
    ({"dpo": {"objective": "tdpo2", "band": {}}}, r"tdpo2 also reads the sequential KL"),
    (
        {"dpo": {"objective": "tdpo2"}, "optimiser": {"router_loss": 0.1}},
        r"would also count the routers of the reference",
    ),
    ({"dpo": {"objective": "beta_dpo", "moving_reference": {}}}, r"would falsify the running means that beta_dpo"),
    ({"dpo": {"objective": "aot", "weighting": "wpo"}}, r"wpo weights each pair by itself, but aot does not"),
    ({"dpo": {"objective": "sft", "sft_weight": 0.5}}, r"add the objective sft to itself; leave it out"),
    (
        {"dpo": {"objective": "ld_dpo", "sft_weight": 0.1}},
        r"dpo\.sft_weight averages .* but ld_dpo weights them; leave it out",
    ),
    (
        {"dpo": {"objective": "d2po", "sft_weight": 0.1}},
        r"dpo\.sft_weight averages .* but d2po weights them; leave it out",
    ),
    ({"dpo": {"objective": "simpo", "moving_reference": {}}}, r"dpo\.moving_reference is not read by simpo"),
    ({"dpo": {"moving_reference": {}}, "model": {"lora": {}}}, r"mean of two adapters is no adapter"),
    ({"dpo": {"moving_reference": {}}, "model": {"reference": "."}}, r"starts at the model itself"),
]


@pytest.mark.parametrize(("sections", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_settings_that_do_not_go_together_are_refused_with_the_reason(dpo, sections, message):
    with pytest.raises(ConfigError, match=message):
        dpo(**sections)


def test_weights_of_pairs_are_refused_where_ranks_are_compared(dpo, pairs_file, tmp_path):
    path = tmp_path / "weighted.jsonl"
    pairs = [json.loads(line) | {"weight": 2.0} for line in pairs_file.read_text().splitlines()]
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    with pytest.raises(ConfigError, match="aot compares the pairs of a batch with each other and reads no weights"):
        dpo(dpo={"objective": "aot"}, data={"files": [str(path)]})


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_weights_that_are_all_zero_leave_nothing_to_learn(dpo, pairs_file, tmp_path, objective):
    path = tmp_path / "weightless.jsonl"
    pairs = [json.loads(line) | {"weight": 0.0} for line in pairs_file.read_text().splitlines()]
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    with pytest.raises(DataError, match=r"weightless\.jsonl: every row to train on has weight 0"):
        dpo(dpo={"objective": objective}, data={"files": [str(path)]})
    assert not (tmp_path / "run").exists()


def test_a_chat_template_that_cannot_be_read_is_refused(dpo):
    with pytest.raises(ConfigError, match="'plain' or a readable Jinja file"):
        dpo(model={"chat_template": "/nowhere.jinja"})


@pytest.mark.slow(threads=1)
def test_activation_checkpointing_gives_the_same_metrics(dpo, tmp_path):
    plain = dpo(output=str(tmp_path / "plain"))
    frugal = dpo(output=str(tmp_path / "frugal"), model={"gradient_checkpointing": True})
    for one, other in zip(steps(plain), steps(frugal), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)


@pytest.mark.slow(threads=1)
def test_max_steps_ends_a_run_early_with_a_measurement(dpo):
    folder = dpo(optimiser={"max_steps": 2})
    assert [row["step"] for row in steps(folder)] == [1, 2]
    assert rows(folder)[-1]["step"] == 2
    assert "eval_loss" in rows(folder)[-1]


def penchant(*arguments, **options):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", "penchant", *arguments], **quiet, **options)


def wait_for_steps(folder, count, process):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / "metrics.jsonl").exists() and len(read_rows_written(folder / "metrics.jsonl")) >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"the run ended with {process.poll()} before it made {count} steps")


@pytest.fixture(scope="module")
def training_process(stories260k, pairs_file):
    """Starts `penchant dpo` as a process of its own, into a folder."""
    arguments = ["dpo", "--model", str(stories260k), "--data", str(pairs_file), "--chat-template", "plain"]
    arguments += ["--epochs", "4", "--batch-size", "2", "--learning-rate", "3e-4", "--device", "cpu"]
    arguments += ["--set", "save.checkpoint_every=1", "--set", "save.num_samples=0", "--dtype", "float32"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return lambda folder, *more: penchant(*arguments, "--output", str(folder), *more, env=environment)


@pytest.fixture(scope="module")
def straight(training_process, tmp_path_factory):
    """The folder of such a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    assert training_process(folder).wait(300) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=str)
def test_a_process_that_is_stopped_or_killed_goes_on_bit_for_bit(training_process, straight, tmp_path, number, code):
    broken = tmp_path / "broken"
    process = training_process(broken)
    wait_for_steps(broken, 5, process)
    process.send_signal(number)
    assert process.wait(60) == code
    assert not (broken / "model").exists()
    assert training_process(broken, "--resume").wait(300) == 0
    assert rows(RunFolder(broken)) == rows(RunFolder(straight))
    assert weights(RunFolder(broken)) == weights(RunFolder(straight))


@pytest.mark.slow
def test_a_template_that_writes_the_date_is_read_with_the_day_on_which_the_run_began(
    dpo, make_reporter, model, monkeypatch, tmp_path
):
    def begin_on(day):
        class Day(datetime):
            @classmethod
            def now(cls, tz=None):
                return cls(2026, 3, day, 12, tzinfo=tz)

        monkeypatch.setattr(run_folder.datetime, "datetime", Day)

    begin_on(7)
    template = tmp_path / "dated.jinja"
    template.write_text("{{ strftime_now('%A %d %B') }}: {% for m in messages %}{{ m.content }}{% endfor %}")
    options = {"model": {"chat_template": str(template)}}
    straight = dpo(output=str(tmp_path / "straight"), **options)
    with pytest.raises(Interrupted):
        dpo(make_reporter({4: lambda: signal.raise_signal(signal.SIGTERM)}), output=str(tmp_path / "two"), **options)
    begin_on(8)
    resumed = dpo(output=str(tmp_path / "two"), resume=True, **options)
    assert weights(resumed) == weights(straight)
    other = dpo(output=str(tmp_path / "other"), **options)
    assert other.ledger["tokens_digest"] != straight.ledger["tokens_digest"], "another day, other tokens"
    trained = load_model(str(straight.path), model.numerics)
    assert trained.encoder.prompt_text([Message(role="user", content="hi")]) == "Saturday 07 March: hi"


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("lora", "rate"), [(None, 1e-5), ({"rank": 2}, 1e-4)])
def test_a_run_keeps_the_learning_rate_that_it_used_by_default(dpo, lora, rate, tmp_path):
    folder = dpo(optimiser={"learning_rate": None, "max_steps": 1}, model={"lora": lora})
    assert folder.ledger["config"]["optimiser"]["learning_rate"] == rate
    assert yaml.safe_load((folder.path / "config.yaml").read_text())["optimiser"]["learning_rate"] == rate


@pytest.mark.slow(threads=1)
def test_a_resumed_run_keeps_the_rate_it_began_with_and_none_is_made_up_for_one_that_kept_none(
    dpo, make_reporter, tmp_path
):
    with pytest.raises(Interrupted):
        dpo(make_reporter({3: lambda: signal.raise_signal(signal.SIGTERM)}), output=str(tmp_path / "old"))
    ledger = json.loads((tmp_path / "old" / "run.json").read_text())
    (tmp_path / "old" / "run.json").write_text(json.dumps(ledger))
    goes_on = dpo(output=str(tmp_path / "old"), resume=True, optimiser={"learning_rate": None})
    assert weights(goes_on) == weights(dpo(output=str(tmp_path / "straight"))), "not at the usual rate"

    with pytest.raises(Interrupted):
        dpo(make_reporter({3: lambda: signal.raise_signal(signal.SIGTERM)}), output=str(tmp_path / "none"))
    ledger["config"]["optimiser"]["learning_rate"] = None
    (tmp_path / "none" / "run.json").write_text(json.dumps(ledger))
    with pytest.raises(OutputError, match=r"learning_rate changed since the start"):
        dpo(output=str(tmp_path / "none"), resume=True, optimiser={"learning_rate": None})


@pytest.mark.parametrize(
    ("num_items", "limit", "rate"), [(480, None, 1e-5), (4000, None, 2e-6), (44_800, None, 5e-7), (44_800, 60, 1e-5)]
)
def test_the_usual_rate_of_preferences_follows_the_number_of_steps(num_items, limit, rate):
    recipe, optimiser = choose_recipe(DPOConfig()), OptimiserConfig(batch_size=8, max_steps=limit)
    assert usual_learning_rate(recipe, optimiser, num_items, adapter=False) == rate
    assert usual_learning_rate(recipe, optimiser, num_items, adapter=True) == pytest.approx(10 * rate)


@pytest.mark.slow(threads=1)
def test_what_held_out_shows_has_an_interval_and_a_baseline(dpo, pairs):
    folder = dpo()
    last = [row for row in rows(folder) if "eval_loss" in row][-1]
    low, high = (last[f"eval_rewards/accuracies_{end}"] for end in ("low", "high"))
    assert 0 <= low <= last["eval_rewards/accuracies"] <= high <= 1
    assert high - low > 0.2, "a handful of pairs is never sure"
    assert 0 <= folder.ledger["held_out_longer"] <= 1


@pytest.mark.slow
def test_a_band_turns_the_pull_to_the_chosen_side(dpo, tmp_path):
    options = {"optimiser": {"epochs": 2, "learning_rate": 1e-3}}
    plain = dpo(output=str(tmp_path / "plain"), dpo={"objective": "dpo"}, **options)
    band = dpo(output=str(tmp_path / "band"), dpo={"objective": "dpo", "band": {"ratio": 3.0, "rho": 1.0}}, **options)
    assert steps(band)[0]["loss"] == steps(plain)[0]["loss"], "the first loss is the objective's own"
    assert steps(band)[-1]["logps/chosen"] > steps(plain)[-1]["logps/chosen"]
