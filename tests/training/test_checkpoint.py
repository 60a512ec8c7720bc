"""A checkpoint is whole or absent, at whatever moment the process dies, and comes back bit for bit."""

import itertools
import os
import pathlib

import pytest
import torch

from penchant.files import whole
from penchant.training import checkpoint
from penchant.training.checkpoint import Content, checkpoint_faults, newest_checkpoint, restore, save_checkpoint


class Trainee:
    """Three parameters and an optimiser that has stepped."""

    def __init__(self, seed=0, steps=2):
        torch.manual_seed(seed)
        self.parameters = {f"layer.{i}": torch.nn.Parameter(torch.randn(3, i + 1)) for i in range(3)}
        self.optimiser = torch.optim.AdamW(self.parameters.values(), lr=0.1, fused=True)
        for _ in range(steps):
            self.step()

    def step(self):
        self.optimiser.zero_grad()
        sum((p**2).sum() for p in self.parameters.values()).backward()
        self.optimiser.step()

    def save(self, folder, step, keep=1):
        content = Content.of(step, self.parameters, self.optimiser, {"num_tokens": 7}, {})
        return save_checkpoint(folder, content, keep=keep)


def steps_in(folder):
    return sorted(int(p.name.removeprefix("step-")) for p in folder.glob("step-*"))


def test_a_checkpoint_comes_back_bit_for_bit_and_training_goes_on_as_if_never_stopped(tmp_path):
    first, second = Trainee(), Trainee(seed=1, steps=0)
    first.save(tmp_path, 2)
    found = newest_checkpoint(tmp_path)
    restore(found, second.parameters, second.optimiser)
    assert found.state == {"step": 2, "num_tokens": 7}
    for trainee in (first, second):
        trainee.step()
    for name, parameter in first.parameters.items():
        assert torch.equal(parameter, second.parameters[name])


def test_it_holds_no_pickle(tmp_path):
    names = {p.name for p in Trainee().save(tmp_path, 1).iterdir()}
    assert names == {"weights.safetensors", "optimiser.safetensors", "task.safetensors", "state.json", "manifest.json"}


def test_the_newest_are_kept_and_counted_as_numbers(tmp_path):
    for step in (8, 9, 10, 11):
        Trainee().save(tmp_path, step, keep=2)
    assert steps_in(tmp_path) == [10, 11]
    assert newest_checkpoint(tmp_path).state["step"] == 11


def test_there_is_none_where_there_is_none(tmp_path):
    assert newest_checkpoint(tmp_path / "nowhere") is None


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


DAMAGE = {
    "a flipped bit": lambda c: flip_a_bit(c / "weights.safetensors"),
    "a cut file": lambda c: (c / "optimiser.safetensors").write_bytes(b"x"),
    "a missing file": lambda c: (c / "state.json").unlink(),
    "no manifest": lambda c: (c / "manifest.json").unlink(),
    "half a manifest": lambda c: (c / "manifest.json").write_text('{"weights'),
    "an empty manifest": lambda c: (c / "manifest.json").write_text("{}"),
    "a manifest of something else": lambda c: (c / "manifest.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_newest_is_skipped_aloud_and_the_one_before_taken(tmp_path, damage):
    for step in (5, 10):
        Trainee().save(tmp_path, step, keep=2)
    DAMAGE[damage](tmp_path / "step-10")
    said = []
    assert newest_checkpoint(tmp_path, said.append).state["step"] == 5
    assert len(said) == 1
    assert "skipped checkpoint step-10" in said[0]


def test_after_a_damaged_one_was_skipped_the_next_save_survives_it(tmp_path):
    for step in (5, 10):
        Trainee().save(tmp_path, step, keep=2)
    flip_a_bit(tmp_path / "step-10" / "weights.safetensors")
    Trainee().save(tmp_path, 6, keep=1)
    assert steps_in(tmp_path) == [6]
    assert newest_checkpoint(tmp_path).state["step"] == 6


def test_saving_a_step_again_keeps_it_and_mends_a_damaged_one(tmp_path):
    trainee = Trainee()
    trainee.save(tmp_path, 3)
    trainee.save(tmp_path, 3)
    flip_a_bit(tmp_path / "step-3" / "weights.safetensors")
    trainee.save(tmp_path, 3)
    assert newest_checkpoint(tmp_path).state["step"] == 3


BOUNDARIES = (
    (checkpoint, "save_file"),
    (whole, "sync_file"),
    (whole, "sync_folder"),
    (whole.os, "replace"),
    (whole.os, "fsync"),
    (checkpoint.shutil, "rmtree"),
    (pathlib.Path, "write_text"),
    (pathlib.Path, "mkdir"),
)


def watch(monkeypatch, at, act, after):
    """Call `act` before (or after) the `at`-th thing that is done to the disk."""
    count = itertools.count()

    def watched(original):
        def call(*args, **kwargs):
            mine = next(count) == at
            if mine and not after:
                act()
            result = original(*args, **kwargs)
            if mine and after:
                act()
            return result

        return call

    for owner, name in BOUNDARIES:
        monkeypatch.setattr(owner, name, watched(getattr(owner, name)))
    return count


def count_boundaries(tmp_path, step):
    with pytest.MonkeyPatch.context() as patch:
        Trainee().save(tmp_path / "counted", 4)
        count = watch(patch, -1, lambda: None, after=False)
        Trainee().save(tmp_path / "counted", step)
        return next(count)


def assert_loadable(folder, old, new):
    found = newest_checkpoint(folder)
    assert found is not None, "a checkpoint is left"
    step = found.state["step"]
    assert step in (4, 5)
    fresh = Trainee(seed=9, steps=0)
    restore(found, fresh.parameters, fresh.optimiser)
    expected = old if step == 4 else new
    assert all(torch.equal(p, expected.parameters[n]) for n, p in fresh.parameters.items())


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    "after", [pytest.param(False, id="before", marks=pytest.mark.slow), pytest.param(True, id="after")]
)
@pytest.mark.parametrize(
    "step",
    [pytest.param(4, id="the same step again", marks=pytest.mark.slow), pytest.param(5, id="the next step")],
)
def test_a_process_killed_at_any_write_leaves_a_whole_checkpoint(tmp_path, step, after):
    old, new = Trainee(), Trainee(steps=3)
    boundaries = count_boundaries(tmp_path, step)
    assert boundaries > (10 if step == 5 else 0)
    for at in range(boundaries):
        folder = tmp_path / f"killed-{at}"
        old.save(folder, 4)
        child = os.fork()
        if child == 0:  # dies as by kill -9: no handler, no cleaning up
            with pytest.MonkeyPatch.context() as patch:
                watch(patch, at, lambda: os._exit(9), after)
                (old if step == 4 else new).save(folder, step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 9
        assert_loadable(folder, old, new)
        new.save(folder, 6)
        assert steps_in(folder) == [6], "the next save works and cleans up"
        assert not list(folder.glob(".*")), "nothing half-written is left"


@pytest.mark.slow(threads=1)
def test_a_full_disk_at_any_write_leaves_the_old_checkpoint_and_nothing_half_written(tmp_path):
    old, new = Trainee(), Trainee(steps=3)

    def full():
        raise OSError(28, "No space left on device")

    for at in range(count_boundaries(tmp_path, 5) - 1):
        folder = tmp_path / f"full-{at}"
        old.save(folder, 4)
        with pytest.MonkeyPatch.context() as patch:
            watch(patch, at, full, after=False)
            with pytest.raises(OSError, match="No space left"):
                new.save(folder, 5)
        assert_loadable(folder, old, new)
        assert not [p for p in folder.glob(".*") if (p / "manifest.json").exists()]


def test_a_folder_whose_number_is_no_number_of_a_step_is_no_checkpoint(tmp_path):
    for name in ("step-²", "step-٣", "step-x"):
        (tmp_path / name).mkdir()
    assert checkpoint_faults(tmp_path) == {}
