"""A tiny real model, a file of pairs about little dogs and cats, and runs that take a second."""

import json
import os
import subprocess
import sys

import pytest
import torch

from penchant.models.load import load_model
from penchant.models.numerics import Numerics
from penchant.tokens import Limits, tokenise_pairs
from penchant.training.config import DPOConfig, SFTConfig
from penchant.training.objective import choose_recipe
from penchant.training.run import train

CPU = Numerics(torch.device("cpu"), torch.float32)
NAMES = ("Lily", "Tom", "Ben", "Mia", "Sam", "Sue", "Max", "Anna")


class Reporter:
    """Keeps what it is told; `at` maps a training step to something to do then."""

    def __init__(self, at=None):
        self.said, self.at = [], at or {}

    def say(self, text):
        self.said.append(text)

    def progress(self, what, done, total, facts):
        if what == "training" and done in self.at:
            self.at[done]()


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def loading_in_one_thread(monkeypatch):
    """A rank that is a thread reads its slices itself: the threads that transformers would start are of no rank."""
    monkeypatch.setenv("HF_DEACTIVATE_ASYNC_LOAD", "1")


@pytest.fixture
def reporter():
    return Reporter()


@pytest.fixture(scope="session")
def pairs_file(tmp_path_factory):
    """Sixteen pairs, two for each of eight prompts: the happy ending is preferred."""
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    rows = [
        {
            "prompt": f"Once upon a time, there was a child named {name}. One day {name} went to the park and",
            "chosen": f" played with a {thing}. {name} was very happy.",
            "rejected": f" lost the {thing}. {name} was sad and cried.",
        }
        for name in NAMES
        for thing in ("ball", "dog")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def texts_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "texts.jsonl"
    rows = [{"text": f"{name} has a big red truck and {name} likes to drive it to the moon."} for name in NAMES]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def model(stories260k):
    return load_model(str(stories260k), CPU, chat_template="plain")


@pytest.fixture
def pairs(model, pairs_file):
    from penchant.data import load_pairs

    return tokenise_pairs(model.encoder, load_pairs(pairs_file).records, Limits(200, 150)).items


@pytest.fixture
def settings(stories260k, tmp_path, pairs_file):
    """Settings of a small run; `section={...}` changes some."""

    def build(name="run", **sections):
        base = {
            "output": str(tmp_path / name),
            "model": {"name": str(stories260k), "chat_template": "plain", "device": "cpu", "dtype": "float32"},
            "data": {"files": [str(pairs_file)], "held_out": 0.25},
            "optimiser": {"batch_size": 4, "learning_rate": 3e-4, "epochs": 2, "token_budget": 300},
            "save": {"num_samples": 0},
        }
        changed = {k: {**base.get(k, {}), **v} if isinstance(v, dict) else v for k, v in sections.items()}
        return {**base, **changed}

    return build


@pytest.fixture
def dpo(settings):
    def run(reporter=None, *, resume=False, **sections):
        config = DPOConfig.model_validate(settings(**sections))
        return train(config, choose_recipe(config), reporter or Reporter(), resume=resume).record

    return run


@pytest.fixture
def sft(settings, texts_file):
    def run(reporter=None, *, resume=False, **sections):
        sections["data"] = {"files": [str(texts_file)], **sections.get("data", {})}
        config = SFTConfig.model_validate(settings(**sections))
        return train(config, choose_recipe(config), reporter or Reporter(), resume=resume).record

    return run


@pytest.fixture
def make_reporter():
    return Reporter


@pytest.fixture
def in_a_process(stories260k, tmp_path):
    """Runs `penchant VERB` on the story model as a process of its own in the test's folder, whose modules it finds.

    The last of two options counts, so that a test may ask for another precision. environment: what it has besides.
    """

    def run(verb, data, *words, timeout=300, **environment):
        always = ["-m", str(stories260k), "--chat-template", "plain", "-d", str(data), "--batch-size", "4"]
        always += ["--learning-rate", "3e-4", "--device", "cpu", "--dtype", "float32"]
        path = os.pathsep.join([str(tmp_path), *sys.path])
        return subprocess.run(
            [sys.executable, "-m", "penchant", verb, *always, *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    return run
