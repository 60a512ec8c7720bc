"""Finite data: few comparisons make a pair look certain by chance; four remedies compared.

Shapes: X prompts, Y = 3 responses, S snapshots.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from penchant.lab.answers import ask, empirical_world, has_finite_optimum
from penchant.lab.exact import kl_divergence, optimal_policy, regularised_reward
from penchant.lab.optimise import Loss, descend, newton
from penchant.lab.population import population_loss
from penchant.lab.result import Figure, Result, Series, require
from penchant.lab.routes import log_softmax_policy
from penchant.lab.world import World
from penchant.objectives import PairFunction, bind, mixture

__all__ = ["finite_data"]

CLAIM = (
    "With few comparisons a pair DPO drives responses to probability 0 that people do not always reject; label "
    "smoothing and IPO have a finite optimum, early stopping only stops on the way, and an SFT term leaves responses "
    "that were never chosen unprotected."
)
NUM_RESPONSES = 3
STEPS = (0, 1, 3, 10, 30, 100, 300, 1000)
COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
MANY = 2000  # prompts for counting the share without an optimum
SFT_WEIGHT = 0.2


def finite_data(seed: int = 0, num_prompts: int = 24, num_comparisons: int = 3, beta: float = 0.5) -> Result:
    """Train on a few answers per pair with DPO and its remedies, and evaluate by people's true preferences.

    The measures are `objective`, the true E[R] - beta KL (at most beta log Z), and `worst ratio`, the smallest
    pi / pi_ref of any response. Which remedy is best by the first depends on the world and the number of answers, so it
    is measured but not claimed; whether a remedy has an optimum follows from the answers alone.

    Args:
        seed: of the world and of the answers.
        num_prompts: prompts, at least 4.
        num_comparisons: answers per pair, at least 1.
        beta: of DPO and of the true objective, > 0.

    Returns:
        The Result. Figures: worst ratio and true objective during training, and how often there is no optimum.

    Raises:
        ConfigError: an option is out of range.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["finite_data"](num_prompts=8).held
        True

    Reference:
        A General Theoretical Paradigm to Understand Learning from Human Preferences, arXiv 2310.12036, section 4.2.
        Label smoothing: https://ericmitchell.ai/cdpo.pdf.
    """
    require("num_prompts", num_prompts, num_prompts >= 4, "at least 4")
    require("num_comparisons", num_comparisons, num_comparisons >= 1, "at least 1")
    require("beta", beta, beta > 0, "greater than 0")
    generator = torch.Generator().manual_seed(seed)
    world = World.random(seed, num_prompts, NUM_RESPONSES)
    wins_XYY = ask(world, num_comparisons, generator)
    held_out = empirical_world(world, ask(world, num_comparisons, generator))
    study = _Study(world, empirical_world(world, wins_XYY), held_out, beta)
    losses = _losses(beta)
    runs = {name: study.train(loss, step_size) for name, (loss, step_size) in losses.items()}
    stopped = min(range(len(STEPS)), key=lambda s: study.held_out_loss(runs["dpo"][s]))
    early_XY, last_XY = runs["dpo"][stopped], runs["dpo"][-1]

    finite_X, chosen_X = has_finite_optimum(wins_XYY), (wins_XYY.sum(2) > 0).all(1)
    settled = {name: study.settled(loss) for name, (loss, _) in losses.items()}
    measured = {
        "objective: the best there is": study.objective(study.best_XY),
        "objective: reference": study.objective(world.reference_XY),
    }
    for name, policies_SXY in runs.items():
        measured |= study.judge(name, policies_SXY[-1])
    measured |= study.judge("dpo, stopped early", early_XY)
    measured |= {
        "steps of dpo when stopped early": float(STEPS[stopped]),
        "share of prompts without an optimum of dpo": 1 - finite_X.double().mean().item(),
        "share of prompts with a response never chosen": 1 - chosen_X.double().mean().item(),
    }
    checks = {
        "some prompts have no optimum of dpo": not bool(finite_X.all()),
        "dpo settles exactly on the prompts where every response beats every other, directly or not": torch.equal(
            settled["dpo"], finite_X
        ),
        "label smoothing settles on every prompt": bool(settled["cdpo"].all()),
        "ipo settles on every prompt": bool(settled["ipo"].all()),
        "with an sft term dpo settles exactly where every response was chosen at least once": torch.equal(
            settled["dpo + sft"], chosen_X
        ),
        "training on takes the worst ratio of dpo down": study.worst(last_XY) < 0.8 * study.worst(runs["dpo"][-2]),
        "early stopping keeps the worst ratio of dpo no lower": study.worst(early_XY) >= study.worst(last_XY),
    }
    options = {"seed": seed, "num_prompts": num_prompts, "num_comparisons": num_comparisons, "beta": beta}
    return Result("finite_data", CLAIM, checks, measured, (*study.figures(runs), _without_optimum(seed)), options)


def _losses(beta: float) -> dict[str, tuple[PairFunction, float]]:
    """Each objective with a step size for its curvature: at most beta^2 / 4 per prompt for DPO, 2 for IPO."""
    dpo = bind("dpo", beta=beta)
    return {
        "dpo": (dpo, 3 / beta**2),
        "cdpo": (bind("cdpo", beta=beta, label_smoothing=0.1), 3 / beta**2),
        # Near p = 1/2 DPO's target margin is 4 (p - 1/2) / beta and IPO's (p - 1/2) / its beta.
        "ipo": (bind("ipo_sum", beta=beta / 4), 0.4),
        "dpo + sft": (mixture([(1.0, dpo), (SFT_WEIGHT, bind("sft"))]), 1 / (beta**2 / 4 + SFT_WEIGHT)),
    }


@dataclass(frozen=True, eq=False)
class _Study:
    """Answers to train on, held-out answers, and the truth for evaluation."""

    world: World
    answers: World
    held_out: World
    beta: float

    @property
    def best_XY(self) -> Tensor:
        return optimal_policy(self.world.reference_XY, self.world.known_reward_XY, self.beta)

    def loss(self, loss: PairFunction) -> Loss:
        """Over the answers, summed over prompts, so that the step size does not depend on their number."""
        evenly_XYY = torch.ones_like(self.answers.preference_XYY)
        mean = population_loss(loss, self.answers, sampling_XYY=evenly_XYY, soft_labels=False)
        return lambda logits_XY: self.world.num_prompts * mean(log_softmax_policy(logits_XY))

    def train(self, loss: PairFunction, step_size: float) -> Tensor:
        points_SXY = descend(self.loss(loss), self.world.reference_XY.log(), step_size=step_size, steps=STEPS)
        return torch.softmax(points_SXY, 2)

    def settled(self, loss: PairFunction) -> Tensor:
        """Whether Newton's method has converged, per prompt: without a minimum its steps do not shrink."""
        # A diverging prompt must not shorten the steps of the others.
        longest = 10 / min(self.beta, 1)
        near_XY = newton(self.loss(loss), self.world.reference_XY.log(), max_steps=20, longest=longest).parameters
        later_XY = newton(self.loss(loss), near_XY, max_steps=2, longest=longest).parameters
        return (later_XY - near_XY).abs().amax(1) < 1e-3

    def held_out_loss(self, policy_XY: Tensor) -> float:
        evenly_XYY = torch.ones_like(self.held_out.preference_XYY)
        dpo = bind("dpo", beta=self.beta)
        return float(population_loss(dpo, self.held_out, sampling_XYY=evenly_XYY)(policy_XY.log()))

    def objective(self, policy_XY: Tensor) -> float:
        reference_XY, reward_XY = self.world.reference_XY, self.world.known_reward_XY
        return regularised_reward(policy_XY, reference_XY, reward_XY, self.beta).mean().item()

    def worst(self, policy_XY: Tensor) -> float:
        return (policy_XY / self.world.reference_XY).min().item()

    def judge(self, name: str, policy_XY: Tensor) -> dict[str, float]:
        return {
            f"objective: {name}": self.objective(policy_XY),
            f"KL to the reference: {name}": kl_divergence(policy_XY, self.world.reference_XY).mean().item(),
            f"worst ratio: {name}": self.worst(policy_XY),
        }

    def figures(self, runs: dict[str, Tensor]) -> tuple[Figure, Figure]:
        worst = [Series.of(name, STEPS, [self.worst(policy) for policy in run]) for name, run in runs.items()]
        objective = [Series.of(name, STEPS, [self.objective(policy) for policy in run]) for name, run in runs.items()]
        ends = (STEPS[0], STEPS[-1])
        for name, policy_XY, colour in (
            ("the best there is", self.best_XY, "people"),
            ("reference", self.world.reference_XY, "reference"),
        ):
            objective.append(Series.of(name, ends, [self.objective(policy_XY)] * 2, colour=colour, dash="level"))
        steps = "steps of gradient descent, each objective at its own step size"
        return (
            Figure(
                "DPO, with an SFT term or without, goes on pushing some response to 0; cDPO and IPO stop",
                steps,
                "least pi / pi_ref",
                tuple(worst),
                x_scale="log",
                y_scale="log",
            ),
            Figure(
                "What the policy is worth to people while it learns from a few of their answers",
                steps,
                "E[R] - beta KL",
                tuple(objective),
                x_scale="log",
            ),
        )


def _without_optimum(seed: int) -> Figure:
    generator = torch.Generator().manual_seed(seed)
    world = World.random(seed, MANY, NUM_RESPONSES)
    shares = [1 - has_finite_optimum(ask(world, n, generator)).double().mean().item() for n in COUNTS]
    # For one pair the share is known: all n answers agree with probability p^n + (1 - p)^n.
    pair_X = world.preference_XYY[:, 0, 1]
    certain = [(pair_X**n + (1 - pair_X) ** n).mean().item() for n in COUNTS]
    series = (
        Series.of("prompts without an optimum of dpo", COUNTS, shares),
        Series.of("pairs that look certain", COUNTS, certain),
    )
    return Figure(
        "The fewer answers a pair, the more prompts look certain by chance",
        "comparisons a pair",
        "share",
        series,
        x_scale="log",
    )
