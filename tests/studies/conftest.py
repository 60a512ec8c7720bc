"""Studies made of numbers: points that were never trained, and what might have been measured of them."""

import numpy as np
import pytest

from penchant.studies.points import Measured, Point

PROMPTS = tuple(f"prompt {i}" for i in range(30))


@pytest.fixture
def point():
    """`point("dpo", 0.1, seed=1)`."""

    def make(curve="dpo", strength=0.1, seed=0):
        return Point(curve, "dpo", f"{strength:g}", seed, "judge", {"dpo.beta": strength})

    return make


@pytest.fixture
def measured():
    """`measured(kl, true)`: two answers to each of thirty prompts, whose means are these, with a little noise."""

    def make(kl, true, *, seed=0, noise=0.1, name="a point", accuracy=None):
        rng = np.random.default_rng(seed)
        prompts = tuple(np.repeat(PROMPTS, 2).tolist())
        kl_N, true_N = (value + noise * _centred(rng, len(prompts)) for value in (kl, true))
        learned_N = 2 * true_N
        lists = (tuple(one.tolist()) for one in (true_N, learned_N, kl_N))
        return Measured(name, {}, prompts, *lists, (7,) * len(prompts), accuracy)

    return make


def _centred(rng, num):
    drawn = rng.standard_normal(num)
    return drawn - drawn.mean()
