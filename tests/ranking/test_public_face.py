"""Exported names, runnable examples, and a room that starts without torch."""

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import penchant.ranking

MODULES = [module.name for module in pkgutil.iter_modules(penchant.ranking.__path__, "penchant.ranking.")]
PUBLIC = [getattr(penchant.ranking, name) for name in penchant.ranking.__all__]


def test_the_room_exports_exactly_these_names():
    assert penchant.ranking.__all__ == [
        "ELO_PER_NAT",
        "Agreement",
        "Bootstrap",
        "Cycle",
        "Fit",
        "Gaussian",
        "HodgeRank",
        "Interval",
        "PhantomVotes",
        "Unrankable",
        "Votes",
        "bootstrap",
        "cohen_kappa",
        "components",
        "davidson_probabilities",
        "expected_score",
        "fit_bradley_terry",
        "fit_davidson",
        "fleiss_kappa",
        "hodge_rank",
        "krippendorff_alpha",
        "log_ability_from_elo",
        "online_elo",
        "raw_agreement",
        "refuse_unrankable",
        "strength",
        "strong_components",
        "to_elo",
        "unrankable",
    ]
    assert all(hasattr(penchant.ranking, name) for name in penchant.ranking.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_public_function_has_an_example():
    functions = [thing for thing in PUBLIC if inspect.isfunction(thing)]
    assert [function.__name__ for function in functions if "Example:" not in (function.__doc__ or "")] == []


def test_the_room_starts_without_torch():
    probe = "import sys, penchant.ranking; print([n for n in ('torch', 'transformers', 'pandas') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "[]\n"
