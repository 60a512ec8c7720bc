"""run.json is read as it is, and a field of another type is refused by its name, with what it is."""

import json

import pytest

from penchant.errors import ModelError, OutputError
from penchant.models.ledger import read_ledger
from penchant.models.names import clock_of, resolve

PLACE = {"path": "/models/m", "run": None, "files": {"model.safetensors": "0a"}}
ORIGIN = {"name": "m", "digest": "0a", **PLACE}
EXPORTED = {"exported_at": "2026-01-01T00:00:00+00:00", "dtype": "float32", "digest": "0a", "files": {}, "of": ORIGIN}
VOTES = {"project": "p", "answers": 4, "answered": 3, "pairs": 2, "labels": "majority"}
WHOLE = {
    "command": "dpo",
    "config": {
        "output": "run",
        "seed": 0,
        "model": {"name": "m", "reference": None, "lora": {"rank": 4}},
        "data": {"files": ["pairs.jsonl"], "max_length": 1024},
        "optimiser": {"learning_rate": 1e-5, "epochs": 1},
        "dpo": {"objective": "dpo", "beta": None},
    },
    "status": "finished",
    "clock": "2026-01-01T00:00:00+00:00",
    "origins": {"model": {**ORIGIN, "base": PLACE, "gguf": {"path": "m.gguf", "sha256": "0a"}, "exported": EXPORTED}},
    "data_files": [{"path": "/data/caf\udce9.jsonl", "sha256": "0a", "votes": VOTES, "answered_by": {"3 people": 4}}],
    "model_files": {"model.safetensors": "0a"},
    "run_files": {"metrics.jsonl": "0a"},
    "alarms": [{"name": "saturated", "step": 3, "text": "every pair", "facts": {"mean": 9.0}}],
    "num_train_pairs": 23,
    "unique_tokens_per_second": 6219.5,
    "a field of a later Penchant": [{"of": "any kind"}],
}


def places(value, path=()):
    """The way to everything that lies within a value."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def changed(path, value):
    ledger = json.loads(json.dumps(WHOLE))
    place = ledger
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return ledger


def written(folder, ledger):
    (folder / "run.json").write_text(json.dumps(ledger))
    return folder


def test_a_ledger_is_given_as_it_is_also_where_it_says_more_or_less_than_today(tmp_path):
    assert read_ledger(written(tmp_path, WHOLE)) == WHOLE
    assert read_ledger(written(tmp_path, {"config": {}})) == {"config": {}}
    for name in WHOLE.keys() - {"config"}:
        old = {key: value for key, value in WHOLE.items() if key != name}
        assert read_ledger(written(tmp_path, old)) == old


def test_a_value_of_another_type_is_refused_by_the_name_of_its_field(tmp_path):
    free = (("lora", "rank"), ("facts", "mean"))  # read nowhere by a name of its own
    for path in places(WHOLE):
        if path[0] == "a field of a later Penchant" or path[-2:] in free:
            continue
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
        for value in (True, [[]]):
            with pytest.raises(OutputError) as refused:
                read_ledger(written(tmp_path, changed(path, value)))
            said = str(refused.value)
            assert said.startswith(f"{tmp_path}/run.json: damaged ('{name}")
            assert said.endswith("; correct that, put the file back as the run wrote it, or begin another run")


RATE = ("config", "optimiser", "learning_rate")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("clock",), 5, "'clock' is 5, where text belongs"),
        (("clock",), "noon", "'clock' is 'noon', where a time in ISO 8601 belongs"),
        (("status",), "done", "'status' is 'done', where 'running' or 'finished' belongs"),
        (RATE, "x", "'config.optimiser.learning_rate' is 'x', where a number belongs"),
        (RATE, float("nan"), "'config.optimiser.learning_rate' is nan, which must be"),
        (("num_train_pairs",), -1, "'num_train_pairs' is -1, which must be at least 0"),
        (("num_train_pairs",), 10**30, "which must be below 9.22337e+18"),
        (("data_files", 0, "path"), "a\0", "'data_files[0].path' is 'a\\x00', where the name of a file belongs"),
        (("data_files", 0, "path"), "a" * 300, "where the path of a file belongs"),
        (("origins", "model", "path"), "~nobody-of-this-name/m", "where the name of a file belongs"),
        (("origins", "other"), ORIGIN, "'origins.other' is 'other', where 'model' or 'reference' belongs"),
        (("data_files", 0), {"path": "p"}, "'data_files[0].sha256' is missing"),
    ],
)
def test_what_is_wrong_is_said_in_words(tmp_path, path, value, said):
    written(tmp_path, changed(path, value))
    with pytest.raises(OutputError) as refused:
        read_ledger(tmp_path)
    assert said in str(refused.value)


def test_a_run_with_a_reference_says_what_it_is(tmp_path):
    for digest, missing in (("0a", "'config.model' is missing"), ("", "'config.dpo' is missing")):
        with pytest.raises(OutputError, match=missing):
            read_ledger(written(tmp_path, {"config": {}, "reference_digest": digest}))


def test_the_model_of_a_damaged_run_is_refused_too(tmp_path):
    (tmp_path / "model").mkdir()
    assert resolve(str(written(tmp_path, {"config": {}}))) == tmp_path / "model"
    assert clock_of(tmp_path / "model") is None
    assert clock_of(written(tmp_path, WHOLE) / "model").isoformat() == WHOLE["clock"]
    said = r"run\.json: damaged \('model_files' is \['x'\].*copy .*model elsewhere"
    with pytest.raises(ModelError, match=said):
        resolve(str(written(tmp_path, changed(("model_files",), ["x"]))))
