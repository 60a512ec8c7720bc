"""Pairs for the tests of the objectives."""

from collections.abc import Callable

import pytest
import torch

from penchant.objectives import PairBatch


def make_pairs(
    delta: list[float],
    *,
    probability: list[float] | None = None,
    margin: list[float] | None = None,
    length: tuple[float, float] = (5.0, 4.0),
    dtype: torch.dtype = torch.float64,
) -> PairBatch:
    """Pairs whose log-ratios differ by `delta`: two thirds of it on the chosen side, one third on the rejected side."""
    delta_B = torch.tensor(delta, dtype=dtype)
    return PairBatch(
        policy_chosen_B=-20 + delta_B * 2 / 3,
        policy_rejected_B=-30 - delta_B / 3,
        reference_chosen_B=torch.full_like(delta_B, -20),
        reference_rejected_B=torch.full_like(delta_B, -30),
        length_chosen_B=torch.full_like(delta_B, length[0]),
        length_rejected_B=torch.full_like(delta_B, length[1]),
        weight_B=torch.ones_like(delta_B),
        probability_B=torch.ones_like(delta_B) if probability is None else torch.tensor(probability, dtype=dtype),
        margin_B=torch.zeros_like(delta_B) if margin is None else torch.tensor(margin, dtype=dtype),
        kl_chosen_B=delta_B.abs() / 4 + 0.5,
        kl_rejected_B=delta_B.abs() / 2 + 0.125,
    )


@pytest.fixture(scope="session")
def pairs() -> Callable[..., PairBatch]:
    """Build float64 pairs from a list of deltas (see `make_pairs`)."""
    return make_pairs
