"""Every objective's value on one pair, written out by hand in Python floats, and the limits its paper promises."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from penchant.objectives import OBJECTIVES, PairBatch, bind

W, L, REF_W, REF_L, LEN_W, LEN_L = -9.0, -12.5, -10.0, -11.0, 5.0, 4.0
S_W, S_L = W - REF_W, L - REF_L  # 1.0, -1.5
D = S_W - S_L  # 2.5
KL_W, KL_L = 0.5, 2.0


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def nll(x):
    return -math.log(sigmoid(x))


def log_odds(mean):
    return mean - math.log(1 - math.exp(mean))


BY_HAND = {
    "dpo": ({"beta": 0.3}, nll(0.3 * D)),
    "cdpo": ({"beta": 0.3, "label_smoothing": 0.2}, 0.8 * nll(0.3 * D) + 0.2 * nll(-0.3 * D)),
    "robust": ({"beta": 0.3, "label_smoothing": 0.2}, (0.8 * nll(0.3 * D) - 0.2 * nll(-0.3 * D)) / 0.6),
    "ld_dpo": ({"beta": 0.3, "ld_alpha": 0.5}, nll(0.3 * D)),  # of log-probs already weighted
    "d2po": ({"beta": 0.3, "gamma": 0.5}, nll(0.3 * D)),
    "hinge": ({"beta": 0.3}, 1 - 0.3 * D),
    "ipo_sum": ({"beta": 0.3}, (D - 1 / 0.6) ** 2),
    "ipo_mean": ({"beta": 0.3}, (S_W / 5 - S_L / 4 - 1 / 0.6) ** 2),
    "exo_pair": (
        {"beta": 0.3, "label_smoothing": 0.2},
        sigmoid(0.75) * math.log(sigmoid(0.75) / 0.8) + sigmoid(-0.75) * math.log(sigmoid(-0.75) / 0.2),
    ),
    "discopop": (
        {"beta": 0.3, "tau": 0.5},
        (1 - sigmoid(1.5)) * nll(0.75) + sigmoid(1.5) * math.exp(-0.75),
    ),
    "nca_pair": ({"beta": 0.3}, nll(0.3) + 0.5 * nll(-0.3) + 0.5 * nll(0.45)),
    "bco_pair": ({"beta": 0.3}, nll(0.3) + nll(0.45)),
    "sppo_hard": ({"beta": 0.3}, (1.0 - 1 / 0.6) ** 2 + (-1.5 + 1 / 0.6) ** 2),
    "apo_zero": ({"beta": 0.3}, 1 - sigmoid(0.3) + sigmoid(-0.45)),
    "apo_down": ({"beta": 0.3}, sigmoid(0.3) + 1 - sigmoid(0.75)),
    "dpo_shift": ({"beta": 0.3, "shift": 0.8}, nll(0.3 * (S_W - 0.8 * S_L))),
    "dpop": ({"beta": 0.3, "penalty": 7.0}, nll(0.3 * D)),
    "tdpo1": ({"beta": 0.3}, nll(0.3 * (D - (KL_L - KL_W)))),
    "tdpo2": ({"beta": 0.3, "alpha": 0.25}, nll(0.3 * (D - 0.25 * (KL_L - KL_W)))),
    "dpo_norm": ({"beta": 3.0}, nll(3 * (S_W / 5 - S_L / 4))),
    "r_dpo": ({"beta": 0.3, "alpha": 0.2}, nll(0.3 * D + 0.2)),
    "dpo_forward_kl": ({"beta": 0.3}, nll(0.3 * ((1 - math.exp(-1.0)) - (1 - math.exp(1.5))))),
    "dpo_js": ({"beta": 0.3}, nll(0.3 * (math.log(sigmoid(1.0)) - math.log(sigmoid(-1.5))))),
    "dpo_alpha": ({"beta": 0.3, "divergence_alpha": 0.25}, nll(0.3 * (math.exp(0.25 * 1.5) - math.exp(-0.25)) / 0.25)),
    "chi_po": ({"beta": 0.3}, nll(0.3 * (math.exp(1.0) + 1.0 - math.exp(-1.5) + 1.5))),
    "simpo": ({"beta": 2.0, "gamma": 0.7}, nll(2 * (W / 5 - L / 4) - 0.7)),
    "cpo": ({"beta": 0.3, "nll_weight": 0.4}, nll(0.3 * 3.5) + 0.4 * 9 / 5),
    "orpo": ({"odds_weight": 0.4}, 9 / 5 + 0.4 * nll(log_odds(W / 5) - log_odds(L / 4))),
    "simper": ({}, math.exp(L / 4) - math.exp(W / 5)),
    "unlikelihood": ({"alpha": 0.4}, 9 / 5 - 0.4 * math.log(1 - math.exp(L / 4))),
    "aot": ({"beta": 0.3, "label_smoothing": 0.2}, 0.8 * nll(0.75) + 0.2 * nll(-0.75)),
    "aot_unpaired": ({"beta": 0.3, "label_smoothing": 0.2}, 0.8 * nll(0.75) + 0.2 * nll(-0.75)),
    # one pair on which the memory starts: a tenth of its own mean, and nine tenths of a deviation of 1
    "alpha_dpo": (
        {"beta": 2.0, "gamma": 0.7, "alpha": 0.3},
        nll(2 * (W / 5 - L / 4 - 0.3 * (0.9 * (S_W / 5 - S_L / 4)) / 0.9) - 0.7),
    ),
    "beta_dpo": ({"beta": 0.3, "alpha": 0.5}, nll(0.3 * (1 + 0.5 * 0.9 * D) * D)),
    "sft": ({}, 9 / 5),
}


@pytest.fixture
def pair() -> PairBatch:
    columns = (W, L, REF_W, REF_L, LEN_W, LEN_L)
    batch = PairBatch.hard(*(torch.tensor([x], dtype=torch.float64) for x in columns))
    return replace(batch, kl_chosen_B=torch.full_like(batch.delta_B, KL_W), kl_rejected_B=0 * batch.delta_B + KL_L)


def test_every_objective_is_written_out_here():
    assert BY_HAND.keys() == OBJECTIVES.keys()


@pytest.mark.parametrize("name", BY_HAND)
def test_the_value_is_the_formulas(pair, name):
    parameters, expected = BY_HAND[name]
    assert bind(name, **parameters)(pair).item() == pytest.approx(expected, rel=1e-12)


def slope(name, delta_pair, **parameters):
    chosen_B = delta_pair.policy_chosen_B.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(bind(name, **parameters)(replace(delta_pair, policy_chosen_B=chosen_B)), chosen_B)
    return gradient.item()


@pytest.mark.parametrize(("beta", "error"), [(0.1, 0.1), (0.5, 0.3), (2.0, 0.01)])
def test_cdpo_stops_where_the_policy_is_as_sure_as_the_label(pairs, beta, error):
    at_rest = math.log((1 - error) / error) / beta
    assert slope("cdpo", pairs([at_rest]), beta=beta, label_smoothing=error) == pytest.approx(0, abs=1e-12)
    assert slope("cdpo", pairs([at_rest - 1e-3]), beta=beta, label_smoothing=error) < 0


@pytest.mark.parametrize("tau", [0.1, 0.5, 3.0])
def test_ipo_has_its_minimum_at_one_over_two_tau(pairs, tau):
    assert bind("ipo_sum", beta=tau)(pairs([1 / (2 * tau)])).item() == pytest.approx(0, abs=1e-12)
    assert slope("ipo_sum", pairs([1 / (2 * tau)]), beta=tau) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("error", [0.05, 0.2, 0.45])
def test_robust_is_unbiased_over_every_way_labels_can_be_flipped(pairs, error):
    deltas = [-2.0, 0.3, 5.0]
    true = bind("dpo", beta=0.4)(pairs(deltas))
    expected = torch.zeros(3, dtype=torch.float64)
    for flips in itertools.product([False, True], repeat=3):
        probability = math.prod(error if flip else 1 - error for flip in flips)
        seen = pairs([-d if flip else d for d, flip in zip(deltas, flips, strict=True)])
        expected += probability * bind("robust", beta=0.4, label_smoothing=error)(seen)
    torch.testing.assert_close(expected, true, rtol=1e-12, atol=0)


@pytest.mark.parametrize("error", [0.001, 0.1, 0.4])
def test_exo_is_zero_at_the_label_and_positive_elsewhere(pairs, error):
    at_rest = math.log((1 - error) / error) / 0.5
    values = bind("exo_pair", beta=0.5, label_smoothing=error)(pairs([at_rest, at_rest - 1, at_rest + 1]))
    assert values[0].item() == pytest.approx(0, abs=1e-12)
    assert (values[1:] > 0).all()


def test_exo_without_smoothing_is_refused_as_its_logarithm_would_be_infinite():
    with pytest.raises(ValueError, match=r"label_smoothing of exo_pair must be greater than 0 and less than 0\.5"):
        bind("exo_pair", label_smoothing=0.0)


def test_the_alpha_divergence_joins_forward_kl_and_dpo(pairs):
    batch = pairs([-1.0, 0.5, 3.0])
    for alpha, other in ((1.0, "dpo_forward_kl"), (0.0, "dpo"), (1e-8, "dpo")):
        mine = bind("dpo_alpha", divergence_alpha=alpha)(batch)
        torch.testing.assert_close(mine, bind(other)(batch), rtol=1e-7, atol=1e-9)


def test_the_score_of_a_log_ratio_is_the_slope_of_the_papers_alpha_divergence():
    """f(u) = (u^(1-a) - (1-a) u - a) / (a (a-1)), table 1; r scores f'(exp r), up to a constant."""
    a, r = 0.3, torch.linspace(-2, 2, 9, dtype=torch.float64)
    u = r.exp().requires_grad_()
    f = (u ** (1 - a) - (1 - a) * u - a) / (a * (a - 1))
    (slope,) = torch.autograd.grad(f.sum(), u)
    zero = torch.zeros_like(r)
    batch = PairBatch.hard(r, zero, zero, zero, zero + 1, zero + 1)
    loss = bind("dpo_alpha", beta=0.7, divergence_alpha=a)(batch)
    score = -torch.log(torch.expm1(loss)) / 0.7  # loss = log(1 + exp(-beta (score(r) - score(0))))
    torch.testing.assert_close(score, slope - slope[4])


def test_the_alpha_of_before_is_refused_and_not_read_as_the_papers():
    with pytest.raises(ValueError, match=r"dpo_alpha has no parameter 'alpha' any more: it was 1 minus the paper's"):
        bind("dpo_alpha", alpha=0.25)


@pytest.mark.parametrize(
    ("name", "parameters", "plain"),
    [
        ("r_dpo", {"alpha": 0.0}, "dpo"),
        ("dpop", {"penalty": 0.0, "beta": 0.1}, "dpo"),
        ("robust", {"label_smoothing": 0.0}, "dpo"),
    ],
)
def test_switched_off_it_is_dpo(pairs, name, parameters, plain):
    batch = pairs([-3.0, 0.0, 2.0])
    torch.testing.assert_close(bind(name, **parameters)(batch), bind(plain)(batch), rtol=1e-12, atol=0)


def test_dpop_punishes_a_chosen_response_that_fell_and_only_then(pair):
    fallen = replace(pair, policy_chosen_B=pair.policy_chosen_B - 3, policy_rejected_B=pair.policy_rejected_B - 3)
    assert fallen.delta_B.item() == pair.delta_B.item()
    assert bind("dpop", beta=0.3, penalty=7.0)(fallen).item() == pytest.approx(nll(0.3 * (D - 7 * 2)), rel=1e-12)


def test_aot_compares_the_sorted_margins_of_a_batch_by_rank(pairs):
    batch = pairs([4.0, -1.0])
    batch = replace(batch, reference_chosen_B=batch.reference_chosen_B + torch.tensor([3.0, 0.0], dtype=torch.float64))
    policy = sorted((batch.policy_chosen_B - batch.policy_rejected_B).tolist())
    reference = sorted((batch.reference_chosen_B - batch.reference_rejected_B).tolist())
    expected = [nll(0.1 * (p - r)) for p, r in zip(policy, reference, strict=True)]
    assert bind("aot", label_smoothing=0.0)(batch).tolist() == pytest.approx(expected, rel=1e-12)


def test_aot_unpaired_compares_the_sorted_log_ratios_of_chosen_with_those_of_rejected(pairs):
    batch = pairs([4.0, -1.0, 0.5])
    shift = torch.tensor([3.0, 0.0, -2.0], dtype=torch.float64)
    batch = replace(batch, reference_chosen_B=batch.reference_chosen_B + shift)
    chosen = sorted((batch.policy_chosen_B - batch.reference_chosen_B).tolist())
    rejected = sorted((batch.policy_rejected_B - batch.reference_rejected_B).tolist(), reverse=False)
    expected = [nll(0.1 * (c - r)) for c, r in zip(chosen, rejected, strict=True)]
    assert bind("aot_unpaired", label_smoothing=0.0)(batch).tolist() == pytest.approx(expected, rel=1e-12)
    apart = bind("aot", label_smoothing=0.0)(batch)
    assert apart.tolist() != pytest.approx(expected, rel=1e-3), "or the two could not be told apart here"


def test_orpo_and_unlikelihood_survive_a_response_that_is_certain(pair):
    certain = torch.zeros(1, dtype=torch.float64)
    assert bind("orpo")(replace(pair, policy_chosen_B=certain)).isfinite().all()
    assert bind("unlikelihood")(replace(pair, policy_rejected_B=certain)).isfinite().all()


def test_every_bradley_terry_objective_starts_at_ln_2_where_policy_and_reference_agree(pairs):
    same = pairs([0.0])
    for name in ("dpo", "cdpo", "robust", "dpo_norm", "dpo_forward_kl", "dpo_js", "dpo_alpha", "chi_po", "aot"):
        assert bind(name)(same).item() == pytest.approx(math.log(2), rel=1e-12), name


def test_a_shift_of_one_is_dpo_and_a_smaller_one_turns_the_pull_to_the_chosen_side(pairs):
    batch = pairs([-1.0, 0.5, 3.0])
    torch.testing.assert_close(bind("dpo_shift", shift=1.0)(batch), bind("dpo")(batch))
    sides = [side.clone().requires_grad_() for side in (batch.policy_chosen_B, batch.policy_rejected_B)]
    loss_B = bind("dpo_shift", shift=0.6)(replace(batch, policy_chosen_B=sides[0], policy_rejected_B=sides[1]))
    chosen_B, rejected_B = torch.autograd.grad(loss_B.sum(), sides)
    torch.testing.assert_close(rejected_B, -0.6 * chosen_B)


def test_simper_pushes_a_rejected_response_the_less_the_less_likely_it_already_is(pairs):
    batch = pairs([0.0, 30.0, 300.0], length=(10.0, 10.0))
    rejected_B = batch.policy_rejected_B.clone().requires_grad_()
    (slope_B,) = torch.autograd.grad(bind("simper")(replace(batch, policy_rejected_B=rejected_B)).sum(), rejected_B)
    assert slope_B[0] > slope_B[1] > slope_B[2] > 0
