"""A package of somebody else's adds a format, and every loader reads it as one of Penchant's own."""

import json

import pytest

from penchant.data import guess_kind, load_demonstrations, load_pairs
from penchant.errors import DataError, PenchantError

DUELS = """
from penchant.data import Message, PreferencePair
from penchant.data.importers import Importer


def convert(row):
    winner, loser = row["duel"]
    return PreferencePair(prompt=(Message(role="user", content=row["over"]),), chosen=winner, rejected=loser)


DUEL = Importer(
    name="duel",
    description="over (text), duel [winner, loser]",
    example={"over": "Name a star.", "duel": ["The sun.", "The moon."]},
    needs=("over", "duel"),
    matches=lambda row: isinstance(row.get("duel"), list),
    convert=convert,
    reads=frozenset(("over", "duel")),
)
"""
POINTS = {"penchant.importers": {"duel": "duels:DUEL"}}
ROWS = [
    {"prompt": "Name a river.", "chosen": "The Nile.", "rejected": "The Alps."},
    {"over": "Name a star.", "duel": ["The sun.", "The moon."], "umpire": "kim"},
]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_its_rows_are_read_beside_those_of_our_own_formats(add_package, file):
    with pytest.raises(DataError, match="not those of the other rows"):
        load_pairs(file)
    add_package("duelling", POINTS, duels=DUELS)
    loaded = load_pairs(file)
    assert [pair.chosen for pair in loaded.records] == ["The Nile.", "The sun."]
    assert loaded.format == "prompt_chosen_rejected, duel"
    assert [(field.name, field.num_rows) for field in loaded.unread] == [("umpire", 1)]
    assert loaded.records[1].origin.line == 2


def test_its_example_says_what_it_imports(add_package, file):
    file.write_text(json.dumps(ROWS[1]) + "\n")
    add_package("duelling", POINTS, duels=DUELS)
    assert guess_kind(file) == "pairs"
    with pytest.raises(DataError):
        load_demonstrations(file)


def test_our_own_formats_come_first(add_package, file):
    file.write_text(json.dumps(ROWS[0] | ROWS[1]) + "\n")
    add_package("duelling", POINTS, duels=DUELS)
    assert load_pairs(file).format == "prompt_chosen_rejected"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("DUEL = 7", "is of the type int, not a penchant.data.importers.Importer"),
        (DUELS.replace('row["duel"]', 'row["dual"]'), "does not read its own example (KeyError: 'dual')"),
        (
            DUELS.replace('row.get("duel")', "None"),
            "does not read its own example (ValueError: `matches` is false for it)",
        ),
        ("import duel_rules_that_are_not_there", "cannot be loaded (ModuleNotFoundError: No module named"),
    ],
)
def test_one_that_is_wrong_is_a_sentence_that_names_its_package(add_package, file, source, fault):
    add_package("duelling", POINTS, duels=source)
    with pytest.raises(PenchantError) as error:
        load_pairs(file)
    assert str(error.value).startswith(f"The importer 'duel' of the package duelling 1.0 {fault}")


def test_one_that_is_wrong_is_not_in_the_way_of_our_own_formats(add_package, file):
    file.write_text(json.dumps(ROWS[0]) + "\n")
    add_package("duelling", POINTS, duels="raise ValueError")
    assert len(load_pairs(file).records) == 1
