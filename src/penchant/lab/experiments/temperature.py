"""Temperature: the effect of dividing the logits by T on a distribution, and on two samples from it.

Shapes: Y responses (or tokens).
"""

import math
from itertools import pairwise

import torch
from torch import Tensor

from penchant.lab.exact import optimal_policy
from penchant.lab.result import Figure, Result, Series, require

__all__ = ["entropy", "temperature", "tempered"]

CLAIM = (
    "A higher temperature raises the entropy at the rate Var(z) / T^3, from all on the largest logit as T goes to 0 to "
    "all alike as T goes to infinity, and so makes two samples differ more often."
)
TEMPERATURES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
SHOWN = (0.2, 0.7, 1.0, 2.0, 10.0)


def tempered(logits_Y: Tensor, temperature: float) -> Tensor:
    """softmax(z / T): probabilities in proportion to p^(1/T), where p is the distribution at T = 1.

    Args:
        logits_Y: z, finite.
        temperature: T, at least 0. At 0 the largest logits share all probability, the limit; at infinity all are equal.

    Returns:
        Tensor of shape (Y,).

    Raises:
        ValueError: T is below 0, or not a number.

    Example:
        >>> import torch
        >>> from penchant.lab.experiments.temperature import tempered
        >>> tempered(torch.tensor([4.0, 1.0]).log(), temperature=0.5)  # 16 : 1
        tensor([0.9412, 0.0588])
        >>> tempered(torch.tensor([2.0, 2.0, 1.0]), temperature=0.0)
        tensor([0.5000, 0.5000, 0.0000])
    """
    if not temperature >= 0:
        raise ValueError(f"temperature must be at least 0, got {temperature}")
    if temperature == 0:
        is_largest_Y = (logits_Y == logits_Y.max()).to(logits_Y)
        return is_largest_Y / is_largest_Y.sum()
    # Subtracting the largest first keeps z / T finite for the smallest T.
    return torch.softmax((logits_Y - logits_Y.max()) / temperature, dim=0)


def entropy(policy_Y: Tensor) -> Tensor:
    """-sum p log p in nats, a scalar between 0 and log Y; 0 log 0 is 0.

    Example:
        >>> import torch
        >>> from penchant.lab.experiments.temperature import entropy
        >>> entropy(torch.tensor([0.5, 0.5, 0.0]))
        tensor(0.6931)
    """
    return -torch.xlogy(policy_Y, policy_Y).sum()


def temperature(seed: int = 0, num_responses: int = 8) -> Result:
    """Apply a range of temperatures to a random distribution.

    Args:
        seed: of the logits.
        num_responses: the number of responses, at least 2.

    Returns:
        The Result. Figures: the distribution at some T; entropy, and the rate at which two samples differ.

    Raises:
        ConfigError: an option is out of range.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["temperature"](seed=3).held
        True

    Reference:
        Distilling the Knowledge in a Neural Network, arXiv 1503.02531, eq. 1.
    """
    require("num_responses", num_responses, num_responses >= 2, "at least 2")
    generator = torch.Generator().manual_seed(seed)
    logits_Y = torch.randn(num_responses, dtype=torch.float64, generator=generator)
    plain_Y = torch.softmax(logits_Y, 0)
    heated = [tempered(logits_Y, value) for value in TEMPERATURES]
    entropies = [entropy(policy_Y).item() for policy_Y in heated]
    differ = [1 - policy_Y.square().sum().item() for policy_Y in heated]
    uniform_Y = torch.full_like(plain_Y, 1 / num_responses)
    tilted_Y = optimal_policy(uniform_Y[None], logits_Y[None], 0.7)[0]

    measured = {
        "entropy at T = 0.05": entropies[0],
        "entropy at T = 1": entropy(plain_Y).item(),
        "entropy at T = 100": entropies[-1],
        "log of the number of responses": math.log(num_responses),
        "two samples differ at T = 1": 1 - plain_Y.square().sum().item(),
        "error of dH/dT = Var(z) / T^3": max(_rate_error(logits_Y, value) for value in TEMPERATURES),
        "error of p_i / p_j at T = (p_i / p_j at 1)^(1/T)": max(
            _odds_error(plain_Y, policy_Y, value) for policy_Y, value in zip(heated, TEMPERATURES, strict=True)
        ),
        "distance from the argmax at T = 0.0001": _gap(tempered(logits_Y, 1e-4), tempered(logits_Y, 0.0)),
        "distance from uniform at T = 1e9": _gap(tempered(logits_Y, 1e9), uniform_Y),
        "distance from pi* of reward z, beta = T, uniform reference": _gap(tilted_Y, tempered(logits_Y, 0.7)),
    }
    checks = {
        "entropy rises with T": all(low < high for low, high in pairwise(entropies)),
        "two samples differ more often as T rises": all(low < high for low, high in pairwise(differ)),
        "entropy rises at the rate Var(z) / T^3": measured["error of dH/dT = Var(z) / T^3"] < 1e-9,
        "log-odds are divided by T": measured["error of p_i / p_j at T = (p_i / p_j at 1)^(1/T)"] < 1e-9,
        "T to 0 is the argmax": measured["distance from the argmax at T = 0.0001"] < 1e-6,
        "T to infinity is uniform": measured["distance from uniform at T = 1e9"] < 1e-6,
        "it is beta of the KL-regularised optimum, where the reference is uniform": measured[
            "distance from pi* of reward z, beta = T, uniform reference"
        ]
        < 1e-12,
    }
    figures = _figures(logits_Y, entropies, differ)
    return Result("temperature", CLAIM, checks, measured, figures, {"seed": seed, "num_responses": num_responses})


def _rate_error(logits_Y: Tensor, value: float) -> float:
    point = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    (rate,) = torch.autograd.grad(entropy(torch.softmax(logits_Y / point, 0)), point)
    policy_Y = tempered(logits_Y, value)
    variance = policy_Y @ (logits_Y - policy_Y @ logits_Y).square()
    return (rate - variance / value**3).abs().item()


def _odds_error(plain_Y: Tensor, policy_Y: Tensor, value: float) -> float:
    """The relative error of log-odds, since at low T the odds themselves overflow."""
    log_odds_YY = plain_Y.log()[:, None] - plain_Y.log()[None, :]
    return _gap(value * (policy_Y.log()[:, None] - policy_Y.log()[None, :]), log_odds_YY)


def _gap(left: Tensor, right: Tensor) -> float:
    return (left - right).abs().max().item()


def _figures(logits_Y: Tensor, entropies: list[float], differ: list[float]) -> tuple[Figure, Figure]:
    names = [str(y + 1) for y in range(len(logits_Y))]
    ranked_Y = logits_Y.sort(descending=True).values
    bars = [Series.of(f"T = {value:g}", names, tempered(ranked_Y, value).tolist()) for value in SHOWN]
    curves = (
        Series.of("entropy, nats", TEMPERATURES, entropies),
        Series.of("two samples differ", TEMPERATURES, differ),
    )
    return (
        Figure(
            "The hotter, the flatter: one distribution at five temperatures",
            "response, by rank",
            "probability",
            tuple(bars),
        ),
        Figure(
            "Entropy rises with temperature, and two samples differ more often",
            "temperature",
            "entropy or probability",
            curves,
            x_scale="log",
        ),
    )
