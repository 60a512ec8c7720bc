"""A second computation of everything, in Python floats and loops: what the tests of this room compare with."""

import math
from functools import cache
from types import SimpleNamespace

import pytest
import torch

from penchant.lab import EXPERIMENTS, World


def _optimum(reference, reward, beta):
    weights = [p * math.exp(r / beta) for p, r in zip(reference, reward, strict=True)]
    total = sum(weights)
    return [weight / total for weight in weights], math.log(total)


def _kl(policy, other):
    return sum(p * math.log(p / q) for p, q in zip(policy, other, strict=True) if p > 0)


def _objective(policy, reference, reward, beta):
    return sum(p * r for p, r in zip(policy, reward, strict=True)) - beta * _kl(policy, reference)


def _sigmoid(x):
    return 1 / (1 + math.exp(-x))


def _minimum(function, low, high):
    """Golden-section search: where a function with one valley is least."""
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(200):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if function(left) < function(right) else (left, high)
    return (low + high) / 2


@pytest.fixture
def by_hand():
    """Plain Python: optimum (policy, log Z), kl, objective, sigmoid, minimum."""
    return SimpleNamespace(optimum=_optimum, kl=_kl, objective=_objective, sigmoid=_sigmoid, minimum=_minimum)


@pytest.fixture
def world():
    """Two prompts, three responses, rewards and reference all different."""
    reference_XY = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]], dtype=torch.float64)
    reward_XY = torch.tensor([[1.0, -0.5, 0.3], [0.0, 2.0, -1.0]], dtype=torch.float64)
    return World.from_reward(reference_XY, reward_XY)


@pytest.fixture(scope="session")
def result():
    """`result("elo")`: an experiment at its defaults, run once."""
    return cache(lambda name: EXPERIMENTS[name]())
