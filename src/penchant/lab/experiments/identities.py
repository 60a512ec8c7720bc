"""Identities: the algebra from the KL-regularised objective to the DPO loss, each line checked numerically.

Shapes: X prompts, Y responses, B pairs.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from penchant.lab.exact import (
    expected_reward,
    kl_divergence,
    log_partition,
    optimal_policy,
    recovered_reward,
    regularised_reward,
)
from penchant.lab.population import ordered_pairs, population_loss
from penchant.lab.result import Figure, Result, Series, require
from penchant.lab.routes import log_softmax_policy
from penchant.lab.tree import TokenTree
from penchant.lab.world import World, bradley_terry
from penchant.objectives import bind

__all__ = ["identities"]

CLAIM = "Every step from the KL-regularised objective to the DPO loss and its gradient is an identity."
TOLERANCE = 1e-9
SMALLEST = 1e-17  # the start of the axis

Errors = Iterator[tuple[str, float]]


def identities(seed: int = 0, num_prompts: int = 3, num_responses: int = 4, beta: float = 0.3) -> Result:
    """Compute both sides of each line on a random world, at a policy that is not optimal, and report the difference.

    Args:
        seed: of rewards, reference and policy.
        num_prompts: prompts, at least 1.
        num_responses: responses to each, at least 2.
        beta: strength of the pull to the reference, > 0.

    Returns:
        The Result; each number is the largest difference between the two sides of the line it is named after.

    Raises:
        ConfigError: an option is out of range.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["identities"](seed=1).held
        True

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 1 to 7 and appendix A.
    """
    require("num_prompts", num_prompts, num_prompts >= 1, "at least 1")
    require("num_responses", num_responses, num_responses >= 2, "at least 2")
    require("beta", beta, 0.01 <= beta <= 100, "from 0.01 to 100, as beyond them rounding hides what is equal")
    world = World.random(seed, num_prompts, num_responses)
    generator = torch.Generator().manual_seed(seed + 1)
    logits_XY = torch.randn(num_prompts, num_responses, dtype=torch.float64, generator=generator)
    measured = dict(
        [
            *_sequences(generator),
            *_preferences(world),
            *_objective(world, torch.softmax(logits_XY, 1), beta),
            *_reparametrisation(world, beta),
            *_loss(world, logits_XY, beta),
            *_gradients(world, logits_XY, beta),
        ]
    )
    checks = {name: error < TOLERANCE for name, error in measured.items()}
    figure = Figure(
        title="Each line of the derivation: its two sides differ by rounding",
        x_label="identity",
        y_label=f"largest difference, none where there is no bar; {TOLERANCE:g} is allowed",
        series=(Series.of("error", list(measured), [max(error, SMALLEST) for error in measured.values()]),),
        y_scale="log",
        y_range=(SMALLEST, TOLERANCE),
    )
    options = {"seed": seed, "num_prompts": num_prompts, "num_responses": num_responses, "beta": beta}
    return Result("identities", CLAIM, checks, measured, (figure,), options)


def _sequences(generator: torch.Generator) -> Errors:
    tree = TokenTree(num_tokens=3, depth=3)
    logits_XNV = torch.randn(1, len(tree.prefixes), 3, dtype=torch.float64, generator=generator)
    policy_XY = tree.log_probs(logits_XNV).exp()
    yield "the probabilities of all sequences sum to 1", _gap(policy_XY.sum(1), torch.ones(1))
    yield (
        "a policy is the product of its next-token conditionals",
        _gap(tree.log_probs(tree.conditionals(policy_XY).log()).exp(), policy_XY),
    )


def _preferences(world: World) -> Errors:
    reward_XY = world.known_reward_XY
    strength_XY, elo_XY = reward_XY.exp(), 400 * reward_XY / math.log(10)
    share_XYY = strength_XY[:, :, None] / (strength_XY[:, :, None] + strength_XY[:, None, :])
    elo_XYY = 1 / (1 + 10 ** ((elo_XY[:, None, :] - elo_XY[:, :, None]) / 400))
    yield "s_i / (s_i + s_j) = sigmoid(r_i - r_j) with s = exp(r)", _gap(share_XYY, world.preference_XYY)
    yield (
        "1 / (1 + 10^((R_j - R_i) / 400)) = sigmoid(r_i - r_j) with R = 400 r / ln 10",
        _gap(elo_XYY, world.preference_XYY),
    )


def _objective(world: World, policy_XY: Tensor, beta: float) -> Errors:
    """The derivation of pi*, line by line; J is the objective before maximisation."""
    reference_XY, reward_XY = world.reference_XY, world.known_reward_XY
    log_ratio_XY = (policy_XY / reference_XY).log()
    objective_X = regularised_reward(policy_XY, reference_XY, reward_XY, beta)
    log_z_X = log_partition(reference_XY, reward_XY, beta)
    best_XY = optimal_policy(reference_XY, reward_XY, beta)
    tilted_XY = reference_XY * (reward_XY / beta).exp()

    def mean(value_XY: Tensor) -> Tensor:
        return expected_reward(policy_XY, value_XY)

    yield "KL(pi || pi) = 0", _gap(kl_divergence(policy_XY, policy_XY), 0 * objective_X)
    yield "KL(pi || pi_ref) is not negative", (-kl_divergence(policy_XY, reference_XY)).clamp_min(0).max().item()
    yield "J = E[R] - beta E[log(pi / pi_ref)]", _gap(mean(reward_XY) - beta * mean(log_ratio_XY), objective_X)
    yield "J = E[R - beta log(pi / pi_ref)]", _gap(mean(reward_XY - beta * log_ratio_XY), objective_X)
    yield "J = -beta E[log(pi / pi_ref) - R / beta]", _gap(-beta * mean(log_ratio_XY - reward_XY / beta), objective_X)
    yield (
        "J = -beta (E[log(pi / (pi_ref exp(R / beta) / Z))] - log Z)",
        _gap(-beta * (mean((policy_XY / (tilted_XY / log_z_X.exp()[:, None])).log()) - log_z_X), objective_X),
    )
    yield (
        "J = beta log Z - beta KL(pi || pi*)",
        _gap(beta * log_z_X - beta * kl_divergence(policy_XY, best_XY), objective_X),
    )
    yield "Z = sum of pi_ref exp(R / beta), so pi* sums to 1", _gap(tilted_XY.sum(1) / log_z_X.exp(), best_XY.sum(1))
    yield "J(pi*) = beta log Z", _gap(regularised_reward(best_XY, reference_XY, reward_XY, beta), beta * log_z_X)


def _reparametrisation(world: World, beta: float) -> Errors:
    reference_XY, reward_XY = world.reference_XY, world.known_reward_XY
    best_XY = optimal_policy(reference_XY, reward_XY, beta)
    log_z_X = log_partition(reference_XY, reward_XY, beta)
    shifted_XY = reward_XY + torch.arange(1.0, world.num_prompts + 1)[:, None]
    yield (
        "R = beta log(pi* / pi_ref) + beta log Z",
        _gap(recovered_reward(best_XY, reference_XY, log_z_X, beta), reward_XY),
    )
    yield (
        "Z cancels: P = sigmoid(beta log(pi*_1 / ref_1) - beta log(pi*_2 / ref_2))",
        _gap(bradley_terry(beta * (best_XY / reference_XY).log()), world.preference_XYY),
    )
    yield (
        "a reward shifted by any number a prompt has the same preferences",
        _gap(bradley_terry(shifted_XY), world.preference_XYY),
    )
    yield (
        "a reward shifted by any number a prompt has the same pi*",
        _gap(optimal_policy(reference_XY, shifted_XY, beta), best_XY),
    )


def _loss(world: World, logits_XY: Tensor, beta: float) -> Errors:
    batch = ordered_pairs(world, log_softmax_policy(logits_XY), soft_labels=False)
    assert batch.reference_chosen_B is not None
    assert batch.reference_rejected_B is not None
    policy_B = batch.policy_chosen_B - batch.policy_rejected_B
    reference_B = batch.reference_chosen_B - batch.reference_rejected_B
    yield (
        "the DPO loss as a difference of log-ratios = as a ratio of policies less one of references",
        _gap(bind("dpo", beta=beta)(batch), -F.logsigmoid(beta * (policy_B - reference_B))),
    )

    best_XY = optimal_policy(world.reference_XY, world.known_reward_XY, beta)
    soft = ordered_pairs(world, best_XY.log())
    entropy_B = -torch.xlogy(soft.probability_B, soft.probability_B)
    entropy_B = entropy_B - torch.xlogy(1 - soft.probability_B, 1 - soft.probability_B)
    yield (
        "the DPO loss at pi* = the entropy of the preferences, below which no loss goes",
        _gap(population_loss(bind("dpo", beta=beta), world)(best_XY.log()), (soft.weight_B * entropy_B).sum()),
    )


def _gradients(world: World, logits_XY: Tensor, beta: float) -> Errors:
    def dpo_B(logits: Tensor) -> Tensor:
        return bind("dpo", beta=beta)(ordered_pairs(world, log_softmax_policy(logits), soft_labels=False))

    def chosen_B(logits: Tensor) -> Tensor:
        return ordered_pairs(world, log_softmax_policy(logits)).policy_chosen_B

    def rejected_B(logits: Tensor) -> Tensor:
        return ordered_pairs(world, log_softmax_policy(logits)).policy_rejected_B

    wrong_B = torch.sigmoid(-beta * ordered_pairs(world, log_softmax_policy(logits_XY)).delta_B)
    direction_BXY = _jacobian(chosen_B, logits_XY) - _jacobian(rejected_B, logits_XY)
    yield (
        "grad of DPO = -beta sigmoid(r_l - r_w) (grad log pi_w - grad log pi_l)",
        _gap(_jacobian(dpo_B, logits_XY), -beta * wrong_B[:, None, None] * direction_BXY),
    )

    policy_XY = torch.softmax(logits_XY, 1)
    score_BXY = _jacobian(lambda logits: log_softmax_policy(logits).flatten(), logits_XY)
    yield (
        "E[grad log pi] = 0",
        _gap(torch.einsum("b,bxy->xy", policy_XY.flatten(), score_BXY), torch.zeros_like(logits_XY)),
    )
    reward_XY = world.known_reward_XY - beta * (policy_XY / world.reference_XY).log()

    def objective(logits: Tensor) -> Tensor:
        policy_XY = torch.softmax(logits, 1)
        return regularised_reward(policy_XY, world.reference_XY, world.known_reward_XY, beta).sum().reshape(1)

    yield (
        "grad J = E[(R - beta log(pi / pi_ref)) grad log pi]",
        _gap(
            _jacobian(objective, logits_XY)[0], torch.einsum("b,bxy->xy", (policy_XY * reward_XY).flatten(), score_BXY)
        ),
    )
    best_XY = optimal_policy(world.reference_XY, world.known_reward_XY, beta)
    yield "grad J = 0 at pi*", _gap(_jacobian(objective, best_XY.log())[0], torch.zeros_like(best_XY))


def _jacobian(function, logits_XY: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    jacobian: Tensor = torch.autograd.functional.jacobian(function, logits_XY)
    return jacobian


def _gap(left: Tensor, right: Tensor) -> float:
    return (left - right).abs().max().item()
