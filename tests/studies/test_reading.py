"""A file of a study: every mistake is one sentence with the file and the line, and no file runs code."""

from pathlib import Path

import pytest

from penchant.errors import ConfigError
from penchant.studies.points import frontier_points, sweep_points
from penchant.studies.reading import read_study
from penchant.studies.settings import FrontierConfig, SweepConfig
from penchant.studies.train_point import check_points

FRONTIER = """\
model: some-model
prompts: prompts.txt
judge: positivity
seeds: [0, 1]
settings: {optimiser.epochs: 2}
pool:
  num_responses: 4
methods:
  dpo: {strengths: [0.1, 1]}
  by learned reward:
    method: rloo
    scores: learned
    strengths: [0.05]
    settings: {optimiser.epochs: 3}
"""
SWEEP = """\
model: some-model
prompts: prompts.txt
kl_budget: 5
grid:
  dpo.objective: [dpo, ipo_mean]
  dpo.beta: [0.1, 1, 2]
"""


@pytest.fixture
def read(tmp_path):
    file = tmp_path / "study.yaml"

    def of(schema, text):
        file.write_text(text)
        return read_study(schema, file)[0]

    return of


def test_methods_strengths_and_seeds_make_points_with_settings_of_their_own(read):
    points = frontier_points(read(FrontierConfig, FRONTIER))
    assert [point.name for point in points] == [
        "dpo-0.1-seed-0", "dpo-0.1-seed-1", "dpo-1-seed-0", "dpo-1-seed-1",
        "by_learned_reward-0.05-seed-0", "by_learned_reward-0.05-seed-1",
    ]  # fmt: skip
    assert points[0].settings == {"optimiser.epochs": 2, "dpo.beta": 0.1}
    assert points[-1].settings == {"optimiser.epochs": 3, "rlhf.beta": 0.05}


def test_a_grid_makes_a_point_of_every_combination(read):
    points = sweep_points(read(SweepConfig, SWEEP))
    assert len({point.name for point in points}) == 6
    assert points[-1].settings == {"dpo.objective": "ipo_mean", "dpo.beta": 2}
    assert points[-1].name == "dpo-objective=ipo_mean,beta=2-seed-0"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("seeds:", "seed:", r"study.yaml:4: there is no setting 'seed'; did you mean 'seeds'\?"),
        ("num_resp", "number_resp", r"study.yaml:7: there is no setting 'pool.number_responses'; did you mean 'num_r"),
        ("strengths: [0.05]", "strength: [0.05]", r"study.yaml:13: there is no setting 'methods.by learned reward.str"),
        ("strengths: [0.1, 1]", "strengths: []", r"study.yaml:9: 'methods.dpo.strengths' is \[\]"),
        ("  dpo:", "  dpoo:", r"study.yaml:9: methods.dpoo: there is no method 'dpoo'; did you mean 'dpo'\?"),
        ("dpo: {", "dpo: {scores: learned, ", r"study.yaml:9: methods.dpo.scores: dpo is trained on preferences"),
        ("model: some-model\n", "", r"the setting 'model' is missing"),
        (
            "{optimiser.epochs: 2}",
            "{optimiser: {epochs: 2}}",
            r"study.yaml:5: settings: write whole names of settings, such as `optimiser.epochs`",
        ),
        (
            "positivity",
            "my_judges:brevity",
            r"study.yaml:3: the judge 'my_judges:brevity' would run code.*`judge=my_judges",
        ),
        ("positivity", "http://127.0.0.1:1/v1", r"study.yaml:3: .* would run code or be sent texts"),
        ("{optimiser.epochs: 3}", "{rlhf.advantages: 'a:b'}", r"study.yaml:14: 'rlhf.advantages' is 'a:b', whose code"),
        ("seeds: [0, 1]", "seeds: [0, 1", r"study.yaml:\d: not YAML"),
        (
            "{optimiser.epochs: 3}",
            "{rlhf.method: ppo}",
            r"study.yaml:14: .*rlhf.method: got 'ppo', but the method rloo sets it to",
        ),
        (
            "{optimiser.epochs: 2}",
            "{rlhf.method: ppo}",
            r"study.yaml:5: settings.rlhf.method: got 'ppo', but the method rloo",
        ),
        (
            "{optimiser.epochs: 3}",
            "{rlhf.beta: 7}",
            r"study.yaml:14: .*settings.rlhf.beta: the `strengths` of the method",
        ),
        ("{optimiser.epochs: 2}", "{seed: 7}", r"study.yaml:5: settings.seed: the study sets it for every training"),
        ("seeds: [0, 1]", "demonstration_settings: {seed: 1}", r"study.yaml:4: .*: no file of `demonstrations`"),
        ("seeds: [0, 1]", "pairs: p.jsonl", r"study.yaml:6: pool: no answers are sampled where `pairs`"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(read, old, new, sentence):
    assert old in FRONTIER
    with pytest.raises(ConfigError, match=sentence):
        read(FrontierConfig, FRONTIER.replace(old, new, 1))


def test_a_grid_without_values_and_a_method_that_is_none_are_refused(read):
    with pytest.raises(ConfigError, match=r"study.yaml:6: grid.dpo.beta: holds no value"):
        read(SweepConfig, SWEEP.replace("[0.1, 1, 2]", "[]"))
    with pytest.raises(ConfigError, match=r"study.yaml:7: method: there is no method 'dqo'"):
        read(SweepConfig, SWEEP + "method: dqo\n")


@pytest.mark.parametrize(
    ("added", "sentence"),
    [
        (
            "method: rloo\ngrid: {rlhf.method: [rloo, ppo]}\n",
            r"study.yaml:5: grid.rlhf.method: got 'ppo', but the method rloo sets it",
        ),
        (
            "method: simpo\ngrid: {dpo.beta: [1]}\nsettings:\n  save.eval_every: 5\n  dpo.objective: ipo_mean\n",
            r"study.yaml:8: settings.dpo.objective: got 'ipo_mean', but the method simpo sets it to 'simpo'",
        ),
        ("scores: learned\ngrid: {dpo.beta: [1]}\n", r"study.yaml:4: scores: dpo is trained on preferences and reads"),
        ("settings: {dpo.beta: 7}\ngrid: {dpo.beta: [1]}\n", r"study.yaml:4: settings.dpo.beta: the grid sets it"),
        ("grid: {seed: [1]}\n", r"study.yaml:4: grid.seed: the study sets it"),
    ],
)
def test_a_sweep_refuses_what_it_would_not_read(read, added, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read(SweepConfig, "model: m\nprompts: p.txt\nkl_budget: 5\n" + added)


def test_a_setting_that_the_strengths_of_all_methods_replace_is_refused_and_one_that_some_read_is_not(read):
    text = "model: m\nprompts: p.txt\nsettings: {optimiser.epochs: 7}\nmethods:\n  sft: {strengths: [1]}\n"
    with pytest.raises(ConfigError, match=r"study.yaml:3: settings.optimiser.epochs: the `strengths` of every method"):
        read(FrontierConfig, text)
    points = frontier_points(read(FrontierConfig, text + "  dpo: {strengths: [0.1]}\n"))
    assert [point.settings["optimiser.epochs"] for point in points] == [1, 7]


def test_one_value_where_a_list_is_asked_for_is_said_so_and_true_is_no_number(read):
    with pytest.raises(ConfigError, match=r"study.yaml:6: 'grid.dpo.beta' must be a list .*, got 0.1; write \[0.1\]"):
        read(SweepConfig, SWEEP.replace("[0.1, 1, 2]", "0.1"))
    with pytest.raises(
        ConfigError, match=r"study.yaml:9: 'methods.dpo.strengths' .*a number is needed, not true or false"
    ):
        read(FrontierConfig, FRONTIER.replace("strengths: [0.1, 1]", "strengths: [true, 1]"))


def test_a_typo_in_the_settings_of_a_training_is_said_with_its_line(tmp_path):
    text = "model: m\nprompts: p.txt\njudge: positivity\nmethods:\n  dpo: {strengths: [1]}\n"
    text += "reward_settings:\n  save.num_samples: 0\n  optimiser.epoch: 2\n"
    file = tmp_path / "study.yaml"
    file.write_text(text)
    config, name = read_study(FrontierConfig, file)
    with pytest.raises(ConfigError, match=r"study.yaml:8: reward_settings: .*no setting 'optimiser.epoch'"):
        check_points(frontier_points(config), config, name)


@pytest.mark.parametrize("where", ["reward_settings", "demonstration_settings"])
def test_a_typo_in_settings_of_what_points_stand_on_is_found_before_anything_is_computed(read, where):
    config = read(FrontierConfig, f"{FRONTIER}demonstrations: d.jsonl\n{where}: {{optimiser.epoch: 1}}\n")
    with pytest.raises(
        ConfigError, match=rf"study.yaml: {where}: .*'optimiser.epoch'; did you mean 'optimiser.epochs'"
    ):
        check_points(frontier_points(config), config, "study.yaml")


def test_a_mapping_is_the_callers_own_and_may_name_code():
    given = {"model": "m", "prompts": "p", "judge": "mine:f", "methods": {"dpo": {"strengths": [1]}}}
    assert read_study(FrontierConfig, given)[0].judge == "mine:f"


def test_what_a_training_would_refuse_is_refused_before_anything_is_computed(read):
    config = read(FrontierConfig, FRONTIER.replace("optimiser.epochs: 3", "rlhf.bta: 3"))
    with pytest.raises(
        ConfigError, match=r"study.yaml: by learned reward at 0.05: .*'rlhf.bta'; did you mean 'rlhf.beta'"
    ):
        check_points(frontier_points(config), config, "study.yaml")
    config = read(SweepConfig, SWEEP.replace("ipo_mean", "ipo_men"))
    with pytest.raises(ConfigError, match="ipo_men"):
        check_points(sweep_points(config), config, "study.yaml")


@pytest.mark.parametrize(
    ("name", "schema", "points_of"),
    [("frontier-sentiment", FrontierConfig, frontier_points), ("sweep-sentiment", SweepConfig, sweep_points)],
)
def test_the_examples_are_read_and_every_run_of_them_could_begin(name, schema, points_of):
    file = Path(__file__).parents[2] / "examples" / f"{name}.yaml"
    config, called = read_study(schema, file)
    check_points(points_of(config), config, called)
    assert (file.parents[1] / config.prompts).is_file()
