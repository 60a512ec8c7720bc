"""Published recipes: what they set, what wins over them, and what is written of them."""

import json
from pathlib import Path

import pytest

from penchant.errors import ConfigError
from penchant.objectives import bind
from penchant.training.config import DPOConfig, SFTConfig
from penchant.training.presets import PRESETS, preset_named
from penchant.training.settings import build_config


def build(**places):
    return build_config(DPOConfig, **{"environment": {}, **places})


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_configuration_that_can_be_trained(name):
    config = build(flags={"preset": name})
    preset = PRESETS[name]
    assert config.preset == name
    assert config.dpo.objective == preset.settings["dpo.objective"]
    bind(config.dpo.objective, **config.dpo.parameters)
    assert config.optimiser.learning_rate == preset.settings["optimiser.learning_rate"]
    assert config.optimiser.batch_size == 128
    assert all((preset.source, preset.trained, preset.in_words()))


def test_the_recipe_of_olmo_3_is_the_published_one():
    config = build(flags={"preset": "olmo3-instruct"})
    assert (config.dpo.objective, config.dpo.beta, config.optimiser.learning_rate) == ("dpo_norm", 5.0, 1e-6)


def test_what_is_given_beside_a_preset_wins_wherever_it_is_given(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("preset: tulu3\noptimiser: {epochs: 4}\n")
    config = build(
        file=file,
        environment={"PENCHANT_DATA__MAX_LENGTH": "64"},
        settings=["optimiser.schedule=constant"],
        flags={"optimiser.learning_rate": 3e-6},
    )
    assert (config.optimiser.epochs, config.data.max_length) == (4, 64)
    assert (config.optimiser.schedule, config.optimiser.learning_rate) == ("constant", 3e-6)
    assert (config.dpo.objective, config.dpo.beta) == ("dpo_norm", 5.0)


def test_a_preset_named_now_wins_over_the_file_of_an_earlier_run(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("dpo: {objective: dpo, beta: 0.3}\noptimiser: {learning_rate: 0.1}\ndata: {held_out: 0.25}\n")
    config = build(file=file, flags={"preset": "tulu3"})
    assert (config.dpo.objective, config.dpo.beta, config.optimiser.learning_rate) == ("dpo_norm", 5.0, 5e-7)
    assert config.data.held_out == 0.25


def test_another_objective_takes_none_of_the_presets_parameters():
    config = build(flags={"preset": "tulu3", "dpo.objective": "ipo_mean"})
    assert (config.dpo.objective, config.dpo.beta) == ("ipo_mean", None)
    assert config.optimiser.learning_rate == 5e-7


def test_a_preset_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"there is no preset 'tulu'; did you mean 'tulu3'\?; choose from tulu3"):
        build(flags={"preset": "tulu"})
    with pytest.raises(ConfigError, match=r"there is no preset \[1\]; choose from"):
        preset_named([1])


def test_supervised_training_has_no_presets():
    with pytest.raises(ConfigError, match="there is no setting 'preset'"):
        build_config(SFTConfig, environment={}, flags={"preset": "tulu3"})


def test_the_configuration_of_a_run_with_a_preset_gives_the_same_run_again(tmp_path):
    config = build(flags={"preset": "zephyr", "dpo.beta": 0.2})
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(config.model_dump(mode="json")))
    assert build(file=file) == config


def test_the_page_has_the_row_of_every_preset():
    page = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text(encoding="utf-8")
    for one in PRESETS.values():
        assert f"| {one.name} | {one.trained} | `{one.in_words()}` | {one.source} |" in page
