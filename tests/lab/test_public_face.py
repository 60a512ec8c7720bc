"""Exported names and runnable examples."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import penchant.lab

MODULES = [module.name for module in pkgutil.walk_packages(penchant.lab.__path__, "penchant.lab.")]
WITHOUT_CODE = {"penchant.lab.experiments"}


def test_the_room_exports_exactly_these_names():
    assert penchant.lab.__all__ == [
        "EXPERIMENTS",
        "METHODS",
        "Completion",
        "Corpus",
        "Figure",
        "Games",
        "PPOStep",
        "PolicyFit",
        "Problem",
        "Recipe",
        "Result",
        "RewardFit",
        "Series",
        "Solution",
        "TokenTree",
        "TreeFigure",
        "World",
        "ask",
        "bradley_terry",
        "cyclic_share",
        "descend",
        "empirical_world",
        "exact_gradient",
        "exact_values",
        "expected_gradient",
        "expected_pair_gradient",
        "expected_ppo_gradient",
        "expected_reward",
        "falling_k",
        "fit_objective",
        "fit_reward",
        "fit_rlhf",
        "from_reference",
        "grow",
        "has_finite_optimum",
        "ipo_optimum",
        "kl_divergence",
        "layout",
        "lbfgs",
        "learn",
        "log_partition",
        "log_softmax_policy",
        "newton",
        "objective_loss",
        "optimal_policy",
        "ordered_pairs",
        "path_log_prob",
        "play",
        "population_loss",
        "ratings_over_games",
        "readable",
        "recovered_reward",
        "regularised_reward",
        "stable_step",
    ]
    assert all(hasattr(penchant.lab, name) for name in penchant.lab.__all__)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(MODULES) - WITHOUT_CODE))
def test_the_examples_in_the_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", sorted(set(MODULES) - WITHOUT_CODE))
def test_every_public_function_has_an_example(name):
    module = importlib.import_module(name)
    functions = [getattr(module, public) for public in module.__all__ if inspect.isfunction(getattr(module, public))]
    assert [function.__name__ for function in functions if ">>>" not in (function.__doc__ or "")] == []
