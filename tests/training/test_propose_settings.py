"""What is proposed follows from what was measured, is a setting that training takes, and comes with its reason."""

import json

import pytest

import penchant as pt
from penchant.ranking.winrate import paired_means, win_rate_of
from penchant.training.propose_settings import Facts, facts_of, propose

PLAIN = {"num_pairs": 800, "batch_size": 8, "is_adapter": False, "noise": None}


def advice(**facts):
    found = propose(Facts(**{**PLAIN, "longer": share(400, 800), "words": words(0.2), **facts}))
    assert all(proposal.why for proposal in found)
    return {proposal.setting: proposal for proposal in found}


def proposed(**facts):
    return {setting: proposal.value for setting, proposal in advice(**facts).items()}


def share(some, num):
    return win_rate_of([1.0] * some + [0.0] * (num - some))


def words(apart, spread=0.3, num=16):
    """Of so many prompts, the model's own answers this much likelier a token than the pairs' responses."""
    given = [-2.2 - spread * (-1) ** i for i in range(num)]
    return paired_means(given, [-2.2 + apart] * num)


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


@pytest.mark.parametrize(("longer", "objective"), [(640, "dpo_norm"), (160, "dpo_norm"), (480, "dpo"), (540, "dpo")])
def test_pairs_that_length_decides_are_given_a_mean_over_tokens(longer, objective):
    assert proposed(longer=share(longer, 800))["dpo.objective"] == objective


def test_few_pairs_that_length_decides_by_chance_change_nothing_and_it_is_said_of_how_many():
    for longer in (share(14, 20), share(6, 20), share(55, 79), None):
        assert proposed(longer=longer)["dpo.objective"] == "dpo"
    why = advice(longer=share(55, 79))["dpo.objective"].why
    assert "the longer response is the chosen one in 70% (59% to 79%) of 79 pairs" in why
    assert "the shorter response is the chosen one in 70% (46% to 86%) of 20 pairs" in (
        advice(longer=share(6, 20))["dpo.objective"].why
    )


def test_outvoted_labels_become_label_smoothing():
    found = proposed(noise=share(46, 200), longer=share(720, 800))
    assert (found["dpo.objective"], found["dpo.label_smoothing"]) == ("cdpo", 0.23)


def test_one_outvoted_label_of_a_few_is_no_noise():
    found = advice(noise=share(1, 4))["dpo.objective"]
    assert found.value == "dpo"
    assert found.why.startswith("of 4 labels of pairs judged more than once, 25% (")


def test_pairs_in_other_words_than_the_models_are_given_a_next_token_term():
    found = advice(words=words(1.5))["dpo.sft_weight"]
    assert found.value == 0.2
    assert "over 16 prompts 1.33 to 1.67 apart" in found.why


@pytest.mark.parametrize("few", [words(1.5, spread=2.0, num=4), words(1.5, num=1), None])
def test_words_of_too_few_prompts_to_tell_propose_nothing(few):
    assert "dpo.sft_weight" not in proposed(words=few)


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
    assert (facts.num_pairs, facts.noise.num, facts.noise.rate) == (8, 4, 1 / 4)
    assert (facts.longer.num, facts.longer.rate) == (8, 7 / 8)
    assert facts.longer.low < win_rate_of([1.0] * 7 + [0.0]).low, "pairs of one prompt go together"
    assert facts.words.before < facts.words.after < 0
    assert facts.words.num_prompts == 6


@pytest.mark.slow(threads=1)
def test_the_same_is_proposed_in_python_and_every_setting_is_taken(stories260k, pairs_file):
    model = pt.load(stories260k, chat_template="plain")
    found = pt.advise(model, str(pairs_file), progress=False)
    settings = {proposal.setting: proposal.value for proposal in found}
    run = pt.dpo(model, str(pairs_file), settings=settings | {"optimiser.max_steps": 1}, progress=False)
    assert run.ledger["config"]["optimiser"]["learning_rate"] == settings["optimiser.learning_rate"]
