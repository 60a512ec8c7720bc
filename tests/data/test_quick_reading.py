"""The quick ways of reading are short cuts: they read, say and count what the long ways do."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.inputs import LOADERS
from tests.fuzz.made import EXAMPLES_FOR, TABLES, WRITERS, Choices, made_row, spoilt

from penchant.data import inspection, load_demonstrations, load_pairs, quickly, read_json, rows, seen
from penchant.data.importers import messages
from penchant.data.records import (
    Demonstration,
    Labelled,
    Message,
    Origin,
    PreferencePair,
    RowOrigin,
    prompt_identity,
    prompt_key,
)
from penchant.errors import PenchantError

ODD_LINES = [
    *(
        '{"a": 1, "a": 2}',
        '{"a" : 1, "a": 2}',
        '{"a": "\\":", "a": 2}',
        '{"a\\\\": 1, "b": 1, "b": 2}',
        '{"a": ":", "b":":"}',
    ),
    *('{"a": {"b": 1, "b": 2}}', '{"a": [{"b": 1}, {"b": 1, "b" :2}]}', '{"a"\t:1,"a"\t:1}', '{"a"\r:1, "b": 1}', "{}"),
    *(
        '{"a": "\\ud800"}',
        '{"\\ud800": 1}',
        '{"a": "\\ud83d\\ude00"}',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e400}',
    ),
    *(
        '{"a": -0}',
        '{"a": 12345678901234567890123}',
        '{"a": 0.1e1}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": "b\tc"}',
        "[1]",
    ),
    *('{"a": ' + "[" * 300 + "]" * 300 + "}", '{"a": ' + "[" * 100_000, '\ufeff{"a": 1}', '{"a": 1} x', "null", '"a":'),
    *(
        "{'a': 1}",
        '{"a": 1,}',
        '{"a": "\\x"}',
        '{"a": 01}',
        '{"a": .5}',
        ' {"a": 1} ',
        '\x0c{"a": 1}',
        '{"a": "\u2028"}',
    ),
]


def rows_as_text(path):
    """Every row, written out, as a half character or not a number is equal to nothing."""
    return [(line, repr(row) if isinstance(row, dict) else repr(vars(row))) for line, row in rows_of(path)]


def rows_of(path):
    return read_json.rows_of_jsonl(path, 1_000_000)


class Remembering:
    """What `Seen` does, with the keys themselves."""

    def __init__(self):
        self.places = {}

    def first(self, key):
        return self.places.get(key)

    def remember(self, key, origin):
        earlier = self.places.get(key)
        self.places.setdefault(key, origin)
        return earlier


@pytest.fixture
def long_way():
    """A function that calls another with every short cut closed."""

    def take(call, *given):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(read_json, "_plain_row", lambda line: None)
            patch.setattr(quickly, "is_text", lambda value: False)
            patch.setattr(messages, "_plain_message", lambda value: None)
            patch.setattr(inspection, "Seen", Remembering)
            patch.setattr(inspection, "prompt_identity", prompt_key)
            patch.setattr(rows, "MOST_SHAPES", 0)
            patch.setattr(rows, "may_be_of", lambda row, importer: True)
            return call(*given)

    return take


def everything(path, load):
    """All that comes of loading: records as they print and as they are, verdicts, counts; or the words of refusal."""
    try:
        loaded = load(path, on_bad_row="drop")
    except PenchantError as error:
        return type(error), str(error)
    records = [(repr(record), getattr(record, "model_fields_set", None)) for record in loaded.records]
    found = loaded.verdict_counts, loaded.problems, loaded.format, loaded.digest, loaded.unread, loaded.fits
    return records, found, list(loaded.left_out(5))


@pytest.mark.parametrize("line", ODD_LINES)
def test_an_odd_line_is_the_row_that_the_standard_library_reads_or_the_same_bad_one(tmp_path, monkeypatch, line):
    path = tmp_path / "odd.jsonl"
    path.write_bytes(line.encode("utf-8", "surrogatepass") + b'\n{"text": "the next"}\n')
    quick = rows_as_text(path)
    monkeypatch.setattr(read_json, "_plain_row", lambda line: None)
    assert quick == rows_as_text(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", '":', "\\"]), inner),
    max_leaves=8,
)


@pytest.mark.slow(threads=1)
@given(
    st.dictionaries(st.sampled_from(["a", "b", '":', "\\", "é"]), JSON), st.booleans(), st.sampled_from([":", " : "])
)
def test_any_object_is_read_as_the_standard_library_reads_it(tmp_path_factory, value, is_ascii, colon):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    text = json.dumps(value, ensure_ascii=is_ascii, separators=(",", colon))
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    quick = rows_as_text(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_json, "_plain_row", lambda line: None)
        assert quick == rows_as_text(path)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv"])
def test_odd_rows_come_to_the_same_records_and_verdicts_either_way(tmp_path, long_way, kind, ending):
    random_bytes = random.Random(f"{kind}{ending}")
    path = tmp_path / f"odd{ending}"
    for _ in range(60):
        choices = Choices(random_bytes.randbytes(300))
        choices.examples = EXAMPLES_FOR[kind]
        content = b"".join(WRITERS[ending](choices) for _ in range(8 if ending == ".jsonl" else 1))
        path.write_bytes(spoilt(content, choices))
        assert everything(path, LOADERS[kind]) == long_way(everything, path, LOADERS[kind])


@pytest.mark.slow(threads=1)
def test_real_files_come_to_the_same_records_and_verdicts_either_way(shared, long_way):
    for path in (
        *sorted((shared / "cases").glob("*.jsonl")),
        shared / "data" / "hh_rlhf" / "helpful-base.test.part-dev.jsonl.gz",
    ):
        for load in (load_pairs, load_demonstrations):
            assert everything(path, load) == long_way(everything, path, load), path


@pytest.mark.parametrize("text", ["", "plain", "caf\u00e9", "\U0001f600", "\ud800", "a\udce9"])
def test_a_record_made_quickly_is_the_one_its_class_makes(text):
    def outcome(make):
        try:
            record = make()
        except ValueError as error:
            return str(error)
        copied = record.model_copy(update={"chosen": "c"} if "chosen" in record.model_fields_set else {"content": "c"})
        return (
            record,
            repr(record),
            record.model_fields_set,
            record.model_dump_json(),
            hash(record),
            repr(copied),
            vars(copied),
        )

    prompt = (Message(role="user", content="Q"),)
    assert outcome(lambda: quickly.text_message("user", text)) == outcome(lambda: Message(role="user", content=text))
    assert outcome(lambda: quickly.text_pair(prompt, text, "r", {})) == outcome(
        lambda: PreferencePair(prompt=prompt, chosen=text, rejected="r")
    )
    numbers = {"weight": 2, "margin": 0.5}
    assert outcome(lambda: quickly.text_pair(prompt, "c", text, numbers)) == outcome(
        lambda: PreferencePair(prompt=prompt, chosen="c", rejected=text, **numbers)
    )


def test_a_record_is_placed_as_a_copy_that_tells_its_origin():
    prompt = (Message(role="user", content="Q"),)
    for record in (
        PreferencePair(prompt=prompt, chosen="a", rejected="b", weight=2),
        Labelled(prompt=prompt, response="a", desirable=True),
        Demonstration(messages=prompt),
    ):
        for origin in (Origin(file="a.jsonl", line=3), RowOrigin(file="data", line=3)):
            placed = quickly.placed(record, quickly.origin_at(type(origin), origin.file, origin.line))
            copied = record.model_copy(update={"origin": origin})
            assert (placed, repr(placed), placed.model_fields_set) == (copied, repr(copied), copied.model_fields_set)
            assert record.origin is None
            assert str(placed.origin) == str(origin)
    assert quickly.placed(prompt[0], Origin(file="a", line=1)) is prompt[0]


KEYS = st.sampled_from(["a", "b", ("a", "b"), ("b", "a"), ("a", True)]) | st.text(max_size=3)


@given(st.lists(KEYS, max_size=80))
def test_what_was_seen_is_found_again_where_it_was_first(keys):
    table, reference = seen.Seen(), Remembering()
    for line, key in enumerate([*keys, *(("row", n) for n in range(20 * len(keys))), *keys], 1):
        origin = (RowOrigin if line % 3 else Origin)(file=f"{line % 5}", line=line)
        assert table.first(key) == reference.first(key)
        assert table.remember(key, origin) == reference.remember(key, origin)
    assert len(table) == len(reference.places)


def test_many_keys_keep_apart_and_take_few_bytes_each(monkeypatch):
    table = seen.Seen()
    origin = Origin(file="a", line=1)
    for number in range(50_000):
        assert table.remember(("prompt", number), origin) is None
    assert all(table.remember(("prompt", number), origin) for number in range(50_000))
    assert table.num_bytes <= 48 * len(table)


MESSAGES = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["user", "assistant", "tool"]),
        content=st.sampled_from(["", "a", "b"]),
        reasoning=st.sampled_from([None, "", "a"]),
        name=st.sampled_from([None, "a"]),
        weight=st.sampled_from([1.0, 0.0]),
        tools=st.sampled_from([None, [{"a": 1, "b": 2}], '[{"b": 2, "a": 1}]']),
    ),
    max_size=3,
)


@given(MESSAGES, MESSAGES)
def test_two_prompts_have_one_identity_if_and_only_if_they_have_one_key(one, other):
    assert (prompt_identity(one) == prompt_identity(other)) == (prompt_key(one) == prompt_key(other))


@pytest.mark.parametrize("kind", LOADERS)
def test_no_importer_matches_a_row_without_a_field_that_it_needs(kind):
    random_bytes = random.Random(kind)
    for importer in TABLES[kind]:
        assert importer.matches(importer.example)
        for name in importer.needs:
            assert not importer.matches({key: value for key, value in importer.example.items() if key != name})
    for _ in range(1000):
        row = made_row(Choices(random_bytes.randbytes(40)))
        for importer in TABLES[kind]:
            assert rows.may_be_of(row, importer) or not importer.matches(row)
