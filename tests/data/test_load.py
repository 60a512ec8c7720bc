"""Loading gives every row a verdict, and nothing is dropped without being counted."""

import gzip
import hashlib
import json
import time
from pathlib import Path

import pytest

from penchant.data import (
    Candidate,
    Comparison,
    Message,
    guess_kind,
    load_demonstrations,
    load_labelled,
    load_pairs,
    load_prompts,
)
from penchant.errors import ConfigError, DataError


def row(prompt="Q", chosen="good", rejected="bad", **more):
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, **more}


def write(path, rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


BAD_ROWS = {
    "empty_response": (row(rejected=" \n"), "the rejected response is empty"),
    "equal_responses": (row(chosen="same", rejected=" same "), "chosen and rejected are the same text"),
    "prompts_differ": (
        row(chosen=[{"role": "user", "content": "other"}, {"role": "assistant", "content": "x"}]),
        "differ from the prompt",
    ),
    "missing_field": ({"prompt": "Q", "chosen": "good"}, "the field 'rejected' is missing"),
    "unread_field": (row(images=["a.png"]), "the field 'images' holds something other than text"),
    "empty_prompt": (row(prompt=" "), "the prompt is empty"),
    "answered_prompt": (row(prompt=[{"role": "assistant", "content": "A"}]), "ends with the assistant's turn"),
    "bad_type": (row(probability=2), "the field 'probability' is 2: input should be less than or equal to 1"),
    "not_utf8": (row(chosen="\ud800"), "'chosen' is not UTF-8 text"),
    "invalid_json": ("{", "the line is not JSON"),
    "too_long_line": (row(chosen="x" * 1_000_001), "longer than 1,000,000 bytes"),
}


@pytest.mark.parametrize("code", BAD_ROWS)
def test_a_bad_row_is_an_error_that_names_the_place_the_number_and_the_way_on(tmp_path, code):
    bad, reason = BAD_ROWS[code]
    path = write(tmp_path / "pairs.jsonl", [row("1"), row("2"), bad, row("3"), bad])
    with pytest.raises(DataError) as caught:
        load_pairs(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}:3: ")
    assert reason in sentence
    assert sentence.endswith('(2 bad rows in 5 read; `on_bad_row="drop"` skips them).')


def test_half_a_surrogate_pair_is_not_text(tmp_path):
    path = write(tmp_path / "pairs.jsonl", [row(chosen="\ud800"), row(prompt="\ud800"), row()])
    loaded = load_pairs(path, on_bad_row="drop")
    assert loaded.verdict_counts == {"not_utf8": 2, "keep": 1}
    assert "'chosen' is not UTF-8 text" in loaded.problems[0].reason


def test_bytes_that_are_not_utf8_spoil_one_row_only(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(json.dumps(row()).encode() + b'\n{"prompt": "\xff"}\n')
    assert load_pairs(path, on_bad_row="drop").verdict_counts == {"keep": 1, "not_utf8": 1}
    with pytest.raises(DataError, match=r"pairs\.jsonl:2: the line is not UTF-8 .*\(1 bad row in 2 read"):
        load_pairs(path)


def test_dropping_leaves_bad_rows_out_and_counts_every_one(tmp_path):
    path = write(tmp_path / "pairs.jsonl", [row("1"), *(bad for bad, _ in BAD_ROWS.values()), row("2")])
    loaded = load_pairs(path, on_bad_row="drop")
    assert [str(pair.origin) for pair in loaded.records] == [f"{path}:1", f"{path}:{len(BAD_ROWS) + 2}"]
    assert loaded.verdict_counts == {"keep": 2, **dict.fromkeys(BAD_ROWS, 1)}
    assert [(problem.code, problem.origin.line) for problem in loaded.problems] == [
        (code, line) for line, code in enumerate(BAD_ROWS, start=2)
    ]


def test_duplicates_and_contradictions_are_kept_counted_and_name_the_earlier_row(tmp_path):
    path = write(
        tmp_path / "pairs.jsonl", [row(), row(chosen=" good"), row(chosen="bad", rejected="good"), row("other")]
    )
    loaded = load_pairs(path)
    assert len(loaded.records) == 4
    assert loaded.verdict_counts == {"keep": 2, "duplicate": 1, "contradicts": 1}
    assert [str(problem).partition(";")[0] for problem in loaded.problems] == [
        f"{path}:2: it repeats {path}:1",
        f"{path}:3: it prefers the response that {path}:1 rejects",
    ]


def test_answers_become_pairs_and_ties_are_counted_not_refused(tmp_path):
    comparisons = [
        Comparison(
            id=str(i),
            prompt=(Message(role="user", content=str(i)),),
            a=Candidate(text="A"),
            b=Candidate(text="B"),
            outcome=outcome,
        )
        for i, outcome in enumerate(["a", "b", "tie", "both_bad", None])
    ]
    path = write(tmp_path / "votes.jsonl", [comparison.model_dump_json() for comparison in comparisons])
    loaded = load_pairs(path)
    assert loaded.format == "comparisons"
    assert [(pair.chosen, pair.origin.line) for pair in loaded.records] == [("A", 1), ("B", 2)]
    assert loaded.verdict_counts == {"keep": 2, "tie": 1, "both_bad": 1, "unanswered": 1}
    with pytest.raises(DataError, match=r"no row can be used \(1 tie\); see .*ties\.jsonl:1: the comparison '2'"):
        load_pairs(write(tmp_path / "ties.jsonl", [comparisons[2].model_dump_json()]))


def label(good, prompt="Q", completion="R"):
    return {"prompt": prompt, "completion": completion, "label": good}


def test_labels_are_loaded_with_empty_twice_told_and_contradicting_rows_found(tmp_path):
    rows = [label(True), label(True), label(False), label(False, completion=" "), label(False, completion="S")]
    loaded = load_labelled(write(tmp_path / "l.jsonl", rows), on_bad_row="drop")
    assert loaded.verdict_counts == {"keep": 2, "duplicate": 1, "contradicts": 1, "empty_response": 1}
    assert [(one.response, one.desirable, one.origin.line) for one in loaded.records] == [
        ("R", True, 1),
        ("R", True, 2),
        ("R", False, 3),
        ("S", False, 5),
    ]
    assert "l.jsonl:1, but the other way round" in str(loaded.problems[1])


def test_pairs_are_taken_apart_into_labels_and_the_limit_counts_pairs(tmp_path):
    path = write(tmp_path / "p.jsonl", [row(), row(prompt="Q2", weight=0.5), row(prompt="Q3")])
    loaded = load_labelled(path, limit=2)
    assert [(one.response, one.desirable, one.weight) for one in loaded.records] == [
        ("good", True, 1.0),
        ("bad", False, 1.0),
        ("good", True, 0.5),
        ("bad", False, 0.5),
    ]


@pytest.mark.parametrize("field", [{"probability": 0.9}, {"margin": 0.5}], ids=str)
def test_a_soft_label_or_margin_cannot_be_taken_apart(tmp_path, field):
    path = write(tmp_path / "p.jsonl", [row(), row(prompt="Q2", **field)])
    with pytest.raises(DataError, match=r"p\.jsonl:2: the pair has a soft label or a margin, which a single label"):
        load_labelled(path)


def test_the_kind_of_a_file_is_guessed_from_its_rows(tmp_path):
    kinds = {"pairs": row(), "labelled": label(True), "demonstrations": {"prompt": "Q", "completion": "R"}}
    for kind, one in kinds.items():
        assert guess_kind(write(tmp_path / f"{kind}.jsonl", [one])) == kind
    assert guess_kind(write(tmp_path / "strange.jsonl", [{"x": 1}])) == "pairs", "whose loader says what is wrong"


def test_nothing_left_after_dropping_is_an_error(tmp_path):
    path = write(tmp_path / "pairs.jsonl", [row(chosen=""), row(chosen="")])
    with pytest.raises(DataError, match=r"no row can be used \(2 empty_response\)"):
        load_pairs(path, on_bad_row="drop")


def test_an_unknown_format_lists_its_columns_and_the_accepted_shapes(tmp_path):
    path = write(tmp_path / "pairs.jsonl", [{"question": "Q", "better": "x"}, {"worse": "y"}])
    with pytest.raises(DataError) as caught:
        load_pairs(path)
    assert "(question, better, worse)" in str(caught.value)
    assert "prompt (text or messages), chosen, rejected" in str(caught.value)


def test_a_file_without_one_readable_row_names_the_first(tmp_path):
    with pytest.raises(DataError, match=r"pairs\.jsonl:1: the line is not JSON.*2 bad rows in 2 read"):
        load_pairs(write(tmp_path / "pairs.jsonl", ["{", "["]), on_bad_row="drop")


def test_a_bad_first_row_does_not_decide_the_format(tmp_path):
    rows = ["{", {"prompt": "only"}, row("1"), row("2")]
    loaded = load_pairs(write(tmp_path / "pairs.jsonl", rows), on_bad_row="drop")
    assert (loaded.format, len(loaded.records)) == ("prompt_chosen_rejected", 2)
    assert loaded.verdict_counts["missing_field"] == 1


def test_a_limit_stops_after_so_many_pairs_and_reads_no_further(tmp_path):
    path = write(tmp_path / "pairs.jsonl", [row("1"), row(chosen=""), row("2"), row(chosen=""), row("3")])
    loaded = load_pairs(path, on_bad_row="drop", limit=2)
    assert [pair.prompt[0].content for pair in loaded.records] == ["1", "2"]
    assert loaded.verdict_counts == {"keep": 2, "empty_response": 1}
    assert len(load_pairs([path, path], on_bad_row="drop", limit=4).records) == 4
    assert len(load_pairs(path, limit=1).records) == 1


def test_several_files_may_have_several_formats_and_share_one_digest(tmp_path):
    first = write(tmp_path / "a.jsonl", [row("1")])
    second = write(tmp_path / "b.csv", ["prompt,chosen,rejected", "2,x,y"])
    third = write(
        tmp_path / "c.jsonl", [{"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"}]
    )
    loaded = load_pairs([first, str(second), third])
    assert loaded.format == "prompt_chosen_rejected, hh_transcripts"
    assert [str(pair.origin) for pair in loaded.records] == [f"{first}:1", f"{second}:2", f"{third}:1"]
    content = first.read_bytes() + second.read_bytes() + third.read_bytes()
    assert loaded.digest == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("options", [{"limit": 0}, {"on_bad_row": "skip"}])
def test_a_wrong_option_is_refused(tmp_path, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        load_pairs(write(tmp_path / "pairs.jsonl", [row()]), **options)


def test_no_file_at_all_is_refused():
    with pytest.raises(DataError, match="no data was given"):
        load_pairs([])


def test_demonstrations_with_nothing_to_learn_are_refused(tmp_path):
    rows = [{"prompt": "Q", "completion": "R"}, {"prompt": "Q", "completion": " "}, {"prompt": "Q", "completion": "R"}]
    loaded = load_demonstrations(write(tmp_path / "d.jsonl", rows), on_bad_row="drop")
    assert loaded.verdict_counts == {"keep": 1, "empty_response": 1, "duplicate": 1}


def test_a_text_file_holds_documents_or_prompts(tmp_path):
    path = write(tmp_path / "t.txt", ["one", "two", "", "three", "one"])
    assert [document.text for document in load_demonstrations(path).records] == ["one\ntwo", "three\none"]
    prompts = load_prompts(path)
    assert [prompt.messages[0].content for prompt in prompts.records] == ["one", "two", "three"]
    assert prompts.verdict_counts == {"keep": 3, "duplicate": 1}


def test_a_prompt_is_used_once_under_an_id_and_an_id_is_that_of_one_prompt(tmp_path):
    rows = [("a", "Q"), ("b", "Q"), ("a", "Q"), ("a", "Other")]
    path = write(tmp_path / "p.jsonl", [{"id": one, "prompt": text} for one, text in rows])
    assert [prompt.id for prompt in load_prompts(path, on_bad_row="drop").records] == ["a", "b"]
    with pytest.raises(
        DataError, match=f"^{path}:4: its id 'a' is that of another prompt, {path}:1; give each prompt its own"
    ):
        load_prompts(path)
    assert len(load_prompts(path, limit=2).records) == 2


@pytest.mark.slow(threads=1)
def test_ten_thousand_rows_load_in_well_under_two_seconds(tmp_path):
    turn = "word " * 60
    path = write(tmp_path / "p.jsonl", [row(f"{i} {turn}", f"a {turn}", f"b {turn}") for i in range(10_000)])
    start = time.process_time()
    assert load_pairs(path).verdict_counts == {"keep": 10_000}
    assert time.process_time() - start < 2.0


def test_real_transcripts_are_read_and_their_bad_rows_found_exactly(shared):
    folder = shared / "data" / "hh_rlhf"
    path = folder / "helpful-base.test.part-dev.jsonl.gz"
    quirks = [json.loads(line) for line in (folder / "quirk_rows_index.jsonl").read_text().splitlines()]
    expected = {
        (code, quirk["row"] + 1)
        for quirk in quirks
        for name, code in (("prompts_differ", "prompts_differ"), ("empty_rejected", "empty_response"))
        if name in quirk["quirks"]
    }
    loaded = load_pairs(path, on_bad_row="drop")
    assert {(problem.code, problem.origin.line) for problem in loaded.problems} == expected
    assert loaded.verdict_counts == {"keep": 1695, "empty_response": 3, "prompts_differ": 5}
    assert all(pair.prompt[-1].role == "user" for pair in loaded.records)
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        first = json.loads(stream.readline())
    assert first["chosen"].endswith("\n\nAssistant: " + loaded.records[0].chosen)


def test_real_preference_and_instruction_files_are_read_whole(shared):
    pairs = load_pairs(shared / "data" / "sft" / "dpo_en_demo.sharegpt.json.gz")
    assert (len(pairs.records), pairs.format) == (300, "sharegpt_pair")
    assert sum(pair.prompt[0].role == "system" for pair in pairs.records) == 80
    alpaca = load_demonstrations(shared / "data" / "sft" / "alpaca_en_demo.json.gz", on_bad_row="drop")
    assert (len(alpaca.records), alpaca.format) == (999, "alpaca")
    chats = load_demonstrations(shared / "data" / "sft" / "fastchat_dummy_conversation.sharegpt.json")
    assert (len(chats.records), chats.format) == (500, "sharegpt")
    stories = load_demonstrations(shared / "data" / "tinystories" / "tinystories_sample.txt.gz")
    assert (len(stories.records), stories.format) == (2016, "text")


def test_message_lists_survive_parquet_and_the_nulls_it_fills_in(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
    import pyarrow.parquet

    rows = [
        {"prompt": [{"role": "user", "content": "Q", "from": None}], "chosen": "R", "rejected": "S", "margin": None},
        {"prompt": [{"role": "user", "content": "Q2", "from": None}], "chosen": None, "rejected": "S", "margin": 1.0},
    ]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    loaded = load_pairs(tmp_path / "a.parquet", on_bad_row="drop")
    assert loaded.records[0].prompt == (Message(role="user", content="Q"),)
    assert loaded.verdict_counts == {"keep": 1, "missing_field": 1}


def test_the_program_in_the_documentation_runs(tmp_path, monkeypatch, capsys):
    text = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    program = text.split("```python\n")[1].split("```")[0]
    write(tmp_path / "pairs.jsonl", [row("1"), row("2"), row(chosen="")])
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(program, names)
    assert capsys.readouterr().out == "prompt_chosen_rejected {'keep': 2, 'empty_response': 1}\n"
    assert len(names["train"]) == len(names["held_out"]) == 1


@pytest.mark.parametrize(
    ("columns", "absent", "meant"),
    [
        (("prompt", "chosen", "rejectd"), "rejected", "rejectd"),
        (("prompt", "chosn", "rejectd"), None, None),
        (("chosen", "Rejected"), "rejected", "Rejected"),
        (("prompt", "chosen"), None, None),
        (("prompt", "chosen", "worse"), None, None),
        (("generations", "chosen", "rejected"), None, None),  # not 'conversations'
        (("prompt", "chosen", "injected"), None, None),
    ],
)
def test_one_misspelt_column_is_named_with_the_one_it_stands_for(tmp_path, columns, absent, meant):
    path = write(tmp_path / "pairs.jsonl", [dict.fromkeys(columns, "x")])
    with pytest.raises(DataError) as caught:
        load_pairs(path)
    if absent:
        assert str(caught.value) == (
            f"{path}: there is no column '{absent}', only '{meant}'; correct its name, or have it read so: "
            f'`columns="{meant}={absent}"`.'
        )
    else:
        assert "no known format has its columns" in str(caught.value)


def test_an_empty_folder_and_a_project_of_votes_are_no_data(tmp_path):
    for load in (load_pairs, load_labelled, load_demonstrations, load_prompts, guess_kind):
        with pytest.raises(DataError, match=r"is an empty folder; name one"):
            load(tmp_path)
    (tmp_path / "project.yaml").touch()
    with pytest.raises(DataError, match=r"is a project of votes.*`penchant votes export"):
        load_pairs(tmp_path)


def test_conversations_that_end_with_the_user_are_for_sampling_and_the_message_says_so(tmp_path):
    path = tmp_path / "asked.jsonl"
    rows = [{"messages": [{"role": "user", "content": f"What is {n}?"}]} for n in range(2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"2 bad_type.*is the user's.*; `penchant sample` reads them, as prompts\."):
        load_demonstrations(path, on_bad_row="drop")
    reply = {"role": "assistant", "content": "A number."}
    path.write_text("".join(json.dumps({"messages": [*row["messages"], reply]}) + "\n" for row in rows))
    assert len(load_demonstrations(path).records) == 2


def test_a_row_that_lacks_a_field_is_told_what_the_rows_before_it_have(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": "p", "chosen": "c", "rejected": "r"}, {"prompt": "q"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (problem,) = load_pairs(path, on_bad_row="drop").problems
    assert (
        str(problem)
        == f"{path}:2: the fields 'chosen' and 'rejected' are missing; add 'chosen' and 'rejected' to the row"
    )
