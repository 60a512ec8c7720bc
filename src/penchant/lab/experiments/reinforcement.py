"""Reinforcement: every method learns from samples and is compared with the known optimal policy."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from penchant.lab.experiments.frontier import best_of_n
from penchant.lab.learning import GROUP, METHODS, Problem, learn
from penchant.lab.result import Figure, Result, Series, require

__all__ = ["reinforcement"]

CLAIM = (
    "From samples alone RLOO, GRPO, PPO and online DPO find pi* = pi_ref exp(R / beta) / Z, and best-of-n distillation "
    "the distribution of the best of n, but GRPO with k3 in the loss rests elsewhere."
)
NEAR = 0.01
ELSEWHERE = "GRPO with k3 in the loss"
LOOKS = 11


def reinforcement(seed: int = 0, beta: float = 1.0, num_steps: int = 120) -> Result:
    """Learn by every method in a bandit of four arms and in a tree of seven sequences, from 192 responses per step.

    Args:
        seed: of the worlds and of the samples.
        beta: strength of the pull to the reference, > 0.
        num_steps: steps of each method, at least 50.

    Returns:
        The Result. Figures: distance from the optimal policy, over steps, in the bandit and in the tree.

    Raises:
        ConfigError: an option is out of range.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["reinforcement"](seed=1).held
        True

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 4 (the optimum); Theoretical guarantees on the best-of-n
        alignment policy, arXiv 2401.01879.
    """
    require("beta", beta, 0.5 <= beta <= 10, "from 0.5 to 10, or the optimum is too far for so few steps")
    require("num_steps", num_steps, num_steps >= 50, "at least 50")
    worlds = {"bandit": Problem.random(4, 1, beta, seed), "tree": Problem.random(3, 2, beta, seed)}
    steps = [round(num_steps * k / (LOOKS - 1)) for k in range(LOOKS)]
    paths = {
        world: {method: _distances(problem, method, steps, seed) for method in METHODS}
        for world, problem in worlds.items()
    }
    measured = {
        f"{world}: distance of {method}": path[-1] for world, of in paths.items() for method, path in of.items()
    }
    checks = {
        f"{method} is within {NEAR} of it, in the bandit and in the tree": all(
            paths[world][method][-1] < NEAR for world in worlds
        )
        for method in METHODS
        if method != ELSEWHERE
    }
    checks[f"{ELSEWHERE} is not, in either"] = all(paths[world][ELSEWHERE][-1] > NEAR for world in worlds)
    options = {"seed": seed, "beta": beta, "num_steps": num_steps}
    return Result("reinforcement", CLAIM, checks, measured, _figures(paths, steps), options)


def _distances(problem: Problem, method: str, steps: list[int], seed: int) -> list[float]:
    """The largest error of a probability, at each of the steps."""
    target_Y = _best(problem) if method.startswith("best-of-n") else problem.optimum_Y
    return [(policy_Y - target_Y).abs().max().item() for policy_Y in learn(problem, method, steps=steps, seed=seed)]


def _best(problem: Problem) -> Tensor:
    return best_of_n(problem.reference_Y[None], problem.reward_Y[None], GROUP)[0]


def _figures(paths: Mapping[str, Mapping[str, list[float]]], steps: list[int]) -> tuple[Figure, ...]:
    words = {"bandit": "In a bandit", "tree": "In a tree of sequences"}
    return tuple(
        Figure(
            f"{words[world]} every method finds its optimum from samples, unless the KL is another one",
            "steps of 192 responses",
            "largest error of a probability",
            tuple(Series.of(method, steps, path, colour=method) for method, path in of.items()),
            y_scale="log",
        )
        for world, of in paths.items()
    )
