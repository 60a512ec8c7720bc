"""A training command that is stopped, killed or begun twice: a sentence says how to go on, and the end is the same."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from penchant.models.ledger import read_ledger
from penchant.training.alone import alone_in_run
from penchant.training.run_folder import read_rows_written

TIMINGS = {"tokens_per_second", "step_seconds"}
PLACES = {
    "loading": "penchant.training.policies.load_model",
    "reading the data": "penchant.training.dataset.stored_pairs",
    "scoring the reference": "penchant.training.reference._scores",
    "evaluating": "penchant.training.held_out.evaluate_task",
    "writing the model": "penchant.models.saving.save_model",
    "writing the report": "penchant.training.run_report.write_report",
}


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard():
    """A shell that runs tests in the background has them ignore SIGINT, and whatever they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def call(stories260k, tmp_path_factory):
    """The arguments of a run of two steps with an evaluation after each."""
    pairs = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    row = {"chosen": " there was a cat.", "rejected": " there was a dog."}
    rows = [{"prompt": f"Once upon a time, number {i},", **row} for i in range(12)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("optimiser.max_steps=2", "optimiser.batch_size=2", "optimiser.learning_rate=1e-3", "save.eval_every=1")
    options += ("save.sample_tokens=8", "data.held_out=0.4", "model.device=cpu", "model.dtype=float32")
    settings = [word for option in options for word in ("--set", option)]
    model = ["--model", stories260k, "--chat-template", "plain"]
    return lambda output, *more: ["dpo", *model, "--data", pairs, "--output", output, *settings, *more]


@pytest.fixture(scope="module")
def straight(penchant, call, tmp_path_factory):
    """What a run that nobody stopped leaves."""
    run = tmp_path_factory.mktemp("straight") / "run"
    assert penchant(*call(run)).code == 0
    return what_a_run_left(run)


def stop_in(monkeypatch, place, *numbers):
    """Send the signals when `place` is first called."""
    module, _, name = place.rpartition(".")
    owner = sys.modules[module] if module in sys.modules else __import__(module, fromlist=[name])
    original, left = getattr(owner, name), list(numbers)

    def stopped(*args, **kwargs):
        while left:
            signal.raise_signal(left.pop(0))
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, stopped)


def what_a_run_left(folder):
    rows = [{k: v for k, v in r.items() if k not in TIMINGS} for r in read_rows_written(folder / "metrics.jsonl")]
    (file,) = (folder / "model").glob("*.safetensors")
    return rows, read_rows_written(folder / "samples.jsonl"), file.read_bytes()


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("scoring the reference", signal.SIGTERM),
        *(
            pytest.param(place, signal.SIGTERM, marks=pytest.mark.slow(threads=1))
            for place in PLACES
            if place != "scoring the reference"
        ),
        *(pytest.param(place, signal.SIGINT, marks=pytest.mark.slow(threads=1)) for place in ("loading", "evaluating")),
    ],
    ids=lambda x: getattr(x, "name", x),
)
def test_a_signal_anywhere_ends_with_a_sentence_and_the_run_goes_on_as_if_never_stopped(
    penchant, call, straight, tmp_path, monkeypatch, place, number
):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_in(patch, PLACES[place], number)
        result = penchant(*call(run))
    assert result.code == 128 + number, result.err
    last = result.err.splitlines()[-1]
    assert last.startswith("penchant: stopped"), last
    if place in ("loading", "reading the data"):
        assert last.endswith("the run had not begun; give the same command again")
        assert not run.exists()
        again = penchant(*call(run))
    else:
        assert "--resume" in last
        again = penchant(*call(run, "--resume"))
    assert again.code == 0, again.err
    assert (run / "report.html").is_file()
    assert what_a_run_left(run) == straight
    assert not list(run.rglob(".*")), "no lock and nothing half-written is left"


@pytest.mark.slow(threads=1)
def test_a_second_signal_ends_at_once_and_nothing_is_saved_after_it(penchant, call, tmp_path, monkeypatch):
    stop_in(monkeypatch, "penchant.training.loop.accumulate", signal.SIGTERM, signal.SIGTERM)
    result = penchant(*call(tmp_path / "run"))
    assert result.code == 143
    assert result.err.splitlines()[-1] == "penchant: stopped at once; continue with --resume"
    assert not (tmp_path / "run" / "checkpoints").exists()
    monkeypatch.undo()
    assert penchant(*call(tmp_path / "run", "--resume")).code == 0


def test_a_command_that_does_not_train_ends_with_a_sentence_too(penchant, call, tmp_path, monkeypatch):
    monkeypatch.setattr("penchant.training.run_report.write_run_report", lambda *_: signal.raise_signal(signal.SIGTERM))
    result = penchant("report", tmp_path)
    assert (result.code, result.err.count("\n")) == (143, 1)
    assert result.err.startswith("penchant: interrupted; files that are complete are kept")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "a library's caller keeps its own handler"


@pytest.mark.slow(threads=1)
def test_a_run_that_another_command_is_at_is_refused_to_everyone_else(penchant, call, tmp_path):
    run = tmp_path / "run"
    assert penchant(*call(run)).code == 0
    (run / "report.html").unlink()
    before = what_a_run_left(run)
    with alone_in_run(run, "dpo"):
        for more in ([], ["--resume"]):
            result = penchant(*call(run, *more))
            assert result.code == 2
            said = f"penchant: {run}: another `penchant dpo` is at work in this folder; wait until it ends\n"
            assert result.err.endswith(said)
    assert what_a_run_left(run) == before
    assert not (run / "report.html").exists()


@pytest.mark.slow(threads=1)
def test_a_finished_run_without_its_report_is_given_one_and_what_was_half_written_goes(penchant, call, tmp_path):
    run = tmp_path / "run"
    assert penchant(*call(run)).code == 0
    expected, before = (run / "report.html").read_text(), what_a_run_left(run)
    (run / "report.html").rename(run / ".report.html.writing")
    (run / ".report.html.4711.tmp").write_text("half")
    (run / ".model.writing").mkdir()
    (run / ".model.writing" / "config.json").write_text("{")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / ".writing-7").mkdir()
    result = penchant(*call(run, "--resume"))
    assert result.code == 0
    assert "the run was finished but for its report, which is written now" in result.err
    assert (run / "report.html").read_text() == expected
    assert what_a_run_left(run) == before
    assert not list(run.rglob(".*"))
    again = penchant(*call(run, "--resume"))
    assert again.code == 2
    assert "this run is finished; choose another --output" in again.err


@pytest.mark.slow(threads=1)
def test_a_damaged_record_is_said_with_its_lines_when_a_run_goes_on(penchant, call, tmp_path, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_in(patch, PLACES["evaluating"], signal.SIGTERM)
        assert penchant(*call(run)).code == 143
    metrics, samples = run / "metrics.jsonl", run / "samples.jsonl"
    metrics.write_bytes(b'{"step": 1, "lo\n' + b'\x00\x00\n{"loss": 1}\n[]\n{"st')
    samples.write_bytes(b"{\n" + samples.read_bytes())
    result = penchant(*call(run, "--resume"))
    assert result.code == 0, result.err
    assert f"{metrics}:1, 2, 3, 4: cannot be read as a row of a run (line 1: " in result.err
    assert "left out, and the other 0 rows are kept" in result.err
    assert f"{metrics}: holds no row of step 1; training continues" in result.err
    assert f"{samples}:1: cannot be read as a row of a run (line 1: " in result.err
    assert [row["step"] for row in read_rows_written(metrics)] == [1, 2, 2]
    assert read_ledger(run)["status"] == "finished"


@pytest.mark.slow
def test_of_two_processes_that_go_on_with_one_run_the_second_is_refused(call, tmp_path, straight):
    run, environment = tmp_path / "run", {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "penchant", *map(str, call(run))]
    first = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
    while not (run / "run.json").exists():
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    second = subprocess.run([*words, "--resume"], env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "another `penchant dpo` is at work in this folder" in second.stderr
    first.kill()
    first.wait()
    assert (run / ".lock").exists()
    third = subprocess.run([*words, "--resume"], env=environment, capture_output=True, text=True, check=False)
    assert third.returncode == 0, third.stderr
    assert [row["step"] for row in what_a_run_left(run)[0]] == [row["step"] for row in straight[0]]
