"""`penchant eval` for several models and for files of answers, and what it does not read."""

import json

import pytest


@pytest.fixture
def prompts(tmp_path):
    (tmp_path / "prompts.txt").write_text("Once there was a dog\nThe sun\nLily had a ball\n", encoding="utf-8")
    return tmp_path / "prompts.txt"


@pytest.mark.slow(threads=1)
def test_several_models_are_each_compared_with_the_first(penchant, make_run, stories260k, prompts, tmp_path):
    run, output = make_run(lora=False), tmp_path / "found.json"
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"prompt": "Once there was a dog", "chosen": " who slept.", "rejected": " who ran."}\n')
    result = penchant(
        *("eval", run, run / "model", stories260k, "--prompts", prompts, "--chat-template", "plain"),
        *("--data", pairs, "--demonstrations", prompts, "--max-new-tokens", "6", "--repeats", "2", "--output", output),
    )
    assert result.code == 0, result.err
    same, other = json.loads(output.read_text())
    assert (same["policy"], same["reference"]) == (str(run / "model"), str(run))
    assert (same["kl"]["mean"], same["win_rate"]["ties"]) == (pytest.approx(0, abs=1e-4), 6)
    assert (other["policy"], other["reference"]) == (str(stories260k), str(run))
    assert other["kl_exact"]["mean"] > 0
    assert other["forgetting"]["before"] > other["forgetting"]["after"]  # the run is the story model, spoilt by noise
    for line in ("perplexity", "entropy", "repeatable", "of the preferences in --data", f"written      {output}"):
        assert line in result.out
    assert not (run / "comparison.json").exists()


def test_files_of_answers_need_no_model_and_options_of_sampling_are_refused(penchant, stories260k, prompts, tmp_path):
    files = [tmp_path / name for name in ("before.jsonl", "after.jsonl")]
    for seed, file in enumerate(files):
        how = ["--num-responses", "1", "--max-new-tokens", "6", "--chat-template", "plain"]
        sampled = penchant("sample", "-m", stories260k, "-p", prompts, "-o", file, "--seed", str(seed), *how)
        assert sampled.code == 0, sampled.err
    result = penchant("eval", "--answers", *files, "--prompts", prompts)
    assert result.code == 0, result.err
    assert "win rate" in result.out
    assert "KL" not in result.out
    for typed, said in (
        (["--answers", *files, "--top-k", "3"], "--top-k is not read with --answers"),
        (["--answers", *files, "--max-prompts", "3"], "--max-prompts is not read with --answers"),
        ([], "nothing to evaluate is given"),
        ([stories260k, "--answers", *files], "models and --answers are both given"),
        ([stories260k, stories260k, "--reference", "x"], "--reference is only read for one model"),
        (["--answers", *files, "--prompts", "everyday-test"], "answers 3 prompts that were not asked"),
    ):
        refused = penchant("eval", *typed)
        assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
        assert said in refused.err
