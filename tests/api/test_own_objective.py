"""An objective of one's own: a function of a PairBatch with parameters that settings name."""

import pytest
import torch

import penchant as pt


def mine(batch: pt.PairBatch, *, beta: float = 0.1, gamma: float = 0.0) -> torch.Tensor:
    """DPO with a margin; with a margin of zero it is DPO."""
    chosen = batch.policy_chosen_B - batch.reference_chosen_B
    rejected = batch.policy_rejected_B - batch.reference_rejected_B
    return -torch.nn.functional.logsigmoid(beta * (chosen - rejected) - gamma)


@pytest.mark.slow(threads=1)
def test_the_same_formula_trains_as_the_built_in_one(train):
    own, built_in = train(objective=mine), train(objective="dpo")
    for name in ("loss", "grad_norm", "eval_loss", "rewards/margins"):
        assert own.metrics.column(name) == pytest.approx(built_in.metrics.column(name), rel=1e-4, abs=1e-6), name
    a, b = (run.model.network.state_dict() for run in (own, built_in))
    for name, weight in a.items():
        assert torch.allclose(weight, b[name], atol=1e-5), name


@pytest.mark.slow(threads=1)
def test_a_parameter_of_its_own_is_set_by_name_and_recorded(train):
    settings = {"dpo.gamma": 1.0, "save.num_samples": 0}
    run = train(objective=mine, settings=settings)
    assert run.metrics[0]["loss"] == pytest.approx(1.3133, abs=1e-4)  # log(1 + e) where rewards are zero
    assert run.ledger["config"]["dpo"]["gamma"] == 1.0
    assert run.ledger["config"]["dpo"]["objective"].endswith(":mine")


def test_a_parameter_that_the_function_has_not_is_refused(train):
    with pytest.raises(pt.ConfigError, match="delta"):
        train(objective=mine, settings={"dpo.delta": 1.0})


def test_a_function_that_returns_another_shape_is_refused(train):
    with pytest.raises(pt.PenchantError, match="shape"):
        train(objective=lambda batch: mine(batch).mean())
