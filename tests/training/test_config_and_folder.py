"""Settings are refused or read; a run folder is begun once, gone on with unchanged, and finished once."""

import json

import pytest
import torch
from pydantic import BaseModel, ValidationError

from penchant.errors import ConfigError, OutputError
from penchant.models.ledger import read_ledger
from penchant.online.config import RLHFConfig
from penchant.progress import Silent
from penchant.report.comparison import read_comparison
from penchant.training.config import DPOConfig, RewardConfig, SFTConfig
from penchant.training.export import export
from penchant.training.run_folder import RunFolder, append_rows, read_rows_written
from penchant.training.settings import build_config


def config(tmp_path, **sections):
    return DPOConfig.model_validate(
        {"output": str(tmp_path / "run"), "model": {"name": "m"}, "data": {"files": ["f"]}, **sections}
    )


def sections_of(schema, path=()):
    yield path
    for name, field in schema.model_fields.items():
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from sections_of(kind, (*path, name))


@pytest.mark.parametrize("schema", [DPOConfig, SFTConfig])
def test_an_unknown_key_is_refused_in_every_section(schema, tmp_path):
    base = {"output": "o", "model": {"name": "m"}, "data": {"files": ["f"]}}
    for path in sections_of(schema):
        settings = json.loads(json.dumps(base))
        place = settings
        for name in path:
            place = place.setdefault(name, {})
        place["lerning_rate"] = 1
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            schema.model_validate(settings)


@pytest.mark.parametrize("schema", [DPOConfig, SFTConfig, RewardConfig, RLHFConfig])
def test_setting_one_thing_leaves_everything_else_as_documented(schema):
    usual = schema().model_dump()
    for section, values in usual.items():
        if not isinstance(values, dict):
            continue
        for name, value in values.items():
            if value is not None and name != "band":
                assert schema.model_validate({section: {name: value}}).model_dump() == usual, f"{section}.{name}"


def test_alarms_of_the_loss_are_off_where_it_is_of_the_policys_own_responses_and_may_be_set():
    online = DPOConfig.model_validate({"sampling": {"judge": "positivity"}, "alarms": {"kl_over_budget": 9}})
    assert (online.alarms.not_moving, online.alarms.overfit, online.alarms.kl_over_budget) == (None, None, 9)
    asked = DPOConfig.model_validate({"sampling": {"judge": "positivity"}, "alarms": {"overfit": 0.5}})
    assert asked.alarms.overfit == 0.5
    assert DPOConfig().alarms.overfit is not None


def test_settings_cannot_be_changed_afterwards(tmp_path):
    settings = config(tmp_path)
    for section in (settings, settings.model, settings.data, settings.optimiser, settings.save, settings.dpo):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, next(iter(type(section).model_fields)), "x")


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("optimiser", {"learning_rate": 0}),
        ("optimiser", {"batch_size": 0}),
        ("optimiser", {"warmup_ratio": 1}),
        ("optimiser", {"schedule": "sqrt"}),
        ("data", {"files": ["f"], "held_out": 1.0}),
        ("data", {"files": ["f"], "max_length": 100, "max_prompt_length": 100}),
        ("dpo", {"beta": 0}),
        ("dpo", {"label_smoothing": 0.5}),
        ("dpo", {"beta": float("inf")}),
        ("dpo", {"sft_weight": float("inf")}),
        ("dpo", {"alpha": float("nan")}),
        ("optimiser", {"learning_rate": float("inf")}),
        ("optimiser", {"weight_decay": float("inf")}),
        ("save", {"checkpoint_minutes": float("inf")}),
        ("model", {"name": "m", "lora": {"alpha": float("inf")}}),
        ("model", {"name": "m", "dtype": "float16"}),
        ("model", {"name": "m", "lora": {"rank": 0}}),
    ],
)
def test_a_value_without_meaning_is_refused(tmp_path, section, values):
    with pytest.raises(ValidationError):
        config(tmp_path, **{section: values})


def test_parameters_of_objectives_are_settings_with_the_widest_of_their_ranges(tmp_path):
    smallest = {"objective": "cdpo", "label_smoothing": 0}
    assert config(tmp_path, dpo=smallest).dpo.parameters == {"label_smoothing": 0.0}
    assert config(tmp_path, dpo={"gamma": 5}).dpo.gamma == 5.0
    for name, value in (("gamma", -0.1), ("tau", 1.0), ("ld_alpha", 1.1), ("label_smoothing", -0.1)):
        with pytest.raises(ValidationError, match=rf"dpo\.{name}\n  Input should be (greater|less) than"):
            config(tmp_path, dpo={name: value})
    assert config(tmp_path, dpo={"alpha": None}) == config(tmp_path), "as settings of earlier runs are written"


def test_an_objective_from_outside_has_parameters_of_any_name_and_ours_have_not(tmp_path):
    assert config(tmp_path, dpo={"objective": "mine:loss", "power": 3}).dpo.parameters == {"power": 3.0}
    assert config(tmp_path, dpo={"objective": "mine:loss", "power": 3}).model_dump()["dpo"]["power"] == 3.0
    with pytest.raises(ValidationError, match=r"dpo\.power\n  Input should be a finite number"):
        config(tmp_path, dpo={"objective": "mine:loss", "power": float("inf")})
    for objective in ("dpo", "ipo", "kto"):
        with pytest.raises(ValidationError, match=r"dpo\.power\n  Extra inputs are not permitted"):
            config(tmp_path, dpo={"objective": objective, "power": 3})
    flags = {"output": "o", "data.files": ("f",)}
    built = build_config(DPOConfig, settings=["dpo.objective=mine:loss", "dpo.power=3"], flags=flags, environment={})
    assert built.dpo.parameters == {"power": 3.0}
    with pytest.raises(ConfigError, match=r"`set=...`: there is no setting 'dpo\.powr'; choose from dpo\."):
        build_config(DPOConfig, settings=["dpo.powr=3"], flags=flags, environment={})


@pytest.mark.parametrize("schema", [DPOConfig, SFTConfig])
def test_a_seed_below_zero_is_refused(schema):
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        schema.model_validate({"output": "o", "model": {"name": "m"}, "data": {"files": ["f"]}, "seed": -1})


def test_sft_refuses_a_reference_it_would_not_read():
    with pytest.raises(ValidationError, match="not read by sft"):
        SFTConfig.model_validate({"output": "o", "model": {"name": "m", "reference": "r"}, "data": {"files": ["f"]}})


def test_sft_refuses_a_limit_of_the_prompt_it_would_not_read():
    with pytest.raises(ValidationError, match=r"data\.max_prompt_length is not read by sft.*; leave it out"):
        SFTConfig.model_validate({"output": "o", "data": {"files": ["f"], "max_prompt_length": 1}})


@pytest.mark.parametrize("schema", [DPOConfig, SFTConfig])
def test_a_seed_that_a_generator_of_random_numbers_cannot_take_is_refused_with_the_bound(schema):
    base = {"output": "o", "data": {"files": ["f"]}}
    with pytest.raises(ValidationError, match="less than 9223372036854775808"):
        schema.model_validate({**base, "seed": 99999999999999999999})
    torch.Generator().manual_seed(schema.model_validate({**base, "seed": 2**63 - 1}).seed)


def test_the_home_folder_is_meant_by_a_tilde_in_a_file_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    written = {"output": "~/runs/first", "data": {"files": ["~/a", "b~c"]}, "model": {"chat_template": "~/t.jinja"}}
    settings = DPOConfig.model_validate(written)
    assert settings.output == "/home/ann/runs/first"
    assert settings.data.files == ("/home/ann/a", "b~c")
    assert settings.model.chat_template == "/home/ann/t.jinja"
    assert config(tmp_path, data={"files": "~/a"}).data.files == ("/home/ann/a",)
    assert config(tmp_path, model={"chat_template": "plain"}).model.chat_template == "plain"
    assert config(tmp_path).model.chat_template is None


def test_a_new_run_writes_its_settings_and_a_running_ledger(tmp_path):
    folder = RunFolder.create(config(tmp_path), "dpo", resume=False)
    ledger = json.loads((folder.path / "run.json").read_text())
    assert ledger["status"] == "running"
    assert ledger["config"] == config(tmp_path).model_dump(mode="json")
    assert {"torch", "transformers", "penchant", "python"} <= set(ledger["versions"])


def test_a_folder_that_holds_a_run_or_anything_else_is_not_overwritten(tmp_path):
    RunFolder.create(config(tmp_path), "dpo", resume=False)
    with pytest.raises(OutputError, match="already holds a run; give `resume=True`"):
        RunFolder.create(config(tmp_path), "dpo", resume=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match="not an empty folder"):
        RunFolder.create(config(tmp_path, output=str(tmp_path / "other")), "dpo", resume=False)
    with pytest.raises(OutputError, match="not an empty folder"):
        RunFolder.create(config(tmp_path, output=str(tmp_path / "other" / "thesis.txt")), "dpo", resume=False)


def test_there_is_nothing_to_resume_in_an_empty_place(tmp_path):
    with pytest.raises(OutputError, match="holds no run to resume"):
        RunFolder.create(config(tmp_path), "dpo", resume=True)


def test_a_run_is_not_resumed_with_other_settings_which_are_named(tmp_path):
    RunFolder.create(config(tmp_path), "dpo", resume=False)
    RunFolder.create(config(tmp_path), "dpo", resume=True)
    with pytest.raises(
        OutputError, match=r"other values of dpo.beta, optimiser.batch_size; resume with the same settings"
    ):
        RunFolder.create(config(tmp_path, dpo={"beta": 0.3}, optimiser={"batch_size": 3}), "dpo", resume=True)


def test_a_finished_run_is_not_resumed(tmp_path):
    RunFolder.create(config(tmp_path), "dpo", resume=False).finish()
    with pytest.raises(OutputError, match="this run is finished"):
        RunFolder.create(config(tmp_path), "dpo", resume=True)


@pytest.mark.parametrize("content", ["{", "{}", "[]", "null", '{"config": 1}'])
def test_a_damaged_ledger_is_one_sentence(tmp_path, content):
    folder = RunFolder.create(config(tmp_path), "dpo", resume=False)
    (folder.path / "run.json").write_text(content)
    with pytest.raises(OutputError, match=r"run.json: damaged"):
        RunFolder.create(config(tmp_path), "dpo", resume=True)
    with pytest.raises(OutputError, match=r"run.json: damaged"):
        read_ledger(folder.path)


def test_a_run_killed_while_it_wrote_its_first_file_can_begin_again(tmp_path):
    path = RunFolder.create(config(tmp_path), "dpo", resume=False).path
    (path / "config.yaml").unlink()
    (path / "run.json").rename(path / ".run.json.writing")
    assert RunFolder.create(config(tmp_path), "dpo", resume=False).ledger["status"] == "running"


def test_settings_that_someone_wrote_by_hand_are_not_taken_for_a_runs_own(tmp_path):
    own = tmp_path / "run" / "config.yaml"
    own.parent.mkdir()
    own.write_text("# mine\nobjective: {beta: 0.3}\n")
    with pytest.raises(OutputError, match="exists and is not an empty folder"):
        RunFolder.create(config(tmp_path, output=str(own.parent)), "dpo", resume=False)
    assert own.read_text() == "# mine\nobjective: {beta: 0.3}\n"


def test_a_run_whose_settings_are_not_there_writes_them_again(tmp_path):
    folder = RunFolder.create(config(tmp_path), "dpo", resume=False)
    before = (folder.path / "config.yaml").read_bytes()
    (folder.path / "config.yaml").unlink()
    RunFolder.create(config(tmp_path), "dpo", resume=True)
    assert (folder.path / "config.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda text: text.replace("seed: 0", "seed: 5"), "config.yaml: seed changed since the start of the run"),
        (
            lambda text: "- 1\n",
            "config.yaml: cannot be read \\(it holds no settings\\); delete it",
        ),
        (lambda text: "a: [", "config.yaml: cannot be read"),
        (lambda text: text + "on: x\n", r"config.yaml: cannot be read \(True is not a setting\)"),
    ],
)
def test_an_edit_of_the_settings_is_not_passed_over_by_a_run_that_goes_on(tmp_path, edit, said):
    file = RunFolder.create(config(tmp_path), "dpo", resume=False).path / "config.yaml"
    file.write_text(edit(file.read_text()))
    with pytest.raises(OutputError, match=said):
        RunFolder.create(config(tmp_path), "dpo", resume=True)


def test_another_spelling_of_the_same_settings_is_no_edit(tmp_path):
    file = RunFolder.create(config(tmp_path, seed=3), "dpo", resume=False).path / "config.yaml"
    text = "# mine\n" + file.read_text().replace("seed: 3", "seed: 0x3").replace("beta: 0.1", "beta: 1e-1")
    assert "0x3" in text
    file.write_text(text)
    RunFolder.create(config(tmp_path, seed=3), "dpo", resume=True)


def test_a_run_that_lacks_only_its_report_refuses_other_settings_too(tmp_path):
    RunFolder.create(config(tmp_path), "dpo", resume=False).finish()
    assert RunFolder.lacking_its_report(config(tmp_path)) is not None
    with pytest.raises(OutputError, match="begun with other values of seed"):
        RunFolder.lacking_its_report(config(tmp_path, seed=5))


def test_a_run_does_not_go_on_with_other_tokens_and_one_that_noted_none_does(tmp_path):
    facts = {"data_digest": "d", "model_digest": "m", "reference_digest": "r"}
    older, newer = (RunFolder.create(config(tmp_path, output=str(tmp_path / n)), "dpo", resume=False) for n in "ab")
    older.begin_with(**facts)
    older.begin_with(**facts, tokens_digest="t")
    newer.begin_with(**facts, tokens_digest="t")
    for folder in (older, newer):
        with pytest.raises(OutputError, match="a chat template or tokenizer changed since the run was started"):
            folder.begin_with(**facts, tokens_digest="u")


def test_a_moved_run_is_resumed_where_it_lies(tmp_path):
    folder = RunFolder.create(config(tmp_path), "dpo", resume=False)
    folder.path.rename(tmp_path / "moved")
    resumed = RunFolder.create(config(tmp_path, output=str(tmp_path / "moved")), "dpo", resume=True)
    assert resumed.path == tmp_path / "moved"
    assert resumed.ledger["started_at"] == folder.ledger["started_at"]


def test_a_torn_metrics_line_is_left_out_and_later_steps_are_forgotten(tmp_path):
    folder = RunFolder.create(config(tmp_path), "dpo", resume=False)
    append_rows(folder.metrics, [{"step": step} for step in range(1, 5)])
    with folder.metrics.open("a") as file:
        file.write('{"step": 5, "lo')
    assert [row["step"] for row in read_rows_written(folder.metrics)] == [1, 2, 3, 4]
    folder.keep_until(2)
    append_rows(folder.metrics, [{"step": 3}])
    assert [row["step"] for row in read_rows_written(folder.metrics)] == [1, 2, 3]


def test_answers_with_other_ends_of_line_are_read_and_kept(tmp_path):
    folder = RunFolder.create(config(tmp_path), "dpo", resume=False)
    rows = [{"step": i, "response": f"one{end}two"} for i, end in enumerate("\u2028\u2029\x85\x0c\x1e\r\n", 1)]
    append_rows(folder.samples, rows)
    assert read_rows_written(folder.samples) == rows
    folder.keep_until(5)
    assert read_rows_written(folder.samples) == rows[:5]


def test_a_row_torn_within_a_letter_is_left_out(tmp_path):
    folder = RunFolder.create(config(tmp_path), "dpo", resume=False)
    append_rows(folder.samples, [{"step": 1, "response": "a"}])
    with folder.samples.open("ab") as file:
        file.write('{"step": 2, "response": "é'.encode()[:-1])
    assert read_rows_written(folder.samples) == [{"step": 1, "response": "a"}]


def test_a_run_the_disk_cannot_hold_is_refused_before_it_begins(tmp_path):
    folder = RunFolder.create(config(tmp_path), "dpo", resume=False)
    folder.require_space(1)
    with pytest.raises(OutputError, match=r"B are free and the run needs about 1,000,000,000\.0 GB"):
        folder.require_space(10**18)


def test_a_ledger_nested_too_deep_is_damaged(tmp_path):
    (tmp_path / "run.json").write_text("[" * 100_000)
    with pytest.raises(OutputError, match=r"run\.json: damaged \(its brackets are nested too deeply\)"):
        read_ledger(tmp_path)


def test_one_place_for_the_folder_and_the_file_of_an_export_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="cannot be both a folder and a GGUF file"):
        export("m", merged=tmp_path / "g", gguf=tmp_path / "x" / ".." / "g", reporter=Silent())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
def test_a_damaged_comparison_is_refused_by_its_name(tmp_path, text):
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(OutputError, match=r"comparison\.json: damaged .*evaluate the run again"):
        read_comparison(tmp_path)
