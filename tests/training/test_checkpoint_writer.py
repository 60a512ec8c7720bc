"""A checkpoint is written while training goes on, of what there was at its step, by one rank or by several."""

import os
import threading

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from penchant import ranks
from penchant.models import slices
from penchant.training import checkpoint_writer, records
from penchant.training.background import Background
from penchant.training.checkpoint import Content, newest_checkpoint, restore, save_checkpoint
from penchant.training.checkpoint_writer import CheckpointWriter
from penchant.training.run_folder import RunFolder

PATIENCE = 60
"""Seconds after which what a test waits for will not come."""


@pytest.fixture(autouse=True)
def room(monkeypatch):
    """There is room for a copy, however much memory other programs have taken, and other tests before."""
    monkeypatch.setattr(checkpoint_writer, "free_memory", lambda: float("inf"))


class Trainee:
    """Five rows of numbers, and AdamW that has stepped."""

    def __init__(self, seed=0):
        torch.manual_seed(seed)
        self.parameters = {"rows": torch.nn.Parameter(torch.randn(5, 3)), "one": torch.nn.Parameter(torch.randn(1))}
        self.step()

    def step(self):
        self.optimiser = getattr(self, "optimiser", None) or torch.optim.AdamW(self.parameters.values(), lr=0.1)
        self.optimiser.zero_grad()
        sum((p**2).sum() for p in self.parameters.values()).backward()
        self.optimiser.step()

    def all(self):
        return self.parameters, self.optimiser, {"num_tokens": 7}, {"kept": torch.ones(2)}


@pytest.fixture
def gate(monkeypatch):
    """An event that whoever writes a file of slices waits for."""
    opened, original = threading.Event(), slices.save_file

    def wait_and_save(*given):
        assert opened.wait(PATIENCE)
        original(*given)

    monkeypatch.setattr(slices, "save_file", wait_and_save)
    yield opened
    opened.set()


def test_what_is_trained_meanwhile_does_not_change_what_is_written(tmp_path, gate):
    trainee, writer = Trainee(), CheckpointWriter(tmp_path / "behind")
    gate.set()
    save_checkpoint(tmp_path / "before", Content.of(3, *trainee.all()), keep=1)
    gate.clear()
    writer.begin(3, *trainee.all(), keep=1)
    trainee.step()
    with torch.no_grad():
        trainee.parameters["one"] += 1.0
    writer.settle(wait=False)
    assert not (tmp_path / "behind" / "step-3").exists(), "it is still being written"
    gate.set()
    writer.settle()
    written, expected = (
        {file.name: file.read_bytes() for file in (tmp_path / at / "step-3").iterdir()} for at in ("behind", "before")
    )
    assert written == expected


def test_a_second_one_waits_for_the_first_and_what_that_failed_with_is_raised_there(tmp_path, monkeypatch):
    trainee, writer, done = Trainee(), CheckpointWriter(tmp_path), []

    def full(*_):
        done.append(threading.current_thread().name)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(slices, "save_file", full)
        writer.begin(1, *trainee.all(), keep=1)
        with pytest.raises(OSError, match="No space left"):
            writer.begin(2, *trainee.all(), keep=1)
    assert done == ["penchant background"], "of the second nothing was begun"
    assert list(tmp_path.iterdir()) == []
    writer.settle()
    writer.begin(3, *trainee.all(), keep=1)
    writer.begin(4, *trainee.all(), keep=1)
    writer.settle()
    assert [one.name for one in tmp_path.iterdir()] == ["step-4"]


def test_a_failure_is_raised_where_it_is_looked_for_and_once(tmp_path, monkeypatch):
    writer = CheckpointWriter(tmp_path)
    monkeypatch.setattr(slices, "save_file", lambda *_: 1 / 0)
    writer.begin(1, *Trainee().all(), keep=1)
    writer._writing.wait()
    with pytest.raises(ZeroDivisionError):
        writer.settle(wait=False)
    writer.settle()


@pytest.mark.parametrize(("free", "behind"), [(0.0, False), (float("inf"), True)])
def test_where_memory_has_no_room_for_a_copy_it_is_written_before_the_next_step(tmp_path, monkeypatch, free, behind):
    writer, opened, original = CheckpointWriter(tmp_path), threading.Event(), slices.save_file

    def slow(*given):
        opened.wait(PATIENCE if behind else 0.05)
        original(*given)

    monkeypatch.setattr(slices, "save_file", slow)
    monkeypatch.setattr(checkpoint_writer, "free_memory", lambda: free)
    writer.begin(1, *Trainee().all(), keep=1)
    assert (tmp_path / "step-1").exists() is not behind
    opened.set()
    writer.settle()
    assert (tmp_path / "step-1").exists()


def test_a_run_that_fails_keeps_what_was_being_written(tmp_path, gate):
    writer, trainee, fresh = CheckpointWriter(tmp_path), Trainee(), Trainee(seed=1)
    writer.begin(1, *trainee.all(), keep=1)
    threading.Timer(0.05, gate.set).start()
    writer.let_go()
    found = newest_checkpoint(tmp_path)
    kept = restore(found, fresh.parameters, fresh.optimiser)
    assert found.state == {"step": 1, "num_tokens": 7}
    assert torch.equal(kept["kept"], torch.ones(2))
    assert all(torch.equal(p, trainee.parameters[name]) for name, p in fresh.parameters.items())


def test_a_process_killed_while_it_writes_leaves_the_checkpoint_before(tmp_path):
    trainee, writer = Trainee(), CheckpointWriter(tmp_path)
    writer.begin(1, *trainee.all(), keep=1)
    writer.settle()
    child = os.fork()
    if child == 0:  # dies as by kill -9, in the midst of the second file
        original = slices.save_file
        slices.save_file = lambda *given: original(*given) if "weights" in str(given[1]) else os._exit(9)
        writer.begin(2, *trainee.all(), keep=1)
        writer.settle()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert [one.name for one in tmp_path.glob(".*")] == [".step-2.writing"]
    assert newest_checkpoint(tmp_path).state["step"] == 1
    writer.begin(3, *trainee.all(), keep=1)
    writer.settle()
    assert [one.name for one in tmp_path.iterdir()] == ["step-3"]


def cut(trainee):
    """The numbers in slices, and moments in slices."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    module = torch.nn.Module()
    for name, parameter in trainee.parameters.items():
        module.register_parameter(name, parameter)
    fully_shard(module, mesh=init_device_mesh("cpu", (ranks.size(),)))
    trainee.parameters = dict(module.named_parameters())
    trainee.optimiser = torch.optim.AdamW(trainee.parameters.values(), lr=0.1)
    for parameter in trainee.parameters.values():
        parameter.grad = torch.ones_like(parameter)
    trainee.optimiser.step()
    return trainee


def test_slices_are_a_checkpoint_once_all_ranks_have_written_and_met(in_ranks, tmp_path, monkeypatch):
    opened, original = threading.Event(), slices.save_file

    def slow_on_the_second(tensors, file, *more):
        assert "-00002-of" not in str(file) or opened.wait(PATIENCE)
        original(tensors, file, *more)

    monkeypatch.setattr(slices, "save_file", slow_on_the_second)

    def work(rank):
        trainee, writer = cut(Trainee()), CheckpointWriter(tmp_path)
        expected = trainee.parameters["rows"].full_tensor().detach().clone()
        writer.begin(2, *trainee.all(), keep=1)
        trainee.optimiser.step()
        if rank == 0:
            writer._writing.wait()
        writer.settle(wait=False)
        there = (tmp_path / "step-2").exists()
        ranks.gather(None)
        opened.set()
        writer.settle()
        return there, expected

    done = in_ranks(2, work)
    assert all(isinstance(one, tuple) for one in done), done
    assert [there for there, _ in done] == [False, False]
    (saved,) = tmp_path.iterdir()
    parts = [load_file(saved / f"weights-0000{i}-of-00002.safetensors")["rows"] for i in (1, 2)]
    assert torch.equal(torch.cat(parts), done[0][1])
    assert newest_checkpoint(tmp_path).folder == saved


@pytest.mark.parametrize("gives_up", [False, True])
def test_of_slices_that_one_rank_could_not_write_nothing_is_left(in_ranks, tmp_path, monkeypatch, gives_up):
    original = slices.save_file

    def full_on_the_second(tensors, file, *more):
        if "-00002-of" in str(file):
            raise OSError(28, "No space left on device")
        original(tensors, file, *more)

    monkeypatch.setattr(slices, "save_file", full_on_the_second)
    monkeypatch.setattr(checkpoint_writer, "PATIENCE_SECONDS", 0.1)

    def work(_):
        writer = CheckpointWriter(tmp_path)
        writer.begin(2, *cut(Trainee()).all(), keep=1)
        if gives_up:  # as where the run has failed in another way
            writer.let_go()
        writer.settle()

    done = in_ranks(2, work)
    assert [error is None if gives_up else "No space left" in str(error) for error in done] == [True, True]
    assert list(tmp_path.iterdir()) == []


def test_slices_of_a_run_that_has_failed_are_a_checkpoint_where_all_have_written(in_ranks, tmp_path):
    def work(_):
        writer = CheckpointWriter(tmp_path)
        writer.begin(2, *cut(Trainee()).all(), keep=1)
        writer.let_go()

    assert in_ranks(2, work) == [None, None]
    assert newest_checkpoint(tmp_path).state["step"] == 2
    assert not list((tmp_path / "step-2").glob("part*"))


def test_work_in_the_background_gives_what_it_found_or_raises_what_it_raised():
    opened = threading.Event()
    slow, failing = Background(lambda: opened.wait(PATIENCE)), Background(lambda: 1 / 0)
    failing.wait()
    assert (slow.is_done(), failing.is_done()) == (False, True)
    opened.set()
    assert slow.finish() is True
    with pytest.raises(ZeroDivisionError):
        failing.finish()


def test_without_room_for_a_copy_what_a_gpu_holds_is_fetched_one_file_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_writer, "free_memory", lambda: 0.0)
    done, save, fetch = [], slices.save_file, slices.on_cpu
    monkeypatch.setattr(slices, "on_cpu", lambda tensors: (done.append("fetched"), fetch(tensors))[1])
    monkeypatch.setattr(slices, "save_file", lambda *given: (done.append("written"), save(*given)))
    trainee = Trainee()
    content = Content.of(1, *trainee.all())
    assert content.slices[0].tensors["rows"].data_ptr() == trainee.parameters["rows"].data_ptr(), "nothing is moved"
    CheckpointWriter(tmp_path).begin(1, *trainee.all(), keep=1)
    assert done == ["fetched", "written"] * 2


def test_what_the_task_holds_beside_slices_is_of_the_step_that_is_saved(in_ranks, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_writer, "free_memory", lambda: 0.0)

    def work(_):
        writer, task = CheckpointWriter(tmp_path), {"kept": torch.ones(2)}
        writer.begin(2, *cut(Trainee()).all()[:3], task, keep=1)
        task["kept"] += 1.0
        writer.settle()

    assert in_ranks(2, work) == [None, None]
    assert torch.equal(load_file(tmp_path / "step-2" / "task.safetensors")["kept"], torch.ones(2))


@pytest.mark.parametrize(("peak", "behind"), [(1000, True), (9000, False)])
def test_what_the_next_step_takes_again_is_not_free_for_a_copy(tmp_path, monkeypatch, gate, peak, behind):
    gate.set()
    for name, value in (("free_memory", 4000.0), ("process_peak_bytes", peak), ("held_bytes", 1000.0)):
        monkeypatch.setattr(checkpoint_writer, name, lambda value=value: value)
    seen, of = [], Content.of
    monkeypatch.setattr(Content, "of", lambda *given, copied: (seen.append(copied), of(*given, copied=copied))[1])
    writer = CheckpointWriter(tmp_path)
    writer.begin(1, *Trainee().all(), keep=1)
    writer.settle()
    assert seen == [behind]


def test_a_run_that_continues_in_the_same_process_waits_for_what_an_abandoned_one_still_writes(tmp_path, gate):
    abandoned, begun, done = RunFolder(tmp_path), threading.Event(), threading.Event()
    abandoned.save(1, *Trainee().all(), keep=1)

    def resume():
        begun.set()
        RunFolder(tmp_path).remove_leftovers()
        done.set()

    threading.Thread(target=resume, daemon=True).start()
    assert begun.wait(PATIENCE)
    assert not done.wait(0.1)
    gate.set()
    assert done.wait(PATIENCE)
    assert [one.name for one in (tmp_path / "checkpoints").iterdir()] == ["step-1"]


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("grows", [True, False])
def test_slices_of_a_failed_run_are_waited_for_as_long_as_they_grow(in_ranks, tmp_path, monkeypatch, grows):
    original, given_up = slices.save_file, threading.Event()

    def slow_on_the_second(tensors, file, *more):
        if "-00002-of" in str(file):
            for num in range(8):
                file.write_bytes(b"x" * num)
                assert not given_up.wait(0.06)
        original(tensors, file, *more)

    def stuck_on_the_second(tensors, file, *more):
        assert "-00002-of" not in str(file) or given_up.wait(PATIENCE)
        original(tensors, file, *more)

    monkeypatch.setattr(slices, "save_file", slow_on_the_second if grows else stuck_on_the_second)
    monkeypatch.setattr(checkpoint_writer, "PATIENCE_SECONDS", 0.4 if grows else 0.1)

    def work(rank):
        writer = CheckpointWriter(tmp_path)
        writer.begin(2, *cut(Trainee()).all(), keep=1)
        if rank == 0:
            writer.let_go()
            given_up.set()
        writer.let_go()

    in_ranks(2, work)
    assert (tmp_path / "step-2").exists() is grows


@pytest.mark.parametrize("error", [SafetensorError("I/O error"), KeyError("a part")])
def test_the_error_of_a_failed_run_is_not_replaced_by_one_of_its_checkpoint(in_ranks, tmp_path, monkeypatch, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(checkpoint_writer, "complete", fails)

    def work(_):
        writer = CheckpointWriter(tmp_path)
        writer.begin(2, *cut(Trainee()).all(), keep=1)
        writer.let_go()

    assert in_ranks(2, work) == [None, None]
    assert list(tmp_path.iterdir()) == []


def test_the_rows_that_a_checkpoint_relies_on_are_on_the_disk_before_it_is_begun(tmp_path, monkeypatch):
    folder, done = RunFolder(tmp_path), []
    folder.record([{"step": 1}], ())
    monkeypatch.setattr(records, "sync_file", lambda file: done.append(file.name))
    monkeypatch.setattr(folder.writer, "begin", lambda *_, keep: done.append("checkpoint"))
    folder.save(1, *Trainee().all(), keep=1)
    assert done == ["metrics.jsonl", "samples.jsonl", "checkpoint"]
