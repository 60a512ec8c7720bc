"""Exported names, runnable examples, and a room that starts without torch."""

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import penchant.ranking

MODULES = [module.name for module in pkgutil.iter_modules(penchant.ranking.__path__, "penchant.ranking.")]


def test_the_room_exports_exactly_these_names():
    assert penchant.ranking.__all__ == [
        "ELO_PER_NAT",
        "Agreement",
        "Ballots",
        "Bootstrap",
        "Cycle",
        "Fit",
        "Gaussian",
        "Group",
        "HodgeRank",
        "Interval",
        "Method",
        "Neighbours",
        "PhantomVotes",
        "Share",
        "Standing",
        "Standings",
        "Unrankable",
        "Votes",
        "alpha_reading",
        "bootstrap",
        "cohen_kappa",
        "components",
        "davidson_probabilities",
        "expanded_tail",
        "expected_score",
        "first_shown_share",
        "fit_bradley_terry",
        "fit_davidson",
        "fleiss_kappa",
        "hodge_rank",
        "krippendorff_alpha",
        "log_ability_from_elo",
        "online_elo",
        "raw_agreement",
        "refuse_unrankable",
        "standings",
        "strength",
        "strong_components",
        "to_elo",
        "two_sided_quantile",
        "unrankable",
        "variance_ratio",
    ]
    assert all(hasattr(penchant.ranking, name) for name in penchant.ranking.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def public_functions():
    """Every function that a module of the room names, and every method of its classes."""
    for module in map(importlib.import_module, MODULES):
        for thing in (getattr(module, name) for name in module.__all__):
            if inspect.isfunction(thing):
                yield f"{module.__name__}.{thing.__name__}", thing
            elif inspect.isclass(thing) and thing.__module__ == module.__name__:
                for name, member in vars(thing).items():
                    method = getattr(member, "__func__", member)
                    if inspect.isfunction(method) and not name.startswith("_"):
                        yield f"{thing.__name__}.{name}", method


def test_every_public_function_and_method_has_an_example():
    functions = dict(public_functions())
    assert len(functions) > 60
    assert [name for name, function in functions.items() if "Example:\n" not in (function.__doc__ or "")] == []


@pytest.mark.slow(threads=1)
def test_the_room_starts_without_torch():
    probe = "import sys, penchant.ranking; print([n for n in ('torch', 'transformers', 'pandas') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_way_of_a_fit_is_four_short_files_that_import_each_other():
    root = Path(__file__).resolve().parents[2]
    section = (root / "docs" / "ranking.md").read_text(encoding="utf-8").split("## Follow one fit")[1]
    files = re.findall(r"\*\*`(src/penchant/ranking/\w+\.py)`\*\*", section)
    assert len(files) == 4
    sources = {Path(file).stem: (root / file).read_text(encoding="utf-8") for file in files}
    assert sum(source.count("\n") for source in sources.values()) < 700
    for stem, source in sources.items():
        users = [other for other, text in sources.items() if f"from penchant.ranking.{stem} import" in text]
        assert users or stem == "bradley_terry", f"{stem}.py is on the way"
        assert source.startswith('"""')
