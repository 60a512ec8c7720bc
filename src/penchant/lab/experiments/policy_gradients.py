"""Policy gradients: which estimators of the gradient of E[R] - beta KL are unbiased, and the bias of others.

Shapes: N prefixes, V tokens, Y sequences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from penchant.errors import ConfigError
from penchant.lab.expected_steps import PPOStep, exact_values, expected_pair_gradient, expected_ppo_gradient
from penchant.lab.learning import Problem
from penchant.lab.policy_gradients import Recipe, exact_gradient, expected_gradient
from penchant.lab.result import Figure, Result, Series, require
from penchant.objectives import KL_ESTIMATORS, Aggregation, bind_estimator

__all__ = ["policy_gradients"]

CLAIM = (
    "Averaged over everything that may be sampled, RLOO and PPO's first step at lambda 1, with k1 in the reward, are "
    "the gradient of E[R] - beta KL, while GRPO's scale, whitening, averages over tokens, steps on old responses, "
    "pairs, and k1, k2 or k3 in other places make it another one."
)
EXACT = 1e-9
SHOWN = 1e-6  # sums are in float64, so this is not rounding; the table gives the size of a bias
AGGREGATIONS: Mapping[Aggregation, str] = {
    "mean": "mean over a response's tokens",
    "token": "mean over all tokens",
    "fixed": "sum / longest",
}
MOVED = 0.5  # nats, the largest change of a logit between PPO's first step on some responses and a later one

PLACES: tuple[Literal["reward", "loss"], ...] = ("reward", "loss")
PARTS: tuple[Literal["response", "token"], ...] = ("response", "token")

Cases = Mapping[str, tuple[Tensor, Tensor]]
"""By name of the estimator: the mean of the estimates and the exact gradient."""


def policy_gradients(seed: int = 0, beta: float = 0.5, num_samples: int = 3, estimator: str = "") -> Result:
    """Average policy gradients over all groups of samples, in a bandit and in a tree, and compare with the exact one.

    Args:
        seed: of the policy, the reference and the reward.
        beta: strength of the pull to the reference, > 0.
        num_samples: responses in a group, 2 to 4.
        estimator: a further estimator of advantages, by name or as `module:name`.

    Returns:
        The Result. Figures: the bias of each estimator of the KL, in the reward and in the loss; that of advantages and
        aggregations. Table: all estimators, with PPO and online DPO, and the cosine between the two gradients.

    Raises:
        ConfigError: an option is out of range, or there is no such estimator.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["policy_gradients"](num_samples=2).held
        True

    Reference:
        Back to Basics, arXiv 2402.14740; Understanding R1-Zero-Like Training, arXiv 2503.20783; On a few pitfalls in
        KL divergence gradient estimation for RL, arXiv 2506.09477.
    """
    require("beta", beta, 1e-6 <= beta <= 1e6, "from 1e-6 to a million")
    require("num_samples", num_samples, 2 <= num_samples <= 4, "from 2 to 4")
    names = ["rloo", "dr_grpo", "grpo", *([estimator] if estimator else [])]
    worlds = {
        "bandit": Problem.random(4, 1, beta, seed),
        "tree": Problem.random(3, 2, beta, seed),
    }
    policies = {name: _another_policy(problem, seed) for name, problem in worlds.items()}
    advantages = {name: _rewarded(worlds[name], policies[name], names, num_samples) for name in worlds}
    charges = {name: _charged(worlds[name], policies[name]) for name in worlds}
    steps = {name: _stepped(worlds[name], policies[name], num_samples) for name in worlds}
    forward = _miss(
        charges["bandit"]["k3 in the loss, of each token"][0], _forward_gradient(worlds["bandit"], policies["bandit"])
    )
    figures = _advantages_figure(advantages), _charges_figure(charges)
    every = {name: {**advantages[name], **steps[name], **charges[name]} for name in worlds}
    return Result(
        "policy_gradients",
        CLAIM,
        _checks(advantages, charges, num_samples, forward)
        | _checks_of_steps(steps, worlds["bandit"], policies["bandit"]),
        {f"{world}: {case}": _miss(*pair) for world, cases in every.items() for case, pair in cases.items()},
        figures,
        {"seed": seed, "beta": beta, "num_samples": num_samples, "estimator": estimator},
        tuple(
            {"estimate": case}
            | {f"bias, {world}": f"{_miss(*every[world][case]):.3f}" for world in worlds}
            | {f"cosine, {world}": _cosine(*every[world][case]) for world in worlds}
            for case in every["tree"]
        ),
    )


def _another_policy(problem: Problem, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1000)
    return problem.reference_NV + torch.randn(problem.reference_NV.shape, dtype=torch.float64, generator=generator)


def _rewarded(problem: Problem, logits_NV: Tensor, names: list[str], num_samples: int) -> Cases:
    """Estimators of advantages, and token aggregations, with k1 in the reward."""
    world = (problem.tree, logits_NV, problem.reference_NV, problem.reward_Y, problem.beta)
    exact_NV = exact_gradient(*world)
    plain = Recipe(num_samples=num_samples)
    recipes = {name: replace(plain, advantages=_bound(name)) for name in names}
    recipes |= {f"rloo, {words}": replace(plain, aggregation=name) for name, words in AGGREGATIONS.items()}
    return {case: (expected_gradient(*world, recipe), exact_NV) for case, recipe in recipes.items()}


def _stepped(problem: Problem, logits_NV: Tensor, num_samples: int) -> Cases:
    """PPO on new and on old responses, with k1 in the reward, and online DPO."""
    exact_NV, values, moved_NV = (
        _exact(problem, logits_NV),
        exact_values(problem, logits_NV),
        _moved(problem, logits_NV),
    )
    first = {
        "ppo, lambda 1, values of 0": PPOStep(),
        "ppo, lambda 0.95, exact values": PPOStep(values, lam=0.95),
        "ppo, lambda 0.95, values of 0": PPOStep(lam=0.95),
        "ppo, whitened, mean over all tokens": PPOStep(values, 0.95, True, "token", num_samples=num_samples),
    }
    later = {
        "ppo, old responses, not clipped": PPOStep(values, clip=math.inf),
        "ppo, old responses, clipped": PPOStep(values),
    }
    return {
        **{case: (expected_ppo_gradient(problem, logits_NV, step), exact_NV) for case, step in first.items()},
        **{
            case: (
                expected_ppo_gradient(problem, moved_NV, step, old_logits_NV=logits_NV),
                _exact(problem, moved_NV),
            )
            for case, step in later.items()
        },
        "online dpo, labels drawn": (expected_pair_gradient(problem, logits_NV), exact_NV),
        "online dpo, the better one wins": (expected_pair_gradient(problem, logits_NV, _better_wins), exact_NV),
    }


def _exact(problem: Problem, logits_NV: Tensor) -> Tensor:
    return exact_gradient(problem.tree, logits_NV, problem.reference_NV, problem.reward_Y, problem.beta)


def _moved(problem: Problem, logits_NV: Tensor) -> Tensor:
    """The policy after one step up the exact gradient."""
    gradient_NV = _exact(problem, logits_NV)
    return logits_NV + MOVED * gradient_NV / gradient_NV.abs().max()


def _better_wins(gap_B: Tensor) -> Tensor:
    return torch.heaviside(gap_B, gap_B.new_tensor(0.5))


def _charged(problem: Problem, logits_NV: Tensor) -> Cases:
    """Estimators of the KL, in the reward or the loss, per token or response, without a reward."""
    world = (problem.tree, logits_NV, problem.reference_NV, torch.zeros_like(problem.reward_Y), problem.beta)
    exact_NV = exact_gradient(*world)
    return {
        f"{kl} in the {place}, of {'each' if of == 'token' else 'the'} {of}": (
            expected_gradient(*world, Recipe(kl=kl, kl_in=place, kl_of=of)),
            exact_NV,
        )
        for place in PLACES
        for of in PARTS
        for kl in KL_ESTIMATORS
    }


def _forward_gradient(bandit: Problem, logits_NV: Tensor) -> Tensor:
    """Minus the gradient of beta KL(pi_ref || pi) in the logits of a bandit: beta (pi_ref - pi)."""
    return bandit.beta * (torch.softmax(bandit.reference_NV, 1) - torch.softmax(logits_NV, 1))


def _bound(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    try:
        return bind_estimator(name)
    except ValueError as error:
        raise ConfigError(f"policy_gradients: {error}") from None


def _miss(found_NV: Tensor, exact_NV: Tensor) -> float:
    """The norm of the bias relative to the gradient's."""
    return float((found_NV - exact_NV).norm() / exact_NV.norm())


def _cosine(found_NV: Tensor, exact_NV: Tensor) -> str:
    if found_NV.norm() < EXACT * exact_NV.norm():
        return "none"
    return f"{torch.nn.functional.cosine_similarity(found_NV.flatten(), exact_NV.flatten(), dim=0).item():.3f}"


def _checks(
    advantages: Mapping[str, Cases], charges: Mapping[str, Cases], num_samples: int, forward: float
) -> dict[str, bool]:
    def bias(case: str, *worlds: str) -> list[float]:
        return [_miss(*{**advantages[world], **charges[world]}[case]) for world in worlds or ("bandit", "tree")]

    shrunk = (num_samples - 1) / num_samples
    return {
        "rloo has the exact gradient as its mean": max(bias("rloo")) < EXACT,
        "grpo without scale has it too, (G - 1) / G as long": all(
            _miss(found, shrunk * exact) < EXACT for found, exact in (advantages[w]["dr_grpo"] for w in advantages)
        ),
        "the scale of grpo turns it": all(_turned(*advantages[world]["grpo"]) > SHOWN for world in advantages),
        "a mean over a response's tokens turns it where lengths differ, a sum by any constant does not": _turned(
            *advantages["tree"]["rloo, mean over a response's tokens"]
        )
        > EXACT
        and _turned(*advantages["tree"]["rloo, sum / longest"]) < EXACT,
        "k1 in the reward is exact, of tokens and of responses": max(
            bias("k1 in the reward, of each token") + bias("k1 in the reward, of the response")
        )
        < EXACT,
        "k2 and k3 in the reward are not": min(
            bias("k2 in the reward, of the response") + bias("k3 in the reward, of the response")
        )
        > SHOWN,
        "k1 in the loss pulls nowhere": all(
            found.norm() < EXACT * exact.norm()
            for found, exact in (charges[world]["k1 in the loss, of each token"] for world in charges)
        ),
        "k2 of a whole response in the loss is exact": max(bias("k2 in the loss, of the response")) < EXACT,
        "k2 of each token in the loss is exact in the bandit alone": bias("k2 in the loss, of each token", "bandit")[0]
        < EXACT
        and bias("k2 in the loss, of each token", "tree")[0] > SHOWN,
        "k3 in the loss is the gradient of KL(pi_ref || pi) instead": forward < EXACT
        and min(bias("k3 in the loss, of each token")) > SHOWN,
    }


def _checks_of_steps(steps: Mapping[str, Cases], bandit: Problem, logits_NV: Tensor) -> dict[str, bool]:
    def bias(case: str) -> list[float]:
        return [_miss(*steps[world][case]) for world in ("bandit", "tree")]

    moved_NV, nothing_Y = _moved(bandit, logits_NV), torch.zeros_like(bandit.reward_Y)
    found_NV, exact_NV = steps["bandit"]["ppo, old responses, not clipped"]
    to_old_NV = exact_gradient(bandit.tree, moved_NV, logits_NV, nothing_Y, bandit.beta)
    return {
        "ppo's first step has the exact gradient as its mean at lambda 1, whatever the values": max(
            bias("ppo, lambda 1, values of 0")
        )
        < EXACT,
        "and below 1 with exact values, not with others where responses have several tokens": max(
            bias("ppo, lambda 0.95, exact values")
        )
        < EXACT
        and bias("ppo, lambda 0.95, values of 0")[1] > SHOWN,
        "whitening turns it": all(
            _turned(*steps[world]["ppo, whitened, mean over all tokens"]) > SHOWN for world in steps
        ),
        "on old responses of one token, not clipped, it is that of E[R] - beta KL + beta KL(pi || pi_old)": _miss(
            found_NV, exact_NV - to_old_NV
        )
        < EXACT,
        "online dpo's is another one": min(bias("online dpo, labels drawn") + bias("online dpo, the better one wins"))
        > SHOWN,
    }


def _turned(found_NV: Tensor, exact_NV: Tensor) -> float:
    """The bias that remains after optimally scaling the estimate."""
    scale = (found_NV * exact_NV).sum() / found_NV.square().sum()
    return _miss(scale * found_NV, exact_NV)


def _advantages_figure(advantages: Mapping[str, Cases]) -> Figure:
    bars = [
        Series.of(world, list(cases), [_turned(*pair) for pair in cases.values()])
        for world, cases in advantages.items()
    ]
    title = "RLOO points where the exact gradient does; GRPO's scale and means over tokens turn it"
    return Figure(title, "advantages, and how tokens are added up", "bias of the direction, share", tuple(bars))


def _charges_figure(charges: Mapping[str, Cases]) -> Figure:
    bars = [
        Series.of(world, list(cases), [_miss(*pair) for pair in cases.values()]) for world, cases in charges.items()
    ]
    title = "The gradient of the KL: exact are k1 in the reward and k2 of whole responses in the loss"
    return Figure(title, "estimator of the KL and its place", "bias, share of the gradient's length", tuple(bars))
