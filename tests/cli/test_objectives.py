"""`penchant objectives`: the whole table, and one row of it."""

import pytest

from penchant.objectives import LABELLED_OBJECTIVES, OBJECTIVES
from penchant.training.presets import PRESETS

EVERY = {**OBJECTIVES, **LABELLED_OBJECTIVES}


def test_every_objective_is_listed_with_its_defaults_and_when_to_use_it(penchant):
    lines = penchant("objectives").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(EVERY)
    for line, row in zip(lines, EVERY.values(), strict=True):
        assert row.when in line
        assert all(f"{name} {value:g}" in line for name, value in row.defaults.items())


@pytest.mark.parametrize("name", EVERY)
def test_one_is_shown_in_full(penchant, name):
    row, shown = EVERY[name], penchant("objectives", name).out
    for fact in (row.formula, row.paper.title, row.paper.arxiv, row.when):
        assert fact in shown
    assert ("compares all pairs of a batch" in shown) == row.batch_coupled
    assert ("runs the reference in every step" in shown) == ("kl" in row.reads)
    assert ("labelled good or bad" in shown) == (name in LABELLED_OBJECTIVES)


def test_a_name_of_trl_shows_what_it_is_here(penchant):
    assert penchant("objectives", "sigmoid_norm").out.split()[1] == "dpo_norm"


def test_a_name_that_is_not_there_is_refused_with_the_nearest(penchant):
    result = penchant("objectives", "simpoo")
    assert result.code == 2
    assert "there is no objective 'simpoo'; did you mean 'simpo'?" in result.err


def test_the_published_recipes_are_listed_with_their_settings_and_sources(penchant):
    lines = penchant("objectives", "--presets").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(PRESETS)
    for line, preset in zip(lines, PRESETS.values(), strict=True):
        assert preset.in_words() in line
        assert preset.source in line


def test_recipes_and_an_objective_at_once_are_refused(penchant):
    result = penchant("objectives", "simpo", "--presets")
    assert result.code == 2
    assert "give one of the two" in result.err
