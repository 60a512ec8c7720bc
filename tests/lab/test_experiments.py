"""Each experiment bears out its claim, and its numbers are those of a second computation."""

import json
import math
import random
from itertools import pairwise, product

import pytest
import torch

from penchant.errors import ConfigError
from penchant.lab import EXPERIMENTS, World, expected_reward, kl_divergence
from penchant.lab.experiments.displacement import FEATURES, REFERENCE, chosen_slope
from penchant.lab.experiments.frontier import best_of_n, largest_reward
from penchant.lab.experiments.temperature import entropy, tempered

LONG = pytest.mark.slow(threads=1)
TAKE_SECONDS = {"elo", "finite_data", "frontier", "overfitting", "reinforcement"}
EVERY = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=LONG if name in TAKE_SECONDS else ()) for name in EXPERIMENTS]
)


def series(figure, label):
    (found,) = [one for one in figure.series if one.label == label]
    return dict(zip(found.x, found.y, strict=True))


@EVERY
def test_the_claim_holds_and_is_one_sentence(name, result):
    found = result(name)
    assert [part for part, held in found.checks.items() if not held] == []
    assert found.held
    assert found.name == name
    assert found.claim.endswith(".")
    assert ". " not in found.claim


@EVERY
def test_a_result_is_plain_numbers_that_survive_json(name, result):
    found = result(name).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False))["held"] is True
    assert found["figures"]
    assert all(len(one["x"]) == len(one["y"]) > 0 for figure in found["figures"] for one in figure["series"])


@EVERY
def test_every_figure_says_in_a_sentence_what_it_shows(name, result):
    for figure in result(name).figures:
        assert len(figure.title.split()) >= 5
        assert not figure.title.endswith(".")


@EVERY
def test_every_curve_over_steps_or_games_begins_where_training_did(name, result):
    for figure in result(name).figures:
        if figure.x_label.startswith(("steps", "games")):
            assert {one.x[0] for one in figure.series} == {0}


@LONG
def test_curves_of_one_beta_share_a_colour_and_those_of_one_objective_a_dash(result):
    for figure in result("overfitting").figures:
        for one in figure.series:
            objective, beta = one.label.split(", ")
            assert (one.colour, one.dash) == (beta, objective)
        low, high = figure.y_range
        for one in figure.series:
            assert sum(low < y < high for y in one.y) >= 3, "no curve is out of the picture"


@pytest.mark.parametrize("name", ["temperature", "identities", "cycles"])
def test_the_same_options_give_the_same_numbers(name, result):
    assert EXPERIMENTS[name](**result(name).options).measured == result(name).measured


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["temperature", "identities", "policy_gradients"])
def test_the_claim_does_not_hang_on_the_seed(name, seed):
    assert EXPERIMENTS[name](seed=seed).held


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("optimum", {"beta": 0.0}),
        ("optimum", {"num_responses": 3}),
        ("identities", {"num_prompts": 0}),
        ("cycles", {"strength": 0.5}),
        ("cycles", {"strength": 1.0}),
        ("overfitting", {"reference_winner": 0.0}),
        ("finite_data", {"num_comparisons": 0}),
        ("displacement", {"sft_weight": -1.0}),
        ("temperature", {"num_responses": 1}),
        ("frontier", {"num_responses": 2}),
        ("policy_gradients", {"beta": 0.0}),
        ("policy_gradients", {"num_samples": 1}),
        ("policy_gradients", {"estimator": "rlo"}),
        ("reinforcement", {"beta": 0.01}),
        ("reinforcement", {"num_steps": 10}),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(name, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        EXPERIMENTS[name](**options)


def test_optimum_is_within_a_millionth_by_every_route(result):
    distances = {name: value for name, value in result("optimum").measured.items() if name.startswith("distance")}
    assert len(distances) == 5
    assert max(distances.values()) < 1e-6


def test_identities_are_equal_to_rounding(result):
    assert len(result("identities").measured) == 23
    assert max(result("identities").measured.values()) < 1e-12


# cycles


def test_no_reward_comes_nearer_to_a_cycle_than_dpo(by_hand, result):
    """Every pair of reward differences on a grid, in Python."""
    grid = [k / 20 for k in range(-60, 61)]
    least = min(
        max(abs(by_hand.sigmoid(ab) - 0.8), abs(by_hand.sigmoid(bc) - 0.8), abs(by_hand.sigmoid(-ab - bc) - 0.8))
        for ab, bc in product(grid, repeat=2)
    )
    assert least == pytest.approx(0.3, abs=1e-12)
    assert result("cycles").measured["error of dpo on the cycle"] == pytest.approx(least, abs=1e-6)


def test_on_a_cycle_dpo_expects_each_response_to_win_as_often_as_it_does(by_hand, result):
    """The slope of the loss by hand: sum over j of shown (P_ij - sigmoid(r_i - r_j)) = 0, where it landed."""
    policies = result("cycles").figures[2]
    reference, policy = (list(series(policies, label).values()) for label in ("reference", "dpo, drawn from reference"))
    reward = [0.5 * math.log(p / q) for p, q in zip(policy, reference, strict=True)]
    preference = [[0.5, 0.8, 0.2], [0.2, 0.5, 0.8], [0.8, 0.2, 0.5]]
    for i in range(3):
        slope = sum(
            reference[i] * reference[j] * (preference[i][j] - by_hand.sigmoid(reward[i] - reward[j])) for j in range(3)
        )
        assert slope == pytest.approx(0, abs=1e-9)


def test_on_a_cycle_ipo_tilts_by_the_chance_of_beating_a_response_of_the_reference(result):
    policies = result("cycles").figures[2]
    reference, policy = (list(series(policies, label).values()) for label in ("reference", "ipo, drawn from reference"))
    preference = [[0.5, 0.8, 0.2], [0.2, 0.5, 0.8], [0.8, 0.2, 0.5]]
    wins = [sum(q * p for q, p in zip(reference, row, strict=True)) for row in preference]
    weights = [q * math.exp(win / 0.5) for q, win in zip(reference, wins, strict=True)]
    assert policy == pytest.approx([weight / sum(weights) for weight in weights], abs=1e-9)


def test_the_stronger_the_cycle_the_farther_dpo_is_from_it_and_never_from_a_line(result):
    errors = result("cycles").figures[1]
    assert series(errors, "cycle") == pytest.approx({p: p - 0.5 for p in series(errors, "cycle")}, abs=1e-6)
    assert max(series(errors, "line").values()) < 1e-6


# overfitting


@LONG
@pytest.mark.parametrize("certainty", [0.6, 0.9, 0.999])
@pytest.mark.parametrize("beta", [0.5, 5.0])
def test_the_optima_of_two_responses_are_where_the_loss_is_least(by_hand, certainty, beta, result):
    def dpo(h):
        return -certainty * math.log(by_hand.sigmoid(beta * h)) - (1 - certainty) * math.log(by_hand.sigmoid(-beta * h))

    def ipo(h):
        return certainty * (h - 0.5 / beta) ** 2 + (1 - certainty) * (h + 0.5 / beta) ** 2

    figure = result("overfitting").figures[0]
    for name, loss in (("dpo", dpo), ("ipo", ipo)):
        margin = by_hand.minimum(loss, -20, 20)
        loser = 1 / (1 + 0.3 / 0.7 * math.exp(margin))
        assert series(figure, f"{name}, beta {beta:g}")[certainty] == pytest.approx(loser, rel=1e-5)


@LONG
def test_a_certain_preference_removes_the_loser_under_dpo_and_not_under_ipo(result):
    measured = result("overfitting").measured
    for beta in (0.1, 0.5, 1.0, 5.0):
        assert measured[f"loser under dpo, beta {beta:g}"] < 1e-6
        stays = 1 / (1 + 0.3 / 0.7 * math.exp(1 / (2 * beta)))
        assert measured[f"loser under ipo, beta {beta:g}"] == pytest.approx(stays, abs=1e-9)


@LONG
def test_gradient_descent_on_ipo_comes_to_rest_and_on_dpo_does_not(result):
    figure, measured = result("overfitting").figures[1], result("overfitting").measured
    for beta in (0.1, 0.5, 1.0, 5.0):
        at_rest = measured[f"loser under ipo, beta {beta:g}"]
        assert series(figure, f"ipo, beta {beta:g}")[100] == pytest.approx(at_rest, rel=1e-6)
        dpo = list(series(figure, f"dpo, beta {beta:g}").values())
        assert all(later < earlier for earlier, later in pairwise(dpo))


# finite data


@LONG
def test_with_few_answers_only_bounded_remedies_protect_every_response(result):
    measured = result("finite_data").measured
    assert measured["worst ratio: dpo"] < 1e-6
    assert measured["worst ratio: dpo + sft"] < 1e-3
    assert min(measured[f"worst ratio: {name}"] for name in ("cdpo", "ipo", "dpo, stopped early")) > 1e-3


@LONG
def test_on_this_world_every_remedy_serves_people_better_than_dpo_trained_to_the_end(result):
    measured = result("finite_data").measured
    best, dpo = measured["objective: the best there is"], measured["objective: dpo"]
    for name in ("cdpo", "ipo", "dpo + sft", "dpo, stopped early"):
        assert dpo < measured[f"objective: {name}"] < best


@LONG
def test_the_objective_is_drawn_between_the_reference_and_the_best_there_is(result):
    figure, measured = result("finite_data").figures[1], result("finite_data").measured
    for name in ("reference", "the best there is"):
        assert set(series(figure, name).values()) == {measured[f"objective: {name}"]}
    for name in ("dpo", "cdpo", "ipo", "dpo + sft"):
        assert series(figure, name)[0] == pytest.approx(measured["objective: reference"]), "training begins there"


@LONG
def test_more_answers_leave_fewer_prompts_without_an_optimum(result):
    figure = result("finite_data").figures[2]
    shares = list(series(figure, "prompts without an optimum of dpo").values())
    assert shares[0] > 0.7
    assert shares[-1] < 0.1
    certain = series(figure, "pairs that look certain")
    assert certain[1] == pytest.approx(1)
    assert all(low < high for high, low in pairwise(certain.values()))


# displacement


def test_the_first_order_rule_is_the_change_in_a_small_step_taken_by_hand():
    def log_policy(theta):
        logits = [
            math.log(q) + sum(f * t for f, t in zip(row, theta, strict=True))
            for q, row in zip(REFERENCE, FEATURES, strict=True)
        ]
        total = math.log(sum(math.exp(logit) for logit in logits))
        return [logit - total for logit in logits]

    step, beta = 1e-6, 0.5
    # At the reference the loss of DPO pulls theta along beta / 2 (phi_chosen - phi_rejected).
    theta = [step * beta / 2 * (w - r) for w, r in zip(FEATURES[0], FEATURES[1], strict=True)]
    change = (log_policy(theta)[0] - log_policy([0.0, 0.0])[0]) / step
    slope = chosen_slope(torch.tensor(FEATURES).double(), torch.tensor(REFERENCE).double(), chosen=0, rejected=1)
    assert change < 0
    assert beta / 2 * slope.item() == pytest.approx(change, rel=1e-4)


def test_no_becomes_rare_and_yes_common_by_learning_that_no_is_better_than_never(result):
    measured = result("displacement").measured
    assert measured["pi(chosen) after training: dpo, shared features"] < 0.01
    assert measured["pi(third) after training: dpo, shared features"] > 0.9
    assert measured["pi(chosen) after training: dpo, a free logit each"] > 0.35
    assert measured["pi(chosen) after training: dpo + sft, shared features"] > 0.35


# temperature


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_tempered_probabilities_are_powers_of_the_plain_ones(temperature):
    plain = [0.5, 0.3, 0.2]
    powers = [p ** (1 / temperature) for p in plain]
    found = tempered(torch.tensor(plain, dtype=torch.float64).log(), temperature)
    assert found.tolist() == pytest.approx([power / sum(powers) for power in powers], abs=1e-14)
    assert entropy(found).item() == pytest.approx(
        -sum(power / sum(powers) * math.log(power / sum(powers)) for power in powers), abs=1e-13
    )


def test_temperature_zero_shares_among_ties_and_infinity_among_all():
    logits = torch.tensor([3.0, 1.0, 3.0])
    assert tempered(logits, 0.0).tolist() == [0.5, 0.0, 0.5]
    assert tempered(logits, math.inf).tolist() == pytest.approx([1 / 3] * 3)
    assert tempered(1000 * logits, 1e-3).tolist() == [0.5, 0.0, 0.5]
    with pytest.raises(ValueError, match="at least 0"):
        tempered(logits, -0.1)


# frontier


@pytest.mark.parametrize("reward", [[1.0, 0.0, -1.0], [1.0, 1.0, 0.0]])
def test_best_of_n_is_what_all_draws_of_n_samples_say(reward):
    reference, n = [0.2, 0.5, 0.3], 3
    expected = [0.0] * 3
    for draw in product(range(3), repeat=n):
        best = max(reward[y] for y in draw)
        ties = [y for y in draw if reward[y] == best]
        for y in ties:
            expected[y] += math.prod(reference[k] for k in draw) / len(ties)
    found = best_of_n(*torch.tensor([[reference], [reward]], dtype=torch.float64), n)
    assert found[0].tolist() == pytest.approx(expected, abs=1e-14)


def test_the_largest_reward_at_a_kl_is_beaten_by_no_random_policy_and_nearly_reached_by_some(by_hand):
    world = World.from_reward(torch.tensor([[0.5, 0.3, 0.2]]).double(), torch.tensor([[0.0, 1.0, 2.0]]).double())
    limit = largest_reward(world, kl=0.2)
    chance, best, reference = random.Random(0), -math.inf, world.reference_XY[0].tolist()
    for _ in range(20_000):
        weights = [chance.expovariate(1) for _ in range(3)]
        policy = [weight / sum(weights) for weight in weights]
        if by_hand.kl(policy, reference) <= 0.2:
            best = max(best, policy[1] + 2 * policy[2])
    assert limit - 0.02 < best <= limit


def test_no_kl_leaves_the_reference_and_boundless_kl_the_best_response():
    world = World.random(seed=0, num_prompts=2, num_responses=3)
    at_reference = expected_reward(world.reference_XY, world.known_reward_XY).mean().item()
    assert largest_reward(world, kl=0.0) == pytest.approx(at_reference, abs=1e-6)
    assert largest_reward(world, kl=100.0) == pytest.approx(world.known_reward_XY.max(1).values.mean().item())


@LONG
def test_the_curve_of_dpo_lies_on_that_of_rlhf_and_has_more_reward_than_best_of_n_at_its_kl(result):
    figure = result("frontier").figures[0]
    rlhf, dpo = series(figure, "rlhf"), series(figure, "dpo")
    assert list(dpo) == pytest.approx(list(rlhf), abs=1e-6)
    assert list(dpo.values()) == pytest.approx(list(rlhf.values()), abs=1e-6)
    assert list(rlhf) == sorted(rlhf)
    assert list(rlhf.values()) == sorted(rlhf.values())


def test_best_of_one_is_the_reference():
    world = World.random(seed=1, num_prompts=2, num_responses=4)
    policy_XY = best_of_n(world.reference_XY, world.known_reward_XY, 1)
    assert kl_divergence(policy_XY, world.reference_XY).abs().max().item() < 1e-15
    with pytest.raises(ValueError, match="n must be at least 1"):
        best_of_n(world.reference_XY, world.known_reward_XY, 0)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("elo", {"seed": -1}),
        ("elo", {"k": 0.001}),
        ("identities", {"beta": 1e-3}),
        ("optimum", {"beta": 1e-2}),
        ("cycles", {"beta": 100.0}),
        ("displacement", {"beta": 100.0}),
        ("displacement", {"sft_weight": 0.001}),
    ],
    ids=str,
)
def test_options_beyond_which_rounding_or_weakness_hides_the_claim_are_refused(name, option):
    with pytest.raises(ConfigError, match=f"{next(iter(option))} of this experiment must be"):
        EXPERIMENTS[name](**option)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("identities", {"beta": 0.01}),
        ("identities", {"beta": 100.0}),
        ("cycles", {"beta": 0.01}),
        ("cycles", {"beta": 10.0}),
        ("displacement", {"beta": 10.0}),
        ("displacement", {"sft_weight": 0.05}),
        ("optimum", {"beta": 0.05}),
        ("optimum", {"beta": 10.0}),
    ],
    ids=str,
)
def test_the_claim_holds_at_the_edges_of_what_is_accepted(name, option):
    assert EXPERIMENTS[name](**option).held


# policy gradients


def test_one_more_estimator_is_a_row_beside_the_others():
    found = EXPERIMENTS["policy_gradients"](estimator="penchant.objectives:rloo_advantages", num_samples=2)
    rows = {row["estimate"]: row for row in found.table}
    mine = rows["penchant.objectives:rloo_advantages"]
    assert {**mine, "estimate": "rloo"} == rows["rloo"]
