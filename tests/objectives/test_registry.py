"""The table of objectives: look-up, parameters, and refusals that say what to do."""

import math
from dataclasses import replace

import pytest
import torch

from penchant.objectives import BETA, OBJECTIVES, Parameter, bind, cdpo, dpo, get_objective, refuse_unread, row_in_table


def test_an_objective_is_found_by_name():
    assert get_objective("dpo").function is dpo


@pytest.mark.parametrize("name", ["mine:loss", "focal", "", None, ["dpo"], {}])
def test_what_is_not_in_the_tables_is_not_looked_for_elsewhere(name):
    assert row_in_table(name) is None


def test_a_misspelt_name_gets_the_nearest_and_the_whole_list():
    with pytest.raises(ValueError, match=r"no objective 'ipo_men'; did you mean 'ipo_mean'\?; choose from dpo, cdpo, "):
        get_objective("ipo_men")


def test_a_name_like_no_other_gets_the_list_without_a_guess():
    with pytest.raises(ValueError, match="no objective 'xyzzy'; choose from dpo, "):
        bind("xyzzy")


def test_the_table_cannot_be_altered_by_accident():
    with pytest.raises(TypeError):
        OBJECTIVES["dpo"] = OBJECTIVES["cdpo"]


def test_bind_takes_the_default_for_what_is_not_given(pairs):
    batch = pairs([2.0, -1.0])
    assert torch.equal(bind("cdpo")(batch), cdpo(batch, beta=0.1, label_smoothing=0.1))
    assert torch.equal(bind("cdpo", beta=3)(batch), cdpo(batch, beta=3, label_smoothing=0.1))


def test_a_parameter_the_objective_does_not_have_is_refused():
    with pytest.raises(ValueError, match="dpo has no parameter 'label_smoothing'; it has beta"):
        bind("dpo", label_smoothing=0.1)
    with pytest.raises(ValueError, match=r"no parameter 'label_smooting'; did you mean 'label_smoothing'\?"):
        bind("cdpo", label_smooting=0.1)
    with pytest.raises(ValueError, match="sft has no parameter 'beta'; it has none"):
        bind("sft", beta=0.1)


def test_a_parameter_that_is_not_there_is_answered_with_all_that_are():
    with pytest.raises(ValueError, match=r"cdpo has no parameter 'temperature'; it has beta, label_smoothing$"):
        bind("cdpo", temperature=1.0)


def test_trls_sigmoid_refuses_the_smoothing_that_trl_ignores_and_takes_all_else(pairs):
    words = (
        "^TRL's sigmoid takes label_smoothing and ignores it; use cdpo \\(conservative\\) or robust \\(unbiased\\) for "
        "what it should do, or leave label_smoothing out$"
    )
    with pytest.raises(ValueError, match=words):
        bind("sigmoid", label_smoothing=0.1)
    assert torch.equal(bind("sigmoid", beta=0.3)(pairs([2.0])), bind("dpo", beta=0.3)(pairs([2.0])))


@pytest.mark.parametrize("beta", [0, -0.1, math.nan, math.inf, True, "0.1", None])
def test_a_beta_that_is_no_positive_number_is_refused(beta):
    with pytest.raises(ValueError, match="beta of dpo must be greater than 0, got"):
        bind("dpo", beta=beta)


@pytest.mark.parametrize("smoothing", [-0.01, 0.5, 1.0, math.nan])
def test_smoothing_outside_zero_to_a_half_is_refused(smoothing):
    with pytest.raises(ValueError, match=r"label_smoothing of cdpo must be at least 0 and less than 0\.5, got"):
        bind("cdpo", label_smoothing=smoothing)


def test_smoothing_of_zero_is_allowed(pairs):
    assert torch.equal(bind("cdpo", label_smoothing=0)(pairs([2.0])), bind("dpo")(pairs([2.0])))


def test_a_parameter_without_a_range_must_still_be_a_finite_number():
    row = replace(get_objective("dpo"), parameters={"beta": BETA, "temperature": Parameter(1.0)})
    bind(row, temperature=-3.0)
    with pytest.raises(ValueError, match="temperature of dpo must be a finite number, got inf"):
        bind(row, temperature=math.inf)


@pytest.mark.parametrize("name", ["ipo_sum", "ipo_mean", "sft"])
def test_margins_given_to_an_objective_that_ignores_them_are_refused(pairs, name):
    with pytest.raises(ValueError, match=f"{name} does not read margins but 2 of 3 pairs have one; .* dpo, cdpo"):
        refuse_unread(get_objective(name), pairs([1.0, 2.0, 3.0], margin=[0.5, 0.0, -0.5]))


def test_soft_labels_given_to_an_objective_that_ignores_them_are_refused(pairs):
    with pytest.raises(ValueError, match="sft does not read soft labels but 1 of 2 pairs has one"):
        refuse_unread(get_objective("sft"), pairs([1.0, 2.0], probability=[1.0, 0.9]))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_hard_labels_without_margins_suit_every_objective(pairs, name):
    assert refuse_unread(get_objective(name), pairs([1.0, 2.0])) is None


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_an_objective_reads_is_never_refused(pairs, name):
    row = get_objective(name)
    soft = {"probability": [0.3], "margin": [0.5]}
    assert refuse_unread(row, pairs([1.0], **{field: soft[field] for field in row.reads & soft.keys()})) is None
