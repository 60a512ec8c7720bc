"""A tiny real model, eight prompts, and runs of reinforcement learning that take a second or two."""

import pytest
import torch

from penchant.models.load import load_model
from penchant.models.numerics import Numerics
from penchant.online.rlhf import rlhf

CPU = Numerics(torch.device("cpu"), torch.float32)
NAMES = ("Lily", "Tom", "Ben", "Mia", "Sam", "Sue", "Max", "Anna")
TIMINGS = ("tokens_per_second", "step_seconds")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(stories260k):
    return load_model(str(stories260k), CPU, chat_template="plain")


@pytest.fixture
def prompts():
    return [f"Once upon a time, there was a child named {name}. One day" for name in NAMES]


@pytest.fixture
def brevity():
    def brevity(prompt, response):
        """Shorter is better."""
        return -len(response) / 20

    return brevity


@pytest.fixture
def train(model, prompts, brevity):
    """A short run on the prompts; `settings` are dotted and added to those of a small run."""

    def run(start=None, asked=None, *, judge=brevity, settings=(), **arguments):
        standard = {"save.num_samples": 0, "optimiser.warmup_ratio": 0.0, "optimiser.token_budget": 300}
        small = {"max_new_tokens": 6, "num_responses": 4, "learning_rate": 1e-3, "held_out": 0.0, "progress": False}
        return rlhf(
            start or model, asked or prompts, judge=judge, settings={**standard, **dict(settings)}, **small | arguments
        )

    return run


@pytest.fixture
def without_timings():
    return lambda rows: [{k: v for k, v in row.items() if k not in TIMINGS} for row in rows]
