"""Overfitting: one of two responses always wins, and DPO loses its pull to the reference.

Shapes: X = 1 prompt, Y = 2 responses, S snapshots.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from penchant.lab.exact import ipo_optimum, kl_divergence
from penchant.lab.optimise import Loss, descend
from penchant.lab.population import from_reference, objective_loss, population_loss
from penchant.lab.result import Figure, Result, Series, require
from penchant.lab.routes import fit_objective, log_softmax_policy
from penchant.lab.world import World

__all__ = ["overfitting"]

CLAIM = (
    "If one response always wins, DPO drives the probability of the other to 0 whatever beta is, while IPO stops where "
    "beta says, at odds of exp(1 / (2 beta)) times those of the reference."
)
BETAS = (0.1, 0.5, 1.0, 5.0)
CERTAINTIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
STEPS = (0, 1, 3, 10, 30, 100, 300, 1000)
GONE = 1e-6
VISIBLE = (1e-6, 1.5)  # of a probability, in the figures: DPO's continue below to 1e-60
PACE = 0.1  # beta^2 times the step size


def overfitting(reference_winner: float = 0.3) -> Result:
    """Follow DPO and IPO at p* = 1, and their exact optima as p* rises to 1.

    With h the log-ratio of the winner less that of the loser, the minimum of DPO's loss is at h = logit(p*) / beta,
    which diverges as p* goes to 1; that of IPO at h = (2 p* - 1) / (2 beta), at most 1 / (2 beta). Gradient descent at
    p* = 1 diverges slowly: in the limit of small steps u = beta h obeys u + exp(u) - 1 = 2 beta^2 t.

    Args:
        reference_winner: pi_ref of the winner, above 0 and below 1.

    Returns:
        The Result, without randomness. Figures: the loser's probability against p*, and against time.

    Raises:
        ConfigError: an option is out of range.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["overfitting"]().held
        True

    Reference:
        A General Theoretical Paradigm to Understand Learning from Human Preferences, arXiv 2310.12036, section 4.2
        (the example) and section 5 (IPO).
    """
    require("reference_winner", reference_winner, 0 < reference_winner < 1, "above 0 and below 1")
    world = _world(reference_winner, certainty=1.0)
    dpo = {beta: _run_away(world, beta) for beta in BETAS}
    ipo = {beta: fit_objective(world, "ipo_sum", beta=beta) for beta in BETAS}
    closed = {
        beta: ipo_optimum(world.reference_XY, world.preference_XYY, from_reference(world), beta) for beta in BETAS
    }
    formula = {beta: _loser(reference_winner, 1 / (2 * beta)) for beta in BETAS}
    # A step size with which u grows equally fast for every beta.
    margins = {beta: _margins(world, "dpo", beta, PACE / beta**2, STEPS) for beta in BETAS}
    flow_error = max(_flow_error(beta, margins[beta]) for beta in BETAS)

    measured: dict[str, float] = {}
    for beta in BETAS:
        policy_XY, losses_S = dpo[beta]
        measured[f"loser under dpo, beta {beta:g}"] = policy_XY[0, 1].item()
        measured[f"loss of dpo, beta {beta:g}"] = losses_S[-1].item()
        measured[f"KL(dpo || reference), beta {beta:g}"] = kl_divergence(policy_XY, world.reference_XY).item()
        measured[f"loser under ipo, beta {beta:g}"] = ipo[beta].policy_XY[0, 1].item()
        measured[f"loser under ipo by its closed form, beta {beta:g}"] = formula[beta]
        measured[f"largest margin h of ipo, beta {beta:g}"] = 1 / (2 * beta)
    measured["KL of never giving the loser"] = -math.log(reference_winner)
    measured["relative error of u + exp(u) - 1 = 2 beta^2 t"] = flow_error
    checks = {
        "dpo drives the loser below 1e-6 for every beta": all(policy_XY[0, 1] < GONE for policy_XY, _ in dpo.values()),
        "the loss of dpo falls at every step of the way": all(
            bool((losses_S.diff() < 0).all()) for _, losses_S in dpo.values()
        ),
        "the KL of dpo ends at that of never giving the loser, for every beta": all(
            abs(measured[f"KL(dpo || reference), beta {beta:g}"] + math.log(reference_winner)) < 1e-4 for beta in BETAS
        ),
        "ipo has a minimum, at its closed form": all(
            ipo[beta].solution.converged
            and (ipo[beta].policy_XY - closed[beta]).abs().max() < 1e-9
            and abs(closed[beta][0, 1].item() - formula[beta]) < 1e-9
            for beta in BETAS
        ),
        "gradient descent on dpo runs away as the logarithm of time": flow_error < 0.05,
    }
    figures = (_against_certainty(reference_winner), _against_time(world, margins))
    return Result("overfitting", CLAIM, checks, measured, figures, {"reference_winner": reference_winner})


def _world(reference_winner: float, certainty: float) -> World:
    return World.from_preferences(
        torch.tensor([[reference_winner, 1 - reference_winner]], dtype=torch.float64),
        torch.tensor([[[0.5, certainty], [1 - certainty, 0.5]]], dtype=torch.float64),
    )


def _loser(reference_winner: float, margin: float) -> float:
    """pi(loser) where the odds of the winner are exp(margin) times those of the reference."""
    log_odds = math.log(reference_winner / (1 - reference_winner)) + margin
    return 1 / (1 + math.exp(log_odds)) if log_odds < 700 else 0.0


def _loss(world: World, name: str, beta: float) -> Loss:
    loss, soft_labels = objective_loss(name, beta=beta)
    total = population_loss(loss, world, soft_labels=soft_labels)
    return lambda logits_XY: total(log_softmax_policy(logits_XY))


def _run_away(world: World, beta: float) -> tuple[Tensor, Tensor]:
    """The policy after fixed-length steps down DPO's loss, and the loss after each."""
    loss = _loss(world, "dpo", beta)
    points_SXY = descend(loss, world.reference_XY.log(), step_size=0.5, steps=range(81), same_length=True)
    losses_S = torch.stack([loss(point_XY) for point_XY in points_SXY])
    return log_softmax_policy(points_SXY[-1]).exp(), losses_S


def _margins(world: World, name: str, beta: float, step_size: float, steps: Sequence[int]) -> list[float]:
    """h after each of these numbers of steps of gradient descent."""
    points_SXY = descend(_loss(world, name, beta), world.reference_XY.log(), step_size=step_size, steps=steps)
    log_ratio_SY = (log_softmax_policy(points_SXY[:, 0]) - world.reference_XY.log()).unbind(1)
    return (log_ratio_SY[0] - log_ratio_SY[1]).tolist()


def _flow_error(beta: float, margins: Sequence[float]) -> float:
    """How far gradient descent is from the solution of the flow, relative to the time 2 beta^2 t."""
    errors = []
    for steps, margin in zip(STEPS[1:], margins[1:], strict=True):
        u = beta * margin
        errors.append(abs((u + math.expm1(u)) / (2 * PACE * steps) - 1))
    return max(errors)


def _curve(name: str, beta: float, x: Sequence[float], y: Sequence[float]) -> Series:
    return Series.of(f"{name}, beta {beta:g}", x, y, colour=f"beta {beta:g}", dash=name)


def _against_certainty(reference_winner: float) -> Figure:
    def dpo(beta: float) -> Series:
        margins = [math.log(p / (1 - p)) / beta for p in CERTAINTIES]
        return _curve("dpo", beta, CERTAINTIES, [_loser(reference_winner, h) for h in margins])

    def ipo(beta: float) -> Series:
        margins = [(2 * p - 1) / (2 * beta) for p in CERTAINTIES]
        return _curve("ipo", beta, CERTAINTIES, [_loser(reference_winner, h) for h in margins])

    return Figure(
        "The surer people are, the less of the loser DPO leaves; IPO stops where beta says",
        "probability that the winner wins",
        "pi(loser) at the optimum",
        tuple(curve(beta) for beta in BETAS for curve in (dpo, ipo)),
        x_scale="logit",
        y_scale="log",
        y_range=VISIBLE,
    )


def _against_time(world: World, margins: Mapping[float, Sequence[float]]) -> Figure:
    winner = world.reference_XY[0, 0].item()

    def curve(name: str, beta: float, steps: Sequence[int], found: Sequence[float]) -> Series:
        return _curve(name, beta, steps, [_loser(winner, margin) for margin in found])

    dpo = [curve("dpo", beta, STEPS, margins[beta]) for beta in BETAS]
    ipo = [curve("ipo", beta, STEPS, _margins(world, "ipo_sum", beta, 0.1, STEPS)) for beta in BETAS]
    return Figure(
        "If the winner always wins, DPO never comes to rest and IPO does",
        "steps of gradient descent",
        "pi(loser)",
        (*dpo, *ipo),
        x_scale="log",
        y_scale="log",
        y_range=VISIBLE,
    )
