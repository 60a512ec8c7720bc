"""A run of several ranks is the run of one process: its weights, its metrics, its files, and how it goes on."""

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest
from safetensors.torch import load_file, save_file

from penchant import ranks
from penchant.errors import ConfigError, UserError
from penchant.training import run

SETTINGS = {"save": {"num_samples": 2, "sample_tokens": 8, "checkpoint_every": 2, "keep_checkpoints": 9}}
CLOSE = 1e-6
"""A learning rate of 3e-4 moves a weight by some 1e-3."""
TIMED = ("tokens_per_second", "step_seconds")


pytestmark = pytest.mark.usefixtures("loading_in_one_thread")


def weights_of(one):
    (file,) = (one.path / "model").glob("*.safetensors")
    return load_file(file)


def distance(one, other):
    """Root of the mean square over all weights; AdamW makes whole steps of gradients that are rounding alone."""
    assert set(one) == set(other)
    squares = sum(float((one[name].double() - other[name].double()).square().sum()) for name in one)
    return math.sqrt(squares / sum(tensor.numel() for tensor in one.values()))


def rows_of(record):
    return [{name: x for name, x in row.items() if name not in TIMED} for row in record.metrics_rows()]


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("model", [{}, {"lora": {"rank": 4}}], ids=["full", "lora"])
def test_weights_metrics_samples_and_files_are_those_of_one_process(in_ranks, dpo, model):
    alone = dpo(name="alone", model=model, **SETTINGS)
    runs = in_ranks(2, lambda _: dpo(output=str(alone.path.parent / "together"), model=model, **SETTINGS))
    together = runs[0]
    assert distance(weights_of(alone), weights_of(together)) < CLOSE
    for one, other in zip(rows_of(alone), rows_of(together), strict=True):
        if one["step"] == 1:  # rewards are zero here, and rounding decides which is larger
            one.pop("rewards/accuracies"), other.pop("rewards/accuracies")
        assert other.pop("num_tokens", 0) >= one.pop("num_tokens", 0), "less is shared"
        assert other == pytest.approx(one, rel=1e-3, abs=1e-4)
    assert alone.samples_rows() == together.samples_rows()
    names = [sorted(str(f.relative_to(run.path)) for f in run.path.rglob("*") if f.is_file()) for run in runs]
    assert names[0] == sorted(str(f.relative_to(alone.path)) for f in alone.path.rglob("*") if f.is_file())
    assert together.ledger["status"] == "finished"


@pytest.mark.slow(threads=1)
def test_a_stopped_run_goes_on_bit_for_bit_in_as_many_ranks_and_nearly_so_in_others(
    in_ranks, dpo, make_reporter, tmp_path
):
    def stop():
        raise UserError("stopped by the test")

    # without samples: writing them chooses a matrix product for the whole process, and so for the other threads
    settings = {"save": {"checkpoint_every": 2, "keep_checkpoints": 9, "num_samples": 0}}
    (whole, _) = in_ranks(2, lambda _: dpo(output=str(tmp_path / "whole"), **settings))
    stopped = in_ranks(
        2, lambda rank: dpo(make_reporter({3: stop} if rank == 0 else {}), output=str(tmp_path / "run"), **settings)
    )
    assert [str(error) for error in stopped] == ["stopped by the test"] * 2
    assert (tmp_path / "run" / "checkpoints" / "step-3").is_dir()
    for size in (1, 3):
        shutil.copytree(tmp_path / "run", tmp_path / f"in-{size}")
    (again, _) = in_ranks(2, lambda _: dpo(output=str(tmp_path / "run"), resume=True, **settings))
    assert distance(weights_of(whole), weights_of(again)) == 0.0
    assert rows_of(whole) == rows_of(again)
    alone = dpo(output=str(tmp_path / "in-1"), resume=True, **settings)
    (of_three, *_) = in_ranks(3, lambda _: dpo(output=str(tmp_path / "in-3"), resume=True, **settings))
    for other in (alone, of_three):
        assert 0.0 <= distance(weights_of(whole), weights_of(other)) < CLOSE


def test_more_ranks_than_prompts_are_refused_on_all_of_them(in_ranks, dpo, tmp_path):
    files = {"max_rows": 4, "held_out": 0.5}
    ended = in_ranks(2, lambda _: dpo(output=str(tmp_path / "run"), data=files, **SETTINGS))
    assert [str(error) for error in ended] == [
        "2 processes cannot share 1 prompt, as each process needs one of its own; start fewer processes, or give more "
        "data"
    ] * 2
    assert isinstance(ended[0], ConfigError)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("other", ["data", "model weights"])
def test_a_rank_with_other_files_ends_the_run_before_the_reference_is_run(
    in_ranks, dpo, stories260k, pairs_file, tmp_path, monkeypatch, other
):
    scored = []
    monkeypatch.setattr(run, "reference_of", lambda *_: scored.append(ranks.rank()))
    data, model = tmp_path / "pairs.jsonl", tmp_path / "model"
    data.write_text("".join(pairs_file.read_text().splitlines(keepends=True)[2:]))
    shutil.copytree(stories260k, model)
    weights = load_file(model / "model.safetensors")
    save_file({name: tensor * 1.01 for name, tensor in weights.items()}, model / "model.safetensors", {"format": "pt"})

    def work(rank):
        own = {"data": {"data": {"files": [str(data)]}}, "model weights": {"model": {"name": str(model)}}}[other]
        return dpo(output=str(tmp_path / "run"), **(own if rank == 1 else {}), **SETTINGS)

    ended = in_ranks(2, work)
    assert f"process 2 of 2 and the first process have different inputs ({other}" in str(ended[0])
    assert str(ended[0]) == str(ended[1])
    assert scored == []


KILLER = """
import os
import signal
from pathlib import Path

import penchant as pt


class Kill(pt.Callback):
    def on_step(self, training, row):
        is_saved = Path("run/checkpoints/step-2").is_dir()  # at step 5 surely: the next has waited for it
        if training.step > 2 and is_saved and os.environ["PENCHANT_RESTARTS"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("mode", ["replicated", "sharded"])
def test_a_killed_process_of_a_command_is_started_again_and_the_run_goes_on_by_itself(
    dpo, in_a_process, pairs_file, tmp_path, mode
):
    alone = dpo(name="alone", **SETTINGS)
    (tmp_path / "killer.py").write_text(KILLER)
    words = ["--epochs", "2", "--processes", "2", "--set", "data.held_out=0.25"]
    words += ["--set", "save.checkpoint_every=2", "--set", "save.num_samples=2", "--set", "save.sample_tokens=8"]
    words += ["--set", f"parallel.mode={mode}"]
    done = in_a_process("dpo", pairs_file, *words, "--tracker", "killer:Kill", "--max-restarts", "1", "-o", "run")
    assert done.returncode == 0, done.stderr
    assert re.search(r"resumed at step [24] of 6", done.stderr)
    assert "Traceback" not in done.stderr
    again = load_file(*(tmp_path / "run" / "model").glob("*.safetensors"))
    assert distance(weights_of(alone), again) < CLOSE, "that two go on to the same bits is tested above"
    assert [row["response"] for row in alone.samples_rows()] == [
        json.loads(line)["response"] for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()
    ]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.slow(threads=1)
def test_two_agents_of_torchrun_are_two_machines_of_one_run(dpo, stories260k, pairs_file, tmp_path):
    alone = dpo(name="alone", optimiser={"max_steps": 1})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    agent = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    agent += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--local-addr", "127.0.0.1"]
    command = ["-m", "penchant", "dpo", "-m", str(stories260k), "--chat-template", "plain", "-d", str(pairs_file)]
    command += ["--batch-size", "4", "--learning-rate", "3e-4", "--device", "cpu", "--dtype", "float32", "-o", "run"]
    command += ["--set", "data.held_out=0.25", "--set", "save.num_samples=0", "--set", "optimiser.max_steps=1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    how = {"cwd": tmp_path, "env": environment, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with ExitStack() as stack:
        agents = [stack.enter_context(subprocess.Popen([*agent, *command], **how)) for _ in range(2)]
        for one in agents:
            stack.callback(one.kill)
        said = [one.communicate(timeout=300)[0] for one in agents]
    assert [one.returncode for one in agents] == [0, 0], said
    again = load_file(*(tmp_path / "run" / "model").glob("*.safetensors"))
    assert distance(weights_of(alone), again) < CLOSE
    assert sorted("epoch" in text or "report" in text for text in said) == [False, True], (
        "the first process alone speaks"
    )
