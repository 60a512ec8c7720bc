"""`penchant reward` and everything that reads what it writes, as a user runs them one after another."""

import json

import pytest


@pytest.fixture(scope="module")
def run(penchant, stories260k, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reward")
    rows = [
        {
            "prompt": f"Once upon a time, {name} went to the park and",
            "chosen": f" played with a {thing}. {name} was happy.",
            "rejected": f" lost the {thing}. {name} cried.",
        }
        for name in ("Lily", "Tom", "Ben", "Mia", "Sam", "Sue")
        for thing in ("ball", "dog")
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = penchant(
        *("reward", "--model", stories260k, "--chat-template", "plain", "--data", folder / "pairs.jsonl"),
        *("--output", folder / "run", "--epochs", "3", "--learning-rate", "1e-3", "--centring", "0.01"),
        *("--set", "data.held_out=0.3"),
    )
    assert result.code == 0, result.err
    return folder / "run"


@pytest.mark.slow(threads=1)
def test_a_run_says_what_it_learned_and_has_a_report(run, penchant):
    assert (run / "report.html").is_file()
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["command"] == "reward"
    assert "reward" in (run / "config.yaml").read_text(encoding="utf-8")
    for words in (("verify", run), ("lineage", run), ("report", run)):
        result = penchant(*words)
        assert result.code == 0, result.err


@pytest.mark.slow(threads=1)
def test_it_scores_pairs(run, penchant):
    result = penchant("score", "--model", run, "--data", run.parent / "pairs.jsonl")
    assert result.code == 0, result.err
    assert "accuracy" in result.out
    assert "95% interval" in result.out
    assert "beta" not in result.out


@pytest.mark.slow(threads=1)
def test_it_judges_comparisons_and_evaluates_a_run(run, penchant, tmp_path):
    rows = [
        {"id": str(i), "prompt": [{"role": "user", "content": "Once"}], "a": {"text": a}, "b": {"text": b}}
        for i, (a, b) in enumerate([(" he cried.", " he was happy."), (" a ball.", " a dog.")])
    ]
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = penchant(
        "judge", tmp_path / "asked.jsonl", "--judge", f"reward:{run}", "--output", tmp_path / "votes.jsonl"
    )
    assert result.code == 0, result.err
    votes = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [len(vote["meta"]["judge"]["scores"]) for vote in votes] == [2, 2]


def test_it_is_written_whole(run, penchant, tmp_path):
    result = penchant("export", run, "--merged", tmp_path / "whole")
    assert result.code == 0, result.err
    assert penchant("score", "--model", tmp_path / "whole", "--data", run.parent / "pairs.jsonl").code == 0


@pytest.mark.parametrize("command", [("sample", "--prompts", "everyday-test"), ("chat", "--say", "Hello")])
def test_it_writes_no_text(run, penchant, tmp_path, command):
    options = ("--output", tmp_path / "out.jsonl") if command[0] == "sample" else ()
    result = penchant(*command, "--model", run, *options)
    assert result.code == 2
    if command[0] == "sample":
        assert "is a reward model, which scores texts and writes none" in result.err


def test_a_model_without_a_head_is_refused_as_a_judge(penchant, stories260k, tmp_path):
    (tmp_path / "asked.jsonl").write_text(
        json.dumps({"id": "0", "prompt": [{"role": "user", "content": "?"}], "a": {"text": "x"}, "b": {"text": "y"}}),
        encoding="utf-8",
    )
    result = penchant(
        "judge", tmp_path / "asked.jsonl", "--judge", f"reward:{stories260k}", "--output", tmp_path / "votes.jsonl"
    )
    assert result.code == 2
    assert "is not a reward model" in result.err
    assert len(result.err.strip().splitlines()) <= 2
    assert not (tmp_path / "votes.jsonl").exists()
