"""The line at the start of a run says what it is about to do."""

import json

import pytest

import penchant as pt
from penchant.training import size_of_run


class Listening:
    """A reporter that keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    def progress(self, *_):
        pass


@pytest.fixture
def planned(stories260k, tmp_path, monkeypatch):
    """The plan of a run of six pairs, all with the same prompt."""
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    rows = [
        {
            "prompt": "Once upon a time there was a girl named Lily. She said",
            "chosen": f" she {i}",
            "rejected": f" he {i}",
        }
        for i in range(6)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def planned(train=pt.dpo, **settings):
        reporter = Listening()
        settings = {"model.chat_template": "plain", "data.held_out": 0.0, "optimiser.batch_size": 2, **settings}
        run = train(str(stories260k), str(tmp_path / "pairs.jsonl"), settings=settings, progress=reporter)
        (line,) = [said for said in reporter.said if "to train on" in said]
        return line, run

    return planned


def number(text):
    return int("".join(filter(str.isdigit, text)))


@pytest.mark.slow(threads=1)
def test_the_plan_counts_pairs_steps_and_tokens_as_the_run_then_runs_them(planned):
    line, run = planned(**{"save.num_samples": 0})
    pairs, steps, tokens, stored = line.split("; ")
    assert (pairs, steps) == ("6 pairs to train on", "3 steps")
    written, of_them = tokens.split(" tokens an epoch, ")
    last = [row for row in run.metrics if "num_tokens" in row][-1]
    assert number(of_them) == last["num_tokens"]
    assert number(written) > number(of_them)
    assert of_them.endswith("of them run as prefixes are shared")
    assert stored.startswith("the tokens take ")


@pytest.mark.slow(threads=1)
def test_without_sharing_every_token_is_run(planned):
    line, _ = planned(**{"save.num_samples": 0, "model.share_prefixes": False, "optimiser.max_steps": 1})
    assert "1 step;" in line
    tokens = line.split("; ")[2]
    written, of_them = tokens.split(" tokens an epoch, ")
    assert number(written) == number(of_them)


@pytest.mark.slow(threads=1)
def test_a_plan_of_many_batches_is_told_by_some(planned, monkeypatch):
    exact, _ = planned(**{"save.num_samples": 0, "optimiser.max_steps": 1, "optimiser.batch_size": 1})
    monkeypatch.setattr(size_of_run, "NUM_BATCHES", 3)
    about, _ = planned(**{"save.num_samples": 0, "optimiser.max_steps": 1, "optimiser.batch_size": 1})
    assert about.split("; ")[2].startswith("about ")
    assert number(about.split("; ")[2].split(" tokens")[0]) == pytest.approx(
        number(exact.split("; ")[2].split(" tokens")[0]), rel=0.2
    )


@pytest.mark.slow(threads=1)
def test_labelled_responses_are_called_so(planned):
    line, _ = planned(**{"dpo.objective": "kto", "optimiser.max_steps": 1})
    assert line.startswith("12 responses to train on; 1 step; ")
    assert "take" not in line
