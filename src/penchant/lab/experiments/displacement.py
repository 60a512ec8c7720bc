"""Displacement: the chosen response becomes less likely while its margin over the rejected one grows.

Shapes: X = 1 prompt, Y responses, D features, S snapshots.
"""

import torch
from torch import Tensor

from penchant.lab.optimise import Loss, descend
from penchant.lab.population import population_loss
from penchant.lab.result import Figure, Result, Series, require
from penchant.lab.world import World
from penchant.objectives import PairFunction, bind, mixture

__all__ = ["chosen_slope", "displacement"]

CLAIM = (
    "Where the chosen and the rejected response share features, DPO lowers the probability of both and raises that of "
    "a third, as the first-order rule says beforehand; a free logit for each response, or an SFT term, prevents it."
)
RESPONSES = ("No", "Never", "Yes", "Perhaps")
# Columns: affirmative or not, blunt or not. "No" and "Never" differ little, and in the direction of "Yes".
FEATURES = ((-1.0, 0.3), (-1.2, 0.0), (1.0, 0.2), (0.0, -0.2))
REFERENCE = (0.35, 0.25, 0.25, 0.15)
CHOSEN, REJECTED, THIRD = 0, 1, 2
STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)
STEP_SIZE = 1.0
NUM_RANDOM = 200


def chosen_slope(features_YD: Tensor, policy_Y: Tensor, chosen: int, rejected: int) -> Tensor:
    """(phi_w - E[phi]) . (phi_w - phi_l): the sign of the change of log pi(chosen) in a small step of DPO.

    With logits phi . theta a step on -logsigmoid(beta D) moves theta along phi_w - phi_l, and the gradient of
    log pi(w) is phi_w less the mean feature under the policy. Negative: the chosen response becomes less likely.

    Args:
        features_YD: features of every response.
        policy_Y: current probabilities of every response.
        chosen: index of the chosen response.
        rejected: index of the rejected response.

    Returns:
        A scalar. Times step_size * beta * sigmoid(-beta D) it is the first-order change of log pi(chosen).

    Example:
        >>> import torch
        >>> from penchant.lab.experiments.displacement import chosen_slope
        >>> chosen_slope(torch.eye(3), torch.tensor([0.5, 0.25, 0.25]), chosen=0, rejected=1)  # 1 - pi_w + pi_l
        tensor(0.7500)

    Reference:
        Unintentional Unalignment: Likelihood Displacement in Direct Preference Optimization, arXiv 2410.08847.
    """
    return (features_YD[chosen] - policy_Y @ features_YD) @ (features_YD[chosen] - features_YD[rejected])


def displacement(seed: int = 0, beta: float = 0.5, sft_weight: float = 1.0) -> Result:
    """Train a softmax of four responses and two shared features to prefer "No" to "Never".

    Args:
        seed: of the random models on which the first-order rule is tested.
        beta: of DPO, > 0.
        sft_weight: weight of the SFT term, in the run with one, > 0.

    Returns:
        The Result. Figures: log pi(chosen) during training, and where its probability goes.

    Raises:
        ConfigError: an option is out of range.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["displacement"]().held
        True

    Reference:
        Unintentional Unalignment: Likelihood Displacement in Direct Preference Optimization, arXiv 2410.08847.
        SFT term: Iterative Reasoning Preference Optimization, arXiv 2404.19733, eq. 1.
    """
    require("beta", beta, 0.01 <= beta <= 10, "from 0.01 to 10, as beyond them rounding hides the differences")
    require("sft_weight", sft_weight, sft_weight >= 0.05, "at least 0.05; a weaker term does not hold the chosen up")
    shared_YD, free_YD = torch.tensor(FEATURES, dtype=torch.float64), torch.eye(len(RESPONSES), dtype=torch.float64)
    dpo = bind("dpo", beta=beta)
    runs = {
        "dpo, shared features": _train(shared_YD, dpo),
        "dpo, a free logit each": _train(free_YD, dpo),
        "dpo + sft, shared features": _train(shared_YD, mixture([(1.0, dpo), (sft_weight, bind("sft"))])),
    }
    shared_SY = runs["dpo, shared features"]
    margins_S = (shared_SY[:, CHOSEN] / shared_SY[:, REJECTED]).log()
    agreement, slope_error = _first_order_rule(seed, beta)

    measured = {f"pi(chosen) after training: {name}": run_SY[-1, CHOSEN].item() for name, run_SY in runs.items()}
    measured |= {
        "pi(chosen) before training": REFERENCE[CHOSEN],
        "pi(third) before training": REFERENCE[THIRD],
        "pi(third) after training: dpo, shared features": shared_SY[-1, THIRD].item(),
        "pi(rejected) after training: dpo, shared features": shared_SY[-1, REJECTED].item(),
        "first-order slope, shared features": _slope(shared_YD),
        "first-order slope, a free logit each": _slope(free_YD),
        "share of random models whose sign the rule foretells": agreement,
        "error of the rule against the gradient": slope_error,
    }
    checks = {
        "with shared features the chosen response becomes less likely": bool(shared_SY[-1, CHOSEN] < REFERENCE[CHOSEN]),
        "so does the rejected one": bool(shared_SY[-1, REJECTED] < REFERENCE[REJECTED]),
        "while the margin grows at every snapshot": bool((margins_S.diff() > 0).all()),
        "the third response gains most": int((shared_SY[-1] - shared_SY[0]).argmax()) == THIRD,
        "the first-order rule says so beforehand": _slope(shared_YD) < 0 < _slope(free_YD),
        "the rule is the gradient": slope_error < 1e-9,
        "the rule foretells the sign of a small step": agreement == 1,
        "with a free logit each the chosen response becomes more likely": bool(
            runs["dpo, a free logit each"][-1, CHOSEN] > REFERENCE[CHOSEN]
        ),
        "with an sft term too": bool(runs["dpo + sft, shared features"][-1, CHOSEN] > REFERENCE[CHOSEN]),
    }
    options = {"seed": seed, "beta": beta, "sft_weight": sft_weight}
    return Result("displacement", CLAIM, checks, measured, _figures(runs), options)


def _world(reference_Y: Tensor) -> World:
    """Only one pair is shown, and its chosen response always wins."""
    preference_XYY = torch.full((1, len(reference_Y), len(reference_Y)), 0.5, dtype=torch.float64)
    preference_XYY[0, CHOSEN, REJECTED], preference_XYY[0, REJECTED, CHOSEN] = 1.0, 0.0
    return World.from_preferences(reference_Y[None], preference_XYY)


def _log_policy(features_YD: Tensor, reference_Y: Tensor, theta_D: Tensor) -> Tensor:
    """Shape (1, Y); theta = 0 is the reference."""
    return torch.log_softmax(reference_Y.log() + features_YD @ theta_D, dim=0)[None]


def _loss(features_YD: Tensor, reference_Y: Tensor, loss: PairFunction) -> Loss:
    world = _world(reference_Y)
    sampling_XYY = torch.zeros_like(world.preference_XYY)
    sampling_XYY[0, CHOSEN, REJECTED] = 1.0
    total = population_loss(loss, world, sampling_XYY=sampling_XYY, soft_labels=False)
    return lambda theta_D: total(_log_policy(features_YD, reference_Y, theta_D))


def _train(features_YD: Tensor, loss: PairFunction) -> Tensor:
    """Probabilities at every snapshot, shape (S, Y)."""
    reference_Y = torch.tensor(REFERENCE, dtype=torch.float64)
    start_D = torch.zeros(features_YD.shape[1], dtype=torch.float64)
    points_SD = descend(_loss(features_YD, reference_Y, loss), start_D, step_size=STEP_SIZE, steps=STEPS)
    return torch.cat([_log_policy(features_YD, reference_Y, theta_D).exp() for theta_D in points_SD])


def _slope(features_YD: Tensor) -> float:
    return chosen_slope(features_YD, torch.tensor(REFERENCE, dtype=torch.float64), CHOSEN, REJECTED).item()


def _first_order_rule(seed: int, beta: float) -> tuple[float, float]:
    """On random models: how often the rule predicts the sign of a small step, and its error in the gradient."""
    generator = torch.Generator().manual_seed(seed)
    dpo, right, error, step_size = bind("dpo", beta=beta), 0, 0.0, 1e-7
    for _ in range(NUM_RANDOM):
        features_YD = torch.randn(4, 2, dtype=torch.float64, generator=generator)
        reference_Y = torch.softmax(torch.randn(4, dtype=torch.float64, generator=generator), 0)
        theta_D = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        (loss_D,) = torch.autograd.grad(_loss(features_YD, reference_Y, dpo)(theta_D), theta_D)
        (chosen_D,) = torch.autograd.grad(_log_policy(features_YD, reference_Y, theta_D)[0, CHOSEN], theta_D)
        # At the reference sigmoid(-beta D) is 1/2.
        rule = beta / 2 * chosen_slope(features_YD, reference_Y, CHOSEN, REJECTED)
        moved = _log_policy(features_YD, reference_Y, -step_size * loss_D)[0, CHOSEN] - reference_Y[CHOSEN].log()
        error = max(error, (rule - chosen_D @ -loss_D).abs().item())
        right += int(moved.sign() == rule.sign())
    return right / NUM_RANDOM, error


def _figures(runs: dict[str, Tensor]) -> tuple[Figure, Figure]:
    chosen = [Series.of(name, STEPS, run_SY[:, CHOSEN].log().tolist()) for name, run_SY in runs.items()]
    shared_SY = runs["dpo, shared features"]
    shares = [Series.of(name, STEPS, shared_SY[:, y].tolist()) for y, name in enumerate(RESPONSES)]
    steps = "steps of gradient descent"
    return (
        Figure(
            "With shared features DPO makes the chosen response less likely",
            steps,
            "log pi(chosen)",
            tuple(chosen),
            x_scale="log",
        ),
        Figure(
            "With shared features the probability goes to a third response", steps, "pi", tuple(shares), x_scale="log"
        ),
    )
