"""`penchant rlhf` and `penchant dpo --online` as they are typed."""

import json

import pytest

FAST = ("--device", "cpu", "--dtype", "float32", "--set", "save.num_samples=0", "--set", "optimiser.max_steps=1")


@pytest.fixture
def prompts(tmp_path):
    """A text with a prompt a line."""
    path = tmp_path / "prompts.txt"
    path.write_text("".join(f"Once upon a time, {name}\n" for name in ("Lily", "Tom", "Ben", "Mia")))
    return path


@pytest.fixture
def judge(tmp_path, monkeypatch):
    (tmp_path / "rlhf_judges.py").write_text("def brevity(prompt, response):\n    return -len(response)\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "rlhf_judges:brevity"


@pytest.mark.slow
def test_a_run_of_reinforcement_learning_leaves_what_a_run_leaves(penchant, tmp_path, stories260k, prompts, judge):
    run = tmp_path / "run"
    result = penchant(
        "rlhf", "--model", stories260k, "--chat-template", "plain", "--prompts", prompts, "--judge", judge,
        "--output", run, "--max-new-tokens", 4, "--num-responses", 2, *FAST,
    )  # fmt: skip
    assert result.code == 0, result.err
    ledger = json.loads((run / "run.json").read_text())
    assert (ledger["command"], ledger["judge"], ledger["status"]) == ("rlhf", judge, "finished")
    assert ledger["reference_digest"] == ledger["model_digest"]
    assert (run / "report.html").is_file()
    assert (run / "model" / "model.safetensors").is_file()


@pytest.mark.slow
def test_pairs_are_made_online(penchant, tmp_path, stories260k, prompts, judge):
    result = penchant(
        "dpo", "--online", "--model", stories260k, "--chat-template", "plain", "--prompts", prompts, "--judge", judge,
        "--output", tmp_path / "run", "--set", "sampling.max_new_tokens=4", *FAST,
    )  # fmt: skip
    assert result.code == 0, result.err
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert row["loss"] == pytest.approx(0.6931, abs=1e-3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["rlhf", "--output", "o", "--prompts", "everyday-train"],
            "which scores the responses, is missing; give --judge",
        ),
        (
            ["dpo", "--online", "--output", "o", "--prompts", "everyday-train"],
            "compares the responses, is missing; give --judge",
        ),
        (["dpo", "--online", "--output", "o", "--data", "x.jsonl"], "--data is not read with --online"),
        (
            ["dpo", "--output", "o", "--data", "x.jsonl", "--judge", "positivity"],
            "--judge is not read without --online",
        ),
        (["rlhf", "--output", "o", "--prompts", "everyday-test", "--judge", "positivty"], "did you mean 'positivity'"),
        (["rlhf", "--output", "o", "--prompts", "no.txt", "--judge", "positivity"], "no.txt"),
    ],
)
def test_what_is_missing_or_not_read_is_one_sentence(penchant, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    result = penchant(*words)
    assert result.code == 2
    assert sentence in " ".join(result.err.split())
    assert not (tmp_path / "o").exists()
