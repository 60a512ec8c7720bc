"""Every rule fires on the fault it names, and stays silent on a healthy run."""

import math
import random

import pytest

from penchant.report.advice import advise


def fired(run, metrics, comparison=None) -> set[str]:
    return {remark.rule for remark in advise(run, metrics, comparison)}


def pairs_of(before: str, after: str, num: int = 8) -> dict:
    return {"pairs": [{"prompt": "p", "before": before, "after": after}] * num}


def test_a_healthy_run_gets_no_remark(run, metrics, comparison):
    assert advise(run, metrics, comparison) == []
    assert advise(run, [], None) == []
    assert advise({}, [{"step": 1, "loss": 0.7}], {}) == []


def test_chosen_fell_reads_the_held_out_log_probs(run):
    def rows(end):
        return [{"step": step, "eval_logps/chosen": -80 + end * step, "eval_logps/rejected": -90} for step in (0, 1)]

    assert fired(run, rows(-4.0)) == {"chosen_fell"}
    assert fired(run, rows(-0.4)) == set()
    assert fired(run, rows(+4.0)) == set()


def test_chosen_fell_reads_training_rewards_over_beta(run):
    def rows(reward):
        return [{"step": s, "rewards/chosen": reward * s / 20, "rewards/rejected": -2.0 * s / 20} for s in range(21)]

    [remark] = advise(run, rows(-0.3))
    assert remark.rule == "chosen_fell"
    assert "-2.9 nats" in remark.text  # mean of the last two steps, -0.2925 at beta 0.1
    assert "-19.5" in remark.text
    assert fired(run, rows(-0.03)) == set()
    assert fired(run, rows(0.3)) == set()


def test_chosen_fell_is_not_fooled_by_batches_of_different_length():
    noise = random.Random(0)

    def rows(drift):
        return [
            {"step": s, "logps/chosen": noise.gauss(-80, 15) + drift * s, "logps/rejected": -90.0} for s in range(200)
        ]

    assert fired({}, rows(0.0)) == set()
    assert fired({}, rows(-0.5)) == {"chosen_fell"}


@pytest.mark.parametrize(
    ("accuracy", "margin", "fires"), [(1.0, 12.0, True), (1.0, 9.0, False), (0.97, 12.0, False), (1.0, 10.0, False)]
)
def test_saturated_needs_full_accuracy_and_a_margin_above_ten(run, accuracy, margin, fires):
    rows = [{"step": s, "rewards/accuracies": accuracy, "rewards/margins": margin} for s in range(30)]
    assert fired(run, rows) == ({"saturated"} if fires else set())


def test_saturation_must_last_to_the_end(run):
    rows = [{"step": s, "rewards/accuracies": 1.0, "rewards/margins": 12.0 if s < 20 else 5.0} for s in range(30)]
    assert fired(run, rows) == set()


@pytest.mark.parametrize(
    ("held_out", "train_end", "fires"),
    [
        ([0.69, 0.55, 0.50, 0.58], 0.1, True),  # turned up while training fell
        ([0.69, 0.55, 0.50, 0.505], 0.1, False),  # flat
        ([0.69, 0.60, 0.55, 0.50], 0.1, False),  # still falling
        ([0.69, 0.55, 0.50, 0.58], 0.7, False),  # training did not fall either
        ([0.50, 0.60, 0.70, 0.80], 0.1, True),  # worse from the first evaluation on
    ],
)
def test_overfit_needs_the_held_out_loss_to_rise_while_training_falls(run, held_out, train_end, fires):
    rows = [{"step": 10 * i, "eval_loss": value} for i, value in enumerate(held_out)]
    rows += [{"step": s, "loss": 0.69 + (train_end - 0.69) * s / 30} for s in range(1, 31)]
    assert fired(run, rows) == ({"overfit"} if fires else set())


def test_overfit_names_the_step_to_go_back_to(run):
    rows = [{"step": s, "loss": 1.0 - s / 40} for s in range(1, 31)]
    rows += [{"step": s, "eval_loss": v} for s, v in ((0, 0.7), (10, 0.5), (30, 0.9))]
    [remark] = advise(run, rows)
    assert "lowest at step 10 (0.500)" in remark.text


@pytest.mark.parametrize(("loss", "margin", "num", "fires"), [(math.log(2), 0.001, 50, True), (0.68, 0.03, 50, False)])
def test_nothing_learned_knows_ln_2(run, loss, margin, num, fires):
    rows = [{"step": s, "loss": loss, "rewards/margins": margin} for s in range(num)]
    assert fired(run, rows) == ({"nothing_learned"} if fires else set())


def test_a_run_of_a_few_steps_is_not_told_that_it_learned_nothing(run):
    assert fired(run, [{"step": s, "loss": math.log(2), "rewards/margins": 0.0} for s in range(3)]) == set()


@pytest.mark.parametrize(
    ("low", "high", "level"), [(0.46, 0.58, "note"), (0.30, 0.42, "warning"), (0.55, 0.65, None), (None, None, None)]
)
def test_win_rates_that_do_not_beat_a_half_are_said_aloud(run, low, high, level):
    remarks = advise(run, [], {"win_rate": {"rate": 0.5, "low": low, "high": high}})
    assert [remark.level for remark in remarks] == ([level] if level else [])


def test_longer_responses_are_noted(run):
    assert fired(run, [], pairs_of("two words", "these are now four words")) == {"grew_longer"}
    assert fired(run, [], pairs_of("two words", "two more")) == set()
    assert fired(run, [], pairs_of("two words", "these are now four words", num=3)) == set()
    assert fired(run, [], pairs_of("", "words")) == set()


@pytest.mark.parametrize("key", ["loss", "grad_norm", "eval_loss"])
def test_a_value_that_is_not_finite_is_never_hidden(run, key):
    [remark] = advise(run, [{"step": 4, key: 1.0}, {"step": 5, key: math.nan}, {"step": 6, key: math.inf}])
    assert remark.rule == "non_finite"
    assert "2 steps (5, 6)" in remark.text


def test_warnings_come_before_notes(run):
    comparison = {"win_rate": {"rate": 0.5, "low": 0.4, "high": 0.6}}
    levels = [remark.level for remark in advise(run, [{"step": 5, "loss": math.nan}], comparison)]
    assert levels == ["warning", "note"]


def held_out(accuracy, low, high, loss=0.4, margin=1.0, trained=0.6):
    return [
        *({"step": step, "rewards/accuracies": trained} for step in range(1, 11)),
        {
            "step": 10,
            "eval_loss": loss,
            "eval_rewards/margins": margin,
            "eval_rewards/accuracies": accuracy,
            "eval_rewards/accuracies_low": low,
            "eval_rewards/accuracies_high": high,
        },
    ]


def test_training_pairs_learned_by_heart_are_remarked_beside_what_held_out_shows(run):
    [remark] = advise(run, held_out(0.59, 0.5, 0.67, trained=1.0))
    assert remark.rule == "memorised"
    assert "100.0% of the training pairs are ranked correctly and 59.0% of the held-out ones" in remark.text
    assert fired(run, held_out(0.59, 0.2, 1.0, trained=1.0)) == set(), "five pairs cannot say so"
    assert fired(run, held_out(0.9, 0.8, 0.95, trained=1.0)) == set()
    assert fired(run, held_out(0.59, 0.5, 0.67, trained=1.0)[-3:]) == set(), "a few batches say little"


def test_a_model_that_hardly_moved_is_remarked_with_the_learning_rate_it_had(run):
    config = {"dpo": {"objective": "dpo", "beta": 0.1}, "optimiser": {"learning_rate": 1e-6}}
    [remark] = advise(run | {"config": config}, held_out(0.58, 0.49, 0.66, loss=0.6876, margin=0.01))
    assert remark.rule == "moved_little"
    assert "0.6876, which is 0.0055 below ln 2" in remark.text
    assert "may be chance" in remark.text
    assert "it was 1e-06" in remark.text
    assert fired(run | {"config": config}, held_out(0.58, 0.49, 0.66, loss=0.6)) == set()
    config["dpo"]["objective"] = "ipo"
    assert fired(run | {"config": config}, held_out(0.58, 0.49, 0.66, loss=0.6876)) == set(), (
        "it does not begin at ln 2"
    )


@pytest.mark.parametrize(("longer", "says"), [(0.617, "longer response would rank 61.7%"), (0.383, "shorter response")])
def test_an_accuracy_that_length_alone_would_give_is_remarked(run, longer, says):
    [remark] = advise(run | {"held_out_longer": longer}, held_out(0.58, 0.52, 0.64))
    assert remark.rule == "no_better_than_length"
    assert says in remark.text
    assert fired(run | {"held_out_longer": 0.51}, held_out(0.58, 0.52, 0.64)) == set()


def test_alarms_of_the_run_come_first_and_are_not_said_again_by_a_rule(run):
    rows = [{"step": step, "eval_logps/chosen": -80 - 9 * step, "eval_logps/rejected": -90} for step in (0, 1)]
    alarm = {"name": "chosen_fell", "step": 7, "value": 6.0, "limit": 5.0, "action": "note", "text": "chosen fell"}
    [remark] = advise({**run, "alarms": [alarm]}, rows)
    assert (remark.level, remark.title, remark.text) == ("warning", "Alarm at step 7: chosen fell", "Chosen fell.")
