"""Columns under other names, and one format of those that fit: what the caller says of rows is done, or refused."""

import json
from pathlib import Path

import pytest

from penchant.data import guess_kind, load_demonstrations, load_labelled, load_pairs, load_prompts, load_votes
from penchant.data.options import ReadOptions
from penchant.data.read_as import TABLES
from penchant.errors import ConfigError, DataError

MINE = {"quest": "Why?", "good": "G", "bad": "B", "sys": "Be brief.", "score": 3}
NAMES = {"quest": "prompt", "good": "chosen", "bad": "rejected", "sys": "system"}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("columns", [NAMES, "quest=prompt, good=chosen,bad=rejected,sys=system"], ids=str)
def test_renamed_columns_are_read_from_files_and_from_memory(tmp_path, columns):
    path = write(tmp_path / "mine.jsonl", MINE, {k: v for k, v in MINE.items() if k != "sys"})
    for data in (path, [MINE, {**MINE, "sys": None}]):
        first, second = load_pairs(data, columns=columns).records
        assert [m.content for m in first.prompt] == ["Be brief.", "Why?"]
        assert (first.chosen, first.rejected) == ("G", "B")
        assert [m.content for m in second.prompt] == ["Why?"]
    assert str(load_pairs(path, columns=columns).records[1].origin) == f"{path}:2"


def test_every_loader_takes_columns():
    assert load_prompts([{"ask": "Why?"}], columns="ask=prompt").records[0].messages[0].content == "Why?"
    shown = load_demonstrations([{"ask": "Why?", "say": "So."}], columns="ask=prompt,say=completion").records[0]
    assert [m.content for m in shown.messages] == ["Why?", "So."]
    labelled = load_labelled([{"ask": "Why?", "say": "So.", "ok": 0}], columns="ask=prompt,say=completion,ok=label")
    assert labelled.records[0].desirable is False
    (vote,) = load_votes([{"x": "tea", "y": "coffee", "won": "left"}], columns="x=left,y=right,won=winner").records
    assert (vote.left, vote.right, vote.outcome) == ("tea", "coffee", "left")


def test_two_columns_may_trade_their_names():
    row = {"prompt": "Why?", "chosen": "worse", "rejected": "better"}
    (pair,) = load_pairs([row], columns={"chosen": "rejected", "rejected": "chosen"}).records
    assert (pair.chosen, pair.rejected) == ("better", "worse")


def test_a_name_that_is_taken_by_an_empty_column_is_free():
    (pair,) = load_pairs([MINE | {"prompt": None}], columns=NAMES).records
    assert pair.prompt[-1].content == "Why?"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("quest", "columns takes column=name,column=name, got 'quest'"),
        ("quest=", "columns has a name that is empty"),
        ("=prompt", "columns has a column that is empty"),
        ("good=chosen,bad=chosen", r"columns gives two columns \(good, bad\) the name 'chosen'"),
        ("good=chosen,good=rejected", "columns renames 'good' twice"),
        ("quest=promt", "columns: no format reads a field 'promt'; did you mean 'prompt'?"),
        ("quest=zzzz", "no format reads a field 'zzzz'; docs/data.md lists"),
        (3, "columns is of type int"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(columns, words):
    with pytest.raises(ConfigError, match=words):
        load_pairs([MINE], columns=columns)


def test_a_column_that_is_not_there_is_refused_with_the_file_and_its_columns(tmp_path):
    path = write(tmp_path / "mine.jsonl", MINE)
    with pytest.raises(DataError) as caught:
        load_pairs(path, columns=NAMES | {"queste": "instruction"})
    expected = "no column 'queste' to read as 'instruction' (there are quest, good, bad, sys, score)"
    assert str(caught.value) == f"{path}: {expected}; did you mean 'quest'?"


def test_a_column_may_stand_late_in_a_file_or_in_one_file_of_several(tmp_path):
    bare = {k: v for k, v in MINE.items() if k != "sys"}
    path = write(tmp_path / "late.jsonl", *(bare | {"quest": str(n)} for n in range(1500)), MINE)
    assert len(load_pairs(path, columns=NAMES).records) == 1501
    plain = write(tmp_path / "plain.jsonl", {"prompt": "Q", "chosen": "G", "rejected": "B"})
    assert len(load_pairs([plain, path], columns=NAMES).records) == 1502


def test_two_columns_under_one_name_are_refused_and_never_merged(tmp_path):
    path = write(tmp_path / "mine.jsonl", MINE | {"chosen": "other"})
    with pytest.raises(DataError) as caught:
        load_pairs(path, columns=NAMES)
    assert "mine.jsonl:1: the column 'good' is to be read as 'chosen', but there is a column 'chosen'" in str(
        caught.value
    )
    later = [MINE, MINE | {"quest": "How?", "rejected": "other"}]
    assert load_pairs(later, columns=NAMES, on_bad_row="drop").verdict_counts == {"keep": 1, "bad_type": 1}


BOTH = {
    "prompt": "Why?",
    "completion": "So.",
    "messages": [{"role": "user", "content": "Why? How?"}, {"role": "assistant", "content": "So. Or so."}],
}


def test_a_row_that_fits_two_formats_is_read_by_the_first_and_that_is_said_once():
    loaded = load_demonstrations([BOTH, BOTH | {"prompt": "How?"}])
    assert loaded.format == "messages"
    assert [(taken, other, str(first)) for taken, other, first in loaded.fits] == [
        ("messages", "prompt_completion", "data[0]")
    ]
    (said,) = loaded.remarks()
    assert said == (
        "data[0] is read as messages, but prompt_completion would read it differently; choose with "
        '`format="prompt_completion"`'
    )


def test_a_format_that_would_read_the_same_is_not_spoken_of():
    same = {"prompt": "Why?", "completion": "So.", "messages": [{"role": "user", "content": "Why?"}]}
    same["messages"] = [*same["messages"], {"role": "assistant", "content": "So."}]
    assert load_demonstrations([same]).fits == ()


def test_a_format_that_is_named_reads_the_rows_alone():
    loaded = load_demonstrations([BOTH], format="prompt_completion")
    assert [m.content for m in loaded.records[0].messages] == ["Why?", "So."]
    assert [field.name for field in loaded.unread] == ["messages"]
    with pytest.raises(DataError, match=r"no known format has its columns \(prompt, completion, messages\)"):
        load_demonstrations([BOTH], format="alpaca")
    pair = {"prompt": "Why?", "question": "How?", "chosen": "G", "rejected": "B"}
    (read,) = load_pairs([pair], format="question_chosen_rejected").records
    assert read.prompt[0].content == "How?"


def test_what_always_changes_the_meaning_refuses_a_row_of_a_named_format_too():
    with pytest.raises(DataError, match="the field 'images' holds something other than text"):
        load_demonstrations([BOTH | {"images": ["a.png"]}], format="prompt_completion")


def test_the_format_says_what_kind_of_data_it_is():
    labelled = BOTH | {"label": True}
    assert guess_kind([labelled]) == "labelled"
    assert guess_kind(ReadOptions(format="messages").sources([labelled])) == "demonstrations"


def test_a_format_that_is_none_or_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match=r"there is no format 'mesages'; did you mean 'messages'\?"):
        load_demonstrations([BOTH], format="mesages")
    with pytest.raises(ConfigError, match="there is no format 'zzzz'; choose from prompt_chosen_rejected, "):
        load_demonstrations([BOTH], format="zzzz")
    with pytest.raises(DataError, match="data: the format 'messages' does not hold what is read here"):
        load_pairs([BOTH], format="messages")


def test_the_documentation_names_every_format():
    docs = Path(__file__).resolve().parents[2] / "docs"
    pages = "".join((docs / name).read_text(encoding="utf-8") for name in ("data.md", "ranking.md"))
    assert [one.name for table in TABLES.values() for one in table if f"`{one.name}`" not in pages] == []
