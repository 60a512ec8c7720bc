"""Exported names, runnable examples, and a documentation page that says what the table says."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import penchant.objectives
from penchant.objectives import LABELLED_OBJECTIVES, OBJECTIVES, Objective

PAGE = Path(__file__).parents[2] / "docs" / "objectives.md"
MODULES = [module.name for module in pkgutil.iter_modules(penchant.objectives.__path__, "penchant.objectives.")]


def test_the_room_exports_exactly_these_names():
    assert penchant.objectives.__all__ == [
        "BETA",
        "ESTIMATORS",
        "KL_ESTIMATORS",
        "LABELLED_OBJECTIVES",
        "OBJECTIVES",
        "TRL_NAMES",
        "Aggregation",
        "Estimator",
        "LabelledBatch",
        "LabelledFunction",
        "LabelledObjective",
        "Memory",
        "Objective",
        "PairBatch",
        "PairFunction",
        "Paper",
        "Parameter",
        "PolicyLoss",
        "Ratio",
        "Remembering",
        "RunningRatio",
        "adapted_coefficient",
        "alpha_dpo",
        "aot",
        "aot_unpaired",
        "apo_down",
        "apo_zero",
        "as_estimator",
        "as_objective",
        "bco",
        "bco_pair",
        "beta_dpo",
        "bind",
        "bind_estimator",
        "bind_token_weights",
        "bradley_terry_loss",
        "cdpo",
        "centring",
        "chi_po",
        "cpo",
        "decaying",
        "desensitised",
        "discopop",
        "dpo",
        "dpo_alpha",
        "dpo_forward_kl",
        "dpo_js",
        "dpo_norm",
        "dpo_shift",
        "dpop",
        "exo_pair",
        "generalised_advantages",
        "get_estimator",
        "get_objective",
        "grpo_advantages",
        "hinge",
        "implicit_rewards",
        "in_band",
        "ipo_mean",
        "ipo_sum",
        "k1",
        "k2",
        "k3",
        "kto",
        "mean_kl",
        "mixture",
        "nca_pair",
        "orpo",
        "policy_loss",
        "preference_credit",
        "preference_cross_entropy",
        "preference_probability",
        "r_dpo",
        "refuse_unread",
        "resolve_objective",
        "reward_shift",
        "rloo_advantages",
        "robust",
        "row_in_table",
        "sft",
        "shaped_rewards",
        "simper",
        "simpo",
        "sppo_hard",
        "sum_by_response",
        "tdpo1",
        "tdpo2",
        "token_rewards",
        "token_weight",
        "unlikelihood",
        "value_loss",
        "whitened",
        "wpo_weight",
    ]
    assert all(hasattr(penchant.objectives, name) for name in penchant.objectives.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0 or name.endswith(".table"), "rows are examples enough"
    assert result.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name):
    module = importlib.import_module(name)
    functions = [getattr(module, public) for public in module.__all__ if inspect.isfunction(getattr(module, public))]
    assert [function.__name__ for function in functions if ">>>" not in (function.__doc__ or "")] == []


def page_row(row: Objective) -> str:
    """The line that the documentation has for an objective."""
    defaults = ", ".join(f"{key} = {value}" for key, value in row.defaults.items()) or "none"
    reads = ", ".join([*(["reference"] if row.needs_reference else []), *sorted(row.reads)]) or "policy alone"
    title, arxiv, equation = row.paper
    link = arxiv if arxiv.startswith("https:") else f"https://arxiv.org/abs/{arxiv}"
    cells = [f"`{row.name}`", f"`{row.formula}`", row.normalisation, reads, defaults]
    return f"| {' | '.join(cells)} | [{title}]({link}), {equation} | {row.when} |"


def test_the_page_has_the_row_of_every_objective():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    expected = [page_row(row) for row in (*OBJECTIVES.values(), *LABELLED_OBJECTIVES.values())]
    assert lines == expected, "put these lines in docs/objectives.md:\n" + "\n".join(expected)


def test_the_example_of_a_new_objective_on_the_page_is_complete_and_runs():
    section = PAGE.read_text(encoding="utf-8").split("## Adding an objective")[1]
    (example,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert len(example.splitlines()) <= 12
    exec(compile(example, str(PAGE), "exec"), {})
