"""A model whose weights lie in slices on several ranks trains, goes on and is written as that of one process."""

import errno
import shutil
from collections import Counter

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import modeling_utils

from penchant import ranks
from penchant.errors import ConfigError, OutputError, UserError
from penchant.models import devices, slices
from penchant.models.load import load_model
from penchant.models.saving import save_model
from penchant.models.sharded import own_slice, whole, whole_of_all
from penchant.models.sharding import Cut, shard
from penchant.objectives import bind
from penchant.training import room
from penchant.training.config import DPOConfig, OptimiserConfig, RewardConfig
from penchant.training.held_out import evaluate_task
from penchant.training.loop import accumulate
from penchant.training.optimiser import adamw
from penchant.training.preferences import PreferenceTask
from penchant.training.reference import reference_logprobs
from penchant.training.samples import FixedPrompts
from penchant.training.shareable import require_shareable

CLOSE = 1e-6
SHARDED = {"parallel": {"mode": "sharded"}}


pytestmark = pytest.mark.usefixtures("loading_in_one_thread")


def weights_of(folder):
    return load_file(*(folder / "model").glob("*.safetensors"))


def distance(one, other):
    assert set(one) == set(other)
    squares = sum(float((one[name].double() - other[name].double()).square().sum()) for name in one)
    return (squares / sum(tensor.numel() for tensor in one.values())) ** 0.5


def untie(model):
    head = model.causal_lm.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone() + 0.01)
    model.causal_lm.config.tie_word_embeddings = False


def step_of(model, items, reference):
    """Gradient, norm, weights after a step, metrics of held-out pairs and answers."""
    config = OptimiserConfig(learning_rate=1e-3)
    parameters = {n: p for n, p in model.network.named_parameters() if p.requires_grad}
    optimiser = adamw(model, parameters, config, 1e-3)
    task = PreferenceTask(bind("dpo"), 0.1, reference)
    result = accumulate(
        model,
        task,
        items,
        list(parameters.values()),
        token_budget=100,
        max_grad_norm=0.01,
        before_micro_batch=lambda: None,
    )
    gradient = {name: whole(p.grad) for name, p in parameters.items()}
    optimiser.step()
    measured = evaluate_task(model, task, items, 100)
    answers = FixedPrompts((pair.sequences[0] for pair in items), 5, 8).answer(model, step=3)
    ranks.gather(None)
    return gradient, result.grad_norm, {name: whole(p) for name, p in parameters.items()}, measured, answers


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("kind", "size", "num"),
    [("tied", 2, 16), ("untied", 2, 16), ("untied", 3, 4), ("checkpointed", 2, 8), ("offloaded", 2, 8)],
)
def test_a_step_of_a_sharded_model_is_that_of_one_process(in_ranks, model, pairs, kind, size, num):
    items = pairs[:num]
    if kind == "untied":
        untie(model)
    scores = reference_logprobs(model, [s for item in items for s in item.sequences], None, token_budget=500)
    reference = {key: value + key[0] / 100 for key, value in scores.items()}
    gradient, norm, weights, measured, answers = step_of(model.copy(), items, reference)

    def work(_):
        own = model.copy()
        shard(own, offloads=kind == "offloaded")
        if kind == "checkpointed":
            own.checkpoint_activations()
        ranks.when_others_work(own.sharded.take_part)
        held = sum(own_slice(p).numel() for p in own.network.parameters())
        return held, *step_of(own, items, reference)

    total = sum(p.numel() for p in model.network.parameters())
    done = in_ranks(size, work)
    assert all(isinstance(one, tuple) for one in done), done
    assert sum(one[0] for one in done) == total, "each weight lies on one rank"
    for _, other, other_norm, other_weights, other_measured, other_answers in done:
        assert other_norm == pytest.approx(norm, rel=1e-4)
        assert max(distance(gradient, other), distance(weights, other_weights)) < CLOSE
        assert other_measured == pytest.approx(measured, rel=1e-3, abs=1e-4)
        assert other_answers == answers


class Counting:
    """A file of weights, or a slice of one, which counts the numbers that are read of it."""

    def __init__(self, inner, count):
        self.inner, self.count = inner, count

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def get_slice(self, name):
        return Counting(self.inner.get_slice(name), self.count)

    def __getitem__(self, where):
        found = self.inner[where]
        self.count(found.numel())
        return found


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("kind", "size", "offloads"), [("tied", 2, False), ("untied", 3, True)])
def test_every_rank_reads_its_slices_alone_and_they_are_the_model(
    in_ranks, model, tmp_path, monkeypatch, kind, size, offloads
):
    if kind == "untied":
        untie(model)
    save_model(model, tmp_path / "model")
    whole_model = load_model(str(tmp_path / "model"), model.numerics)
    expected, read = dict(whole_model.network.named_parameters()), Counter()

    def opened(*args, **kwargs):
        rank = ranks.rank()  # here, as threads without one do the reading
        return Counting(safe_open(*args, **kwargs), lambda number: read.update({rank: number}))

    def work(_):
        own = load_model(str(tmp_path / "model"), model.numerics, cut=Cut(model.numerics, offloads=offloads))
        found = whole_of_all(dict(own.network.named_parameters()))
        same = set(found) == set(expected) and all(torch.equal(found[name], expected[name]) for name in expected)
        heads = own.head.weight is own.causal_lm.get_input_embeddings().weight, own.sharded.head is None
        return sum(own_slice(p).numel() for p in own.network.parameters()), same, own.shares, heads

    monkeypatch.setattr(modeling_utils, "safe_open", opened)
    done = in_ranks(size, work)
    total = sum(p.numel() for p in expected.values())
    assert all(isinstance(one, tuple) for one in done), done
    assert {one[1:] for one in done} == {(True, True, (kind == "tied",) * 2)}
    assert [read[rank] for rank in range(size)] == [one[0] for one in done], "each reads what it holds"
    assert sum(read.values()) == total, "all together read every weight once"


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("trained", [{}, {"lora": {"rank": 4}}], ids=["all weights", "an adapter"])
def test_a_sharded_run_writes_the_model_of_one_process_and_goes_on_in_any_number(
    in_ranks, dpo, make_reporter, tmp_path, trained
):
    def stop():
        raise UserError("stopped by the test")

    def run(size, folder, reporter=None, **more):
        how = {"output": str(tmp_path / folder), **settings, **SHARDED, **more}
        (first, *_) = in_ranks(size, lambda rank: dpo(reporter if rank == 0 else None, **how))
        return first

    settings = {"save": {"checkpoint_every": 2, "keep_checkpoints": 9, "num_samples": 0}, "model": trained}
    alone = dpo(name="alone", **settings)
    finished = run(2, "whole")
    assert not isinstance(finished, BaseException), finished
    assert distance(weights_of(alone.path), weights_of(tmp_path / "whole")) < CLOSE
    assert "stopped by the test" in str(run(2, "run", make_reporter({3: stop})))
    shutil.copytree(tmp_path / "run", tmp_path / "in-3")
    files = sorted(file.name for file in (tmp_path / "run" / "checkpoints" / "step-2").glob("*-of-*"))
    names = [f"{stem}-0000{i}-of-00002.safetensors" for stem in ("optimiser", "weights") for i in (1, 2)]
    assert files == ([] if trained else names), "an adapter is whole on every rank"
    for size, folder, tolerance in ((2, "run", 0.0), (3, "in-3", CLOSE)):
        again = run(size, folder, resume=True)
        assert not isinstance(again, BaseException), again
        assert distance(weights_of(tmp_path / "whole"), weights_of(tmp_path / folder)) <= tolerance


@pytest.mark.slow(threads=1)
def test_a_checkpoint_that_one_rank_cannot_write_is_absent_and_its_words_end_all(in_ranks, dpo, tmp_path, monkeypatch):
    def full(tensors, file, *_):
        if "weights-00002" in str(file):
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        save_file(tensors, file, *_)

    monkeypatch.setattr(slices, "save_file", full)
    settings = {"save": {"checkpoint_every": 2, "num_samples": 0}, **SHARDED}
    ended = in_ranks(2, lambda _: dpo(output=str(tmp_path / "run"), **settings))
    assert [type(error) for error in ended] == [OutputError] * 2
    assert "the disk is full" in str(ended[0])
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


@pytest.mark.parametrize(
    ("more", "processes", "words"),
    [
        ({}, 1, "there is one process, which cannot share"),
        ({"output": None}, 2, "are written to a folder"),
        ({"dpo": {"band": {}}}, 2, "runs several backward passes for a pair"),
        ({"optimiser": {"router_loss": 0.01}}, 2, "reads states inside the model"),
        ({"sampling": {"judge": "positivity"}}, 2, "writes responses during training"),
        ({"dpo": {"objective": "tdpo2"}}, 2, "beside the policy in every step"),
        ({"dpo": {"moving_reference": {}}}, 2, "a moving reference cannot be sharded"),
        ({"alarms": {"kl_over_budget": 1.0}}, 2, "keeps a second model"),
        ({"model": {"reference": "other"}}, 2, "leave out model.reference"),
        ({"model": {"share_prefixes": False}}, 2, "sharding needs shared prefixes; leave out model.share_prefixes"),
    ],
)
def test_what_is_not_sharded_is_refused(more, processes, words):
    config = DPOConfig.model_validate({"output": "run", **SHARDED, **more})
    with pytest.raises(ConfigError, match=r"parallel\.mode: .*" + words):
        require_shareable(config, processes)


@pytest.mark.slow(threads=1)
def test_auto_decides_by_the_memory_and_a_run_goes_on_in_the_other_mode(
    in_ranks, dpo, model, make_reporter, tmp_path, monkeypatch
):
    def stop():
        raise UserError("stopped by the test")

    state = 16 * sum(p.numel() for p in model.network.parameters())
    how = {"save": {"checkpoint_every": 2, "num_samples": 0}, "parallel": {"mode": "auto"}}
    alone = dpo(name="alone", **how)
    how |= {"output": str(tmp_path / "run")}
    before, after = make_reporter({3: stop}), make_reporter()
    monkeypatch.setattr(devices, "memory_of_machine", lambda: 2 * state)
    in_ranks(2, lambda rank: dpo(before if rank == 0 else None, **how))
    assert any("is sharded over 2 processes" in line for line in before.said)
    (saved,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert {file.name for file in saved.glob("weights*")} == {f"weights-0000{i}-of-00002.safetensors" for i in (1, 2)}
    monkeypatch.setattr(devices, "memory_of_machine", lambda: 4 * state)
    (done, _) = in_ranks(2, lambda rank: dpo(after if rank == 0 else None, resume=True, **how))
    assert not isinstance(done, BaseException), done
    assert any("is replicated over 2 processes" in line for line in after.said)
    assert distance(weights_of(alone.path), weights_of(tmp_path / "run")) < CLOSE


@pytest.mark.parametrize(("on_this_machine", "mode"), [("1", "replicated"), ("2", "sharded"), (None, "sharded")])
def test_the_memory_of_a_machine_is_shared_by_its_own_processes(
    in_ranks, settings, make_reporter, model, monkeypatch, on_this_machine, mode
):
    state = 16 * sum(p.numel() for p in model.network.parameters())
    monkeypatch.setattr(devices, "memory_of_machine", lambda: state / 0.69)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if on_this_machine:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", on_this_machine)
    config = DPOConfig.model_validate(settings(parallel={"mode": "auto"}))
    found = in_ranks(2, lambda _: room.with_mode(config, make_reporter(), loaded=False))
    assert [getattr(one, "parallel", one).mode for one in found] == [mode] * 2, found


@pytest.mark.parametrize("mode", ["replicated", "auto"])
def test_what_has_no_slices_keeps_none_in_the_memory_of_the_machine(mode):
    config = DPOConfig.model_validate({"output": "run", "parallel": {"mode": mode, "offload": True}})
    with pytest.raises(
        ConfigError, match=rf"^parallel\.offload: .* parallel\.mode is {mode}; set parallel\.mode=sharded"
    ):
        require_shareable(config, 2)


def test_a_head_of_rewards_beside_an_adapter_is_not_sharded():
    config = RewardConfig.model_validate({"output": "run", **SHARDED, "model": {"lora": {}}})
    with pytest.raises(ConfigError, match=r"parallel\.mode: the head of a reward model with an adapter"):
        require_shareable(config, 2)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("offload", [False, True])
def test_texts_are_learned_as_in_one_process(in_ranks, sft, tmp_path, offload):
    alone, parallel = sft(name="alone"), {"mode": "sharded", "offload": offload}
    ended = in_ranks(2, lambda _: sft(output=str(tmp_path / "run"), parallel=parallel))
    assert not any(isinstance(one, BaseException) for one in ended), ended
    assert distance(weights_of(alone.path), weights_of(tmp_path / "run")) < CLOSE


@pytest.mark.slow(threads=1)
def test_two_processes_of_a_command_share_a_model(in_a_process, pairs_file, tmp_path):
    for name, more in (("alone", []), ("together", ["--processes", "2", "--set", "parallel.mode=sharded"])):
        done = in_a_process("reward", pairs_file, "--epochs", "1", "--set", "data.held_out=0.25", *more, "-o", name)
        assert done.returncode == 0, done.stderr
    assert distance(weights_of(tmp_path / "alone"), weights_of(tmp_path / "together")) < CLOSE
    one, other = ({file.name: file for file in (tmp_path / name / "model").iterdir()} for name in ("alone", "together"))
    assert set(one) == set(other)
    beside = [name for name in one if not name.endswith(".safetensors") and name != "README.md"]  # which tells times
    assert [name for name in beside if one[name].read_bytes() != other[name].read_bytes()] == []


CTRL_C = """
import os
import signal

import penchant as pt


class Stop(pt.Callback):
    def on_step(self, training, row):
        if training.step == 2 and os.environ["STOPS"] == "yes":
            os.kill(os.getppid(), signal.SIGINT)
"""


@pytest.mark.slow(threads=1)
def test_a_sharded_run_in_bfloat16_stops_at_ctrl_c_saves_and_goes_on(dpo, in_a_process, pairs_file, tmp_path):
    (tmp_path / "ctrl_c.py").write_text(CTRL_C)

    def run(name, *more, stops="no"):
        words = ("--epochs", "2", "--dtype", "bfloat16", "--set", "save.num_samples=0", "--set", "data.held_out=0.25")
        return in_a_process("dpo", pairs_file, *words, *more, "-o", name, STOPS=stops)

    together = ("--processes", "2", "--set", "parallel.mode=sharded", "--tracker", "ctrl_c:Stop")
    stopped = run("run", *together, stops="yes")
    assert stopped.returncode == 130, stopped.stderr
    assert "Traceback" not in stopped.stderr
    (saved,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert int(saved.name.removeprefix("step-")) in (2, 3)
    assert not (tmp_path / "run" / "model").exists()
    done = run("run", *together, "--resume")
    assert done.returncode == 0, done.stderr
    alone = dpo(name="alone", model={"dtype": "bfloat16"})
    apart = distance(weights_of(alone.path), weights_of(tmp_path / "run"))
    assert 0.0 < apart < 1e-4  # of the 1e-3 that Adam moves a weight


FAILURE = """
import penchant as pt


class Fail(pt.Callback):
    def on_step(self, training, row):
        layer = training.model.body.layers[2]
        if training.step == 2 and "{way}" == "there":
            layer.register_forward_hook(self.fail)
        elif training.step == 2:
            layer.register_forward_hook(self.fail_later)

    def fail_later(self, module, given, found):
        if found.requires_grad:
            found.register_hook(self.fail)

    def fail(self, *_):
        raise MemoryError("broken by the test")
"""


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("way", ["there", "back"])
def test_a_process_that_fails_in_the_midst_of_a_step_ends_the_run(in_a_process, pairs_file, tmp_path, way):
    (tmp_path / "failure.py").write_text(FAILURE.replace("{way}", way))
    words = ("--processes", "2", "--set", "parallel.mode=sharded", "--tracker", "failure:Fail", "-o", "run")
    done = in_a_process("dpo", pairs_file, *words, timeout=120)
    assert done.returncode in (1, 2)
    assert "broken by the test" in done.stderr
    assert "Traceback" not in done.stderr
