"""A plan made without weights holds against the numbers of real runs and of hand counts."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import penchant as pt
from penchant.errors import ConfigError, ModelError
from penchant.models import devices
from penchant.models.blueprint import Blueprint, tiny_config
from penchant.models.load import load_model
from penchant.models.numerics import Numerics
from penchant.models.tracing import Work, tracing, without_numbers
from penchant.tokens import TokenSequence
from penchant.training import footprint, planning, policies, room


@pytest.fixture(autouse=True)
def _known_rates(monkeypatch):
    """What is measured of a machine decides no test."""
    here = devices.Device("this machine", 8e9, 1e11, 1e10, 1e-5, None, "made up", waits=True)
    monkeypatch.setattr(devices, "this_machine", lambda: here)


@pytest.fixture
def plan(stories260k, pairs_file):
    def plan(**arguments):
        arguments = {"chat_template": "plain", "progress": False, **arguments}
        return pt.plan(str(stories260k), str(pairs_file), **arguments)

    return plan


def test_what_is_held_at_once_and_multiplied_is_counted():
    with without_numbers():
        a = torch.zeros(100, 50)
        with tracing(0.1) as trace:
            b = a @ a.t()  # 40,000 bytes
            c = b + 1  # as many again
            del b
            c.sum()
    assert trace.work.peak == 80_000
    assert trace.work.products == 2 * 100 * 100 * 50
    assert trace.work.moved == 4 * (2 * 10_000 + 10_000 + 1)


@pytest.mark.slow(threads=1)
def test_each_further_layer_adds_what_the_second_did():
    config = tiny_config()
    sequences = [TokenSequence.of([1, 2, 3], [4, 5, 6]), TokenSequence.of([1, 2, 3], [7, 8])]
    config.num_hidden_layers = 5
    blueprint = Blueprint(config)
    assert blueprint.work(sequences, 10.0).products == blueprint._work(5, sequences, 10.0, True).products
    assert blueprint.work(sequences, 10.0).calls == pytest.approx(
        blueprint._work(5, sequences, 10.0, True).calls, rel=0.01
    )


@pytest.mark.slow(threads=1)
def test_parameters_are_those_of_the_loaded_model(plan, stories260k):
    model = load_model(str(stories260k), Numerics(torch.device("cpu"), torch.float32), chat_template="plain")
    total = sum(p.numel() for p in model.network.parameters())
    whole, adapter = plan(), plan(lora={"rank": 4})
    assert (whole.num_parameters, whole.num_trained) == (total, total)
    assert whole.memory["weights"] == whole.memory["gradients"] == 4 * total == whole.memory["moments"] / 2
    assert adapter.num_trained == adapter.num_parameters - total > 0


@pytest.mark.slow(threads=1)
def test_a_plan_counts_the_tokens_that_the_run_then_runs(plan, stories260k, pairs_file, tmp_path, monkeypatch):
    planned = plan(settings={"save.num_samples": 0})
    run = pt.dpo(
        str(stories260k), str(pairs_file), chat_template="plain", settings={"save.num_samples": 0}, progress=False
    )
    assert planned.counts.run == [row for row in run.metrics if "num_tokens" in row][-1]["num_tokens"]


@pytest.mark.slow(threads=1)
def test_a_reference_that_runs_in_every_step_is_counted_but_for_an_adapter(plan):
    (dpo, tdpo), (lora, beside) = ([plan(objective=o, lora=a) for o in ("dpo", "tdpo2")] for a in (None, {"rank": 4}))
    assert tdpo.memory["weights"] == 2 * dpo.memory["weights"]
    assert beside.memory["weights"] == lora.memory["weights"]
    assert tdpo.memory["activations"] == dpo.memory["activations"]
    assert 1.15 * dpo.seconds["training"] < tdpo.seconds["training"] < 1.6 * dpo.seconds["training"]


@pytest.mark.slow(threads=1)
def test_activations_computed_again_are_fewer_and_those_of_smaller_budgets_too(plan):
    usual = plan().memory["activations"]
    assert plan(settings={"model.gradient_checkpointing": True}).memory["activations"] < 0.7 * usual
    assert plan(settings={"optimiser.token_budget": 80}).memory["activations"] < 0.7 * usual


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("task", ["dpo", "reward"])
def test_a_device_by_name_has_its_memory_and_energy(plan, task):
    found = plan(task=task, device="h100", processes=2)
    assert found.fits
    assert found.device.memory == 80e9
    assert found.watt_hours == pytest.approx(2 * 700 * found.total_seconds / 3600)
    assert json.loads(json.dumps(found.as_dict()))["fits"] is True


@pytest.mark.slow(threads=1)
def test_processes_of_one_machine_share_its_cores_and_its_memory(plan):
    one, two = (plan(processes=number, settings={"optimiser.batch_size": 2}) for number in (1, 2))
    assert one.seconds == two.seconds
    assert one.memory["activations"] == two.memory["activations"]
    assert (one.fits, two.fits) == (True, True)
    room = replace(one.device, memory=1.5 * one.peak)
    assert [replace(found, device=room).fits for found in (one, two)] == [True, False]


@pytest.mark.slow(threads=1)
def test_a_process_that_holds_a_slice_needs_less(plan):
    whole, sliced = (plan(device="h100", processes=4, settings={"parallel.mode": m}) for m in ("replicated", "sharded"))
    for part in ("weights", "gradients", "moments"):
        assert sliced.memory[part] == whole.memory[part] / 4
    assert sliced.memory["activations"] == whole.memory["activations"]
    # stories260k: 64 wide, 512 tokens, 5 layers of 8 heads of which 4 have keys, 172 in the MLP; its head is tied
    layer, outside = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 172 + 2 * 64, 512 * 64 + 64
    assert whole.num_parameters == 5 * layer + outside
    assert sliced.memory["gathered weights"] == 4 * 2 * outside + 2 * 3 * layer  # computed in bfloat16 there
    assert "in slices" in str(sliced)
    assert "in slices" not in str(whole)
    adapter = plan(device="h100", processes=4, lora={"rank": 4}, settings={"parallel.mode": "sharded"})
    assert adapter.memory["moments"] == 8 * adapter.num_trained
    assert adapter.memory["gathered weights"] == 4 * outside + 2 * 2 * layer


@pytest.mark.slow(threads=1)
def test_slices_that_the_machine_keeps_are_not_on_the_device(plan, known_work):
    kept = {"parallel.mode": "sharded", "parallel.offload": True}
    there, away = (plan(device="h100", processes=8, settings=how) for how in ({"parallel.mode": "sharded"}, kept))
    cut = ("weights", "gradients", "moments")
    assert [away.memory[part] for part in cut] == [0.0] * 3
    assert away.offloaded == sum(there.memory[part] for part in cut) == 16 * away.num_parameters / 8
    assert there.offloaded == 0.0
    assert away.peak == pytest.approx(there.peak - away.offloaded)
    assert "520.1 kB in the machine's memory" in str(away)
    assert (away.seconds, away.as_dict()["offloaded_bytes"]) == ({}, round(away.offloaded))
    assert any("GB  in the machine's memory" in line for line in away.in_words())
    adapter = plan(device="h100", processes=8, lora={"rank": 2}, settings=kept)
    assert adapter.offloaded == 4 * adapter.num_parameters / 8
    assert adapter.memory["moments"] == 8 * adapter.num_trained
    here = plan(processes=2, settings=kept)
    assert (here.offloaded, here.memory["weights"]) == (0.0, 4 * here.num_parameters / 2), "it has no other memory"


@pytest.mark.slow(threads=1)
def test_slices_are_chosen_where_the_whole_would_not_fit(plan, monkeypatch):
    state = 16 * plan().num_parameters
    for memory, mode in ((state / 0.69, "replicated"), (state / 0.71, "sharded")):
        small = devices.Device("small", memory, 1e12, 1e12, 1e-6, None, "made up")
        monkeypatch.setitem(devices.DEVICES, "small", small)
        assert plan(device="small", processes=2, settings={"parallel.mode": "auto"}).mode == mode
    assert plan(device="small", settings={"parallel.mode": "auto"}).mode == "replicated"
    unshared = {"parallel.mode": "auto", "model.share_prefixes": False}
    assert plan(device="small", processes=2, settings=unshared).mode == "replicated", "slices are of trees"


def test_more_processes_than_a_batch_can_feed_are_refused(plan):
    with pytest.raises(ConfigError, match="9 processes cannot share a batch of 8"):
        plan(device="h100", processes=9)


@pytest.fixture
def known_work(monkeypatch):
    """What a micro-batch holds, as if it were counted: counting takes a second each time."""

    def work(blueprint, sequences, balance, *, trains=True):
        share = (0.3 if blueprint.computes_again else 1.0) * (0.8 if blueprint.rank else 1.0)
        return Work(share * 15_000 * sum(map(len, sequences)), 1e9, 1e9, 1e3)

    monkeypatch.setattr(Blueprint, "work", work)
    monkeypatch.setattr(footprint, "CONTEXT_BYTES", 0.0)


LEVERS = (
    {"model.gradient_checkpointing": True},
    {"parallel.mode": "sharded"},
    {"parallel.mode": "sharded", "parallel.offload": True},
    {"optimiser.moments": "8bit"},
    {"model.lora": {"rank": 16}},
)


@pytest.mark.slow(threads=1)
def test_what_is_proposed_for_a_run_that_does_not_fit_would_fit_and_what_is_not_would_not(
    plan, known_work, monkeypatch
):
    def of_memory(memory, **settings):
        small = devices.Device("small", memory, 1e12, 1e12, 1e-6, None, "made up")
        monkeypatch.setitem(devices.DEVICES, "small", small)
        return plan(
            device="small", processes=2, settings={"optimiser.token_budget": 1, "save.num_samples": 0, **settings}
        )

    found = {tuple(lever): of_memory(1e9, **lever).peak for lever in LEVERS}
    limit = sorted(found.values())[2] + 1  # of five, three fit
    whole = of_memory(limit)
    assert not whole.fits
    assert whole.memory["weights"] == 4 * whole.num_parameters
    proposed = {tuple(re.findall(r"(\S+)=", line)): line for line in whole.proposals if "nf4" not in line}
    assert list(proposed) == [names for names, peak in found.items() if peak <= limit]
    for names, line in proposed.items():
        peak = found[names]
        assert line.endswith(f" would need about {peak / 1e6:.1f} MB")
        assert peak < whole.peak


@pytest.mark.slow(threads=1)
def test_pairs_are_proposed_where_nothing_single_is_enough_and_in_the_end_another_model(plan, known_work, monkeypatch):
    how = {"optimiser.token_budget": 1, "save.num_samples": 0}
    both = plan(device="h100", lora={"rank": 16}, settings=how | {"model.gradient_checkpointing": True})
    for memory, last in (
        (both.peak + 1, "model.gradient_checkpointing=true model.lora={rank: 16} would need about"),
        (1e5, "a smaller model, or a device with more memory"),
    ):
        small = devices.Device("small", memory, 1e12, 1e12, 1e-6, None, "made up")
        monkeypatch.setitem(devices.DEVICES, "small", small)
        proposed = plan(device="small", settings=how | {"model.reference": "another"}).proposals  # so nothing in 4 bits
        assert proposed[-1].startswith(last)
        assert all(" model." in line or " optimiser." in line for line in proposed[:-1])


def test_a_device_that_is_not_known_is_refused(plan):
    with pytest.raises(ConfigError, match="device: the speed of 'h1000' is not known; did you mean 'h100'"):
        plan(device="h1000")


@pytest.fixture
def on_gpu(known_work, monkeypatch):
    """A GPU of so much memory, as PyTorch tells of one; a run on it ends before it is used."""

    def on_gpu(memory, name="NVIDIA H100 80GB HBM3"):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        found = SimpleNamespace(name=name, total_memory=memory)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _=0: found)

    return on_gpu


class Loaded(Exception):
    """The run went so far as to load the model."""


@pytest.fixture
def without_loading(monkeypatch):
    def load(*_, **__):
        raise Loaded

    monkeypatch.setattr(policies, "load_model", load)


def test_a_gpu_too_small_is_refused_before_anything_is_loaded_with_what_would_fit(dpo, on_gpu, without_loading):
    on_gpu(4_000_000)
    with pytest.raises(ConfigError) as refused:
        dpo(model={"device": "auto", "dtype": "auto"})
    told = str(refused.value)
    assert (
        "260,032 weights, with gradients and moments of the 260,032 that are trained, take 4.2 MB, and NVIDIA" in told
    )
    assert "NVIDIA H100 80GB HBM3 has 4.0 MB; try " in told
    assert "would need about 3." in told


@pytest.mark.slow(threads=1)
def test_the_memory_of_a_machine_says_nothing_of_a_run_on_its_gpu(dpo, on_gpu, without_loading, reporter, monkeypatch):
    on_gpu(80_000_000)
    monkeypatch.setattr(devices, "memory_of_machine", lambda: 1e6)
    with pytest.raises(Loaded):
        dpo(reporter, model={"device": "auto", "dtype": "auto"})
    (line,) = [said for said in reporter.said if said.startswith("needs about")]
    assert line.endswith(" of 80.0 MB, 0 s"), "the rates of an H100 are known"
    with pytest.raises(ConfigError, match=r"this machine has 1\.0 MB"):
        dpo(model={"device": "cpu"})


def test_a_gpu_that_is_in_no_table_has_its_memory_and_no_rates(on_gpu):
    on_gpu(24e9, "NVIDIA L4000 Imagined")
    found = devices.device_of_run("auto")
    assert (found.memory, found.has_rates) == (24e9, False)
    for name, known in (("NVIDIA A100-SXM4-40GB", "a100-40gb"), ("NVIDIA GeForce RTX 4090", "rtx4090")):
        on_gpu(1e9, name)
        assert devices.device_of_run("cuda").products == devices.DEVICES[known].products


@pytest.mark.parametrize(
    ("mode", "memory", "refused"),
    [
        ("replicated", 8.2e6, "4.2 MB in each of 2 processes, and"),
        ("replicated", 8.5e6, None),
        ("sharded", 4.1e6, "MB in each of 2 processes, in slices, and"),
        ("sharded", 7.9e6, None),
        ("auto", 7.9e6, None),
    ],
)
def test_processes_of_a_machine_each_hold_a_model_or_a_slice(
    in_ranks, dpo, without_loading, monkeypatch, mode, memory, refused
):
    monkeypatch.setattr(devices, "memory_of_machine", lambda: memory)
    monkeypatch.setattr(planning, "plan_of_recipe", no_plan)
    monkeypatch.setattr(room, "plan_of_recipe", no_plan)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    for ended in in_ranks(2, lambda _: dpo(parallel={"mode": mode})):
        if refused:
            assert isinstance(ended, ConfigError)
            assert refused in str(ended)
        else:
            assert "Loaded" in repr(ended), ended


def test_slices_that_the_machine_itself_cannot_keep_are_refused(in_ranks, dpo, on_gpu, without_loading, monkeypatch):
    on_gpu(100e6)
    monkeypatch.setattr(room, "memory_without_swap", lambda: 4.1e6)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    how = {"model": {"device": "auto", "dtype": "auto"}, "parallel": {"mode": "sharded", "offload": True}}
    for ended in in_ranks(2, lambda _: dpo(**how)):
        assert isinstance(ended, ConfigError), ended
        assert "the slices of 2 processes need 4.2 MB, but this machine has 4.1 MB of memory" in str(ended)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("memory", "proposed"), [(1e12, True), (4.1e6, False)])
def test_slices_are_proposed_for_the_machine_itself_only_where_it_can_keep_them(
    plan, on_gpu, monkeypatch, memory, proposed
):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(planning, "memory_without_swap", lambda: memory)
    how, kept = {"optimiser.token_budget": 1, "save.num_samples": 0}, {"parallel.offload": True}
    on_gpu(1e9)
    peak = plan(processes=2, settings={**how, **kept, "parallel.mode": "sharded"}).peak
    on_gpu(peak + 1)
    assert any("parallel.offload" in line for line in plan(processes=2, settings=how).proposals) is proposed


def no_plan(*_, **__):
    raise ConfigError("not planned")


@pytest.mark.slow(threads=1)
def test_a_run_that_cannot_fit_is_refused_before_it_is_loaded(dpo, without_loading, monkeypatch):
    monkeypatch.setattr(devices, "memory_of_machine", lambda: 3e6)
    with pytest.raises(ConfigError, match=r"take 4.2 MB, and this machine has 3.0 MB; try "):
        dpo()


def test_a_run_that_may_not_fit_goes_on_and_says_so_once_before_it_is_loaded(
    dpo, reporter, known_work, tmp_path, monkeypatch
):
    monkeypatch.setattr(devices, "memory_of_machine", lambda: 6e6)  # less than Python takes
    dpo(reporter, optimiser={"max_steps": 1})
    (line,) = [said for said in reporter.said if said.startswith("needs about")]
    assert "of 6.0 MB; it does not fit, if it is as planned; try a smaller model" in line
    counted = next(place for place, said in enumerate(reporter.said) if "to train on" in said)
    assert reporter.said.index(line) < counted
    stores = [folder for folder in (tmp_path / "cache" / "tokens").iterdir() if folder.is_dir()]
    assert len(stores) == 1, "the run finds the tokens that the plan has made"


@pytest.mark.slow(threads=1)
def test_a_model_in_memory_is_planned_as_it_is(stories260k, pairs_file, reporter, known_work, monkeypatch):
    monkeypatch.setattr(devices, "memory_of_machine", lambda: 2e8)
    model = pt.load(str(stories260k), chat_template="plain", device="cpu")
    how = {"optimiser.max_steps": 1, "save.num_samples": 0}
    pt.dpo(model, str(pairs_file), settings=how, progress=reporter)
    (line,) = [said for said in reporter.said if said.startswith("needs about")]
    assert "of 200.0 MB" in line


def test_a_lever_that_the_architecture_does_not_take_is_not_proposed_and_ends_no_plan(plan, known_work, monkeypatch):
    def attach(*_args, **_options):
        raise ModelError("peft finds no place for an adapter")

    monkeypatch.setattr("penchant.models.adapters.attach", attach)
    small = devices.Device("small", 1e6, 1e12, 1e12, 1e-6, None, "made up")
    monkeypatch.setitem(devices.DEVICES, "small", small)
    found = plan(device="small", settings={"save.num_samples": 0})
    assert not found.fits
    assert not any("lora" in line for line in found.proposals)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("error", [RuntimeError, TypeError, AttributeError, IndexError])
def test_a_model_that_cannot_be_planned_is_trained_all_the_same(dpo, reporter, monkeypatch, error):
    def depends_on_numbers(*_):
        raise error("aten.nonzero.default")

    monkeypatch.setattr(Blueprint, "_work", depends_on_numbers)
    monkeypatch.setattr(devices, "memory_of_machine", lambda: 6e6)
    dpo(reporter, optimiser={"max_steps": 1, "batch_size": 1})
    assert not any("plan" in said for said in reporter.said)
