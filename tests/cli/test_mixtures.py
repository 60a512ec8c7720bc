"""Training on a mixture: every source counted by itself, on the screen and in run.json; kinds that do not mix."""

import json

import pytest

import penchant as pt
from penchant.data import Part


@pytest.fixture
def files(tmp_path):
    for name, numbers in (("a", range(20)), ("b", range(50, 80))):
        rows = ({"prompt": f"Once {n}", "chosen": f"upon a time {n}", "rejected": f"no {n}"} for n in numbers)
        lines = [json.dumps(row) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join([*lines, '{"prompt": "Once"}\n']))
    return tmp_path / "a.jsonl", tmp_path / "b.jsonl"


@pytest.mark.slow(threads=1)
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


@pytest.mark.slow
def test_a_mixture_of_other_columns_lists_and_a_file_given_twice_is_the_same_from_shell_file_and_python(
    penchant, stories260k, files, tmp_path
):
    a, _ = files
    named = tmp_path / "named.jsonl"
    named.write_text("".join(json.dumps({"q": f"Then {n}", "good": f"a {n}", "bad": " no"}) + "\n" for n in range(4)))
    lists = tmp_path / "lists.jsonl"
    answers = [{"response": f"end {n}", "overall_score": n} for n in range(3)]
    lists.write_text(json.dumps({"instruction": "The", "completions": answers}) + "\n")
    renamed = {"q": "prompt", "good": "chosen", "bad": "rejected"}
    parts = [
        {"path": str(a), "kind": "pairs"},
        {"path": str(named), "columns": renamed, "weight": 0.5},
        {"path": str(lists), "pairing": "best_worst", "min_gap": 1},
        {"path": str(a), "max_rows": 3},
    ]
    words = [
        f"{a}::kind=pairs",
        f"{named}::weight=0.5,{','.join(f'columns={old}={new}' for old, new in renamed.items())}",
        f"{lists}::pairing=best_worst,min_gap=1",
        f"{a}::max_rows=3",
    ]
    (tmp_path / "run.yaml").write_text(json.dumps({"data": {"files": parts}}))
    plain = ("dpo", "--model", stories260k, "--chat-template", "plain", "--set", "optimiser.max_steps=1")
    for name, given in (
        ("shell", [word for one in words for word in ("--data", one)]),
        ("file", ["--config", tmp_path / "run.yaml"]),
    ):
        result = penchant(*plain, *given, "--output", tmp_path / name)
        assert result.code == 0, result.err
    pt.dpo(
        str(stories260k),
        [Part(**part) for part in parts],
        chat_template="plain",
        max_steps=1,
        output=tmp_path / "python",
    )
    found = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("shell", "file", "python")]
    for name in ("tokens_digest", "sources", "rows", "problems", "data_digest"):
        assert found[0][name] == found[1][name] == found[2][name], name
    assert [one["rows"] for one in found[0]["sources"]] == [
        {"keep": 20, "missing_field": 1},
        {"keep": 4},
        {"keep": 1},
        {"duplicate": 3},
    ]
    assert found[0]["sources"][1]["columns"] == renamed
    assert len(found[0]["data_files"]) == 3, "a file that is given twice is one file"


def test_what_a_source_says_that_cannot_be_is_one_sentence_and_nothing_is_begun(penchant, stories260k, files, tmp_path):
    a, b = files
    for said, words in (
        ("columns=nowhere=prompt", f"{a}: no column 'nowhere' to read as 'prompt'"),
        ("kind=demonstrations", "holds demonstrations, but this objective reads pairs"),
        (
            "shuffle=yes",
            f"{a}: a source of data has no option 'shuffle'; choose from weight, max_rows, subset, kind, columns",
        ),
    ):
        refused = penchant(
            *("dpo", "--model", stories260k, "--chat-template", "plain", "--output", tmp_path / "run"),
            *("--data", b, "--data", f"{a}::{said}"),
        )
        assert refused.code == 2
        assert words in refused.err
        assert not (tmp_path / "run").exists()
