"""What is known of an objective can be read: every row says its formula, and what it needs of the data."""

from penchant.objectives import LABELLED_OBJECTIVES, OBJECTIVES, as_objective, get_objective
from penchant.objectives.facts import every_objective, facts_of


def test_every_objective_is_listed_with_its_use_and_the_added_ones_with_their_package(add_package):
    add_package("losses", {"penchant.objectives": {"focal": "my_losses_of_two:focal"}})
    listed = {name: (defaults, when) for name, defaults, when in every_objective()}
    assert listed.keys() == {*OBJECTIVES, *LABELLED_OBJECTIVES, "focal"}
    assert listed["dpo"][0] == "beta 0.1"
    assert listed["focal"] == ("", "added by losses 1.0")


def test_facts_say_what_a_row_reads_and_where_it_comes_from():
    facts = facts_of(get_objective("simpo"))
    assert facts["source"].startswith("SimPO, arXiv 2405.14734, eq. 6")
    assert facts["log-probs"] == "averaged over tokens"
    assert "labelled good or bad" in facts_of(get_objective("kto"))["data"]
    assert "compares all pairs" in facts_of(get_objective("aot"))["training"]
    assert "runs the reference in every step" in facts_of(get_objective("tdpo2"))["training"]
    assert facts_of(get_objective("cdpo"))["source"].startswith("A note on DPO with noisy preferences, https:")


def test_a_function_of_ones_own_has_no_source_and_no_use():
    facts = facts_of(as_objective(lambda batch: batch.policy_chosen_B, "mine"))
    assert facts.keys() == {"objective", "formula", "defaults", "reads", "log-probs"}
    assert facts["defaults"] == "none"
    assert facts["reads"] == "the policy alone"
