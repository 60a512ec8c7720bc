"""`penchant check` and the command it stands for agree on every row, whatever files hold, one beside the other."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from penchant.data import guess_kind, load_pairs
from penchant.errors import DataError
from penchant.tokens import ChatEncoder, Limits
from penchant.training.checking import check_tokens
from penchant.training.config import DataConfig
from penchant.training.dataset import demonstration_dataset, labelled_dataset, pair_dataset

USER, BOT = {"role": "user", "content": "once"}, {"role": "assistant", "content": "there was a cat"}
PAIR = {"prompt": "once", "chosen": "a cat", "rejected": "a dog"}
SHAREGPT = {"conversations": [{"from": "human", "value": "once"}]}
SIDES = {"chosen": {"from": "gpt", "value": "a cat"}, "rejected": {"from": "gpt", "value": "a dog"}}
SHAPES = [
    PAIR,
    {"prompt": "once", "chosen": "a cat"},
    {"prompt": "once", "chosen": None, "rejected": "a dog"},
    SHAREGPT | SIDES,
    SHAREGPT | {"chosen": SIDES["chosen"]},
    {"chosen": [USER, BOT], "rejected": [USER, BOT | {"content": "there was a dog"}]},
    {"chosen": json.dumps([USER, BOT]), "rejected": repr([USER, BOT | {"content": "no"}])},
    {"chosen": "\n\nHuman: once\n\nAssistant: a cat", "rejected": "\n\nHuman: once\n\nAssistant: a dog"},
    {"id": "1", "prompt": [USER], "a": {"text": "a cat"}, "b": {"text": "a dog"}, "outcome": "tie"},
    {"prompt": "once", "completion": "a cat", "label": True},
    {"prompt": "once", "completion": "a dog", "label": False},
    {"messages": [USER, BOT], "label": False},
    {"messages": [USER, BOT]},
    {"messages": [USER]},
    {"messages": [USER, BOT], "rejected": None, "label": None},
    {"conversations": [{"from": "human", "value": "once"}, {"from": "gpt", "value": "a cat"}]},
    {"prompt": "once", "completion": "a cat"},
    {"instruction": "once", "output": "a cat", "history": [["a", "b"]]},
    {"text": "once there was a cat"},
    {"strange": 1},
]
EXTRAS = [
    {},
    {},
    {},
    {"mine": 1},
    {"system": "be short"},
    {"images": ["x"]},
    {"weight": 0.5},
    {"weight": 0},
    {"prompt": ""},
]
ROWS = st.lists(
    st.builds(lambda row, more, n: row | more | {"n": n}, *map(st.sampled_from, (SHAPES, EXTRAS)), st.integers(0, 3))
)
SILENT = SimpleNamespace(say=lambda line: None, progress=lambda *facts: None)
COMMANDS = {"pairs": pair_dataset, "labelled": labelled_dataset, "demonstrations": demonstration_dataset}


@pytest.fixture(scope="module")
def model(stories260k):
    encoder = ChatEncoder(AutoTokenizer.from_pretrained(str(stories260k)), template="plain")
    return SimpleNamespace(encoder=encoder, context_length=128)


def outcome(read):
    """What was found, or the sentence that refuses the files."""
    try:
        return read()
    except DataError as error:
        return str(error)


@pytest.mark.slow(threads=1)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS.filter(bool))
def test_check_finds_the_kind_the_verdicts_and_the_unread_fields_that_training_finds(model, tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    kind = guess_kind(path)
    limits = Limits(128, 127, 128)
    found = outcome(lambda: check_tokens([path], model.encoder, limits, token_budget=1024, reporter=SILENT))
    config = DataConfig(files=(str(path),), held_out=0.0, max_length=128, max_bad_share=0.999)
    trained = outcome(lambda: COMMANDS[kind](config, config.files, model, 0, SILENT).facts)
    if isinstance(found, str):
        assert trained == found
        return
    assert found.kind == kind
    assert sum(found.rows.values()) == len(rows)
    if isinstance(trained, str):
        assert not found.items, trained
        return
    assert (found.rows, found.format) == (trained["rows"], trained["data_format"])
    assert [str(field) for field in found.unread] == trained["fields_not_read"]
    assert [f"{v.code}: {v}" for v in found.problems] == trained["problems"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([[PAIR], [{"messages": [USER, BOT]}]], "holds demonstrations, but this objective reads pairs"),
        ([[{"prompt": "once", "completion": "a cat", "label": True}], [PAIR]], "its responses are labelled one by one"),
        ([[PAIR | {"weight": 0}, PAIR | {"weight": 0, "chosen": "a cow"}]], "every row to train on has weight 0"),
        ([[{"prompt": "once", "completion": "a cat", "label": 1, "weight": 0}]], "every row to train on has weight 0"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_training_refuses_as_a_whole_check_refuses_in_the_same_words(model, tmp_path, files, words):
    paths = [tmp_path / f"{number}.jsonl" for number in range(len(files))]
    for path, rows in zip(paths, files, strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    kind, config = (
        guess_kind([*map(str, paths)]),
        DataConfig(files=tuple(map(str, paths)), held_out=0.0, max_length=128),
    )
    trained = outcome(lambda: COMMANDS[kind](config, config.files, model, 0, SILENT).facts)
    checked = outcome(
        lambda: check_tokens(paths, model.encoder, Limits(128, 127, 128), token_budget=1024, reporter=SILENT)
    )
    assert words in checked == trained


@given(ROWS.filter(bool))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_with_one_pair_in_it_is_never_taken_for_anything_else(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if guess_kind(path) != "pairs":
        with pytest.raises(DataError):
            load_pairs(path, on_bad_row="drop")
