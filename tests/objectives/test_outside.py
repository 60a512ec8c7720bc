"""Objectives from outside: a function of pairs becomes a row that says truly what it reads."""

import re
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from penchant.errors import ConfigError
from penchant.objectives import (
    LABELLED_OBJECTIVES,
    OBJECTIVES,
    Objective,
    Paper,
    Parameter,
    as_objective,
    bind,
    get_objective,
    refuse_unread,
    resolve_objective,
)

PAGE = Path(__file__).parents[2] / "docs" / "objectives.md"
(FOCAL,) = re.findall(r"```text\n# my_losses\.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
ROW = """
from penchant.objectives import BETA, Objective, Parameter

ROW = Objective("row", focal, formula="f", paper=None, when="often",
    parameters={"beta": BETA, "power": Parameter(1.0, "how fast it fades", at_least=1)})
number = 3
"""


@pytest.fixture
def my_losses(tmp_path, monkeypatch):
    (tmp_path / "my_losses.py").write_text(FOCAL + ROW, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    yield
    sys.modules.pop("my_losses", None)


def test_a_function_named_by_its_module_is_an_objective_with_its_defaults_as_parameters(my_losses, pairs):
    row = get_objective("my_losses:focal")
    assert (row.name, row.defaults) == ("my_losses:focal", {"beta": 0.1, "power": 2.0})
    assert row.formula == "(1 - q)^power times the loss of dpo, q = sigmoid(beta D)."
    assert (row.needs_reference, row.batch_coupled, row.reads) == (True, False, frozenset())
    batch = pairs([1.0, -2.0])
    expected = bind("dpo", beta=0.5)(batch) * torch.sigmoid(-0.5 * batch.delta_B) ** 3
    torch.testing.assert_close(bind("my_losses:focal", beta=0.5, power=3)(batch), expected)
    with pytest.raises(ValueError, match="my_losses:focal does not read margins but 1 of 1 pairs has one"):
        refuse_unread(row, pairs([1.0], margin=[0.5]))


def test_a_row_of_ones_own_is_taken_as_it_is_under_the_name_that_was_written(my_losses):
    row = get_objective("my_losses:ROW")
    assert (row.name, row.when) == ("my_losses:ROW", "often")
    with pytest.raises(ValueError, match=r"power of my_losses:ROW must be at least 1, got 0\.5"):
        bind(row, power=0.5)
    assert resolve_objective(row) is row
    assert resolve_objective("ipo") is OBJECTIVES["ipo_mean"]


def test_what_an_installed_package_adds_is_known_by_its_name(my_losses, add_package):
    added = {"focal": "my_losses:focal", "dpo": "my_losses:focal"}
    add_package("focal-losses", {"penchant.objectives": added})
    assert get_objective("focal").defaults == {"beta": 0.1, "power": 2.0}
    assert get_objective("dpo") is OBJECTIVES["dpo"], "a package cannot change what a name of Penchant means"
    with pytest.raises(ValueError, match=r"no objective 'foca'; did you mean 'focal'.*, focal$"):
        get_objective("foca")


@pytest.mark.parametrize("name", [name for name, row in OBJECTIVES.items() if row.token_weights is None])
def test_what_every_objective_of_the_table_reads_is_found_by_trying_it(name):
    row = OBJECTIVES[name]

    def function(batch):
        return bind(name)(batch)

    found = as_objective(function)
    assert found.reads == row.reads
    assert found.needs_reference == row.needs_reference
    assert found.batch_coupled == row.batch_coupled


def test_a_loss_that_is_measured_from_the_mean_of_its_batch_is_found_to_be_coupled():
    def centred(batch, beta=0.1):
        reward_B = beta * batch.delta_B
        return F.softplus(reward_B.mean() - reward_B)

    assert as_objective(centred).batch_coupled


def test_a_function_is_called_by_its_own_name_where_none_is_given(pairs):
    def loss(batch):
        return batch.delta_B

    row = as_objective(loss)
    assert row.name == f"{__name__}:{loss.__qualname__}"
    assert (row.formula, row.paper, row.defaults) == ("see its code", None, {})
    assert resolve_objective(loss).function is loss
    assert torch.equal(bind(loss)(pairs([1.0, 2.0])), pairs([1.0, 2.0]).delta_B)


def test_a_callable_object_is_an_objective_too():
    class Squared:
        def __call__(self, batch, beta=0.1):
            return (beta * batch.delta_B - 1) ** 2

    assert as_objective(Squared()).name.endswith("Squared")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda batch, tau: batch.delta_B, "default of 'tau' of the objective .* must be a finite number, got none"),
        (lambda batch, tau="x": batch.delta_B, "default of 'tau' .* must be a finite number, got 'x'"),
        (lambda batch, on=True: batch.delta_B, "default of 'on' .* must be a finite number, got True"),
        (lambda batch, beta=0.0: batch.delta_B, "default of 'beta' .* must be greater than 0, got 0"),
        (lambda batch, **more: batch.delta_B, r"takes \*\*more; name each of its parameters"),
        (lambda: 0, "failed on a batch of 6 pairs"),
        (lambda batch: batch.no_such_field, "failed on a batch of 6 pairs .*no_such_field"),
        (lambda batch: batch.delta_B.mean(), r"returned a tensor of shape \(\) for a batch of 6 pairs; .* \(6,\)"),
        (lambda batch: 0.5, "returned float for a batch of 6 pairs"),
        (max, "has no readable signature; wrap it in a function"),
    ],
)
def test_a_function_that_is_no_objective_is_refused_with_the_reason(function, words):
    with pytest.raises(ConfigError, match=words):
        as_objective(function, "mine:loss")


def test_a_name_behind_which_is_no_objective_is_refused(my_losses):
    with pytest.raises(ConfigError, match="'my_losses:number' is of type int; give a function of a PairBatch"):
        get_objective("my_losses:number")
    with pytest.raises(ConfigError, match=r"'my_losses:fcal' does not exist: .*my_losses\.py defines no 'fcal'"):
        get_objective("my_losses:fcal")
    with pytest.raises(ConfigError, match=r"'no_losses:focal' cannot be imported .ModuleNotFoundError"):
        get_objective("no_losses:focal")


def test_every_parameter_of_the_table_says_what_it_means_and_has_its_default_in_range():
    rows = (*OBJECTIVES.values(), *LABELLED_OBJECTIVES.values())
    for row in rows:
        for name, parameter in row.parameters.items():
            assert parameter.meaning, f"{row.name}.{name}"
            assert parameter.allows(parameter.default), f"{row.name}.{name}"


def test_a_range_is_what_it_says():
    half_open = Parameter(0.5, above=0, at_most=1)
    assert half_open.range == "greater than 0 and at most 1"
    assert [half_open.allows(value) for value in (0, 0.1, 1, 1.1)] == [False, True, True, False]
    other = Parameter(0.5, at_least=0, below=1)
    assert [other.allows(value) for value in (-0.1, 0, 0.9, 1)] == [False, True, True, False]
    assert Objective("x", max, formula="", paper=Paper("t", "1", "2"), when="", parameters={"a": other}).defaults == {
        "a": 0.5
    }
