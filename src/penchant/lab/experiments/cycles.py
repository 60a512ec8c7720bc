"""Cycles: people prefer A to B, B to C and C to A, which no reward explains.

Shapes: X = 1 prompt, Y = 3 responses.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from penchant.lab.exact import ipo_optimum, optimal_policy
from penchant.lab.population import from_reference
from penchant.lab.result import Figure, Result, Series, require
from penchant.lab.routes import fit_objective, fit_reward
from penchant.lab.world import World, bradley_terry

__all__ = ["cycles", "cyclic_share"]

CLAIM = (
    "On a cycle DPO and RLHF with a fitted reward still agree with each other, but miss the preferences by no less "
    "than any reward must, and like IPO they land where the choice of pairs to show puts them."
)
PAIRS = ((0, 1), (1, 2), (2, 0))
PAIR_NAMES = ("A > B", "B > C", "C > A")
STRENGTHS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
EVENLY, DRAWN = "shown evenly", "drawn from reference"
TOLERANCE = 1e-6


def cyclic_share(preference_XYY: Tensor) -> Tensor:
    """The cyclic share of the log-odds: |logit P - (r_i - r_j)|^2 / |logit P|^2, r the best reward.

    All pairs have equal weight, so the least-squares reward is the row mean. 0 is Bradley-Terry, 1 a pure cycle.

    Args:
        preference_XYY: probabilities strictly between 0 and 1 off the diagonal, shape (X, Y, Y).

    Returns:
        Tensor of shape (X,), in [0, 1]; 0 if all preferences are 1/2.

    Example:
        >>> import torch
        >>> from penchant.lab import bradley_terry, cyclic_share
        >>> cyclic_share(bradley_terry(torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64))).round(decimals=9)
        tensor([0.], dtype=torch.float64)

    Reference:
        Statistical ranking and combinatorial Hodge theory, arXiv 0811.1067.
    """
    flow_XYY = torch.logit(preference_XYY)
    reward_XY = flow_XYY.mean(2)
    residual_XYY = flow_XYY - (reward_XY[:, :, None] - reward_XY[:, None, :])
    total_X = flow_XYY.square().sum((1, 2))
    return residual_XYY.square().sum((1, 2)) / torch.where(total_X > 0, total_X, 1.0)


def cycles(strength: float = 0.8, beta: float = 0.5) -> Result:
    """Let DPO, RLHF with a fitted reward, and IPO learn a cycle, for each way of choosing the pairs to show.

    No reward comes closer to the cycle than strength - 1/2: the differences r_A - r_B, r_B - r_C and r_C - r_A sum to
    0, so one of them is at most 0 and its pair is predicted at most 1/2. The control has the same strengths in a chain.

    Args:
        strength: probability of A > B, of B > C and of C > A, above 0.5 and below 1.
        beta: of DPO and RLHF, and of IPO, > 0.

    Returns:
        The Result, without randomness. Figures: each route's predictions, their error against the strength of the
        cycle, and the policies.

    Raises:
        ConfigError: an option is out of range.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["cycles"](strength=0.7).held
        True

    Reference:
        A General Theoretical Paradigm to Understand Learning from Human Preferences, arXiv 2310.12036, sections 4, 5.
    """
    require("strength", strength, 0.5 < strength < 1, "above 0.5 and below 1")
    require("beta", beta, 0.01 <= beta <= 10, "from 0.01 to 10, as beyond them rounding hides the differences")
    cycle, line = _world(strength, is_cycle=True), _world(strength, is_cycle=False)
    evenly_XYY = torch.ones_like(cycle.preference_XYY)
    even, skewed = _land(cycle, evenly_XYY, beta), _land(cycle, from_reference(cycle), beta)
    line_even, line_skewed = _land(line, evenly_XYY, beta), _land(line, from_reference(line), beta)
    error = {name: _error(cycle, name, policy_XY, beta) for name, policy_XY in even.items()}
    ipo_closed_XY = ipo_optimum(cycle.reference_XY, cycle.preference_XYY, from_reference(cycle), beta)

    measured = {
        **{f"error of {name} on the cycle": value for name, value in error.items()},
        "error of dpo on the cycle, pairs drawn from the reference": _error(cycle, "dpo", skewed["dpo"], beta),
        "least error of any reward on the cycle": strength - 0.5,
        "error of dpo on the line": _error(line, "dpo", line_even["dpo"], beta),
        "cyclic share of the cycle": cyclic_share(cycle.preference_XYY).item(),
        "cyclic share of the line": cyclic_share(line.preference_XYY).item(),
        "distance of dpo and rlhf, pairs shown evenly": _gap(even["dpo"], even["rlhf"]),
        "distance of dpo and rlhf, pairs drawn from the reference": _gap(skewed["dpo"], skewed["rlhf"]),
        "farthest of the three from the reference, pairs shown evenly": max(
            _gap(policy_XY, cycle.reference_XY) for policy_XY in even.values()
        ),
        "distance of ipo from its closed form": _gap(skewed["ipo"], ipo_closed_XY),
        **{f"how far the choice of pairs moves {name} on the cycle": _gap(even[name], skewed[name]) for name in even},
        **{
            f"how far the choice of pairs moves {name} on the line": _gap(line_even[name], line_skewed[name])
            for name in even
        },
    }
    checks = {
        "dpo = rlhf with the reward fitted to the same pairs, cycle or not": max(
            measured["distance of dpo and rlhf, pairs shown evenly"],
            measured["distance of dpo and rlhf, pairs drawn from the reference"],
        )
        < TOLERANCE,
        "with pairs shown evenly all three stay at the reference": measured[
            "farthest of the three from the reference, pairs shown evenly"
        ]
        < TOLERANCE,
        "with pairs shown evenly dpo is as near to the cycle as a reward can be": abs(error["dpo"] - (strength - 0.5))
        < TOLERANCE,
        "dpo explains the line": measured["error of dpo on the line"] < TOLERANCE,
        "ipo is at its closed form": measured["distance of ipo from its closed form"] < TOLERANCE,
        "on the cycle the choice of pairs moves all three": min(_gap(even[name], skewed[name]) for name in even) > 1e-3,
        "on the line it does not move dpo": measured["how far the choice of pairs moves dpo on the line"] < TOLERANCE,
    }
    figures = (_predictions(cycle, even, skewed, beta), _errors(beta), _policies(cycle, even, skewed))
    return Result("cycles", CLAIM, checks, measured, figures, {"strength": strength, "beta": beta})


def _world(strength: float, is_cycle: bool) -> World:
    reference_XY = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64)
    if not is_cycle:
        step = torch.logit(torch.tensor(strength, dtype=torch.float64))
        return World.from_reward(reference_XY, step * torch.tensor([[1.0, 0.0, -1.0]]))
    preference_XYY = torch.full((1, 3, 3), 0.5, dtype=torch.float64)
    for winner, loser in PAIRS:
        preference_XYY[0, winner, loser], preference_XYY[0, loser, winner] = strength, 1 - strength
    return World.from_preferences(reference_XY, preference_XYY)


def _land(world: World, sampling_XYY: Tensor, beta: float) -> dict[str, Tensor]:
    """The final policy of each route."""
    reward_XY = fit_reward(world, sampling_XYY=sampling_XYY).reward_XY
    return {
        "dpo": fit_objective(world, "dpo", sampling_XYY=sampling_XYY, beta=beta).policy_XY,
        "rlhf": optimal_policy(world.reference_XY, reward_XY, beta),
        "ipo": fit_objective(world, "ipo_sum", sampling_XYY=sampling_XYY, beta=beta).policy_XY,
    }


def _predicted(world: World, name: str, policy_XY: Tensor, beta: float) -> Tensor:
    """The preferences that a policy implies, by its objective's link: a sigmoid, or IPO's straight line."""
    log_ratio_XY = (policy_XY / world.reference_XY).log()
    if name != "ipo":
        return bradley_terry(beta * log_ratio_XY)
    return (0.5 + beta * (log_ratio_XY[:, :, None] - log_ratio_XY[:, None, :])).clamp(0, 1)


def _error(world: World, name: str, policy_XY: Tensor, beta: float) -> float:
    return _gap(_predicted(world, name, policy_XY, beta), world.preference_XYY)


def _gap(left: Tensor, right: Tensor) -> float:
    return (left - right).abs().max().item()


def _bars(name: str, shown: str, x: Sequence[str], y: Sequence[float]) -> Series:
    return Series.of(f"{name}, {shown}" if shown else name, x, y, colour=name, dash=shown)


def _predictions(world: World, even: dict[str, Tensor], skewed: dict[str, Tensor], beta: float) -> Figure:
    def bars(name: str, shown: str, matrix_XYY: Tensor) -> Series:
        return _bars(name, shown, PAIR_NAMES, [matrix_XYY[0, i, j].item() for i, j in PAIRS])

    rows = [bars("people", "", world.preference_XYY)]
    rows += [bars(name, EVENLY, _predicted(world, name, even[name], beta)) for name in even]
    rows += [bars(name, DRAWN, _predicted(world, name, skewed[name], beta)) for name in skewed]
    return Figure("On a cycle no route believes what people say", "pair", "probability of preferring", tuple(rows))


def _errors(beta: float) -> Figure:
    def dpo_error(strength: float, is_cycle: bool) -> float:
        world = _world(strength, is_cycle)
        fit = fit_objective(world, "dpo", sampling_XYY=torch.ones_like(world.preference_XYY), beta=beta)
        return _error(world, "dpo", fit.policy_XY, beta)

    return Figure(
        "The stronger the cycle, the farther DPO is from it; a line it explains",
        "probability that the stronger is preferred",
        "largest error of a predicted preference",
        (
            Series.of("cycle", STRENGTHS, [dpo_error(strength, True) for strength in STRENGTHS]),
            Series.of("line", STRENGTHS, [dpo_error(strength, False) for strength in STRENGTHS]),
        ),
    )


def _policies(world: World, even: dict[str, Tensor], skewed: dict[str, Tensor]) -> Figure:
    policies = {("reference", ""): world.reference_XY}
    policies |= {(name, EVENLY): policy_XY for name, policy_XY in even.items()}
    policies |= {(name, DRAWN): policy_XY for name, policy_XY in skewed.items()}
    rows = tuple(_bars(*key, ("A", "B", "C"), policy_XY[0].tolist()) for key, policy_XY in policies.items())
    return Figure(
        "With pairs shown evenly nobody moves; drawn from the reference, all do", "response", "probability", rows
    )
