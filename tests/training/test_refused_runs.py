"""A run that is refused leaves nothing in the way, and one whose weights ran away is never called finished."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from penchant.errors import ConfigError, ModelError, OutputError, TrainingError, WrittenError
from penchant.files.place import require_place
from penchant.models import saving
from penchant.training import policies
from penchant.training import run as run_module
from penchant.training.finite import require_finite
from penchant.training.run_folder import RunFolder

AWAY = {"optimiser": {"learning_rate": 1e38, "weight_decay": 1e3, "max_steps": 1, "warmup_ratio": 0.0}}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("command", ["dpo", "sft"])
@pytest.mark.parametrize("lora", [None, {}])
def test_weights_that_are_not_finite_are_never_written_and_the_run_is_not_finished(request, tmp_path, command, lora):
    train = request.getfixturevalue(command)
    with pytest.raises(TrainingError, match=r"weights are not finite .* no model was written; begin again .* lower"):
        train(**AWAY, model={"lora": lora}, save={"num_samples": 2, "sample_tokens": 4})
    assert not (tmp_path / "run" / "model").exists()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "running"


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_one_number_that_is_not_finite_is_enough_and_its_parameter_is_named(value):
    good, bad = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.tensor([0.0, value]))
    require_finite({"good": good})
    with pytest.raises(TrainingError, match="not finite \\(bad, one of 1 of 2 parameters\\)"):
        require_finite({"good": good, "bad": bad})


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("what", ["data", "model weights"])
def test_a_run_does_not_go_on_from_other_data_or_another_model_than_it_began_with(
    dpo, make_reporter, tmp_path, pairs_file, stories260k, what
):
    data, model = tmp_path / "pairs.jsonl", tmp_path / "model"
    shutil.copy(pairs_file, data)
    shutil.copytree(stories260k, model)
    sections = {"data": {"files": [str(data)]}, "model": {"name": str(model), "lora": {}}}

    def crash():
        raise RuntimeError("the machine dies")

    with pytest.raises(RuntimeError, match="dies"):
        dpo(make_reporter({3: crash}), **sections, save={"num_samples": 0, "checkpoint_every": 2})
    if what == "data":
        data.write_text("".join(reversed(data.read_text().splitlines(keepends=True))))
    else:
        weights = load_file(model / "model.safetensors")
        moved = {name: tensor * 1.01 for name, tensor in weights.items()}
        save_file(moved, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(OutputError, match=f"{what} changed since the run was started; restore the original"):
        dpo(resume=True, **sections, save={"num_samples": 0, "checkpoint_every": 2})


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("command", ["dpo", "sft"])
def test_a_run_does_not_go_on_with_another_chat_template_behind_the_same_path(
    request, make_reporter, tmp_path, pairs_file, command
):
    train = request.getfixturevalue(command)
    template, data = tmp_path / "template.jinja", tmp_path / "data.jsonl"
    words = "{% for m in messages %}{{ m.content }}{% endfor %}"
    template.write_text(words)
    rows = [json.loads(line) for line in pairs_file.read_text().splitlines()]
    turns = [("user", "prompt"), ("assistant", "chosen")]
    told = [{"messages": [{"role": role, "content": row[key]} for role, key in turns]} for row in rows]
    data.write_text("".join(json.dumps(row) + "\n" for row in (rows if command == "dpo" else told)))
    sections = {"model": {"chat_template": str(template)}, "data": {"files": [str(data)]}}

    def crash():
        raise RuntimeError("the machine dies")

    with pytest.raises(RuntimeError, match="dies"):
        train(make_reporter({2: crash}), **sections, save={"num_samples": 0, "checkpoint_every": 1})
    template.write_text("Now: " + words)
    with pytest.raises(OutputError, match="a chat template or tokenizer changed since the run was started"):
        train(resume=True, **sections, save={"num_samples": 0, "checkpoint_every": 1})


@pytest.mark.slow(threads=1)
def test_a_row_that_is_too_long_counts_once_where_its_pair_is_taken_apart(dpo, reporter, pairs_file, tmp_path):
    data = tmp_path / "pairs.jsonl"
    long = {"prompt": "and so on " * 100, "chosen": "a", "rejected": "b"}
    data.write_text(pairs_file.read_text() + json.dumps(long) + "\n", encoding="utf-8")
    sections = {"files": [str(data)], "max_length": 128, "max_prompt_length": 100, "max_bad_share": 0.06}
    folder = dpo(reporter, data=sections, dpo={"objective": "kto"}, optimiser={"max_steps": 1})
    assert folder.ledger["rows"]["keep"] == 16
    assert any("left out 1 of 17 rows" in text for text in reporter.said)


@pytest.mark.slow(threads=1)
def test_fine_tuning_imitates_no_answer_labelled_bad_and_says_so_and_what_it_did_not_read(sft, reporter, tmp_path):
    path = tmp_path / "kto.jsonl"
    rows = [{"prompt": f"Once {i}", "completion": " a cat.", "label": i % 2 == 0, "mine": i} for i in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ledger = sft(reporter, data={"files": [str(path)], "held_out": 0.0}, optimiser={"epochs": 1}).ledger
    assert (ledger["rows"], ledger["num_train_texts"]) == ({"keep": 4, "not_desirable": 4}, 4)
    listed = f"mine (in 4 rows, first at {path}:1)"
    assert ledger["fields_not_read"] == [listed]
    assert f"fields not read: {listed}" in reporter.said
    assert any(text.startswith("4 rows are not trained on: its label is false") for text in reporter.said)


REFUSALS = [
    ({"model": {"lora": {"targets": ["nowhere"]}}}, ConfigError | ModelError),
    ({"model": {"reference": "no-such-model"}}, ModelError),
]


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("sections", "error"), REFUSALS)
def test_a_run_refused_before_its_first_step_leaves_no_folder_and_the_corrected_one_begins(
    dpo, tmp_path, sections, error
):
    with pytest.raises((ConfigError, ModelError)) as caught:
        dpo(**sections)
    assert isinstance(caught.value, error)
    assert not (tmp_path / "run").exists()
    assert dpo(optimiser={"max_steps": 1}).ledger["status"] == "finished"


@pytest.mark.parametrize(
    ("lora", "why"),
    [
        ({"targets": ["nowhere"]}, "the model has no such modules"),
        ({"targets": ["lm_head"]}, "the head .* takes no adapter here"),
        ({"targets": ["layers"]}, "the model has no such modules"),
    ],
)
def test_an_adapter_that_cannot_be_put_on_is_refused_before_the_reference_is_asked(dpo, monkeypatch, lora, why):
    monkeypatch.setattr(policies, "reference_logprobs", lambda *_args, **_options: pytest.fail("the reference ran"))
    with pytest.raises(ConfigError, match=why):
        dpo(model={"lora": lora})


@pytest.mark.parametrize("command", ["dpo", "sft"])
def test_an_adapter_that_does_not_come_back_from_the_disk_is_refused_before_anything_is_trained(
    request, monkeypatch, tmp_path, command
):
    monkeypatch.setattr(policies, "reference_logprobs", lambda *_args, **_options: pytest.fail("the reference ran"))

    def other(network, folder, run):
        raise WrittenError("its weight x differs")

    monkeypatch.setattr(saving, "require_same_adapter", other)
    with pytest.raises(ConfigError, match=r"LlamaForCausalLM cannot be .* read back by peft \(its weight x differs"):
        request.getfixturevalue(command)(model={"lora": {"rank": 2}})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["no/such/folder", "./nothing", "runs/none"])
def test_a_reference_that_is_not_there_is_refused_before_any_model_is_loaded(dpo, monkeypatch, name):
    monkeypatch.setattr(policies, "load_model", lambda *_args, **_options: pytest.fail("a model was loaded"))
    with pytest.raises(ModelError, match="no such"):
        dpo(model={"reference": name})


def test_a_folder_that_was_there_before_the_refused_run_stays_and_is_empty(dpo, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(ModelError):
        dpo(model={"reference": "no-such-model"})
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.slow(threads=1)
def test_a_disk_too_small_leaves_no_folder(dpo, tmp_path, monkeypatch):
    def too_small(self, num_bytes):
        raise OutputError("too small")

    monkeypatch.setattr(RunFolder, "require_space", too_small)
    with pytest.raises(OutputError, match="too small"):
        dpo()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow(threads=1)
def test_what_a_stopped_run_left_is_not_removed_when_resuming_it_is_refused(dpo, make_reporter, tmp_path, monkeypatch):
    def crash():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        dpo(make_reporter({1: crash}))
    before = sorted(p.name for p in (tmp_path / "run").iterdir())

    def refuse(*_args, **_options):
        raise ModelError("gone")

    monkeypatch.setattr(policies, "score_reference", refuse)
    with pytest.raises(ModelError, match="gone"):
        dpo(resume=True)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == before


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("leftover", ["metrics", "checkpoints"])
def test_steps_and_checkpoints_are_never_removed(dpo, tmp_path, monkeypatch, leftover):
    original = run_module.Loop.run

    def refuse_late(self, stop):
        original(self, stop)
        if leftover == "checkpoints":
            self.record.metrics.unlink()
            self.record.checkpoints.mkdir()
        raise ConfigError("late")

    monkeypatch.setattr(run_module.Loop, "run", refuse_late)
    with pytest.raises(ConfigError, match="late"):
        dpo(optimiser={"max_steps": 1})
    assert (tmp_path / "run" / "run.json").is_file()


def test_a_place_that_cannot_be_made_is_refused_and_one_that_can_is_left_unmade(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"file/run: cannot be created \(Not a directory\); choose another --merged"):
        require_place(tmp_path / "file" / "run", "--merged")
    require_place(tmp_path / "deep" / "run")
    assert not (tmp_path / "deep" / "run").exists()
    require_place(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_run_folder_itself_says_that_it_cannot_be_created(dpo, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be created"):
        dpo(output=str(tmp_path / "file" / "run"))
