"""Whatever the texts of a row are, every format that it can be written as says the same when it is read again."""

import json
import random

import pytest

from penchant.data import load_pairs, load_votes
from penchant.data.convert import convert
from penchant.data.importers import (
    CHOSEN_IMPORTERS,
    DEMONSTRATION_IMPORTERS,
    JUDGED_IMPORTERS,
    LABELLED_IMPORTERS,
    LIST_IMPORTERS,
)
from penchant.data.load import open_records
from penchant.data.options import ReadOptions
from penchant.data.written import WRITERS
from penchant.errors import DataError

EVERY = (*CHOSEN_IMPORTERS, *JUDGED_IMPORTERS, *LABELLED_IMPORTERS, *DEMONSTRATION_IMPORTERS[:-1], *LIST_IMPORTERS)
"""Plain documents, the last of the demonstrations, are written as nothing else."""
TEXTS = (
    "What is the sun?",
    "A star, the nearest one.",
    "A lamp.",
    "A planet.",
    "Name the star.",
    "It is the nearest one.",
    "The sun.",
)
"""What the examples of all formats are made of."""
PIECES = (
    *(
        "a",
        "é",
        "漢",
        "0",
        "1",
        "true",
        "null",
        "nan",
        "tie",
        "[removed]",
        "TL;DR:",
        "array([",
        "&amp;",
        "\\",
        '"',
        "'",
    ),
    *(" ", "\t", "\n", "\r\n", "\n\n", "\u2028", "\x85", "\x00", "\ufeff"),
    *("Human:", "Assistant:", "\n\nHuman: ", "\n\nAssistant: ", "## Human:\n", "## Assistant:\n"),
    *("<extra_id_1>User\n", "<extra_id_1>Assistant\n", "<|im_end|>", "[]", '["a"]'),
    *('[{"role": "user", "content": "x"}]', '{"from": "human", "value": "x"}', "{'role': 'user', 'content': 'x'}"),
)
"""What some format gives a meaning, or a reader of files might take for the end of something."""
DROPPING = ReadOptions(on_bad_row="drop")


def with_other_texts(row, rng):
    """The row, each text of an example exchanged for pieces put together, also where lists are kept as text."""
    new = {text: "".join(rng.choices(PIECES, k=rng.randint(1, 4))) for text in TEXTS}

    def change(value):
        if isinstance(value, dict):
            return {name: change(one) for name, one in value.items()}
        if isinstance(value, list):
            return [change(one) for one in value]
        if not isinstance(value, str):
            return value
        if value.startswith('["'):
            return json.dumps(change(json.loads(value)))
        for text in TEXTS:
            if text in value:
                return value.replace(text, new[text])
        return value

    return change(row)


def records(data):
    """All but where they stand and the names that were made for them."""
    told = []
    for record in open_records(data, DROPPING):
        beside = {"origin": None} if hasattr(record, "origin") else {"id": "", "meta": {}}
        told.append(record.model_copy(update=beside))
    return told


def read(load, data):
    try:
        return [one.model_copy(update={"origin": None}) for one in load(data, on_bad_row="drop").records]
    except DataError:
        return []


def votes(data):
    """Who met whom and who won, whichever stood first."""
    try:
        found = load_votes(data, on_bad_row="drop").records
    except DataError:
        return None
    turned = {"left": "right", "right": "left"}
    told = [(one.left, one.right, one.outcome, one.annotator) for one in found]
    return sorted((a, b, won, who) if a < b else (b, a, turned.get(won, won), who) for a, b, won, who in told)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("importer", EVERY, ids=lambda one: one.name)
def test_any_text_read_written_and_read_again_is_equal(importer, tmp_path):
    rng = random.Random(importer.name)
    rows = [with_other_texts(importer.example, rng) for _ in range(8)]
    before = records(rows)
    assert before
    for to, (_, kinds) in WRITERS.items():
        if not isinstance(before[0], kinds):
            continue
        once, twice = tmp_path / f"{to}.jsonl", tmp_path / f"{to}-again.jsonl"
        found = convert(rows, to=to, output=once, on_bad_row="drop")
        again = records(once)
        convert(once, to=to, output=twice)  # so that no row that was written is a bad one
        assert records(twice) == again, to
        if not found.left_out and type(again[0]) is type(before[0]) and to != "arena":
            assert again == before, to
        if to in ("trl", "comparisons") and not found.left_out.get("bad_type"):
            assert read(load_pairs, once) == read(load_pairs, rows), to
        if to == "arena" and (expected := votes(rows)) is not None:
            assert votes(once) == expected
