"""The band whose ratio is measured: against gradients taken by hand, over a checkpoint, and what it holds."""

import pytest
import torch
from safetensors.torch import load, save

from penchant.errors import ConfigError
from penchant.models.forward import score_sequences
from penchant.objectives import RunningRatio, bind, in_band
from penchant.training.config import DPOConfig
from penchant.training.objective import choose_objective
from penchant.training.preferences import PreferenceTask

BETA = 0.1


def norm(model, sequence):
    grads = torch.autograd.grad(score_sequences(model, [sequence]).sum(), list(model.network.parameters()))
    return float(sum(grad.square().sum() for grad in grads)) ** 0.5


def test_after_a_step_the_two_gradients_of_a_pair_are_measured_and_one_in_sixteen_later(model, pairs):
    ratio, parameters = RunningRatio(), list(model.network.parameters())
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    objective = in_band(bind("dpo", beta=BETA), ratio=ratio, rho=0.9)
    reference = dict.fromkeys((s.key for pair in pairs for s in pair.sequences), -9.0)
    task = PreferenceTask(objective, BETA, reference, ratio=ratio)
    assert "band/ratio" not in task.losses(model, pairs[:2])[1]
    task.after_update(model, pairs[:4], parameters, 0)
    chosen, rejected = (norm(model, side) for side in pairs[0].sequences)
    assert ratio.value == pytest.approx(rejected / chosen, rel=1e-4)
    assert not any(bool(parameter.grad.any()) for parameter in parameters), "as the next step finds them"
    assert task.losses(model, pairs[:2])[1]["band/ratio"][0].tolist() == pytest.approx([ratio.value] * 2)
    for step in (1, 2, 3):
        task.after_update(model, pairs[1:5], parameters, step)
    assert ratio.weight == 1
    task.after_update(model, pairs[1:5], parameters, 4)
    assert ratio.weight == pytest.approx(1.98)
    again = PreferenceTask(objective, BETA, {}, ratio=RunningRatio())
    again.restore(load(save(task.state())))
    assert again.ratio == ratio


def test_settings_say_whether_the_ratio_is_measured():
    def recipe(**band):
        return choose_objective(DPOConfig.model_validate({"dpo": {"band": band}}))

    assert recipe().ratio == RunningRatio() == recipe(ratio="auto").ratio
    assert recipe(ratio=2.0).ratio is None
    for wrong in (0.0, "automatic"):
        with pytest.raises((ConfigError, ValueError), match="ratio"):
            recipe(ratio=wrong)
