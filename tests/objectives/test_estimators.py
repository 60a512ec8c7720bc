"""Estimators of advantages by name: ours, functions of others, and refusals that say what to do."""

import math
from dataclasses import replace

import pytest
import torch

from penchant.errors import ConfigError
from penchant.objectives import (
    ESTIMATORS,
    as_estimator,
    bind_estimator,
    get_estimator,
    grpo_advantages,
    rloo_advantages,
)

REWARD_R = torch.tensor([1.0, 3.0, 0.0, 4.0])
GROUP_R = torch.tensor([0, 0, 1, 1])


def from_batch(reward_R, group_R, *, share=1.0):
    """r_i - share x the mean of all rewards."""
    return reward_R - share * reward_R.mean()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_row_is_found_by_its_name_and_says_where_it_comes_from(name):
    row = get_estimator(name)
    assert row.name == name
    assert row.formula
    assert row.when
    assert row.paper
    assert torch.isfinite(bind_estimator(name)(REWARD_R, GROUP_R)).all()


def test_the_names_mean_the_functions_they_say():
    assert torch.equal(bind_estimator("rloo")(REWARD_R, GROUP_R), rloo_advantages(REWARD_R, GROUP_R))
    scaled_R, unscaled_R = (grpo_advantages(REWARD_R, GROUP_R, scale=scale) for scale in (True, False))
    assert torch.equal(bind_estimator("grpo")(REWARD_R, GROUP_R), scaled_R)
    assert torch.equal(bind_estimator("dr_grpo")(REWARD_R, GROUP_R), unscaled_R)


def test_a_misspelt_name_gets_the_nearest_and_the_whole_list():
    with pytest.raises(ValueError, match=r"no estimator 'rlo'; did you mean 'rloo'\?; choose from rloo, grpo, dr_grpo"):
        get_estimator("rlo")


def test_a_function_is_an_estimator_and_its_arguments_are_parameters():
    assert bind_estimator(from_batch, share=0.5)(REWARD_R, GROUP_R).tolist() == [0.0, 2.0, -1.0, 3.0]
    row = as_estimator(from_batch)
    assert (row.name, row.defaults) == (f"{__name__}:from_batch", {"share": 1.0})
    assert row.formula == "r_i - share x the mean of all rewards."
    assert as_estimator(row) is row
    assert as_estimator(row, "mine") == replace(row, name="mine")
    assert as_estimator(lambda r, g: r).formula == "see its code"


def test_a_function_is_found_as_module_and_name(tmp_path, monkeypatch):
    (tmp_path / "estimators_of_mine.py").write_text("def raw(reward_R, group_R):\n    return reward_R\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert bind_estimator("estimators_of_mine:raw")(REWARD_R, GROUP_R) is REWARD_R


def test_an_installed_package_adds_an_estimator_and_cannot_change_ours(add_package):
    source = "def raw(reward_R, group_R):\n    return reward_R\n"
    points = {"penchant.estimators": {"raw": "raw_rewards:raw", "rloo": "raw_rewards:raw"}}
    add_package("raw-rewards", points, raw_rewards=source)
    assert bind_estimator("raw")(REWARD_R, GROUP_R) is REWARD_R
    assert get_estimator("rloo") is ESTIMATORS["rloo"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "is of type int; give a function of rewards and groups"),
        (lambda r, g: r[:2], "returned \\[1.0, 0.0\\] for 6 rewards; return one finite number a response"),
        (lambda r, g: r / 0, "inf, .* for 6 rewards; return one finite number"),
        (lambda r, g: 1.0, "returned float for 6 rewards"),
        (lambda r: r, r"failed on 6 rewards \(.*\); it is called with rewards of shape \(R,\) and the prompt of each"),
        (lambda r, g, name: r, "default of 'name' .* got none; every argument after the rewards and the groups"),
        (lambda r, g, **more: r, r"takes \*\*more; name each of its parameters"),
    ],
)
def test_what_is_no_estimator_is_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        as_estimator(given, "mine")


@pytest.mark.parametrize("epsilon", [0, -1.0, math.nan, True])
def test_a_parameter_out_of_range_or_unknown_is_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon of grpo must be greater than 0, got"):
        bind_estimator("grpo", epsilon=epsilon)
    with pytest.raises(ValueError, match="rloo has no parameter 'epsilon'; it has none"):
        bind_estimator("rloo", epsilon=0.1)
