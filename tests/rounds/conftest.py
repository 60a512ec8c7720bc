"""Rounds on a real tiny model: prompts, a judge of the user's own, and a folder of two rounds to read."""

import io
import os
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from penchant.progress import Silent
from penchant.rounds import run_round

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rounds.md"
ANIMALS = ("cat", "dog", "bird", "fish", "bear", "frog", "cow", "fox", "hen", "pig")
JUDGE = "taste_of_rounds:short"
TASTE = """
left = [None]
def short(prompt, response):
    if left[0] is not None:
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("called away")
    return -len(response)
"""


class Listener(Silent):
    """Remembers what was said, and how far everything came."""

    def __init__(self):
        self.said, self.came = [], {}

    def say(self, text):
        self.said.append(text)

    def progress(self, what, done, total, facts):
        self.came[what] = (done, total)


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture(scope="package")
def here(tmp_path_factory):
    """A folder with prompts and a judge of the user's own, who may be told to break off."""
    folder = tmp_path_factory.mktemp("rounds")
    (folder / "prompts.txt").write_text("".join(f"Once there was a {one} who liked\n" for one in ANIMALS))
    (folder / "taste_of_rounds.py").write_text(TASTE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PENCHANT_")]:
            patch.delenv(name)
        patch.setenv("PENCHANT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="package")
def asked(here, stories260k):
    """What is said of a first round, but for who answers."""
    return {
        "model": str(stories260k),
        "chat_template": "plain",
        "prompts": "prompts.txt",
        "max_new_tokens": 8,
        "held_out": 0.3,
        "settings": ["optimiser.learning_rate=1e-3", "data.held_out=0", "save.num_samples=0"],
    }


@pytest.fixture(scope="package")
def judged(asked):
    return asked | {"judge": JUDGE}


@pytest.fixture(scope="package")
def example(here, judged):
    """The folder of two rounds that the example of docs/rounds.md makes, with a small model, and what it printed."""
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    def on_a_small_model(folder, **settings):
        assert settings.keys() <= judged.keys()
        return run_round(here / folder, **settings | judged)

    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr("penchant.rounds.run_round", on_a_small_model)
        exec(code, {})
    return here / "wheel", printed.getvalue()


@pytest.fixture(scope="package")
def wheel(example):
    """Two rounds, run without a stop; the tests that use it only read."""
    return example[0]
