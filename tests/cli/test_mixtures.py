"""Training on a mixture: every source counted by itself, on the screen and in run.json; kinds that do not mix."""

import json

import pytest


@pytest.fixture
def files(tmp_path):
    for name, numbers in (("a", range(20)), ("b", range(50, 80))):
        rows = ({"prompt": f"Once {n}", "chosen": f"upon a time {n}", "rejected": f"no {n}"} for n in numbers)
        lines = [json.dumps(row) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join([*lines, '{"prompt": "Once"}\n']))
    return tmp_path / "a.jsonl", tmp_path / "b.jsonl"


def test_every_source_is_counted_by_itself(penchant, stories260k, files, tmp_path):
    a, b = files
    (tmp_path / "run.yaml").write_text(
        f"data: {{files: ['{a}', {{path: '{b}', weight: 2, max_rows: 10, subset: random}}],"
        " max_rows: 25, subset: random}"
    )
    result = penchant(
        "dpo",
        "--model",
        stories260k,
        "--chat-template",
        "plain",
        "--config",
        tmp_path / "run.yaml",
        "--output",
        tmp_path / "run",
    )
    assert result.code == 0, result.err
    assert f"{a}: 20 keep, 1 missing_field" in result.out + result.err
    assert f"{b}: 30 keep, 1 missing_field (weight=2" in result.out + result.err
    ledger = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [(one["path"], one["weight"], one["max_rows"]) for one in ledger["sources"]] == [
        (str(a), 1, None),
        (str(b), 2, 10),
    ]
    assert [one["rows"] for one in ledger["sources"]] == [
        {"keep": 20, "missing_field": 1},
        {"keep": 30, "missing_field": 1},
    ]
    assert ledger["rows"] == {"keep": 50, "missing_field": 2}
    assert ledger["num_train_pairs"] + ledger["num_held_out_pairs"] == 25
    again = penchant(
        "dpo",
        "--model",
        stories260k,
        "--chat-template",
        "plain",
        "--config",
        tmp_path / "run" / "config.yaml",
        "--output",
        tmp_path / "again",
    )
    assert again.code == 0, again.err
    repeated = json.loads((tmp_path / "again" / "run.json").read_text())
    assert repeated["tokens_digest"] == ledger["tokens_digest"], "the settings that were written say the same"


def test_weights_that_are_none_and_kinds_that_do_not_mix_are_refused(penchant, stories260k, files, tmp_path):
    a, _ = files
    for weight in ("0", "-1", "nan"):
        refused = penchant(
            "dpo",
            "--model",
            stories260k,
            "--chat-template",
            "plain",
            "--data",
            f"{a}::weight={weight}",
            "--output",
            tmp_path / "run",
        )
        assert (refused.code, f"{a}: the weight of its rows must be a number above 0" in refused.err) == (2, True)
    (tmp_path / "told.jsonl").write_text('{"prompt": "p", "completion": "c", "label": true}\n')
    (tmp_path / "texts.txt").write_text("Once upon a time.\n")
    for name, words in (("told.jsonl", "its responses are labelled one by one"), ("texts.txt", "holds demonstrations")):
        other = tmp_path / name
        refused = penchant(
            "dpo",
            "--model",
            stories260k,
            "--chat-template",
            "plain",
            "--data",
            a,
            "--data",
            other,
            "--output",
            tmp_path / "run",
        )
        assert (refused.code, f"{other}: {words}" in refused.err) == (2, True), refused.err
