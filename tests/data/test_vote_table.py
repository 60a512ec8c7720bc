"""A table of votes is a short cut: it holds what reading row by row gives, with the same verdicts and counts."""

import gzip
import json
import random

import pytest
from tests.fuzz.made import EXAMPLES_FOR, WRITERS, Choices, spoilt

from penchant.data import Vote, blocks, load_votes, vote_table
from penchant.data.rows import Reader
from penchant.data.vote_table import load_vote_table
from penchant.errors import PenchantError

BATTLE = {"model_a": "tea", "model_b": "milk", "winner": "model_a"}


@pytest.fixture(params=[40, 400, 1 << 18], ids="blocks of {} bytes".format)
def small_blocks(request, monkeypatch):
    monkeypatch.setattr(blocks, "NUM_BYTES", request.param)
    monkeypatch.setattr(blocks, "NUM_ROWS", 2)


def everything(load, data, on_bad_row="drop"):
    """All that comes of loading, or the words of the refusal."""
    try:
        loaded = load(data, on_bad_row=on_bad_row)
    except PenchantError as error:
        return type(error), str(error)
    if isinstance(loaded, tuple):
        loaded = loaded[0]
    assert all(isinstance(vote, Vote) for vote in loaded.records)
    found = loaded.problems, loaded.format, loaded.digest, loaded.unread, loaded.fits, list(loaded.left_out(5))
    return list(loaded.records), list(loaded.verdict_counts.items()), found


def require_the_same(data):
    for on_bad_row in ("drop", "error"):
        assert everything(load_vote_table, data, on_bad_row) == everything(load_votes, data, on_bad_row)


def lines(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def many(rng, num=60):
    """Battles of few items by few people, some of them odd in one field."""
    odd = [
        *(None, "", " ", 1, True, 1.0, 0, "nan", ["a"], "a", "B", "tie (bothbad)", " Tie "),
        float("nan"),
        "[1]",
        "{a",
    ]
    names = ["judge", "annotator", "prompt", "question", "shown_first", "turn", "comment", "label", "tstamp", "weight"]
    shape = rng.sample(names, rng.randint(0, 4))
    for _ in range(num):
        row = {
            "model_a": rng.choice("abc"),
            "model_b": rng.choice("abd"),
            "winner": rng.choice(["model_a", "tie", "b"]),
        }
        row |= {name: rng.choice(["x", "y", "", None] if name != "shown_first" else ["a", "b", ""]) for name in shape}
        if rng.random() < 0.1:
            row[rng.choice(list(row))] = rng.choice(odd)
        if rng.random() < 0.02:
            row.pop(rng.choice(list(row)))
        yield row


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("seed", range(12))
def test_battles_with_odd_rows_among_them_come_out_as_row_by_row(tmp_path, small_blocks, seed):
    rows = list(many(random.Random(seed)))
    path = tmp_path / "votes.jsonl"
    path.write_text(lines(*rows), encoding="utf-8")
    require_the_same(path)
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[str(row.get(name, "")).replace("None", "") for name in names] for row in rows]
    (tmp_path / "votes.csv").write_text("\n".join(map(",".join, [names, *cells])) + "\n", encoding="utf-8")
    require_the_same(tmp_path / "votes.csv")
    require_the_same([path, tmp_path / "votes.csv", path])
    require_the_same(rows)


BROKEN = [
    *('{"model_a": "tea", "model_b": "milk", "winner": "tie", "winner": "model_a"}', "", "[]", "nonsense", "{}"),
    *(
        '{"model_a": "tea", "model_b": "milk", "winner" : "tie"}',
        '{"model_a": "t}ea", "model_b": "m{ilk", "winner": "a"}',
    ),
    '{"model_a": "tea", "model_b": "milk", "winner": "tie"},{"model_a": "tea", "model_b": "milk", "winner": "tie"}',
    *('{"model_a": [1', '{"model_b": 1}]},5', '{"model_a": "tea", "model_b": "milk", "winner": "tie"}\r'),
    '{"model_a": "tea", "model_b": "milk", "winner": "\\ud800"}',
    '{"winner": "tie", "model_b": "milk", "model_a": "tea"}',
    '{"left": "tea", "right": "milk", "left_wins": 2, "right_wins": 1, "ties": 0}',
    '{"left": "tea", "right": "milk", "left_wins": true, "right_wins": 1, "ties": 0}',
    '{"cmp_key": "tea_milk", "instruction": "i", "annotator1": 1, "annotator2": 0}',
]


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("broken", BROKEN)
def test_a_line_that_is_no_plain_row_is_found_where_it_stands(tmp_path, small_blocks, broken):
    path = tmp_path / "votes.jsonl"
    for rows in ([BATTLE] * 3 + [broken] + [BATTLE] * 3, [broken, BATTLE], [BATTLE, broken], [broken] * 2):
        path.write_text(lines(*rows), encoding="utf-8", newline="")
        require_the_same(path)
        path.write_text(lines(*rows).removesuffix("\n"), encoding="utf-8-sig", newline="")
        require_the_same(path)
    path.write_bytes(lines(BATTLE, BATTLE).encode() + b'{"model_a": "caf\xe9"}\n')
    require_the_same(path)


@pytest.mark.parametrize(
    "text",
    [
        "model_a,model_b,winner\n",
        "model_a,model_b,winner\ntea,milk,model_a\n\ntea,milk,tie\n",
        'model_a,model_b,winner,question\ntea,milk,tie,"two\nlines"\ntea,milk,model_b,one\n',
        'model_a,model_b,winner\r\n"tea, cold",milk,tie\r\ntea,milk,b\r\n',
        "model_a,model_b,winner\rtea,milk,tie\rtea,milk,b\r",
        "model_a,model_b,winner\ntea,milk\ntea,milk,tie\n",
        "model_a,model_b,winner\ntea,milk,tie,4\ntea,milk,tie\n",
        'model_a,model_b,winner\ntea,milk,"tie\n',
        "model_a,model_b,model_a\ntea,milk,tie\n",
        "model_a,,model_b,winner,\ntea,,milk,tie,x\n",
        " model_a , model_b,winner\ntea,milk,tie\nmilk,milk,tie\n,milk,tie\ntea,milk,\n",
        "winner,loser,count\ntea,milk,3\nmilk,tea,0\ntea,milk,x\ntea,milk,3\n",
        "left,right\ntea,milk\n",
        "strange\n1\n",
        "",
        "\n\nmodel_a,model_b,winner\ntea,milk,tie\n",
    ],
)
def test_a_table_of_any_kind_comes_out_as_row_by_row(tmp_path, small_blocks, text):
    path = tmp_path / "votes.csv"
    path.write_text(text, encoding="utf-8", newline="")
    require_the_same(path)
    path.write_bytes(text.encode("utf-8-sig"))
    require_the_same(path)
    path.write_bytes(text.encode() + b"\xff,b,c\n")
    require_the_same(path)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv"])
def test_what_a_fuzzer_makes_comes_out_as_row_by_row(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(blocks, "NUM_BYTES", 200)
    chance = random.Random(ending)
    path = tmp_path / f"votes{ending}"
    for _ in range(150):
        choices = Choices(chance.randbytes(200))
        choices.examples = EXAMPLES_FOR["votes"]
        path.write_bytes(spoilt(WRITERS[ending](choices), choices))
        assert everything(load_vote_table, path) == everything(load_votes, path)


@pytest.mark.slow(threads=1)
def test_real_files_come_out_as_row_by_row(shared):
    for name in ("genai_arena", "llmfao", "bt_classic", "pandalm"):
        for path in sorted((shared / "data" / name).iterdir()):
            if path.suffix != ".md":
                assert everything(load_vote_table, path) == everything(load_votes, path), path


def test_rows_forgotten_for_their_number_are_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "NUM_BYTES", 300)
    monkeypatch.setattr(vote_table, "MOST_REMEMBERED", 3)
    path = tmp_path / "votes.jsonl"
    path.write_text(lines(*many(random.Random(1), 200)), encoding="utf-8")
    require_the_same(path)


def test_different_rows_are_read_once_each(tmp_path, monkeypatch):
    def counted(reader, row, *rest):
        read.append(row)
        return converted(reader, row, *rest)

    read, converted = [], Reader.converted
    monkeypatch.setattr(Reader, "converted", counted)
    path = tmp_path / "votes.jsonl"
    path.write_text(lines(*[BATTLE | {"judge": f"person {i}", "tstamp": i / 3} for i in range(500)]), encoding="utf-8")
    loaded, table = load_vote_table(path)
    assert len(read) == 1
    assert len(table) == 500
    assert table[7] == loaded.records[7] == Vote("tea", "milk", "left", annotator="person 7")
    assert list(table[3:5]) == [Vote("tea", "milk", "left", annotator=f"person {i}") for i in (3, 4)]


def test_a_file_that_becomes_damaged_is_refused_in_the_same_words(tmp_path, small_blocks):
    path = tmp_path / "votes.jsonl.gz"
    whole = gzip.compress(lines(*[BATTLE | {"judge": f"{i}"} for i in range(300)]).encode())
    path.write_bytes(whole[: len(whole) // 2])
    require_the_same(path)
