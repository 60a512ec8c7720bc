"""The whole wheel on the real model: sample, vote through the page, train, and predict votes that were kept back."""

import json
import re
import subprocess
import sys

import pytest

import penchant as pt
from penchant.data import load_pairs

from .conftest import Reader, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NUM_PROMPTS, NUM_HELD_OUT = 36, 14


def penchant(*arguments):
    command = [sys.executable, "-m", "penchant", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.fixture
def tasks():
    """A response of a low temperature and one of a high one to each prompt."""
    model = pt.load("smollm2-135m")
    how = {"max_prompts": NUM_PROMPTS, "max_new_tokens": 16, "progress": False}
    cool, hot = (pt.sample(model, "everyday-train", temperature=t, **how).comparisons for t in (0.5, 1.5))
    return [one.model_copy(update={"b": other.b}) for one, other in zip(cool, hot, strict=True)]


def plain_words(text):
    """Share of words a person reads without stumbling: the taste of the scripted person."""
    words = text.split()
    return sum(bool(re.fullmatch(r"[A-Za-z]?[a-z']{0,8}[.,!?:]?", word)) for word in words) / max(1, len(words))


def vote(reader):
    """Answer by keyboard until nothing is left."""
    while reader.view == "pair":
        left, right = (plain_words(reader.text(f"#{side}-text")) for side in ("left", "right"))
        reader.answer("0" if left == right else "1" if left > right else "2")
    reader.settle()


def test_votes_from_the_page_make_a_model_that_predicts_votes_it_has_not_seen(make_site, chromium, tasks, tmp_path):
    site = make_site(tasks, title="Which is easier to read?")
    with served(site) as base:
        reader = Reader(chromium, base, site.tokens["ann"])
        vote(reader)
        assert reader.problems == []
        reader.context.close()
    votes = tmp_path / "votes.jsonl"
    penchant("votes", "export", site.project.path, "--to", "pairs", "--output", votes)
    rows = sorted(votes.read_text(encoding="utf-8").splitlines())  # pairs came in a random order
    assert len(rows) > 26, "most responses differ in their share of plain words"
    kept, trained = tmp_path / "kept.jsonl", tmp_path / "trained.jsonl"
    kept.write_text("\n".join(rows[:NUM_HELD_OUT]) + "\n", encoding="utf-8")
    trained.write_text("\n".join(rows[NUM_HELD_OUT:]) + "\n", encoding="utf-8")
    assert not {p.prompt for p in load_pairs(kept).records} & {p.prompt for p in load_pairs(trained).records}
    options = ("--learning-rate", "4e-5", "--set", "data.held_out=0", "--set", "save.num_samples=0")
    penchant("dpo", "--data", trained, *options, "--output", tmp_path / "run")
    penchant("score", "--model", tmp_path / "run", "--data", kept, "--output", tmp_path / "scores.jsonl")
    margins = [json.loads(line)["margin"] for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert len(margins) == NUM_HELD_OUT
    assert sum(margin > 0 for margin in margins) >= 12, "by chance one model in a hundred would predict so many"
    assert sum(margins) > 0, "the model it started from has a margin of 0 on every pair"
