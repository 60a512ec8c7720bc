"""Votes to fit, and slow likelihoods to check the fits against: loops over votes, no tricks."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from penchant.ranking import Votes


def probabilities(eta: float, nu: float) -> dict[int, float]:
    """Of the outcomes 1, 0 and -1 under Davidson's model; nu = 0 is Bradley-Terry's."""
    odds = {1: math.exp(eta / 2), 0: nu, -1: math.exp(-eta / 2)}
    return {outcome: part / sum(odds.values()) for outcome, part in odds.items()}


def slow_log_likelihood(votes: Votes, parameter_P, *, names=(), davidson=False) -> float:
    """Abilities, then a coefficient for each name ("position" or a covariate), then log nu."""
    ability_I = parameter_P[: len(votes.items)]
    coefficients = dict(zip(names, parameter_P[len(votes.items) :], strict=False))
    nu = math.exp(parameter_P[-1]) if davidson else 0.0
    total = 0.0
    for v in range(len(votes)):
        eta = ability_I[votes.left_V[v]] - ability_I[votes.right_V[v]]
        for name, value in coefficients.items():
            eta += value * (1.0 if name == "position" else votes.covariates[name][v])
        p = probabilities(eta, nu)
        outcome = int(votes.outcome_V[v])
        halves = outcome == 0 and not davidson
        log_p = (math.log(p[1]) + math.log(p[-1])) / 2 if halves else math.log(p[outcome])
        total += votes.weight_V[v] * log_p
    return total


def simulated(seed: int, *, num_items=4, num_votes=300, nu=0.0, num_prompts=40, num_annotators=25, taste=0.0) -> Votes:
    """Votes of a known model: abilities 0.5 apart, left advantage 0.3, length 0.4, prompts that favour an item.

    taste: how much annotators favour an item; prompts do by 0.7 or by as much.
    """
    rng = np.random.default_rng(seed)
    left_V = rng.integers(num_items, size=num_votes)
    right_V = (left_V + rng.integers(1, num_items, size=num_votes)) % num_items
    prompt_V = rng.integers(num_prompts, size=num_votes)
    favour = rng.normal(0, max(0.7, taste), size=(num_prompts, num_items))
    length_V = rng.normal(size=num_votes)
    annotator_V = rng.integers(num_annotators, size=num_votes)
    likes = rng.normal(0, taste, size=(num_annotators, num_items))
    true = {
        v: 0.5 * (right_V[v] - left_V[v])
        + 0.3
        + 0.4 * length_V[v]
        + favour[prompt_V[v], left_V[v]]
        - favour[prompt_V[v], right_V[v]]
        + likes[annotator_V[v], left_V[v]]
        - likes[annotator_V[v], right_V[v]]
        for v in range(num_votes)
    }
    outcome_V = [rng.choice([1, 0, -1], p=list(probabilities(eta, nu).values())) for eta in true.values()]
    return Votes(
        items=tuple("abcdefgh"[:num_items]),
        left_V=left_V,
        right_V=right_V,
        outcome_V=np.array(outcome_V),
        weight_V=rng.uniform(0.5, 2.0, size=num_votes),
        clusters={"prompt": prompt_V, "annotator": annotator_V},
        covariates={"length": length_V},
    )


@pytest.fixture
def simulate() -> Callable[..., Votes]:
    return simulated


@pytest.fixture
def log_likelihood() -> Callable[..., float]:
    return slow_log_likelihood


@pytest.fixture
def triangle() -> Votes:
    """a above b above c, every pair decided both ways."""
    return Votes.from_counts([("a", "b", 7, 3, 0), ("b", "c", 6, 4, 0), ("c", "a", 2, 8, 0)])


@pytest.fixture
def classic(shared: Path) -> Path:
    """Small real tables with published estimates."""
    return shared / "data" / "bt_classic"


@pytest.fixture
def read_csv() -> Callable[[Path], list[dict[str, str]]]:
    def read(path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))

    return read
