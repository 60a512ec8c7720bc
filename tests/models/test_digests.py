"""A model is used only as the run wrote it."""

import json
import shutil

import pytest

from penchant.errors import ModelError
from penchant.models import adapters
from penchant.models.digests import digests_of_base, digests_of_model, file_sha256, run_of, weights_digest
from penchant.models.encoder import load_text_side
from penchant.models.load import load_model
from penchant.models.merging import save_merged
from penchant.models.names import base_of, resolve
from penchant.models.saving import save_model


@pytest.fixture
def base(llama_folder, tmp_path):
    """A copy of the base model that a test may change."""
    return shutil.copytree(llama_folder, tmp_path / "base")


@pytest.fixture
def make_run(base, cpu, tmp_path):
    """`make_run(lora=True)`: a run folder whose ledger knows the digests of its files and of its base model."""

    def make(*, lora=False):
        model = load_model(str(base), cpu)
        if lora:
            adapters.attach(model, 2, 4.0, (), seed=0)
        save_model(model, tmp_path / "run" / "model")
        origin = {"name": "base", "digest": "", "path": str(base), "run": None, "files": digests_of_base(base)}
        ledger = {
            "config": {},
            "model_files": digests_of_model(tmp_path / "run" / "model"),
            "origins": {"model": origin},
        }
        (tmp_path / "run" / "run.json").write_text(json.dumps(ledger))
        return tmp_path / "run"

    return make


def touch(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_a_run_whose_model_was_changed_is_refused_by_file_and_told_what_to_do(name, make_run):
    run = make_run()
    assert resolve(str(run)) == run / "model"
    touch(run / "model" / name)
    for path in (run, run / "model"):
        with pytest.raises(ModelError, match=f"{name} has changed since the run wrote it.*restore.*copy the folder"):
            resolve(str(path))


def test_a_file_that_is_gone_or_new_is_named_and_one_that_no_loader_reads_is_not(make_run):
    run = make_run()
    (run / "model" / "README.md").write_text("mine")
    resolve(str(run))
    (run / "model" / "more.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"more.safetensors has been added"):
        resolve(str(run))
    (run / "model" / "more.safetensors").unlink()
    (run / "model" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config.json has been removed"):
        load_text_side(str(run))


def test_a_template_put_where_transformers_prefers_it_is_new(make_run):
    run = make_run()
    (run / "model" / "additional_chat_templates").mkdir()
    resolve(str(run))
    template = run / "model" / "additional_chat_templates" / "default.jinja"
    template.write_text("{{ messages[-1].content }}")
    with pytest.raises(
        ModelError, match=r"additional_chat_templates/default.jinja has been added since the run wrote it"
    ):
        resolve(str(run))


def test_a_link_to_the_model_of_a_run_is_that_model_and_so_is_a_model_that_the_run_links_to(make_run, tmp_path):
    run = make_run()
    link = tmp_path / "link"
    link.symlink_to(run / "model", target_is_directory=True)
    assert run_of(link) == run
    touch(run / "model" / "config.json")
    with pytest.raises(ModelError, match=r"config.json has changed since the run wrote it"):
        resolve(str(link))
    (run / "model").rename(tmp_path / "large disk")
    (run / "model").symlink_to(tmp_path / "large disk", target_is_directory=True)
    assert run_of(run / "model") == run


@pytest.mark.slow(threads=1)
def test_a_copy_elsewhere_is_a_model_of_its_own(make_run, cpu, tmp_path):
    run = make_run()
    shutil.copytree(run / "model", tmp_path / "copy")
    touch(tmp_path / "copy" / "model.safetensors")
    assert load_model(str(tmp_path / "copy"), cpu).digest != load_model(str(run), cpu).digest


def test_a_run_from_before_digests_were_recorded_is_used_as_it_is(make_run):
    run = make_run()
    (run / "run.json").write_text('{"config": {}}')
    touch(run / "model" / "model.safetensors")
    assert resolve(str(run)) == run / "model"


@pytest.mark.slow(threads=1)
def test_an_adapter_whose_base_model_was_changed_is_refused(make_run, base, cpu):
    run = make_run(lora=True)
    load_model(str(run), cpu)
    touch(base / "model.safetensors")
    with pytest.raises(ModelError, match=r"base: model.safetensors has changed since .*run was trained on it"):
        load_model(str(run), cpu)


def test_the_base_model_of_an_adapter_may_be_moved_but_not_exchanged(make_run, base, cpu, tmp_path):
    run = make_run(lora=True)
    config = run / "model" / "adapter_config.json"
    moved = base.rename(tmp_path / "moved")
    config.write_text(config.read_text().replace(str(base), str(moved)))
    assert base_of(resolve(str(run))) == moved
    content = json.loads(config.read_text())
    config.write_text(json.dumps(content | {"lora_alpha": 8}))
    with pytest.raises(ModelError, match=r"adapter_config.json has changed"):
        resolve(str(run))


def test_a_damaged_ledger_is_one_sentence(make_run):
    run = make_run()
    (run / "run.json").write_text("{")
    with pytest.raises(ModelError, match=r"run.json: damaged"):
        resolve(str(run))


def test_a_file_is_hashed_again_once_it_is_another(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    first, weights = file_sha256(file), weights_digest(tmp_path)
    file.write_bytes(b"two")
    assert file_sha256(file) != first
    assert weights_digest(tmp_path) != weights


def set_ends(folder, *ends):
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": list(ends)}))


def test_what_ends_an_answer_of_an_adapter_is_its_own_and_is_exported(make_run, base, cpu, tmp_path):
    set_ends(base, 2, 5)
    run = make_run(lora=True)
    set_ends(base, 2, 7)
    model = load_model(str(run), cpu)
    assert 5 in model.encoder.end_ids
    assert 7 not in model.encoder.end_ids
    assert set(load_text_side(str(run)).encoder.end_ids) == set(model.encoder.end_ids)
    save_merged(model, tmp_path / "merged")
    assert json.loads((tmp_path / "merged" / "generation_config.json").read_text())["eos_token_id"] == [2, 5]
    set_ends(run / "model", 7)
    with pytest.raises(ModelError, match=r"generation_config.json has changed since the run wrote it"):
        resolve(str(run))


def test_what_ends_an_answer_is_the_bases_where_the_adapter_has_none_and_then_must_stay(make_run, base, cpu):
    set_ends(base, 2, 5)
    run = make_run(lora=True)
    (run / "model" / "generation_config.json").unlink()
    ledger = json.loads((run / "run.json").read_text())
    del ledger["model_files"]["generation_config.json"]
    (run / "run.json").write_text(json.dumps(ledger))
    assert 5 in load_model(str(run), cpu).encoder.end_ids
    set_ends(base, 2, 7)
    with pytest.raises(ModelError, match=r"base: generation_config.json has changed since .*run was trained on it"):
        base_of(run / "model")
