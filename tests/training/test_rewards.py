"""Runs that train a reward model: they learn, minimise what they say, go on bit for bit, refuse what they ignore."""

import json
import math
import os
import signal
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification

import penchant as pt
from penchant.errors import ConfigError
from penchant.models.load import load_model
from penchant.models.reward_folder import load_reward_model
from penchant.models.reward_model import reward_model_of
from penchant.report.measures import measures
from penchant.report.summary import summary
from penchant.training.config import RewardConfig
from penchant.training.interrupt import Interrupted
from penchant.training.loop import accumulate
from penchant.training.objective import choose_recipe
from penchant.training.rewards import RewardTask
from penchant.training.run import train
from penchant.training.run_folder import read_rows_written
from penchant.training.trained import Run

TIMINGS = {"tokens_per_second", "step_seconds"}


@pytest.fixture
def reward(settings, make_reporter):
    def run(reporter=None, *, resume=False, **sections):
        config = RewardConfig.model_validate(settings(**sections))
        return train(config, choose_recipe(config), reporter or make_reporter(), resume=resume).record

    return run


@pytest.fixture
def reward_model(model):
    found = reward_model_of(model)
    with torch.no_grad():
        found.head.weight.normal_(0, 0.2, generator=torch.Generator().manual_seed(0))
    return found


def rows(folder):
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in read_rows_written(folder.metrics)]


def weights(folder):
    (file,) = (folder.path / "model").glob("*.safetensors")
    return file.read_bytes()


@pytest.mark.slow(threads=1)
def test_a_reward_model_learns_which_of_its_pairs_are_preferred(reward):
    folder = reward(data={"held_out": 0}, optimiser={"epochs": 6, "learning_rate": 1e-3, "batch_size": 16})
    steps = [row for row in rows(folder) if "grad_norm" in row]
    assert steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)  # every reward is 0 at first
    assert steps[0]["rewards/accuracies"] == 0.5
    assert steps[-1]["rewards/accuracies"] == 1.0
    assert steps[-1]["loss"] < 0.5
    assert steps[-1]["rewards/chosen"] > steps[-1]["rewards/rejected"]
    assert AutoModelForSequenceClassification.from_pretrained(folder.model).config.num_labels == 1
    assert (folder.ledger["command"], folder.ledger["status"]) == ("reward", "finished")


@pytest.mark.slow(threads=1)
def test_held_out_accuracy_has_its_interval(reward):
    (last,) = [row for row in rows(reward(optimiser={"epochs": 1})) if "eval_loss" in row]
    low, high = (last[f"eval_rewards/accuracies_{end}"] for end in ("low", "high"))
    assert low <= last["eval_rewards/accuracies"] <= high


@pytest.mark.slow(threads=1)
def test_held_out_accuracy_by_length_and_calibration_are_recorded_and_said(reward, monkeypatch):
    run = Run(reward(optimiser={"epochs": 2}))
    last = run.metrics[-1]
    by_length = [last.get(f"eval_rewards/accuracies/chosen_{name}_num", 0) for name in ("longer", "as_long", "shorter")]
    assert sum(by_length) == run.ledger["num_held_out_pairs"]
    right = sum(
        last[f"eval_rewards/accuracies/chosen_{name}"] * last[f"eval_rewards/accuracies/chosen_{name}_num"]
        for name in ("longer", "as_long", "shorter")
        if f"eval_rewards/accuracies/chosen_{name}" in last
    )
    assert right / sum(by_length) == pytest.approx(last["eval_rewards/accuracies"])
    assert 0 <= last["eval_rewards/ece"] <= 1
    assert not any("where chosen is" in line for line in run.summary), "of so few pairs parts say nothing"
    monkeypatch.setitem(summary.__globals__, "ENOUGH_FOR_PARTS", sum(by_length))
    assert any("where chosen is" in line and "(ECE)" in line for line in run.summary)
    assert any("calibration error" in measure.name for measure in measures(run.ledger, run.metrics, [], None, str))


def expected_gradient(network, pairs, centring):
    """The mean over pairs, each sequence by itself through transformers' own forward."""
    total = 0.0
    for pair in pairs:
        ids = [torch.from_numpy(side.ids)[None] for side in pair.sequences]
        chosen, rejected = (network(input_ids=one).logits[0, 0] for one in ids)
        z, p = chosen - rejected - pair.margin, pair.probability
        loss = p * torch.log1p(torch.exp(-z)) + (1 - p) * torch.log1p(torch.exp(z))
        total = total + pair.weight * (loss + centring * (chosen + rejected) ** 2)
    network.zero_grad()
    (total / len(pairs)).backward()
    return float(total.detach()) / len(pairs), {name: p.grad.clone() for name, p in network.named_parameters()}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("centring", [0.0, 0.05])
def test_soft_labels_margins_weights_and_ties_are_read_and_the_gradient_is_that_of_a_slow_loop(
    reward_model, pairs, centring
):
    items = [
        replace(pairs[0], probability=0.5),
        replace(pairs[1], probability=0.8, margin=0.3),
        replace(pairs[2], weight=2.0),
        *pairs[3:6],
    ]
    parameters = list(reward_model.network.parameters())
    network = AutoModelForSequenceClassification.from_config(
        deepcopy(reward_model.network.config), attn_implementation="eager"
    )
    network.load_state_dict(reward_model.network.state_dict())
    loss, gradient = expected_gradient(network, items, centring)
    for budget in (60, 1000):  # how a batch is cut changes nothing
        reward_model.network.zero_grad()
        result = accumulate(
            reward_model, RewardTask(centring), items, parameters, token_budget=budget, max_grad_norm=1e9
        )
        assert result.means["loss"] == pytest.approx(loss, rel=1e-5)
        for name, parameter in reward_model.network.named_parameters():
            largest = float(gradient[name].abs().max())
            assert torch.allclose(parameter.grad, gradient[name], atol=1e-3 * largest + 1e-7), name


def test_a_pair_found_equally_good_is_right_by_half_and_one_preferred_the_other_way_is_turned(reward_model, pairs):
    def accuracy(pair):
        with torch.no_grad():
            return float(RewardTask().losses(reward_model, [pair])[1]["rewards/accuracies"][0])

    right = accuracy(pairs[0])
    assert right in (0.0, 1.0)
    assert accuracy(replace(pairs[0], probability=0.5)) == 0.5
    assert accuracy(replace(pairs[0], probability=0.2)) == 1 - right


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("kind", [{}, {"lora": {"rank": 4}}], ids=["full", "LoRA"])
def test_a_stopped_run_goes_on_bit_for_bit(reward, make_reporter, tmp_path, kind):
    options = {"model": kind, "save": {"eval_every": 2}}
    straight = reward(output=str(tmp_path / "straight"), **options)
    stop = make_reporter({4: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    with pytest.raises(Interrupted, match="after step 4 of 6, saved; continue with `resume=True`"):
        reward(stop, output=str(tmp_path / "stopped"), **options)
    resumed = reward(output=str(tmp_path / "stopped"), resume=True, **options)
    assert weights(resumed) == weights(straight)
    assert rows(resumed) == rows(straight)


@pytest.mark.slow(threads=1)
def test_centring_takes_the_mean_of_the_rewards_to_zero(reward_model, pairs):
    def mean_after(centring):
        model = reward_model.copy()
        parameters = [torch.nn.Parameter(p.detach().clone()) for p in [model.head.weight]]
        model.network.score.weight = parameters[0]
        optimiser = torch.optim.SGD(parameters, lr=0.01)
        for _ in range(10):
            optimiser.zero_grad()
            accumulate(model, RewardTask(centring), pairs[:4], parameters, token_budget=900, max_grad_norm=1e9)
            optimiser.step()
        with torch.no_grad():
            metrics = RewardTask().losses(model, pairs[:4])[1]
        return abs(float(sum(metrics[f"rewards/{side}"][0].mean() for side in ("chosen", "rejected"))) / 2)

    assert mean_after(0.1) < 0.8 * mean_after(0.0)


@pytest.mark.slow(threads=1)
def test_a_reward_model_is_trained_further_and_in_memory(stories260k, pairs_file):
    how = {"epochs": 1, "held_out": 0.25, "progress": False}
    run = pt.reward(load_model(str(stories260k), pt_numerics(), chat_template="plain"), str(pairs_file), **how)
    again = pt.reward(run.model, str(pairs_file), **how)
    first, further = (one.metrics.column("loss")[0] for one in (run, again))
    assert further < first
    assert again.model.task_type == "SEQ_CLS"
    with pytest.raises(ConfigError, match="is a reward model, which writes no text"):
        pt.dpo(run.model, str(pairs_file), **how)


def pt_numerics():
    from penchant.models.numerics import Numerics

    return Numerics(torch.device("cpu"), torch.float32)


@pytest.mark.slow(threads=1)
def test_the_model_of_a_run_is_its_reward_model(reward):
    folder = reward()
    model = pt.open_run(folder.path).model
    assert type(model) is type(load_reward_model(str(folder.path), model.numerics))


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"model": {"reference": "elsewhere"}}, "model.reference is not read by reward"),
        ({"save": {"num_samples": 2}}, "save.num_samples is not read by reward, as a reward model writes no text"),
    ],
)
def test_what_a_reward_model_does_not_read_is_refused(settings, sections, words):
    with pytest.raises(ValueError, match=words):
        RewardConfig.model_validate(settings(**sections))


@pytest.mark.slow(threads=1)
def test_settings_that_were_written_are_read_again(reward, tmp_path):
    folder = reward(save={"eval_every": 3}, reward={"centring": 0.01})
    written = json.loads((folder.path / "run.json").read_text(encoding="utf-8"))["config"]
    assert RewardConfig.model_validate(written).save.eval_every == 3
    assert RewardConfig.model_validate(written).reward.centring == 0.01
    assert RewardConfig.model_validate({"save": {"eval_every": 3}}).save.num_samples == 0
