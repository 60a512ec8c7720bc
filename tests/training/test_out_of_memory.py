"""Memory that runs out in the middle of a run: the micro-batch is named, and the run goes on in smaller ones."""

import pytest
import torch
from safetensors.torch import load_file

from penchant import ranks
from penchant.training.out_of_memory import OutOfMemory
from penchant.training.preferences import PreferenceTask

SAID = "[enforce fail at alloc_cpu.cpp:128] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"


@pytest.fixture
def no_memory(monkeypatch):
    """For the first so many micro-batches of one of the processes; the numbers of pairs of all that it tried."""
    tried, real = [], PreferenceTask.losses

    def for_the_first(num, rank=0):
        def losses(task, model, items):
            if torch.is_grad_enabled() and ranks.rank() == rank:
                tried.append(len(items))
                if len(tried) <= num:
                    raise RuntimeError(SAID)
            return real(task, model, items)

        monkeypatch.setattr(PreferenceTask, "losses", losses)
        return tried

    return for_the_first


def weights(record):
    return load_file(record.path / "model" / "model.safetensors")


@pytest.mark.slow(threads=1)
def test_a_batch_that_finds_no_memory_is_cut_once_and_the_run_ends_with_the_same_weights(dpo, no_memory, make_reporter):
    whole = weights(dpo(name="whole"))
    reporter = make_reporter()
    tried = no_memory(1)
    cut = weights(dpo(reporter, name="cut"))
    (said,) = [line for line in reporter.said if "memory" in line]
    assert said.startswith("step 1: there is not enough memory for micro-batch 1 of 1 (")
    assert "pairs.jsonl:" in said
    assert "and 3 more) with optimiser.token_budget=300" in said
    assert "the run continues with 150, which changes only the gradient's last bits" in said
    assert tried[:3] == [4, 3, 1]
    for name, weight in whole.items():
        torch.testing.assert_close(cut[name], weight, rtol=0, atol=5e-5)  # the steps are of 3e-4


@pytest.mark.slow(threads=1)
def test_where_one_of_two_processes_finds_no_memory_both_cut_and_go_on(
    in_ranks, loading_in_one_thread, dpo, no_memory, make_reporter, tmp_path
):
    whole = weights(dpo(name="whole"))
    reporter = make_reporter()
    no_memory(1, rank=1)
    runs = in_ranks(2, lambda rank: dpo(reporter if rank == 0 else None, output=str(tmp_path / "two")))
    assert not any(isinstance(one, BaseException) for one in runs), runs
    (said,) = [line for line in reporter.said if "memory" in line]
    assert said.startswith("step 1: process 2 of 2: there is not enough memory for micro-batch 1 of 1 (")
    assert "the run continues with 150" in said
    two = weights(runs[0])
    squares = sum(float((two[name] - whole[name]).double().square().sum()) for name in whole)
    assert (squares / sum(weight.numel() for weight in whole.values())) ** 0.5 < 1e-6, "the steps are of 3e-4"


@pytest.mark.slow(threads=1)
def test_what_does_not_fit_in_half_on_one_process_ends_both_with_the_same_words(
    in_ranks, loading_in_one_thread, dpo, no_memory, tmp_path
):
    no_memory(9, rank=1)
    ended = in_ranks(2, lambda _: dpo(output=str(tmp_path / "two")))
    assert [type(error) for error in ended] == [OutOfMemory] * 2
    assert str(ended[0]) == str(ended[1])
    assert str(ended[0]).startswith("process 2 of 2: there is not enough memory for micro-batch 1 of ")
    assert "optimiser.token_budget=150" in str(ended[0])


def test_what_does_not_fit_in_half_either_ends_the_run_with_advice(dpo, no_memory):
    no_memory(9)
    with pytest.raises(OutOfMemory, match=r"optimiser.token_budget=150 .*; lower optimiser.token_budget or data.max_"):
        dpo()


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("optimiser", [{"batch_size": 1}, {"token_budget": 1}])
def test_what_cannot_be_cut_is_not_tried_again(dpo, no_memory, optimiser):
    tried = no_memory(9)
    with pytest.raises(OutOfMemory, match="micro-batch 1 of"):
        dpo(optimiser=optimiser)
    assert len(tried) == 1


def test_other_errors_stay_what_they_are(dpo, monkeypatch):
    def losses(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(PreferenceTask, "losses", losses)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        dpo()


@pytest.mark.slow(threads=1)
def test_a_run_that_was_cut_goes_on_cut_after_it_was_stopped(dpo, no_memory, make_reporter):
    tried = no_memory(1)
    whole = weights(dpo(name="whole"))
    tried.clear()

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dpo(make_reporter({2: stop}), name="stopped", save={"checkpoint_every": 1})
    resumed = weights(dpo(name="stopped", resume=True, save={"checkpoint_every": 1}))
    for name, weight in whole.items():
        assert torch.equal(resumed[name], weight), name
