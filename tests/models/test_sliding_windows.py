"""A model with a sliding window trains whatever the lengths are, and follows its own advice on when it shares."""

import json

import pytest
from transformers import MistralConfig

from penchant.training.config import DPOConfig
from penchant.training.run import run as train_as


class Reporter:
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    def progress(self, *_):
        pass


@pytest.fixture
def train(make_folder, sizes, tmp_path, monkeypatch):
    """A function from settings of a run of a model with a window of 64 tokens to its folder and all that was said."""
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    rows = [{"prompt": f"{name} eats", "chosen": "a pie", "rejected": "a pea"} for name in ("Al", "Bo", "Cy", "Di")]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(max_length, **save):
        config = {
            "output": str(tmp_path / "run"),
            "model": {"name": str(make_folder(MistralConfig(**sizes, sliding_window=64))), "device": "cpu"},
            "data": {"files": [str(pairs)], "held_out": 0.25, "max_length": max_length},
            "save": save,
        }
        reporter = Reporter()
        return train_as(DPOConfig.model_validate(config), reporter).record, "\n".join(reporter.said)

    return run


@pytest.mark.slow(threads=1)
def test_a_window_that_samples_outgrow_is_not_shared_and_the_model_trains(train):
    folder, said = train(64, num_samples=2, sample_tokens=64)
    assert "sliding window of 64 tokens is shorter than the longest sequence of 128" in said
    assert folder.model.is_dir()


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("max_length", "save"), [(40, {"num_samples": 2, "sample_tokens": 24}), (64, {"num_samples": 0})]
)
def test_a_window_is_shared_where_the_advice_says_so(train, max_length, save):
    folder, said = train(max_length, **save)
    assert "prefixes are not shared" not in said
    assert folder.model.is_dir()
