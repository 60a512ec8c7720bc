"""A tiny real model in memory, pairs about happy and sad children, and settings of runs that take a second."""

import json
import signal

import pytest
import torch

import penchant as pt

TIMINGS = {"tokens_per_second", "step_seconds"}
SETTINGS = {
    "held_out": 0.25,
    "batch_size": 4,
    "learning_rate": 3e-4,
    "max_steps": 3,
    "settings": {"save.num_samples": 1, "save.sample_tokens": 4},
    "progress": False,
}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def ctrl_c_is_heard():
    """A shell that runs tests in the background has them ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def rows():
    """Sixteen pairs, two for each of eight prompts."""
    return [
        {
            "prompt": f"One day {name} went to the park and",
            "chosen": f" played with a {thing}. {name} was happy.",
            "rejected": f" lost the {thing}. {name} was sad.",
        }
        for name in ("Lily", "Tom", "Ben", "Mia", "Sam", "Sue", "Max", "Anna")
        for thing in ("ball", "dog")
    ]


@pytest.fixture
def rows_file(rows, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def model(stories260k):
    return pt.load(stories260k, device="cpu", dtype="float32", chat_template="plain", progress=False)


@pytest.fixture
def train(model, rows):
    """`train(lora=True)`: `penchant.dpo` of the model in memory on the rows, with the settings of a small run."""
    return lambda on=model, data=rows, **changed: pt.dpo(on, data, **{**SETTINGS, **changed})


@pytest.fixture
def settings():
    return SETTINGS


@pytest.fixture
def measured():
    """The metrics of a run, without what a clock measured."""
    return lambda run: [{k: v for k, v in row.items() if k not in TIMINGS} for row in run.metrics]


@pytest.fixture
def same_weights():
    """Whether two models hold the same bits."""

    def compare(one, other):
        a, b = (model.network.state_dict() for model in (one, other))
        return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)

    return compare
