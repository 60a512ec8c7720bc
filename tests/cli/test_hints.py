"""Words of other tools are answered with ours, and help shows what an option is when it is left out."""

import re

import pytest
import typer

from penchant.cli.hints import OPTIONS
from penchant.cli.main import app
from penchant.training.arguments import PARTS
from penchant.training.config import DPOConfig, SFTConfig

NO_DEFAULT = {  # what is named where it is wanted, and otherwise is not there
    "--prompts", "--output", "--tasks", "--gold", "--token", "--public-url", "--title", "--guidelines", "--people",
    "--judge", "--judge-model", "--config", "--set", "--data", "--model", "--merged", "--to", "--seed",
    "--gguf", "--push",
}  # fmt: skip


def commands():
    def walk(command, name):
        for word, part in getattr(command, "commands", {}).items():
            yield from walk(part, [*name, word])
        if not hasattr(command, "commands"):
            yield " ".join(name), command

    return dict(walk(typer.main.get_command(app), []))


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", sorted(commands()))
def test_help_says_what_every_option_is_when_it_is_left_out(name):
    unsaid = [
        param.opts[0]
        for param in commands()[name].params
        if param.param_type_name == "option" and param.default is None and not isinstance(param.show_default, str)
    ]
    assert set(unsaid) <= NO_DEFAULT | {"--help"}


@pytest.mark.parametrize(("name", "schema"), [("dpo", DPOConfig), ("sft", SFTConfig)])
def test_the_defaults_that_help_shows_are_those_of_the_settings(name, schema):
    shown = {param.opts[0]: param.show_default for param in commands()[name].params}
    run = schema(output="x", data={"files": ["x"]})
    wanted = {
        "--epochs": run.optimiser.epochs,
        "--batch-size": run.optimiser.batch_size,
        "--max-length": run.data.max_length,
        "--seed": run.seed,
        "--on-bad-row": run.data.on_bad_row,
        "--special-tokens": run.data.special_tokens,
        "--device": run.model.device,
        "--dtype": run.model.dtype,
        "--model": run.model.name,
    }
    assert {option: shown[option] for option in wanted} == {option: str(value) for option, value in wanted.items()}


def test_every_word_of_another_tool_is_answered_with_an_option_or_setting_that_exists():
    options = {opt for command in commands().values() for param in command.params for opt in param.opts}
    assert set(OPTIONS.values()) <= options
    assert not set(OPTIONS) & options
    assert set(PARTS.values()) <= set(re.findall(r"\w+", str(DPOConfig.model_json_schema())))


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["dpo", "--lr", "1e-5"], "--learning-rate"),
        (["sft", "--num_train_epochs", "2"], "--epochs"),
        (["dpo", "pairs.jsonl"], "--data FILE"),
        (["dpo", "--data", "x", "--output", "y", "--set", "optimizer.lr=1"], "'optimiser.learning_rate'"),
        (["dpo", "--data", "x", "--output", "y", "--set", "lr=1"], "'optimiser.learning_rate'"),
        (["dpo", "--data", "x", "--output", "y", "--set", "loss_type=ipo"], "'dpo.objective'"),
        (
            ["dpo", "--data", "x", "--output", "y", "--set", "optimiser.xyzzyplugh=ipo"],
            "choose from optimiser.learning_rate, ",
        ),
    ],
)
def test_a_word_of_another_tool_is_answered_with_ours(penchant, arguments, hint):
    result = penchant(*arguments)
    assert result.code == 2
    assert hint in " ".join(result.err.replace("│", " ").split())


def test_a_run_that_is_not_there_is_answered_with_those_that_are(penchant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = penchant("chat", "runs/nothing")
    assert (result.code, "runs/nothing: there is no such run; there are no runs here" in result.err) == (2, True)
    (tmp_path / "runs" / "first").mkdir(parents=True)
    assert "runs holds first" in penchant("chat", "runs/nothing").err


def test_a_word_without_an_option_is_told_which_it_has(penchant):
    said = penchant("dpo", "runs/first", "--resume").err
    assert "data is named with --data FILE, a run with --output FOLDER" in " ".join(said.replace("│", " ").split())
