"""PPO and online DPO by enumeration, against sums by hand in loops, and against the exact gradient."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from penchant.lab import PPOStep, Problem, exact_gradient, exact_values, expected_pair_gradient, expected_ppo_gradient

BANDIT, TREE = Problem.random(3, 1, beta=0.5, seed=3), Problem.random(3, 2, beta=0.5, seed=4)
DEEP = Problem.random(2, 4, beta=0.5, seed=5)
WORLDS = pytest.mark.parametrize("problem", [BANDIT, TREE, DEEP], ids=["bandit", "tree", "deep"])


def noise(problem, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(problem.reference_NV.shape, dtype=torch.float64, generator=generator)


def another(problem):
    return problem.reference_NV + noise(problem)


def exact(problem, logits_NV):
    return exact_gradient(problem.tree, logits_NV, problem.reference_NV, problem.reward_Y, problem.beta)


def path(problem, y):
    """(prefix, token) of each step of a sequence."""
    tree = problem.tree
    return [(tree.prefixes.index(tree.sequences[y][:t]), token) for t, token in enumerate(tree.sequences[y])]


def to_come(problem, logits_NV, y):
    """At each token of a sequence, what is earned with it and after it: its reward less beta times the log-ratios."""
    policy_NV, reference_NV = (torch.log_softmax(one_NV, 1) for one_NV in (logits_NV, problem.reference_NV))
    paid = [problem.beta * (policy_NV[n, v] - reference_NV[n, v]).item() for n, v in path(problem, y)]
    return [problem.reward_Y[y].item() - sum(paid[t:]) for t in range(len(paid))]


def pull(logits_NV, n, v):
    """The gradient of log p(v | n) in the logits of its prefix."""
    return torch.nn.functional.one_hot(torch.tensor(v), logits_NV.shape[1]) - torch.softmax(logits_NV[n], 0)


@WORLDS
def test_the_value_of_a_prefix_is_the_mean_of_what_is_to_come_over_the_sequences_through_it(problem):
    logits_NV = another(problem)
    policy_Y = problem.policy(logits_NV).tolist()
    for n, value in enumerate(exact_values(problem, logits_NV).tolist()):
        through = [
            (policy_Y[y], to_come(problem, logits_NV, y)[t])
            for y in range(len(policy_Y))
            for t, (prefix, _) in enumerate(path(problem, y))
            if prefix == n
        ]
        assert value == pytest.approx(sum(p * g for p, g in through) / sum(p for p, _ in through))


@WORLDS
@pytest.mark.parametrize("lam", [0.0, 0.5, 0.95, 1.0])
def test_at_the_first_step_ppo_is_unbiased_with_exact_values_at_any_lambda_and_with_any_values_at_one(problem, lam):
    logits_NV = another(problem)
    exact_NV, wrong_N = exact(problem, logits_NV), noise(problem)[:, 0]
    found_NV = expected_ppo_gradient(problem, logits_NV, PPOStep(exact_values(problem, logits_NV), lam=lam))
    assert torch.allclose(found_NV, exact_NV, atol=1e-12)
    miss = (expected_ppo_gradient(problem, logits_NV, PPOStep(wrong_N, lam=lam)) - exact_NV).norm().item()
    is_exact = lam == 1 or problem is BANDIT  # of one token there is nothing to come that a value could stand for
    assert miss < 1e-12 if is_exact else miss > 1e-3


@WORLDS
@pytest.mark.parametrize("clip", [0.2, math.inf])
def test_on_responses_of_an_old_policy_the_mean_is_the_one_by_hand(problem, clip):
    old_NV = another(problem)
    new_NV, value_N = old_NV + noise(problem, 1), noise(problem, 2)[:, 0]
    p_old_NV, p_new_NV = torch.softmax(old_NV, 1), torch.softmax(new_NV, 1)
    expected_NV, num_clipped = torch.zeros_like(old_NV), 0
    for y, chance in enumerate(problem.policy(old_NV).tolist()):
        for (n, v), earned in zip(path(problem, y), to_come(problem, old_NV, y), strict=True):
            ratio, advantage = (p_new_NV[n, v] / p_old_NV[n, v]).item(), earned - value_N[n].item()
            if (ratio > 1 + clip and advantage > 0) or (ratio < 1 - clip and advantage < 0):
                num_clipped += 1
            else:
                expected_NV[n] += chance * advantage * ratio * pull(new_NV, n, v)
    found_NV = expected_ppo_gradient(problem, new_NV, PPOStep(value_N, clip=clip), old_logits_NV=old_NV)
    assert torch.allclose(found_NV, expected_NV, atol=1e-12)
    assert (num_clipped > 0) == (clip < 1)


def test_on_old_responses_of_one_token_ppo_forgets_what_has_been_paid_since():
    """Not clipped, it is the gradient of E[R] - beta KL(pi || pi_ref) + beta KL(pi || pi_old)."""
    old_NV = another(BANDIT)
    new_NV = old_NV + noise(BANDIT, 1, 0.5)
    to_old_NV = -exact_gradient(BANDIT.tree, new_NV, old_NV, torch.zeros_like(BANDIT.reward_Y), BANDIT.beta)
    found_NV = expected_ppo_gradient(BANDIT, new_NV, PPOStep(clip=math.inf), old_logits_NV=old_NV)
    assert torch.allclose(found_NV, exact(BANDIT, new_NV) + to_old_NV, atol=1e-12)


def test_a_whitened_group_is_the_one_by_hand_and_another_gradient_than_the_exact_one():
    logits_NV = another(TREE)
    policy_Y, expected_NV = TREE.policy(logits_NV).tolist(), torch.zeros_like(logits_NV)
    for group in product(range(len(policy_Y)), repeat=2):
        tokens = [token for y in group for token in path(TREE, y)]
        earned = torch.tensor([one for y in group for one in to_come(TREE, logits_NV, y)], dtype=torch.float64)
        advantages = (earned - earned.mean()) / earned.std() if earned.std() > 1e-9 else 0 * earned
        for (n, v), advantage in zip(tokens, advantages.tolist(), strict=True):
            chance = policy_Y[group[0]] * policy_Y[group[1]]
            expected_NV[n] += chance * advantage * pull(logits_NV, n, v) / len(tokens)
    step = PPOStep(whiten=True, aggregation="token", num_samples=2)
    found_NV, exact_NV = expected_ppo_gradient(TREE, logits_NV, step), exact(TREE, logits_NV)
    assert torch.allclose(found_NV, expected_NV, atol=1e-6)  # what is added to the standard deviation
    assert torch.nn.functional.cosine_similarity(found_NV.flatten(), exact_NV.flatten(), dim=0) < 0.99


@WORLDS
def test_the_mean_over_pairs_is_the_one_by_hand(problem):
    logits_NV = another(problem)
    policy_Y, expected_NV = problem.policy(logits_NV).tolist(), torch.zeros_like(logits_NV)
    log_ratio_Y = (problem.policy(logits_NV) / problem.reference_Y).log().tolist()
    reward_Y = problem.reward_Y.tolist()
    for i, j in product(range(len(policy_Y)), repeat=2):
        wins, says = (
            1 / (1 + math.exp(-gap))
            for gap in (reward_Y[i] - reward_Y[j], problem.beta * (log_ratio_Y[i] - log_ratio_Y[j]))
        )
        for y, sign in ((i, 1), (j, -1)):
            for n, v in path(problem, y):
                expected_NV[n] += policy_Y[i] * policy_Y[j] * (wins - says) * sign * pull(logits_NV, n, v)
    assert torch.allclose(expected_pair_gradient(problem, logits_NV), expected_NV, atol=1e-12)


@WORLDS
def test_pairs_of_drawn_labels_pull_nowhere_at_the_optimum_and_those_whose_better_one_always_wins_do(problem):
    best_NV = problem.tree.conditionals(problem.optimum_Y[None])[0].log()
    assert expected_pair_gradient(problem, best_NV).norm() < 1e-12
    assert exact(problem, best_NV).norm() < 1e-12
    always_NV = expected_pair_gradient(problem, best_NV, lambda gap_B: torch.heaviside(gap_B, gap_B.new_tensor(0.5)))
    assert always_NV.norm() > 0.01


@WORLDS
def test_where_gaps_are_small_pairs_give_half_the_exact_gradient_and_else_another_one(problem):
    flat = replace(problem, reward_Y=1e-3 * problem.reward_Y)
    near_NV = flat.reference_NV + noise(flat, scale=1e-3)
    assert torch.allclose(2 * expected_pair_gradient(flat, near_NV), exact(flat, near_NV), rtol=1e-3, atol=1e-10)
    found_NV, exact_NV = expected_pair_gradient(problem, another(problem)), exact(problem, another(problem))
    assert (2 * found_NV - exact_NV).norm() > 0.01 * exact_NV.norm()
