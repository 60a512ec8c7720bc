"""Policy gradients by enumeration, against finite differences, a closed form by hand, and a count of samples."""

import math
from itertools import product

import pytest
import torch

from penchant.lab import METHODS, Problem, Recipe, TokenTree, exact_gradient, expected_gradient, learn
from penchant.lab.experiments.frontier import best_of_n
from penchant.lab.learning import GROUP
from penchant.lab.policy_gradients import TokensOf
from penchant.objectives import bind_estimator

BANDIT, TREE = Problem.random(3, 1, beta=0.5, seed=3), Problem.random(3, 2, beta=0.5, seed=4)


def another(problem):
    noise_NV = torch.randn(problem.reference_NV.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return problem.reference_NV + noise_NV


def world(problem):
    return problem.tree, another(problem), problem.reference_NV, problem.reward_Y, problem.beta


def test_the_tokens_of_sequences_are_those_of_the_tree_one_after_another():
    tree = TokenTree(num_tokens=3, depth=3)
    sequence_R = torch.tensor([5, 0, 9])
    written = TokensOf(tree, sequence_R)
    chosen = [tree.sequences[y] for y in sequence_R]
    expected = [(r, sequence, t) for r, sequence in enumerate(chosen) for t in range(len(sequence))]
    assert written.response_of_K.tolist() == [r for r, _, _ in expected]
    assert written.token_K.tolist() == [sequence[t] for _, sequence, t in expected]
    assert [tree.prefixes[n] for n in written.prefix_K] == [sequence[:t] for _, sequence, t in expected]
    assert written.length_R.tolist() == [len(sequence) for sequence in chosen]


@pytest.mark.parametrize("problem", [BANDIT, TREE], ids=["bandit", "tree"])
def test_the_exact_gradient_agrees_with_central_differences(problem):
    def objective(logits_NV):
        policy_Y = problem.policy(logits_NV)
        return (policy_Y * (problem.reward_Y - problem.beta * (policy_Y / problem.reference_Y).log())).sum().item()

    logits_NV = another(problem)
    gradient_NV = exact_gradient(*world(problem))
    for n, v in product(*map(range, logits_NV.shape)):
        step_NV = torch.zeros_like(logits_NV)
        step_NV[n, v] = 1e-6
        slope = (objective(logits_NV + step_NV) - objective(logits_NV - step_NV)) / 2e-6
        assert gradient_NV[n, v].item() == pytest.approx(slope, abs=1e-8)


def test_the_mean_over_pairs_of_arms_is_the_one_by_hand():
    """The gradient of log pi(y) in the logits of a bandit is e_y - pi, and RLOO of two weighs it by r_i - r_j."""
    _, logits_NV, _, reward_Y, _ = world(BANDIT)
    policy = torch.softmax(logits_NV[0], 0).tolist()
    log_ratio = [math.log(p / q) for p, q in zip(policy, BANDIT.reference_Y.tolist(), strict=True)]
    regularised = [r - BANDIT.beta * s for r, s in zip(reward_Y.tolist(), log_ratio, strict=True)]
    expected = [0.0] * 3
    for i, j in product(range(3), repeat=2):
        for y, other in ((i, j), (j, i)):
            for v in range(3):
                score = (v == y) - policy[v]
                expected[v] += policy[i] * policy[j] * (regularised[y] - regularised[other]) * score / 2
    assert expected_gradient(*world(BANDIT), Recipe())[0].tolist() == pytest.approx(expected)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("recipe", [Recipe(kl="k3", kl_in="loss", kl_of="token"), Recipe(aggregation="mean")])
def test_the_mean_over_all_groups_is_that_of_many_samples(recipe):
    """A group at a time, drawn from the policy, each with the gradient that it alone gives."""
    tree, logits_NV, reference_NV, reward_Y, beta = world(TREE)
    drawn = torch.multinomial(
        TREE.policy(logits_NV), 4000, replacement=True, generator=torch.Generator().manual_seed(0)
    ).reshape(-1, 2)
    total_NV, squares_NV = torch.zeros_like(logits_NV), torch.zeros_like(logits_NV)
    for one, other in drawn.tolist():
        gradient_NV = group_gradient(tree, logits_NV, reference_NV, reward_Y, beta, recipe, (one, other))
        total_NV += gradient_NV
        squares_NV += gradient_NV**2
    mean_NV = total_NV / len(drawn)
    error_NV = ((squares_NV / len(drawn) - mean_NV**2) / len(drawn)).sqrt()
    expected_NV = expected_gradient(tree, logits_NV, reference_NV, reward_Y, beta, recipe)
    assert ((mean_NV - expected_NV).abs() < 4.5 * error_NV + 1e-12).all()


def group_gradient(tree, logits_NV, reference_NV, reward_Y, beta, recipe, group):
    """By the chain rule: each token moves its logits by (advantage - beta times the slope of k) (e_token - p)."""
    gradient_NV = torch.zeros_like(logits_NV)
    log_ratios = [
        [
            (torch.log_softmax(logits_NV[n], 0)[v] - torch.log_softmax(reference_NV[n], 0)[v]).item()
            for n, v in steps(tree, y)
        ]
        for y in group
    ]
    rewards = [
        reward_Y[y].item() - (beta * sum(ratios) if recipe.kl_in == "reward" else 0.0)
        for y, ratios in zip(group, log_ratios, strict=True)
    ]
    for i, y in enumerate(group):
        weight = 1 / 2 / (len(log_ratios[i]) if recipe.aggregation == "mean" else 1)
        for (n, v), ratio in zip(steps(tree, y), log_ratios[i], strict=True):
            pull = beta * (1 - math.exp(-ratio)) if recipe.kl_in == "loss" else 0.0
            score_V = torch.nn.functional.one_hot(torch.tensor(v), 3) - torch.softmax(logits_NV[n], 0)
            gradient_NV[n] += weight * (rewards[i] - rewards[1 - i] - pull) * score_V
    return gradient_NV


def steps(tree, y):
    return [(tree.prefixes.index(tree.sequences[y][:t]), token) for t, token in enumerate(tree.sequences[y])]


@pytest.mark.parametrize("problem", [BANDIT, TREE], ids=["bandit", "tree"])
@pytest.mark.parametrize("num_samples", [2, 3])
def test_rloo_is_unbiased_whatever_the_size_of_its_groups(problem, num_samples):
    found_NV = expected_gradient(*world(problem), Recipe(num_samples=num_samples))
    assert torch.allclose(found_NV, exact_gradient(*world(problem)), atol=1e-12)


def test_at_the_optimum_every_group_has_advantages_of_zero():
    """So the noise of sampled gradients dies out there: r - beta log(pi / pi_ref) is one number for all responses."""
    log_ratio_Y = (TREE.optimum_Y / TREE.reference_Y).log()
    regularised_Y = TREE.reward_Y - TREE.beta * log_ratio_Y
    for name in ("rloo", "grpo"):
        advantage_Y = bind_estimator(name)(regularised_Y, torch.zeros(len(regularised_Y), dtype=torch.int64))
        assert advantage_Y.abs().max() < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("method", [method for method in METHODS if "k3" not in method])
def test_every_method_lands_within_a_hundredth_of_what_it_ought_to_find(method, seed):
    for problem in (Problem.random(4, 1, beta=1.0, seed=seed), Problem.random(3, 2, beta=1.0, seed=seed)):
        target_Y = problem.optimum_Y
        if method.startswith("best-of-n"):
            target_Y = best_of_n(problem.reference_Y[None], problem.reward_Y[None], GROUP)[0]
        (found_Y,) = learn(problem, method, steps=[120], seed=seed)
        assert (found_Y - target_Y).abs().max() < 0.01


@pytest.mark.slow
def test_grpo_with_k3_in_the_loss_rests_where_its_own_mean_gradient_is_zero_and_that_is_not_the_optimum():
    problem = Problem.random(3, 1, beta=1.0, seed=0)
    recipe = Recipe(bind_estimator("grpo"), num_samples=GROUP, kl="k3", kl_in="loss", kl_of="token")
    (found_Y,) = learn(problem, "GRPO with k3 in the loss", steps=[300])

    def pull(policy_Y):
        args = (problem.tree, policy_Y.log()[None], problem.reference_NV, problem.reward_Y, problem.beta)
        return expected_gradient(*args, recipe).norm().item()

    assert pull(found_Y) < 0.01
    assert pull(problem.optimum_Y) > 0.05
    assert (found_Y - problem.optimum_Y).abs().max() > 0.03
