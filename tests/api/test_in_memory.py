"""Training in memory: the same bits as on disk, nothing written, and what the caller handed over as it was."""

import os
import random
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub.utils import are_progress_bars_disabled
from transformers import AutoModelForCausalLM
from transformers import modeling_gguf_pytorch_utils as gguf
from transformers.utils import logging

import penchant as pt
from penchant.data import load_pairs
from penchant.models.forward import score_sequences
from penchant.models.matmul import choice_file
from penchant.progress import Silent
from penchant.tokens import TokenSequence


def losses(run):
    return [row["loss"] for row in run.metrics if "loss" in row]


def outputs(model):
    with torch.no_grad():
        return score_sequences(model, [TokenSequence.of((5, 9, 30), (40, 41, 52, 17))])


@pytest.fixture
def penchant_dpo(stories260k, rows_file, tmp_path, monkeypatch):
    """The run folder of the command with the settings of a small run."""
    from penchant.cli import main

    def call():
        words = ["dpo", "--model", stories260k, "--chat-template", "plain", "--data", rows_file, "--device", "cpu"]
        words += ["--dtype", "float32", "--output", tmp_path / "command", "--learning-rate", "3e-4"]
        words += ["--batch-size", "4", "--set", "data.held_out=0.25", "--set", "optimiser.max_steps=3"]
        words += ["--set", "save.num_samples=1", "--set", "save.sample_tokens=4"]
        monkeypatch.setattr(sys, "argv", ["penchant", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main.main()
        assert not left.value.code
        torch.set_flush_denormal(False)
        torch.set_float32_matmul_precision("highest")
        return pt.open_run(tmp_path / "command")

    return call


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_memory_folder_and_command_give_the_same_bits(
    train, model, rows, stories260k, tmp_path, penchant_dpo, measured, same_weights, precision
):
    """Also where the machine's choice of a matrix product is not what PyTorch begins with."""
    choice_file().parent.mkdir(parents=True, exist_ok=True)
    choice_file().write_text(f'{{"precision": "{precision}"}}')
    command = penchant_dpo()
    in_memory = train()
    in_folder = train(output=tmp_path / "folder")
    by_name = train(str(stories260k), chat_template="plain", device="cpu", dtype="float32")
    assert torch.get_float32_matmul_precision() == "highest"
    assert len(measured(in_memory)) >= 4
    for other in (in_folder, by_name, command):
        assert measured(in_memory) == measured(other)
        assert list(in_memory.samples) == list(other.samples)
        assert same_weights(in_memory.model, other.model)
    assert pt.verify(in_folder)


@pytest.mark.slow(threads=1)
def test_rows_are_rows_in_whatever_they_come(train, rows, rows_file):
    expected = losses(train())
    pairs = load_pairs(rows).records
    assert {type(pair) for pair in pairs} == {pt.PreferencePair}
    for data in (rows_file, str(rows_file), [rows_file], tuple(rows), iter(rows), pairs):
        assert losses(train(data=data)) == expected


@pytest.mark.slow(threads=1)
def test_rows_of_pandas_are_rows(train, rows):
    pandas = pytest.importorskip("pandas")
    assert losses(train(data=pandas.DataFrame(rows))) == losses(train())


@pytest.mark.slow
def test_rows_of_datasets_are_rows(train, rows):
    """Slow: importing datasets takes seconds."""
    datasets = pytest.importorskip("datasets")
    assert losses(train(data=datasets.Dataset.from_list(rows))) == losses(train())


@pytest.mark.slow(threads=1)
def test_votes_on_samples_are_data(model, train, tmp_path):
    prompts = [f"Once upon a time there was a {word}" for word in ("dog", "cat", "boy", "girl", "tree", "ball")]
    how = {"num_responses": 3, "max_new_tokens": 12, "progress": False}

    def count(prompt, response):
        return response.count("e")

    votes = pt.judge(pt.sample(model, prompts, **how), judge=count, progress=False)
    assert {type(vote) for vote in votes} == {pt.Comparison}
    samples, file = tmp_path / "samples.jsonl", tmp_path / "votes.jsonl"
    pt.sample(model, prompts, output=samples, **how)
    assert len(pt.judge(samples, judge=count, output=file, progress=False)) == len(votes)
    assert losses(train(data=votes)) == losses(train(data=file))


@pytest.mark.slow(threads=1)
def test_without_an_output_nothing_is_written(train, model, rows, tmp_path, monkeypatch):
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    run = train()
    pt.score(run, rows, progress=False)
    pt.evaluate(run, ["One day"], judge=lambda p, r: len(r), max_new_tokens=4, progress=False)
    assert run.path is None
    assert [*here.rglob("*"), *home.rglob("*")] == []
    assert {path.parent.name for path in Path(os.environ["PENCHANT_CACHE"]).rglob("*") if path.is_file()} <= {"matmul"}
    assert "data_digest" in run.ledger


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("changed", [{}, {"lora": {"rank": 2}}], ids=["whole", "adapter"])
def test_a_loaded_model_is_as_it_was(train, model, measured, same_weights, changed):
    before = {name: (p.detach().clone(), p.requires_grad, p) for name, p in model.network.named_parameters()}
    said, mode, digest = outputs(model), model.network.training, model.digest
    first, second = train(**changed), train(**changed)
    assert not torch.equal(outputs(first.model), said)
    for name, parameter in model.network.named_parameters():
        bits, requires_grad, same = before.pop(name)
        assert parameter is same
        assert torch.equal(parameter, bits)
        assert parameter.requires_grad == requires_grad
        assert parameter.grad is None
    assert not before
    assert torch.equal(outputs(model), said)
    assert (model.network.training, model.digest) == (mode, digest)
    assert measured(first) == measured(second)
    assert same_weights(first.model, second.model)


@pytest.mark.slow(threads=1)
def test_a_run_is_trained_further_sampled_scored_evaluated_and_exported(train, rows, tmp_path, same_weights):
    run = train()
    kept = {name: tensor.clone() for name, tensor in run.model.network.state_dict().items()}
    further = train(run)
    assert further.metrics[0]["loss"] == pytest.approx(0.6931, abs=1e-4)  # its reference is what the first run made
    assert further.model.digest != run.model.digest
    assert all(torch.equal(kept[name], tensor) for name, tensor in run.model.network.state_dict().items())
    assert len(pt.sample(run, ["One day"], max_new_tokens=4, progress=False).comparisons) == 1
    scores = pt.score(run, rows, progress=False)
    assert len(scores.pairs) == len(rows)
    assert any(abs(pair.margin) > 0 for pair in scores.pairs)
    found = pt.evaluate(run, ["One day", "Tom"], judge=lambda p, r: len(r), max_new_tokens=8, progress=False)
    assert found.num_prompts == 2
    folder = run.export(tmp_path / "plain")
    loaded = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = torch.arange(3, 40)[None]
    own = run.model.copy()
    own.stop_sharing("to call the network as transformers does")
    with torch.no_grad():
        assert torch.allclose(loaded(ids).logits, own.network(ids).logits, atol=1e-5)


def state_of_the_process():
    return {
        "threads": torch.get_num_threads(),
        "product": torch.get_float32_matmul_precision(),
        "denormals": float(torch.full((), 2.0**-126) * 0.5) != 0.0,
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "dtype": torch.get_default_dtype(),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tobytes(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "warnings": list(warnings.filters),
        "path": list(sys.path),
        "bars": (logging.is_progress_bar_enabled(), are_progress_bars_disabled(), gguf.tqdm),
    }


class Fails(pt.Callback):
    def on_step(self, training, row):
        raise RuntimeError("of my own")


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("changed", [{}, {"lora": True}, {"callbacks": [Fails()]}], ids=["whole", "adapter", "fails"])
@pytest.mark.parametrize("has_folder", [False, True])
def test_the_process_is_as_it_was(train, rows, tmp_path, changed, has_folder):
    """The cache is empty, so the matrix product is measured as well."""
    before = state_of_the_process()
    output = tmp_path / "run" if has_folder else None
    if "callbacks" in changed:
        with pytest.raises(RuntimeError, match="of my own"):
            train(output=output, **changed)
    else:
        run = train(output=output, **changed)
        pt.sample(run, ["One day"], max_new_tokens=4, progress=False)
        pt.score(run, rows, progress=False)
        if has_folder:
            assert pt.open_run(output).model.digest == run.model.digest
    assert state_of_the_process() == before


@contextmanager
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "of_the_caller",
    [
        torch.no_grad,
        torch.inference_mode,
        float64_by_default,
        lambda: torch.device("meta"),
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    ],
    ids=["no_grad", "inference_mode", "float64", "device", "autocast"],
)
def test_what_the_caller_set_in_pytorch_changes_no_result_and_stays(train, stories260k, rows, of_the_caller, measured):
    def results():
        model = pt.load(stories260k, device="cpu", dtype="float32", chat_template="plain", progress=False)
        run = train(model, max_steps=1)
        return measured(run), pt.score(run, rows, progress=False), pt.sample(run, ["One day"], progress=False)

    def of_pytorch():
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.is_autocast_enabled("cpu"),
        )

    expected = results()
    with of_the_caller():
        before = of_pytorch()
        assert results() == expected
        assert of_pytorch() == before


def test_the_process_is_as_it_was_after_a_model_got_a_new_head(model, rows):
    small = {"learning_rate": 1e-4, "max_steps": 1, "batch_size": 2, "progress": False}
    before = state_of_the_process()
    pt.reward(model, rows, **small)
    assert state_of_the_process() == before
    prompts = ["One day", "Tom", "Lily went", "Ben ran"]
    settings = {"rlhf.method": "ppo", "sampling.max_new_tokens": 4, "save.num_samples": 0}
    pt.rlhf(model, prompts, judge=lambda p, r: len(r), held_out=0.25, settings=settings, **small)
    assert state_of_the_process() == before


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("changed", [{}, {"lora": {"rank": 2}}], ids=["whole", "adapter"])
def test_two_threads_at_once_give_what_one_gives_alone(train, measured, same_weights, changed):
    alone = [train(seed=seed, **changed) for seed in (1, 2)]
    before, runs = state_of_the_process(), {}

    def work(seed):
        runs[seed] = train(seed=seed, **changed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, expected in enumerate(alone, 1):
        assert measured(runs[seed]) == measured(expected)
        assert same_weights(runs[seed].model, expected.model)
    assert state_of_the_process() == before


@pytest.mark.slow(threads=1)
def test_a_run_as_a_judge_leaves_the_process_as_it_was_also_between_its_answers(train, model, tmp_path):
    train(output=tmp_path / "run")
    samples = pt.sample(model, ["Once upon a time", "One day"], max_new_tokens=4, progress=False)
    before, seen = state_of_the_process(), []

    class Watch(Silent):
        def progress(self, what, done, total, facts):
            seen.append(state_of_the_process() == before)

    votes = pt.judge(samples, judge=f"run:{tmp_path / 'run'}", progress=Watch())
    assert len(votes) == len(samples.comparisons) > 0
    assert seen == [True] * len(votes)
    assert state_of_the_process() == before


def test_a_judge_that_waits_keeps_no_other_thread_from_computing(model, rows):
    samples = pt.sample(model, ["Once upon a time"], max_new_tokens=4, progress=False)
    asked, done, scored = threading.Event(), threading.Event(), []

    def waits(prompt, response):
        asked.set()
        assert done.wait(60)
        return len(response)

    judging = threading.Thread(target=lambda: scored.append(pt.judge(samples, judge=waits, progress=False)))
    judging.start()
    assert asked.wait(60)
    training = threading.Thread(
        target=pt.sample, args=(model, ["One day"]), kwargs={"max_new_tokens": 4, "progress": False}
    )
    training.start()
    training.join(30)
    blocked = training.is_alive()
    done.set()
    judging.join()
    training.join()
    assert not blocked
    assert len(scored) == 1


def origin_files(run):
    return run.ledger["origins"]["model"]["base"]["files"]


@pytest.mark.slow(threads=1)
def test_what_was_trained_from_a_model_in_memory_is_written_reported_and_verified_as_what_it_is(train, tmp_path):
    small = {"max_steps": 1, "settings": {"save.num_samples": 0}}
    first = train(lora=True, **small)
    other = train(**small)
    second = train(first.model, output=tmp_path / "second", reference=other.model, **small)
    found = {finding.what: finding for finding in pt.verify(second)}
    assert {what for what, finding in found.items() if finding.status == "unknown"} == {"began with", "reference"}
    assert "after dpo was in memory" in found["began with"].text
    assert (found["base model"].status, "model.safetensors" in origin_files(second)) == ("same", True)
    origin, base, reference = pt.lineage(second).of[:3]
    assert (origin.kind, origin.name, origin.facts[-1]) == ("model", first.model.name, "in memory")
    assert base.kind == "base"
    assert (reference.kind, reference.name, reference.facts[-1]) == ("reference", other.model.name, "in memory")
    (second.path / "report.html").unlink()
    again = train(first.model, output=second.path, reference=other.model, resume=True, **small)
    assert (again.path / "report.html").is_file()
    pt.export(other.model, merged=tmp_path / "merged", progress=False)
    assert [finding.status for finding in pt.verify(tmp_path / "merged")] == ["same", "unknown"]
    assert pt.lineage(tmp_path / "merged").of[0].facts[-1] == "in memory"
