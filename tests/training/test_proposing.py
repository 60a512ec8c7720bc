"""What is proposed follows from what was measured, is a setting that training takes, and comes with its reason."""

import json

import pytest

import penchant as pt
from penchant.training.proposing import Facts, facts_of, propose

PLAIN = {"num_pairs": 800, "batch_size": 8, "is_adapter": False, "noise": 0.0, "num_repeated": 0, "longer": 0.5}


def proposed(**facts):
    found = propose(Facts(**{**PLAIN, "own": -2.0, "given": -2.2, **facts}))
    assert all(proposal.why for proposal in found)
    return {proposal.setting: proposal.value for proposal in found}


def test_the_usual_is_proposed_where_nothing_speaks_against_it():
    found = proposed()
    assert (found["dpo.objective"], found["dpo.beta"], found["optimiser.epochs"]) == ("dpo", 0.1, 1)
    assert "dpo.sft_weight" not in found


def test_the_rate_falls_with_the_steps_between_what_is_known_to_work_and_an_adapter_takes_ten_times():
    rates = [proposed(num_pairs=8 * steps)["optimiser.learning_rate"] for steps in (10, 60, 500, 5600, 90_000)]
    assert rates[0] == rates[1] == 1e-5
    assert rates[1] > rates[2] > rates[3]
    assert rates[3] == rates[4] == 5e-7
    assert proposed(num_pairs=480, is_adapter=True)["optimiser.learning_rate"] == 1e-4


@pytest.mark.parametrize(("longer", "objective"), [(0.8, "dpo_norm"), (0.2, "dpo_norm"), (0.6, "dpo")])
def test_pairs_that_length_decides_are_given_a_mean_over_tokens(longer, objective):
    assert proposed(longer=longer)["dpo.objective"] == objective


def test_outvoted_labels_become_label_smoothing():
    found = proposed(noise=0.23, num_repeated=90, longer=0.9)
    assert (found["dpo.objective"], found["dpo.label_smoothing"]) == ("cdpo", 0.23)


def test_pairs_in_other_words_than_the_models_are_given_a_next_token_term():
    assert proposed(given=-3.5)["dpo.sft_weight"] == 0.2


def test_few_pairs_are_gone_through_twice():
    assert proposed(num_pairs=100)["optimiser.epochs"] == 2


@pytest.mark.slow(threads=1)
def test_facts_are_counted_from_the_pairs(model, tmp_path):
    from penchant.data import load_pairs
    from penchant.tokens import Limits, tokenise_pairs

    good, bad = " a very long and happy ending.", " sad."
    rows = [{"prompt": f"Once {i}", "chosen": good, "rejected": bad} for i in range(6)]
    rows += [{"prompt": "Once 0", "chosen": bad, "rejected": good}, rows[1]]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs = tokenise_pairs(model.encoder, load_pairs(path, on_bad_row="drop").records, Limits(200, 150)).items
    facts = facts_of(model, pairs, 8, is_adapter=False)
    assert (facts.num_pairs, facts.num_repeated) == (8, 4)
    assert facts.noise == pytest.approx((1 / 2 * 2 + 0 * 2) / 4)
    assert facts.longer == 7 / 8
    assert facts.given < facts.own < 0


@pytest.mark.slow(threads=1)
def test_the_same_is_proposed_in_python_and_every_setting_is_taken(stories260k, pairs_file):
    model = pt.load(stories260k, chat_template="plain")
    found = pt.advise(model, str(pairs_file), progress=False)
    settings = {proposal.setting: proposal.value for proposal in found}
    run = pt.dpo(model, str(pairs_file), settings=settings | {"optimiser.max_steps": 1}, progress=False)
    assert run.ledger["config"]["optimiser"]["learning_rate"] == settings["optimiser.learning_rate"]
