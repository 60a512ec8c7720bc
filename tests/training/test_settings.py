"""One configuration from four places, and a sentence that finds the mistake when there is one."""

import os
import re
from itertools import pairwise
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from penchant.errors import ConfigError
from penchant.training.config import DPOConfig, SFTConfig
from penchant.training.configure import configure
from penchant.training.given import Given
from penchant.training.settings import build_config, known_keys


class Adapter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rank: int = 16
    alpha: float = 32.0


class Optimiser(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    epochs: int = 1
    adapter: Adapter | None = None


class Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = "default"
    optimiser: Optimiser = Optimiser()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.yaml"

    def write(text):
        path.write_text(text, encoding="utf-8")
        return path

    return write


def build(**places):
    return build_config(Schema, **{"environment": {}, **places})


def test_each_place_wins_over_the_one_before_it(file):
    path = file("optimiser:\n  epochs: 2\n")
    environment = {"PENCHANT_OPTIMISER__EPOCHS": "3"}
    settings, flags = ["optimiser.epochs=4"], {"optimiser.epochs": 5}
    assert build().optimiser.epochs == 1
    assert build(file=path).optimiser.epochs == 2
    assert build(file=path, environment=environment).optimiser.epochs == 3
    assert build(file=path, environment=environment, settings=settings).optimiser.epochs == 4
    assert build(file=path, environment=environment, settings=settings, flags=flags).optimiser.epochs == 5


def test_places_are_joined_key_by_key_not_section_by_section(file):
    path = file("name: from file\noptimiser:\n  epochs: 2\n  learning_rate: 0.5\n")
    config = build(file=path, environment={"PENCHANT_OPTIMISER__EPOCHS": "3"}, flags={"name": "from flag"})
    assert (config.name, config.optimiser.epochs, config.optimiser.learning_rate) == ("from flag", 3, 0.5)


def test_a_flag_that_was_not_given_changes_nothing(file):
    assert build(file=file("name: kept\n"), flags={"name": None, "optimiser.epochs": None}).name == "kept"


def test_a_key_that_is_set_twice_is_refused():
    with pytest.raises(ConfigError, match=r"`set=...`: the setting 'optimiser\.epochs' appears twice; keep one"):
        build(settings=["optimiser.epochs=2", " optimiser.epochs =7"])


def test_a_section_set_as_a_whole_is_the_same_as_its_parts(file):
    path = file("optimiser:\n  epochs: 2\n  learning_rate: 0.5\n")
    optimiser = build(file=path, settings=["optimiser={epochs: 3, adapter: {rank: 4}}"]).optimiser
    assert (optimiser.epochs, optimiser.learning_rate, optimiser.adapter) == (3, 0.5, Adapter(rank=4))
    assert build(settings=["optimiser={epochs: 3}", "optimiser.epochs=4"]).optimiser.epochs == 4
    assert build(settings=["optimiser.epochs=4", "optimiser={epochs: 3}"]).optimiser.epochs == 3


@pytest.mark.parametrize("places", [{"settings": ["optimiser=5"]}, {"environment": {"PENCHANT_OPTIMISER": "fast"}}])
def test_a_section_takes_no_value_of_its_own_even_where_a_part_is_set_later(places):
    with pytest.raises(ConfigError, match=r"'optimiser' is a section and takes no value, got .*; set one of its keys"):
        build(**places, flags={"optimiser.epochs": 2})


def test_one_setting_may_be_given_without_a_list():
    assert build_config(Schema, settings="optimiser.epochs=4").optimiser.epochs == 4


def test_lists_and_nothing_can_be_set_from_anywhere():
    needed = ["output=o", "data.files=[a.jsonl, b.jsonl]"]
    config = build_config(DPOConfig, settings=[*needed, "model.lora.targets=[q_proj, v_proj]"], environment={})
    assert config.data.files == ("a.jsonl", "b.jsonl")
    assert config.model.lora.targets == ("q_proj", "v_proj")

    without = build_config(DPOConfig, settings=[*needed, "model.reference=null"], environment={})
    assert without.model.reference is None


@pytest.mark.parametrize(
    ("lora", "before", "rank"),
    [
        ({}, {}, 16),
        (True, {}, 16),
        ({"rank": 2}, {}, 2),
        (False, {"model.lora.rank": 8}, None),
        (None, {"model.lora.rank": 8}, 8),
        ({}, {"model.lora.rank": 8}, 8),
    ],
)
def test_an_argument_for_an_adapter_wins_over_settings_and_an_empty_one_asks_for_one(lora, before, rank):
    found = configure(DPOConfig, None, before, {"model": "m", "lora": lora}, Given(data=[])).model.lora
    assert (found and found.rank) == rank


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a\noptimiser:\n  epochs: 1\n  epochs: 2\n", ":4: the key 'epochs' appears twice; keep one of them"),
        ("optimiser: {}\nname: a\noptimiser: {}\n", ":3: the key 'optimiser' appears twice; keep one of them"),
        ("optimiser:\n  epochs: 1\noptimiser.epochs: 2\n", ": the setting 'optimiser.epochs' appears twice; keep"),
    ],
)
def test_a_key_that_stands_twice_in_a_file_is_refused_with_its_line(file, text, words):
    path = file(text)
    with pytest.raises(ConfigError) as caught:
        build(file=path)
    assert str(caught.value).startswith(f"{path}{words}")


def test_a_key_that_stands_twice_in_a_value_is_refused():
    with pytest.raises(ConfigError, match=r"`set=...` optimiser\.adapter: the key 'rank' appears twice in"):
        build(settings=["optimiser.adapter={rank: 4, rank: 8}"])


def test_a_key_that_is_merged_in_and_overridden_is_no_duplicate(file):
    config = build(file=file("optimiser:\n  adapter: {<<: {rank: 3, alpha: 1.0}, rank: 4}\n"))
    assert config.optimiser.adapter == Adapter(rank=4, alpha=1.0)


@pytest.mark.parametrize("text", ["1e-6", "1E-6", "0.000001", "1.0e-6"])
def test_a_small_number_may_be_written_in_any_way_in_any_place(file, text):
    from_file = build(file=file(f"optimiser:\n  learning_rate: {text}\n"))
    from_environment = build(environment={"PENCHANT_OPTIMISER__LEARNING_RATE": text})
    from_setting = build(settings=[f"optimiser.learning_rate={text}"])
    assert {c.optimiser.learning_rate for c in (from_file, from_environment, from_setting)} == {1e-6}


def test_an_empty_section_switches_on_what_is_off_by_default_and_keeps_what_the_file_says_of_it(file):
    assert build().optimiser.adapter is None
    assert build(flags={"optimiser.adapter": {}}).optimiser.adapter == Adapter()
    assert build(settings=["optimiser.adapter={}"]).optimiser.adapter == Adapter()
    assert build(file=file("optimiser:\n  adapter: {}\n")).optimiser.adapter == Adapter()
    path = file("optimiser:\n  adapter:\n    rank: 4\n")
    assert build(file=path, flags={"optimiser.adapter": {}}).optimiser.adapter == Adapter(rank=4)


def test_variables_that_are_no_settings_are_left_alone():
    assert (
        build(
            environment={
                "PENCHANT_CACHE": "/somewhere",
                "PENCHANT_JUDGE_KEY": "secret",
                "PENCHANT_ENDPOINT_KEY": "s",
                "HOME": "/root",
            }
        )
        == Schema()
    )


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ({"settings": ["optimiser.epoch=2"]}, "`set=...`"),
        ({"environment": {"PENCHANT_OPTIMISER__EPOCH": "2"}}, "PENCHANT_OPTIMISER__EPOCH"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one_and_where_it_was_written(place, named):
    with pytest.raises(ConfigError, match=r"did you mean 'optimiser\.epochs'") as caught:
        build(**place)
    assert named in str(caught.value)


def test_an_unknown_section_of_a_file_is_refused_with_the_nearest_one(file):
    path = file("optimizer:\n  epochs: 2\n")
    with pytest.raises(ConfigError, match="did you mean 'optimiser'") as caught:
        build(file=path)
    assert str(path) in str(caught.value)


def test_a_key_written_without_its_section_is_found():
    with pytest.raises(ConfigError, match=r"did you mean 'optimiser\.learning_rate'"):
        build(settings=["learning_rate=1"])


def test_a_key_like_no_other_lists_what_stands_beside_it():
    with pytest.raises(ConfigError, match=r"choose from optimiser.learning_rate, optimiser.epochs, "):
        build(settings=["optimiser.xyzzyplugh=1"])
    with pytest.raises(ConfigError, match=r"choose from name, optimiser$"):
        build(settings=["zzz=1"])


def test_yaml_that_is_none_names_the_file_and_the_line(file):
    path = file("name: a\noptimiser:\n  epochs: [1\nname: b\n")
    with pytest.raises(ConfigError, match="not YAML") as caught:
        build(file=path)
    assert f"{path}:4" in str(caught.value)


def test_a_file_that_is_a_list_or_not_there_is_refused(file, tmp_path):
    with pytest.raises(ConfigError, match="got list"):
        build(file=file("- a\n- b\n"))
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        build(file=tmp_path / "none.yaml")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: é".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml"):
        build(file=path)


def test_an_empty_file_is_no_setting(file):
    assert build(file=file("# nothing yet\n")) == Schema()


def test_a_setting_without_a_value_shows_how_it_is_written():
    with pytest.raises(ConfigError, match=r"section\.key=value, got 'optimiser\.epochs'"):
        build(settings=["optimiser.epochs"])


def test_a_value_out_of_range_names_the_key_the_value_and_where_it_was_written(file):
    path = file("optimiser:\n  learning_rate: -1\n")
    with pytest.raises(ConfigError, match=r"'optimiser\.learning_rate' must be greater than 0, got -1$") as caught:
        build(file=path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_value_may_hold_an_equals_sign():
    assert build(settings=["name=a=b"]).name == "a=b"


def test_a_missing_setting_is_named():
    with pytest.raises(ConfigError, match=r"'(output|model|data)' is missing"):
        build_config(DPOConfig, required=("output", "data.files"))


def test_every_key_of_the_schema_is_known_and_sections_are_marked():
    keys = known_keys(DPOConfig)
    assert keys["model.lora"] is True
    assert keys["model.lora.rank"] is False
    assert keys["optimiser.learning_rate"] is False


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: 2020-13-45", ":1: not YAML (month must be in 1..12)"),
        ("\noptimiser: {epochs: " + "1" * 5000 + "}", ":2: not YAML (a number has more than 4,300 digits)"),
        ("[" * 5000, "not YAML (it is nested too deeply)"),
        ("!!timestamp x", "not YAML"),
        ('"\\UFFFFFFFF"', "not YAML"),
        ("name: \x07", "not YAML"),
        ("name: &a [*a]", "'name' must be a valid string, got"),
        ("optimiser: &a {<<: *a, epochs: x}", "'optimiser.epochs' must be a valid integer, got 'x'"),
    ],
)
def test_whatever_is_written_in_a_file_is_settings_or_one_short_sentence(file, text, words):
    path = file(text)
    with pytest.raises(ConfigError) as caught:
        build(file=path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


def test_merges_of_merges_do_not_grow_without_bound(file):
    names = "abcdefghij"
    lines = [f"{after}: &{after} {{<<: [{', '.join([f'*{name}'] * 9)}]}}" for name, after in pairwise(names)]
    path = file("\n".join(["a: &a {epochs: 2}", *lines]))  # 9 to the power 9 keys, were they all kept
    with pytest.raises(ConfigError, match="there is no setting 'a'"):
        build(file=path)


def test_a_configuration_that_is_no_file_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, words in {
        "pipe": "it is a pipe, which can be read only once",
        "loop": "its symbolic links lead round in a circle",
        "n" * 300: "a name in the path is longer than the file system allows",
        "/dev/zero": "it is a device",
        ".": "it is a folder",
        "absent": "there is no such file",
    }.items():
        with pytest.raises(ConfigError, match=words):
            build(file=tmp_path / name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "dpo: {objective: 'mine:loss'}",
            r"'dpo.objective' is 'mine:loss', whose code would run; .*`objective=.mine:loss.`",
        ),
        ("save: {trackers: ['csv', 'mine:Csv']}", "'save.trackers' is 'mine:Csv', whose code would run"),
    ],
)
def test_a_file_of_settings_names_no_code_but_a_caller_may(tmp_path, content, words):
    file = tmp_path / "theirs.yaml"
    file.write_text(f"data: {{files: [a.jsonl]}}\n{content}\n")
    with pytest.raises(ConfigError, match=words):
        build_config(DPOConfig, file=file)
    named = {"dpo.objective": "mine:loss", "save.trackers": ["mine:Csv"]}
    assert build_config(DPOConfig, file=file, flags=named).dpo.objective == "mine:loss"


@pytest.mark.parametrize(
    ("setting", "said"), [("data.pairing=best", "best_worst"), ("data.min_gap=-1", "greater than or equal to 0")]
)
def test_a_rule_of_pairs_that_is_none_is_refused_by_its_name(setting, said):
    with pytest.raises(ConfigError, match=said) as caught:
        build_config(DPOConfig, settings=[setting], environment={})
    assert setting.split("=")[0] in str(caught.value)


@pytest.mark.parametrize("setting", ["data.pairing=all", "data.min_gap=1"])
def test_imitation_makes_no_pairs_and_takes_no_rule_for_them(setting):
    with pytest.raises(ConfigError, match="not read by sft"):
        build_config(SFTConfig, settings=[setting], environment={})


@pytest.mark.parametrize(
    "setting", ["optimiser.epochs=true", "optimiser.learning_rate=false", "dpo.beta=true", "seed=no"]
)
def test_true_and_false_are_no_numbers(setting):
    key = setting.partition("=")[0]
    with pytest.raises(ConfigError, match=f"'{key}' is (true|false|True|False): a number is needed, not true or false"):
        build_config(DPOConfig, settings=[setting])


def test_two_settings_that_do_not_fit_together_are_one_sentence_about_both():
    said = "data.max_prompt_length is 90, which leaves no room for a response within data.max_length, 80; lower it"
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}$"):
        build_config(
            DPOConfig, settings=["data.max_length=80", "data.max_prompt_length=90"], environment={}, required=()
        )
    said = "model.reference is not read by sft; leave it out"
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}$"):
        build_config(SFTConfig, settings=["model.reference=other"], environment={}, required=())
