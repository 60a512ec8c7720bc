"""Alarms are raised by what they name, on real small runs, do what the settings say, and else stay silent."""

import json
import math
import random

import pytest
import torch
from safetensors.torch import load_file

from penchant.data import load_pairs
from penchant.models.forward import score_sequences
from penchant.objectives import bind
from penchant.progress import Silent
from penchant.report.alarms import Seen, few_pairs_decide
from penchant.tokens import Limits, TokenSequence, tokenise_pairs
from penchant.training import alarms
from penchant.training.alarms import nearly_the_same
from penchant.training.band import place_in_band
from penchant.training.config import SFTConfig
from penchant.training.interrupt import Interrupted
from penchant.training.objective import choose_recipe
from penchant.training.preferences import PreferenceTask
from penchant.training.run import train

WORDS = ("happy", "glad", "kind", "warm"), ("sad", "cold", "lost", "angry")
NOUNS = ("ball", "dog", "cat", "tree", "boat", "hat", "cake", "bird")


def raised(record):
    return {alarm["name"]: alarm for alarm in record.ledger.get("alarms", [])}


def write_pairs(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"files": [str(path)], "held_out": 0.25}


def stories(num, seed=0, wrong=()):
    """Pairs of short endings with a happy one preferred; those numbered in `wrong` the other way round."""
    drawn, rows = random.Random(seed), []
    for i in range(num):
        noun, name = drawn.choice(NOUNS), drawn.choice(("Lily", "Tom", "Ben", "Mia", "Sam", "Sue", "Max", "Anna"))
        good, bad = (f" {name} saw the {noun} and was very {drawn.choice(words)}." for words in WORDS)
        chosen, rejected = (bad, good) if i in wrong else (good, bad)
        rows.append(
            {"prompt": f"Day {i}: {name} went out to look for a {noun}.", "chosen": chosen, "rejected": rejected}
        )
    return rows


HEALTHY = {
    "optimiser": {"batch_size": 2, "learning_rate": 1e-4, "epochs": 1, "token_budget": 600},
    "save": {"num_samples": 4, "sample_tokens": 24, "eval_every": 12},
}
FAST = {"optimiser": {"batch_size": 4, "learning_rate": 3e-3, "epochs": 6, "schedule": "constant", "warmup_ratio": 0}}


@pytest.fixture(scope="module")
def taught(stories260k, tmp_path_factory):
    """The story model after a few demonstrations: it answers with a sentence, and ends its turn."""
    folder, rows = tmp_path_factory.mktemp("taught"), stories(24, 99)
    write_pairs(folder / "d.jsonl", [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows])
    settings = {
        "output": str(folder / "run"),
        "model": {"name": str(stories260k), "chat_template": "plain", "device": "cpu", "dtype": "float32"},
        "data": {"files": [str(folder / "d.jsonl")], "held_out": 0},
        "optimiser": {"batch_size": 4, "learning_rate": 3e-3, "epochs": 3},
        "save": {"num_samples": 0},
    }
    config = SFTConfig.model_validate(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENCHANT_CACHE", str(folder / "cache"))
        return {"name": str(train(config, choose_recipe(config), Silent()).path / "model")}


@pytest.mark.slow(threads=1)
def test_a_healthy_run_raises_none_for_any_of_twenty_seeds(dpo, tmp_path, taught):
    def run(name, seed, **limits):
        data = write_pairs(tmp_path / f"{seed}.jsonl", stories(56, seed)) | {"held_out": 0.15}
        return raised(dpo(name=name, model=taught, data=data, seed=seed, alarms=limits, **HEALTHY))

    for seed in range(20):
        assert not run(f"run-{seed}", seed)
    lower = {"saturated": 0.1, "grew_longer": 0.9, "gradient_spike": 0.1, "few_pairs_decide": 0.05}
    assert run("lower", 0, **lower).keys() == lower.keys(), "what is silent was measured"


@pytest.mark.slow(threads=1)
def test_chosen_responses_that_fall_and_both_that_fall_are_said(dpo, tmp_path, reporter):
    rows = [row | {"chosen": row["rejected"].replace(".", "!")} for row in stories(48)]  # alike but for the end
    record = dpo(reporter, data=write_pairs(tmp_path / "p.jsonl", rows), **FAST)
    assert {"chosen_fell", "both_fell"} <= raised(record).keys()
    assert raised(record)["chosen_fell"]["value"] > 5
    assert [said for said in reporter.said if said.startswith("alarm at step") and "chosen_fell" in said]


@pytest.mark.slow(threads=1)
def test_saturated_margins_are_said(dpo, tmp_path):
    optimiser = FAST["optimiser"] | {"epochs": 3}
    record = dpo(data=write_pairs(tmp_path / "p.jsonl", stories(24)), dpo={"beta": 1.0}, optimiser=optimiser)
    assert raised(record)["saturated"]["value"] > 10


@pytest.mark.slow(threads=1)
def test_a_loss_that_stays_at_ln_2_is_said_halfway(dpo, tmp_path):
    optimiser = {"batch_size": 2, "learning_rate": 1e-9, "epochs": 1}
    found = raised(dpo(data=write_pairs(tmp_path / "p.jsonl", stories(48)), optimiser=optimiser))
    assert found.keys() == {"not_moving"}
    assert found["not_moving"]["step"] == 10


@pytest.mark.slow(threads=1)
def test_pairs_learned_by_heart_are_said_by_the_loss_and_by_the_accuracy(dpo, tmp_path):
    drawn = random.Random(1)  # labels by a coin: there is nothing to learn but the pairs themselves
    rows = stories(64, 1, wrong={i for i in range(64) if drawn.random() < 0.5})
    found = raised(dpo(data=write_pairs(tmp_path / "p.jsonl", rows), save={"eval_every": 4}, **FAST))
    assert "overfit" in found
    assert "past_best" in found


@pytest.mark.slow(threads=1)
def test_answers_that_repeat_themselves_are_said(dpo, tmp_path):
    rows = [row | {"chosen": " so" * 30, "rejected": row["chosen"]} for row in stories(32)]
    save, optimiser = {"num_samples": 4, "sample_tokens": 40}, FAST["optimiser"] | {"epochs": 2}
    record = dpo(data=write_pairs(tmp_path / "p.jsonl", rows), save=save, optimiser=optimiser)
    assert "repeats_itself" in raised(record)


@pytest.mark.slow(threads=1)
def test_answers_that_grow_longer_as_the_chosen_ones_are_longer_are_said(dpo, tmp_path, taught):
    rows = [
        row | {"chosen": row["chosen"] + more["chosen"]} for row, more in zip(stories(32), stories(32, 1), strict=True)
    ]
    rows = [long | {"rejected": row["chosen"]} for long, row in zip(rows, stories(32), strict=True)]
    found = raised(after_an_epoch(dpo, write_pairs(tmp_path / "p.jsonl", rows), taught))
    assert 1.5 < found["grew_longer"]["value"] < 4
    assert "does_not_end" not in found


@pytest.mark.slow(threads=1)
def test_answers_that_do_not_end_as_the_chosen_ones_were_cut_are_said(dpo, tmp_path, taught):
    rows = [row | {"chosen": row["chosen"] * 4} for row in stories(32)]
    data = write_pairs(tmp_path / "p.jsonl", rows) | {"max_length": 64}
    record = after_an_epoch(dpo, data, taught)
    assert raised(record)["does_not_end"]["value"] == 1.0
    assert record.ledger["num_truncated"] >= 32


def after_an_epoch(dpo, data, model):
    optimiser, save = FAST["optimiser"] | {"learning_rate": 1e-3, "epochs": 1}, {"num_samples": 4, "sample_tokens": 64}
    return dpo(model=model, data=data, save=save, optimiser=optimiser)


@pytest.mark.slow(threads=1)
def test_a_gradient_far_above_its_median_is_said_at_its_step(dpo, tmp_path):
    rows, drawn = stories(44), random.Random(0)
    noise = [chr(drawn.randrange(33, 127)) for _ in range(150)]  # a row of no words among stories
    rows[7] |= {"chosen": " ".join(noise)}
    optimiser = {"batch_size": 2, "learning_rate": 1e-6, "epochs": 2, "token_budget": 600}
    record = dpo(data=write_pairs(tmp_path / "p.jsonl", rows) | {"held_out": 0}, optimiser=optimiser)
    norms = {row["step"]: row["grad_norm"] for row in record.metrics_rows() if "grad_norm" in row}
    second = max(range(23, 45), key=norms.get)  # at its first, in steps 1 to 22, there may be too few to compare with
    assert raised(record)["gradient_spike"]["step"] in (second, max(range(1, 23), key=norms.get))


@pytest.mark.slow(threads=1)
def test_pairs_labelled_the_wrong_way_round_that_have_most_of_the_gradient_are_named(dpo, tmp_path):
    rows = stories(64, 3, wrong={17, 41})
    rows[41] |= {"prompt": rows[41]["prompt"] + " Once more."}
    optimiser = {"batch_size": 4, "learning_rate": 1e-3, "epochs": 3}
    limits = {"few_pairs_decide": 0.4}
    data = write_pairs(tmp_path / "p.jsonl", rows) | {"held_out": 0}
    found = raised(dpo(data=data, optimiser=optimiser, alarms=limits))
    assert "p.jsonl:18" in found["few_pairs_decide"]["text"]
    assert "p.jsonl:42" in found["few_pairs_decide"]["text"]


def seen_pairs(margins, alike=()):
    return Seen({}, (), margins=[(f"p.jsonl:{i}", margin) for i, margin in enumerate(margins, 1)], alike=alike)


def test_more_than_a_twentieth_of_the_pairs_are_said_where_the_model_ranks_them_the_other_way_round():
    found = few_pairs_decide(seen_pairs([4.0] * 80 + [-1.0, -3.0] * 10))
    weights = 80 / (1 + math.exp(4)), 10 / (1 + math.exp(-1)) + 10 / (1 + math.exp(-3))
    assert found.value == pytest.approx(weights[1] / sum(weights))
    assert "20 of 100 pairs, which the model ranks clearly the other way round, make 92% of the gradient" in found.text
    assert "p.jsonl:98" in found.text
    noisy = few_pairs_decide(seen_pairs([0.2, -0.6] * 50))  # labels of which nothing is learned yet
    assert noisy.value < 0.1


def test_pairs_with_nearly_the_same_sides_are_said_where_the_others_are_learned():
    alike = [f"p.jsonl:{i}" for i in range(71, 101)]
    found = few_pairs_decide(seen_pairs([5.0] * 70 + [0.0] * 30, alike))
    assert found.value == pytest.approx(15 / (15 + 70 / (1 + math.exp(5))))
    assert "30 of 100 pairs, whose two sides are nearly the same" in found.text
    assert found.facts["rows"].split(", ")[0] in alike
    assert few_pairs_decide(seen_pairs([0.0] * 100, alike)).value == pytest.approx(0.05)  # as all others pull
    assert few_pairs_decide(seen_pairs([0.0] * 100, [*alike, *(f"p.jsonl:{i}" for i in range(71))])).value < 0.1


@pytest.mark.parametrize(
    ("rejected", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 0], True),
        ([2, 1, 3, 4, 5, 6, 7, 8, 9, 11], True),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], True),
        ([1, 2, 3, 4, 5, 6, 7, 8, 11, 12], False),
        ([1, 1, 1, 2, 2, 2, 3, 3, 3, 4], False),
        ([], False),
    ],
)
def test_sides_are_nearly_the_same_where_a_tenth_of_their_tokens_differ(rejected, expected):
    sides = TokenSequence.of([7, 7], range(1, 11)), TokenSequence.of([7, 7], rejected)
    assert nearly_the_same(*sides) == nearly_the_same(*reversed(sides)) == expected


@pytest.mark.slow(threads=1)
def test_the_loop_finds_pairs_with_nearly_the_same_sides_and_remembers_them_in_its_checkpoints(dpo, tmp_path):
    rows = stories(48)
    for i in range(0, 48, 4):
        rows[i] |= {"rejected": rows[i]["chosen"].replace(".", "!")}
    optimiser = {"batch_size": 8, "learning_rate": 1e-3, "epochs": 4}
    limits = {"few_pairs_decide": 0.3}
    data = write_pairs(tmp_path / "p.jsonl", rows) | {"held_out": 0}
    found = raised(dpo(data=data, optimiser=optimiser, alarms=limits))["few_pairs_decide"]
    assert "12 of 48 pairs, whose two sides are nearly the same" in found["text"]
    assert found["text"] == found["sentence"].format(**found["facts"])


@pytest.mark.slow(threads=1)
def test_sides_that_the_objective_moves_the_same_way_are_said_unless_they_are_held_to_the_band(
    dpo, tmp_path, monkeypatch
):
    monkeypatch.setattr(alarms, "PAIRS_BETWEEN", 4)
    data = write_pairs(tmp_path / "p.jsonl", [twice_rejected(row) for row in stories(20)]) | {"held_out": 0}
    optimiser = {"batch_size": 2, "learning_rate": 1e-5, "epochs": 1}
    found = raised(dpo(data=data, optimiser=optimiser))["sides_entangled"]
    assert (found["step"], found["value"]) == (10, 1.0)
    assert "the chosen response less likely in 5 and" in found["text"]
    for name, ratio in (("given", 1.67), ("measured", "auto")):  # |g_l| over |g_w|
        held = dpo(name=name, data=data, optimiser=optimiser, dpo={"band": {"ratio": ratio, "rho": 1}})
        assert "sides_entangled" not in raised(held)
    seen = [row["band/ratio"] for row in held.metrics_rows() if "band/ratio" in row]
    assert seen[-1] == pytest.approx(1.67, abs=0.1)


def twice_rejected(row):
    return row | {"rejected": row["chosen"] * 2}


def twice_chosen(row):
    return row | {"chosen": row["rejected"] * 2}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("objective", ["dpo", "simpo"])
def test_a_pair_lies_in_the_band_where_a_small_step_along_its_gradient_moves_its_sides_apart(
    model, tmp_path, objective
):
    plain = stories(6)
    write_pairs(tmp_path / "p.jsonl", [*plain[:2], *map(twice_rejected, plain[2:4]), *map(twice_chosen, plain[4:])])
    pairs = tokenise_pairs(model.encoder, load_pairs(tmp_path / "p.jsonl").records, Limits(200, 150)).items
    weights = list(model.network.parameters())
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    before = {s.key: float(x.detach()) for p in pairs for s in p.sequences for x in score_sequences(model, [s])}
    task = PreferenceTask(bind(objective), 0.1, before)
    places = []
    for pair in pairs:
        places.append(place_in_band(model, task, pair, weights))
        task.losses(model, [pair])[0].backward()
        size = sum(float(weight.grad.square().sum()) for weight in weights) ** 0.5
        with torch.no_grad():
            start = [weight.clone() for weight in weights]
            for weight in weights:
                weight.sub_(weight.grad, alpha=2e-3 / size)
            after = score_sequences(model, pair.sequences).tolist()
            for weight, was in zip(weights, start, strict=True):
                weight.copy_(was)
                weight.grad.zero_()
        chosen, rejected = (now - before[s.key] for now, s in zip(after, pair.sequences, strict=True))
        assert places[-1] == ("chosen_falls" if chosen < 0 else "rejected_rises" if rejected > 0 else "inside")
    assert set(places) == {"inside", "chosen_falls", "rejected_rises"}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_kl_of_the_models_own_answers_over_budget_is_said_and_recorded(dpo, tmp_path, lora, settings):
    model = settings()["model"] | {"lora": lora}
    save = {"num_samples": 2, "sample_tokens": 16, "eval_every": 6}
    record = dpo(
        data=write_pairs(tmp_path / "p.jsonl", stories(48)),
        save=save,
        alarms={"kl_over_budget": 0.5},
        model=model,
        **FAST,
    )
    measured = [row["eval_kl"] for row in record.metrics_rows() if "eval_kl" in row]
    assert raised(record)["kl_over_budget"]["value"] == pytest.approx(next(kl for kl in measured if kl > 0.5), abs=1e-5)


@pytest.mark.slow(threads=1)
def test_an_alarm_may_stop_the_run(dpo, tmp_path):
    alarms = {"not_moving": 0.5, "actions": {"not_moving": "stop"}}
    optimiser = {"batch_size": 2, "learning_rate": 1e-9, "epochs": 1}
    record = dpo(data=write_pairs(tmp_path / "p.jsonl", stories(48)), optimiser=optimiser, alarms=alarms)
    assert record.ledger["num_steps"] == 10
    assert record.ledger["stopped_early"].startswith("alarm not_moving: the loss is 0.69")
    assert (record.path / "model" / "model.safetensors").is_file()


@pytest.mark.slow(threads=1)
def test_an_alarm_may_halve_the_learning_rate(dpo, tmp_path):
    alarms = {"not_moving": 0.5, "actions": {"not_moving": "lower_rate"}}
    optimiser = {"batch_size": 2, "learning_rate": 1e-9, "epochs": 1, "schedule": "constant", "warmup_ratio": 0}
    record = dpo(data=write_pairs(tmp_path / "p.jsonl", stories(48)), optimiser=optimiser, alarms=alarms)
    rates = {row["step"]: row["learning_rate"] for row in record.metrics_rows() if "learning_rate" in row}
    assert (rates[10], rates[11]) == (1e-9, 5e-10)


@pytest.mark.slow(threads=1)
def test_an_alarm_may_keep_the_model_of_the_lowest_held_out_loss(dpo, tmp_path):
    drawn = random.Random(1)
    rows = stories(64, 1, wrong={i for i in range(64) if drawn.random() < 0.5})
    data, save = write_pairs(tmp_path / "p.jsonl", rows), {"eval_every": 4}
    record = dpo(data=data, save=save, alarms={"actions": {"overfit": "keep_best"}}, **FAST)
    losses = {row["step"]: row["eval_loss"] for row in record.metrics_rows() if "eval_loss" in row}
    best = min(losses, key=losses.get)
    assert record.ledger["model_of_step"] == best
    ended = dpo(
        data=data,
        save=save,
        output=str(tmp_path / "short"),
        alarms={"overfit": None, "past_best": None},
        optimiser=FAST["optimiser"] | {"max_steps": best},
    )
    kept, there = (load_file(r.path / "model" / "model.safetensors") for r in (record, ended))
    assert all(torch.equal(kept[name], there[name]) for name in there)


@pytest.mark.slow(threads=1)
def test_a_run_that_goes_on_raises_what_it_would_have_raised(dpo, make_reporter, tmp_path):
    data = write_pairs(tmp_path / "p.jsonl", stories(48, wrong={3, 4, 5, 30}))
    options = {
        "save": {"eval_every": 5, "num_samples": 2, "sample_tokens": 8},
        "alarms": {"few_pairs_decide": 0.1},
        **FAST,
    }
    straight = dpo(data=data, output=str(tmp_path / "straight"), **options)

    def stop():
        raise Interrupted(2, "")

    with pytest.raises(Interrupted):
        dpo(make_reporter({14: stop}), data=data, output=str(tmp_path / "cut"), **options)
    resumed = dpo(resume=True, data=data, output=str(tmp_path / "cut"), **options)
    assert straight.ledger["alarms"]
    assert resumed.ledger["alarms"] == straight.ledger["alarms"]


@pytest.mark.parametrize(
    ("alarms", "says"),
    [
        ({"saturatd": 3}, "saturatd"),
        ({"saturated": -1}, "greater than or equal to 0"),
        ({"actions": {"saturated": "explode"}}, "'note', 'stop', 'lower_rate' or 'keep_best'"),
        ({"actions": {"sated": "stop"}}, "'chosen_fell'"),
    ],
)
def test_a_limit_or_an_action_that_means_nothing_is_refused(dpo, alarms, says):
    with pytest.raises(ValueError, match=says):
        dpo(alarms=alarms)
