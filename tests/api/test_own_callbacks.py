"""Callbacks: told of every step, heard at every evaluation, and able to end training as if it were over."""

import json
import math
import signal

import numpy as np
import pytest
import torch

import penchant as pt


class Told(pt.Callback):
    """Keeps what it was told."""

    def __init__(self):
        self.calls, self.rows = [], []

    def on_begin(self, training):
        self.calls.append(("begin", training.step, training.num_steps))

    def on_step(self, training, row):
        assert row["step"] == training.step
        self.calls.append(("step", training.step, training.num_steps))
        self.rows.append(dict(row))

    def on_evaluation(self, training, row):
        self.calls.append(("evaluation", training.step, training.num_steps))
        self.rows.append(dict(row))

    def on_end(self, training):
        self.calls.append(("end", training.step, training.num_steps))


class Measures(pt.Callback):
    def __init__(self, **found):
        self.found = found

    def on_evaluation(self, training, row):
        return self.found


class StopsAt(pt.Callback):
    """Stops in one of its methods at a step; `then` is done after."""

    def __init__(self, step, where="step", then=lambda: None):
        self.step, self.where, self.then = step, where, then

    def _look(self, where, training):
        if (self.where, self.step) == (where, training.step):
            training.stop("it is enough")
            self.then()

    def on_begin(self, training):
        self._look("begin", training)

    def on_step(self, training, row):
        self._look("step", training)

    def on_evaluation(self, training, row):
        self._look("evaluation", training)


def names(rows):
    return {name for row in rows for name in row}


def test_a_callback_is_told_of_everything_in_order(train, measured):
    told = Told()
    run = train(callbacks=[told], settings={"save.num_samples": 0, "save.eval_every": 2})
    expected = ["begin 0", "step 1", "step 2", "evaluation 2", "step 3", "evaluation 3", "end 3"]
    assert [f"{what} {step}" for what, step, _ in told.calls] == expected
    assert {num_steps for _, _, num_steps in told.calls} == {3}
    assert told.rows == list(run.metrics)


@pytest.mark.slow(threads=1)
def test_a_callback_changes_no_bit(train, measured, same_weights):
    without, beside = train(), train(callbacks=[Told()])
    assert measured(without) == measured(beside)
    assert same_weights(without.model, beside.model)


@pytest.mark.slow(threads=1)
def test_metrics_of_ones_own_are_recorded_in_memory_and_on_disk(train, tmp_path):
    mine = [Measures(eval_mine=0.5), Measures(eval_other=2)]
    run = train(callbacks=mine, output=tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    for rows in (train(callbacks=mine).metrics, run.metrics, lines):
        evaluated = [row for row in rows if "eval_loss" in row]
        assert [(row["eval_mine"], row["eval_other"]) for row in evaluated] == [(0.5, 2)]
    assert run.metrics.column("eval_mine") == [0.5]


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("mine", "problem"),
    [
        ([Measures(eval_loss=1.0)], "'eval_loss' is there already"),
        ([Measures(step=1.0)], "'step' is there already"),
        ([Measures(eval_mine=1.0), Measures(eval_mine=2.0)], "'eval_mine' is there already"),
        ([Measures(eval_mine="good")], "'eval_mine' is 'good'; return a number"),
        ([Measures(eval_mine=None)], "'eval_mine' is None; return a number"),
    ],
)
def test_a_name_that_is_taken_or_no_number_is_refused_with_the_callbacks_name(train, mine, problem):
    with pytest.raises(pt.ConfigError, match=problem) as refused:
        train(callbacks=mine)
    assert str(refused.value).startswith("Measures.on_evaluation: ")


def test_a_metric_may_be_a_number_of_numpy_or_of_pytorch(train):
    given = {"eval_a": np.float32(0.5), "eval_b": torch.tensor(2.0), "eval_c": True, "eval_d": 3}
    run = train(callbacks=[Measures(**given)], max_steps=1, settings={"save.num_samples": 0})
    found = {name: run.metrics.column(name)[-1] for name in given}
    assert json.dumps(found) == '{"eval_a": 0.5, "eval_b": 2.0, "eval_c": 1.0, "eval_d": 3}'


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("where", ["step", "evaluation"])
def test_a_run_that_is_stopped_ends_as_if_it_were_the_last_step(train, rows, where):
    told = Told()
    settings = {"save.num_samples": 1, "save.sample_tokens": 4, "save.eval_every": 2}
    run = train(callbacks=[StopsAt(2, where), told], max_steps=6, epochs=3, settings=settings)
    assert run.metrics.column("loss") == run.metrics.column("loss")[:2]
    assert [row["step"] for row in run.metrics if "eval_loss" in row] == [2]
    assert told.calls[-1] == ("end", 2, 2)
    assert run.ledger["stopped_early"] == "it is enough"
    assert (run.ledger["status"], run.ledger["num_steps"]) == ("finished", 2)
    assert {row["step"] for row in run.samples} == {0, 2}
    assert pt.score(run, rows, progress=False).pairs


def test_a_run_that_is_stopped_is_evaluated_where_none_was_due(train):
    run = train(callbacks=[StopsAt(1)], max_steps=6, epochs=3)
    assert [row["step"] for row in run.metrics if "eval_loss" in row] == [1]


def test_a_run_that_is_not_stopped_says_nothing_of_it(train):
    assert "stopped_early" not in train().ledger


@pytest.mark.slow(threads=1)
def test_a_run_killed_after_it_was_stopped_ends_there_when_resumed(
    train, tmp_path, measured, same_weights, ctrl_c_is_heard
):
    """Ctrl-C comes after the stop and before the evaluation that it asks for."""
    straight = train(callbacks=[StopsAt(2)], max_steps=6, epochs=3)
    killed = StopsAt(2, then=lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(pt.Interrupted, match="stopped after step 2 of 2"):
        train(callbacks=[killed], max_steps=6, epochs=3, output=tmp_path / "run")
    run = train(max_steps=6, epochs=3, output=tmp_path / "run", resume=True)  # without the callback, which has spoken
    assert run.ledger["stopped_early"] == "it is enough"
    assert measured(run) == measured(straight)
    assert same_weights(run.model, straight.model)


@pytest.mark.slow(threads=1)
def test_a_run_stopped_before_it_goes_on_is_evaluated_and_there(train, tmp_path, ctrl_c_is_heard):
    class Killed(pt.Callback):
        def on_step(self, training, row):
            if training.step == 1:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(pt.Interrupted):
        train(callbacks=[Killed()], output=tmp_path / "run")
    run = train(callbacks=[StopsAt(1, "begin")], output=tmp_path / "run", resume=True)
    assert [row["step"] for row in run.metrics if "eval_loss" in row] == [1]
    assert (run.ledger["status"], run.ledger["stopped_early"]) == ("finished", "it is enough")


@pytest.mark.slow(threads=1)
def test_a_run_stopped_before_its_first_step_is_the_model_as_it_was(train, model, same_weights):
    run = train(callbacks=[StopsAt(0, "begin")])
    assert [row["step"] for row in run.metrics] == [0]
    assert same_weights(run.model, model)
    assert run._repr_html_()


@pytest.mark.slow(threads=1)
def test_a_tracker_is_named_in_the_settings(train, monkeypatch, tmp_path):
    (tmp_path / "my_trackers.py").write_text(
        "import penchant\n\n\nclass Mine(penchant.Callback):\n"
        "    def on_evaluation(self, training, row):\n        return {'eval_mine': training.step}\n\n\n"
        "READY = Mine()\nTEXT = str\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("my_trackers:Mine", "my_trackers:READY"):
        assert train(settings={"save.trackers": [name]}).metrics.column("eval_mine") == [3]
    with pytest.raises(pt.ConfigError, match=r"my_trackers:TEXT makes a str, not a penchant\.Callback"):
        train(settings={"save.trackers": ["my_trackers:TEXT"]})
    with pytest.raises(pt.ConfigError, match="there is no tracker 'nowhere'"):
        train(settings={"save.trackers": ["nowhere"]})


@pytest.mark.slow(threads=1)
def test_a_metric_may_be_any_number(train):
    found = train(callbacks=[Measures(eval_mine=True, eval_nan=math.inf)]).metrics
    assert found.column("eval_mine") == [True]
