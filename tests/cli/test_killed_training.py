"""A training command killed at any write: the same command with --resume ends as if nobody had killed it."""

import itertools
import json
import os
import pathlib
import shutil
import sys

import pytest
import safetensors.torch
import torch

from penchant.training import checkpoint
from penchant.training.run_folder import read_rows_written

EVERY = 60
"""Of 400 writes in four runs every 60th is killed at; all of them take half an hour."""
TIMINGS = {"tokens_per_second", "step_seconds"}
COMMANDS = {"dpo": ["dpo"], "lora": ["dpo", "--lora"], "sft": ["sft"], "rlhf": ["rlhf"]}
RLHF = ("--judge", "killed_judge:brevity", "--max-new-tokens", "3", "--num-responses", "2")
WRITES = (
    (os, "replace"),
    (os, "fsync"),
    (os, "unlink"),
    (os, "rmdir"),
    (shutil, "rmtree"),
    (safetensors.torch, "save_file"),
    (checkpoint, "save_file"),
    (pathlib.Path, "write_text"),
    (pathlib.Path, "mkdir"),
    (pathlib.Path, "open"),
)


@pytest.fixture(autouse=True)
def _one_thread():
    """A fork has none of its parent's threads, and would wait for those of a parallel kernel for ever."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def call(stories260k, tmp_path_factory):
    """The arguments of a run of three steps with a checkpoint after each but the last."""
    folder = tmp_path_factory.mktemp("data")
    begin = [f"Once upon a time, number {i}," for i in range(12)]
    pairs = [{"prompt": text, "chosen": " there was a cat.", "rejected": " there was a dog."} for text in begin]
    rows = {"dpo": pairs, "sft": [{"text": f"{text} there was a cat."} for text in begin]}
    rows["rlhf"] = [{"prompt": text} for text in begin]
    (folder / "killed_judge.py").write_text("def brevity(prompt, response):\n    return -len(response)\n")
    sys.path.insert(0, str(folder))
    for name, of in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in of))
    options = ("optimiser.max_steps=3", "optimiser.batch_size=2", "save.checkpoint_every=1", "save.eval_every=2")
    options += ("save.num_samples=1", "save.sample_tokens=2", "model.device=cpu", "model.dtype=float32")
    settings = [word for option in options for word in ("--set", option)]
    model = ["--model", stories260k, "--chat-template", "plain"]

    def arguments(name, output, *more):
        verb, *flags = COMMANDS[name]
        data = [
            "--prompts" if verb == "rlhf" else "--data",
            folder / f"{verb}.jsonl",
            *(RLHF if verb == "rlhf" else ()),
        ]
        return [verb, *flags, *model, *data, "--output", output, *settings, *more]

    return arguments


def what_a_run_left(folder):
    rows = [{k: v for k, v in r.items() if k not in TIMINGS} for r in read_rows_written(folder / "metrics.jsonl")]
    files = {file.name: file.read_bytes() for file in (folder / "model").glob("*.safetensors")}
    return rows, read_rows_written(folder / "samples.jsonl"), files


def watch(patch, act, at):
    """Call `act` before the `at`-th write; returns what counts them."""
    count = itertools.count()

    def watched(original):
        def call(*args, **kwargs):
            if next(count) == at:
                act()
            return original(*args, **kwargs)

        return call

    for owner, name in WRITES:
        patch.setattr(owner, name, watched(getattr(owner, name)))
    return count


def in_a_child(work):
    """Run `work` in a fork, which ends as by kill -9 where it says so; returns the exit code."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_that_is_killed_at_any_write_is_finished_by_resuming_bit_for_bit(penchant, call, tmp_path, name):
    assert penchant(*call(name, tmp_path / "warm")).code == 0, "the reference is scored, and libraries are there"
    with pytest.MonkeyPatch.context() as patch:
        count = watch(patch, lambda: None, -1)
        assert penchant(*call(name, tmp_path / "straight")).code == 0
        num_writes = next(count)
    straight = what_a_run_left(tmp_path / "straight")
    for at in range(0, num_writes, EVERY):
        run = tmp_path / f"killed-{at}"

        def killed(run=run, at=at):
            with pytest.MonkeyPatch.context() as patch:
                watch(patch, lambda: os._exit(9), at)
                penchant(*call(name, run))

        assert in_a_child(killed) == 9
        result = penchant(*call(name, run, *(["--resume"] if (run / "run.json").exists() else [])))
        if "this run is finished" not in result.err:
            assert result.code == 0, f"write {at} of {num_writes}: {result.err}"
        assert what_a_run_left(run) == straight, f"write {at} of {num_writes}"
        assert (run / "report.html").is_file(), f"write {at} of {num_writes}"
        assert [file.name for file in run.rglob(".*")] in ([], [".lock"]), f"write {at} of {num_writes}"
        shutil.rmtree(run)
