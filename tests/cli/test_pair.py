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
    assert "name the judge: --judge" in result.err
    assert not (tmp_path / "p.jsonl").exists()


def judged_samples(tmp_path):
    rows = [{"prompt": [{"role": "user", "content": "Day?"}], "completion": text} for text in ("sunny joy", "rain")]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "my_judges.py").write_text("def never(prompt, response):\n    raise AssertionError('was asked')\n")
    return tmp_path / "s.jsonl"


def test_a_model_that_lacks_a_chat_template_is_refused_before_anything_is_judged(
    penchant, tmp_path, stories260k, monkeypatch
):
    samples = judged_samples(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    asked = (
        "pair",
        samples,
        "--judge",
        "my_judges:never",
        "--ches-model",
        stories260k,
        "--output",
        tmp_path / "p.jsonl",
    )
    result = penchant(*asked)
    assert result.code == 2
    assert "chat" in result.err
    assert "was asked" not in result.err
    found = penchant(*asked, "--chat-template", "plain", "--device", "cpu", "--drop-alike", "0.1")
    assert "was asked" in found.err, "now the judge is"
    ours = [*asked[:2], "--judge", "positivity", *asked[4:], "--chat-template", "plain"]
    assert penchant(*ours).code == 0
    [row] = map(json.loads, (tmp_path / "p.jsonl").read_text().splitlines())
    assert isinstance(row["meta"]["ches"], float)


def test_options_of_a_model_that_is_not_there_are_refused(penchant, tmp_path):
    samples = judged_samples(tmp_path)
    for option in ("--chat-template", "--device"):
        result = penchant("pair", samples, "--judge", "positivity", option, "plain", "--output", tmp_path / "p.jsonl")
        assert result.code == 2
        assert f"{option} is only read with --ches-model" in result.err
