"""What all runs of a study share: no training on what is measured on, and nothing that changed without a word."""

import json
from importlib import import_module

import pytest

from penchant.data import load_demonstrations, load_pairs
from penchant.errors import DataError, OutputError
from penchant.progress import Silent
from penchant.studies import ground as ground_module
from penchant.studies.ground import make_ground
from penchant.studies.settings import StudyConfig

PROMPTS = [f"prompt {i}" for i in range(12)]


class Told(Silent):
    """A reporter that remembers what was said."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """`begin(judge, pairs="...")`: the ground up to where its start would be opened; returns its folder and what was
    said."""

    class Enough(Exception):
        pass

    def stop(*_):
        raise Enough

    monkeypatch.setattr(ground_module, "_start", stop)
    folder = tmp_path / "out"
    folder.mkdir()
    write(tmp_path / "prompts.jsonl", [{"prompt": one} for one in PROMPTS])
    write(tmp_path / "pairs.jsonl", map(pair, PROMPTS))
    write(tmp_path / "demonstrations.jsonl", [talk(one) for one in PROMPTS])

    def of(judge=len_of, **settings):
        config = StudyConfig(model="m", prompts=str(tmp_path / "prompts.jsonl"), held_out=0.5, **settings)
        reporter = Told()
        with pytest.raises(Enough):
            make_ground(config, folder, judge, reporter)
        return folder, reporter.lines

    return of


def len_of(prompt, response):
    return len(response)


def write(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def pair(prompt):
    return {"prompt": prompt, "chosen": "yes", "rejected": "no", "weight": 0.5}


def talk(prompt, *more):
    said = [prompt, "an answer", *more]
    return {"messages": [{"role": ("user", "assistant")[i % 2], "content": one} for i, one in enumerate(said)]}


def contents(file):
    return {json.loads(line)["prompt"][0]["content"] for line in file.read_text().splitlines()}


def test_pairs_and_demonstrations_of_prompts_that_are_measured_on_are_left_out_and_counted(begin, tmp_path):
    files = {name: str(tmp_path / f"{name}.jsonl") for name in ("pairs", "demonstrations")}
    folder, said = begin(**files)
    held_out, train = contents(folder / "held-out.jsonl"), contents(folder / "train.jsonl")
    assert held_out | train == set(PROMPTS)
    pairs = load_pairs(folder / "pairs.jsonl").records
    assert {one.prompt[0].content for one in pairs} == train
    assert {one.weight for one in pairs} == {0.5}
    shown = load_demonstrations(folder / "demonstrations.jsonl").records
    assert {one.messages[0].content for one in shown} == train
    for name in files:
        assert f"{name}: left out {len(held_out)} of 12 records, which answer prompts held out for measuring" in said


def test_a_later_turn_of_a_conversation_and_a_document_can_answer_a_held_out_prompt_too(begin, tmp_path):
    folder, _ = begin()
    asked = sorted(contents(folder / "held-out.jsonl"))[0]
    kept = talk("another", "more?", "a second answer")
    file = tmp_path / "mixed.jsonl"
    write(file, [talk(asked, "more?", "a second answer"), kept, {"text": f"{asked} and so on"}, {"text": "well"}])
    (folder / "ground.json").unlink()
    _, said = begin(demonstrations=str(file))
    assert "demonstrations: left out 2 of 4 records, which answer prompts held out for measuring" in said


def test_where_no_pair_is_left_it_is_refused_before_anything_is_written(begin, tmp_path):
    folder, _ = begin()
    write(tmp_path / "pairs.jsonl", map(pair, contents(folder / "held-out.jsonl")))
    (folder / "ground.json").unlink()
    with pytest.raises(DataError, match=r"pairs: all \d records answer prompts held out for measuring"):
        begin(pairs=str(tmp_path / "pairs.jsonl"))
    assert not (folder / "ground.json").exists()


@pytest.mark.parametrize("edited", ["prompts", "pairs", "demonstrations"])
def test_going_on_after_a_file_was_edited_is_refused_and_it_is_named(begin, tmp_path, edited):
    files = {name: str(tmp_path / f"{name}.jsonl") for name in ("pairs", "demonstrations")}
    begin(**files)
    begin(**files)
    with open(tmp_path / f"{edited}.jsonl", "a") as stream:
        row = {"prompts": {"prompt": "one more"}, "pairs": pair("one more"), "demonstrations": talk("one more")}[edited]
        stream.write(json.dumps(row) + "\n")
    with pytest.raises(OutputError, match=rf"what {edited} = '.*{edited}.jsonl' holds has changed since this study"):
        begin(**files)


def test_going_on_after_the_code_of_the_judge_was_edited_is_refused(begin, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    file = tmp_path / "judge_of_this_test.py"
    file.write_text("def judge(prompt, response):\n    return 1.0\n")
    judge = import_module("judge_of_this_test").judge
    begin(judge)
    begin(judge)
    file.write_text("def judge(prompt, response):\n    return -100.0\n")
    with pytest.raises(OutputError, match=r"the code of the judge judge_of_this_test:judge has changed since"):
        begin(judge)
