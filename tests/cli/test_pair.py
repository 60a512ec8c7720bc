"""`penchant pair`: from sampled answers to pairs that training reads."""

import json

from penchant.data import load_pairs


def test_answers_of_two_models_become_pairs_that_training_reads(penchant, tmp_path):
    for name, words in (("strong", "warm sunny joyful day"), ("weak", "rain")):
        rows = [{"prompt": [{"role": "user", "content": f"Day {i}?"}], "completion": f"{words} {i}"} for i in range(3)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = (tmp_path / "strong.jsonl", tmp_path / "weak.jsonl")
    result = penchant("pair", *files, "--rule", "delta", "--output", tmp_path / "pairs.jsonl")
    assert result.code == 0, result.err
    assert "3 pairs from 3 prompts" in result.out + result.err
    assert len((tmp_path / "pairs.jsonl").read_text().splitlines()) == 3
    loaded = load_pairs(tmp_path / "pairs.jsonl")
    assert [one.chosen for one in loaded.records] == [f"warm sunny joyful day {i}" for i in range(3)]


def test_a_rule_by_score_without_a_judge_is_refused(penchant, tmp_path):
    (tmp_path / "s.jsonl").write_text(json.dumps({"prompt": [{"role": "user", "content": "?"}], "completion": "a"}))
    result = penchant("pair", tmp_path / "s.jsonl", "--output", tmp_path / "p.jsonl")
    assert result.code == 2
    assert "say who gives them: --judge" in result.err
    assert not (tmp_path / "p.jsonl").exists()
