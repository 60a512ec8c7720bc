"""CHES of some pairs before the first step: the most alike are named in the ledger, in the report if chosen fell."""

from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

from penchant.models.similarity import ches_of_pairs
from penchant.report.advice import advise
from penchant.training.likeness import likeness_at_start
from penchant.training.out_of_memory import TokenBudget


def beginning(model, items, num_epochs):
    steps = len(items) // 4
    data = SimpleNamespace(train=items)
    return SimpleNamespace(
        model=model, data=data, num_steps=steps * num_epochs, steps_per_epoch=steps, token_budget=TokenBudget(300)
    )


def test_the_most_alike_pairs_are_those_of_the_highest_ches(model, pairs):
    found = likeness_at_start(beginning(model, pairs, 40), 256)["likeness"]
    values = ches_of_pairs(model, pairs)
    order = sorted(range(len(pairs)), key=lambda i: -values[i])
    assert found["num"] == len(pairs) == 16
    assert found["most_alike"] == [str(pairs[i].origin) for i in order[:5]]
    assert found["highest"] == pytest.approx(max(values))
    assert found["median"] == pytest.approx((sorted(values)[7] + sorted(values)[8]) / 2)


def test_few_are_measured_spread_over_the_data_and_none_where_it_would_cost_too_much(model, pairs):
    some = likeness_at_start(beginning(model, pairs, 24), 256)["likeness"]
    assert some["num"] == 11  # 3% of 16 x 24
    assert set(some["most_alike"]) <= {str(pairs[place * 16 // 11].origin) for place in range(11)}
    assert likeness_at_start(beginning(model, pairs, 24), 10)["likeness"]["num"] == 10
    assert likeness_at_start(beginning(model, pairs, 20), 256) == {}
    assert likeness_at_start(beginning(model, pairs, 40), 0) == {}
    assert likeness_at_start(beginning(model, [SimpleNamespace(sequences=())] * 16, 40), 256) == {}


@pytest.mark.slow(threads=1)
def test_a_run_notes_it_and_trains_to_the_same_weights_as_without(dpo):
    whole = {"optimiser": {"epochs": 28}, "save": {"num_samples": 0, "eval_every": 100}}
    with_it = dpo(name="with", **whole)
    without = dpo(name="without", alarms={"alike_pairs": 0}, **whole)
    assert with_it.ledger["likeness"]["num"] == 10
    assert all("pairs.jsonl:" in origin for origin in with_it.ledger["likeness"]["most_alike"])
    assert "likeness" not in without.ledger
    first, second = (load_file(one.path / "model" / "model.safetensors") for one in (with_it, without))
    assert all(bool((first[name] == second[name]).all()) for name in first)


def test_the_report_names_them_where_chosen_responses_fell_and_not_elsewhere():
    likeness = {"num": 40, "median": -3.0, "highest": -0.1, "most_alike": ["pairs.jsonl:7", "pairs.jsonl:3"]}
    fell = {"name": "both_fell", "step": 9, "text": "both fell"}
    run = {"likeness": likeness, "alarms": [fell]}
    [found] = [one for one in advise(run, []) if one.rule == "alike_pairs"]
    assert "Of 40 pairs measured before the first step the most similar are pairs.jsonl:7, pairs.jsonl:3." in found.text
    assert found.level == "note"
    assert not any(one.rule == "alike_pairs" for one in advise({"likeness": likeness}, []))
    assert not any(one.rule == "alike_pairs" for one in advise({"alarms": [fell]}, []))
