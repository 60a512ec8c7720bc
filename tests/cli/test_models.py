"""`penchant models` says what is on the machine by looking, and never reaches for the network to do so."""

import json
import struct

import pytest
from huggingface_hub import constants

from penchant.models.starter import STARTERS, starter_path


@pytest.fixture(autouse=True)
def empty_caches(penchant, monkeypatch, tmp_path):
    """That of the other tests of commands may hold a starter by now."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))


def write_model(folder, shapes):
    folder.mkdir(parents=True)
    header = json.dumps({"__metadata__": {"format": "pt"}} | {k: {"shape": v} for k, v in shapes.items()}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(100))
    (folder / "config.json").write_text("{}")
    return folder


def listed(penchant):
    result = penchant("models", "--json")
    assert result.code == 0, result.err
    return {model["name"]: model for model in json.loads(result.out)}


def test_a_starter_that_is_not_here_is_listed_with_how_to_fetch_it(penchant):
    result = penchant("models")
    assert result.code == 0
    assert "smollm2-135m" in result.out
    assert "not here yet" in result.out
    assert "penchant models pull smollm2-135m" in result.err
    assert listed(penchant)["smollm2-135m"]["is_here"] is False


def test_a_pulled_starter_is_here_and_pulling_it_again_fetches_nothing(penchant):
    folder = write_model(starter_path("smollm2-135m"), {})
    (folder / "complete").write_text("")
    assert listed(penchant)["smollm2-135m"]["path"] == str(folder)
    result = penchant("models", "pull", "smollm2-135m")
    assert result.code == 0
    assert result.out.strip() == str(folder)
    assert "already here" in result.err
    assert STARTERS["smollm2-135m"].sha256 in result.err


def test_a_converted_gguf_is_listed_with_the_parameters_its_files_hold_and_a_torn_one_is_not(penchant):
    whole = write_model(starter_path("my-model-0123456789abcdef"), {"a": [3, 5], "b": [7]})
    (whole / "complete").write_text("")
    write_model(starter_path("torn"), {"a": [2]})
    models = listed(penchant)
    assert models[str(whole)]["num_parameters"] == 22
    assert models[str(whole)]["kind"] == "converted"
    assert not [name for name in models if "torn" in name]


def test_the_hugging_face_cache_is_read_from_its_folders(penchant, tmp_path):
    hub = tmp_path / "hub"
    write_model(hub / "models--someone--a-model" / "snapshots" / "abc", {"w": [4]})
    (hub / "models--someone--half" / "snapshots" / "abc").mkdir(parents=True)
    models = listed(penchant)
    assert models["someone/a-model"]["num_parameters"] == 4
    assert "someone/half" not in models


def test_a_damaged_weight_file_leaves_its_parameters_unknown(penchant, tmp_path):
    folder = write_model(tmp_path / "hub" / "models--a--b" / "snapshots" / "abc", {"w": [4]})
    (folder / "model.safetensors").write_bytes(b"\xff" * 20)
    assert listed(penchant)["a/b"]["num_parameters"] is None


def test_an_unknown_starter_is_the_users_mistake_and_the_known_ones_are_named(penchant):
    result = penchant("models", "pull", "gpt-5")
    assert result.code == 2
    assert "gpt-5" in result.err
    assert "smollm2-135m" in result.err
