"""What a command takes, its function takes, with the same meaning; and nothing that it is told goes unread."""

import json
import subprocess
import sys

import pytest

import penchant as pt
from penchant.ranking import Method
from penchant.ranking.prior import prior_of
from penchant.report.ranking import rank_votes

QUIET = {"progress": False}
MET = [("a", "b"), ("b", "c"), ("c", "a")]
VOTES = [
    {"left": left, "right": right, "winner": winner, "prompt": f"p{number}"}
    for left, right in MET
    for number, winner in enumerate(["left", "left", "right", "tie", "left"])
]


def length(prompt, response):
    return len(response)


@pytest.fixture
def named(stories260k):
    """The tiny model by its name, and how it is loaded."""
    return str(stories260k), {"device": "cpu", "dtype": "float32", "chat_template": "plain", **QUIET}


def test_a_ranking_takes_the_options_of_the_command():
    drawn = {"intervals": "bootstrap", "num_bootstrap": 20, "seed": 3}
    options = {"ties": "davidson", **drawn, "cluster": "none", "level": 0.9}
    expected = rank_votes(VOTES, Method(**options, prior=prior_of("400")))
    for prior in (400, "400"):
        assert pt.rank(VOTES, **options, prior=prior, **QUIET).standings == expected.standings
    with pytest.raises(pt.ConfigError, match="only read with"):
        pt.rank(VOTES, seed=1, **QUIET)
    with pytest.raises(pt.ConfigError, match="prior must be auto, none, phantom or"):
        pt.rank(VOTES, prior="vague", **QUIET)


def test_comparisons_are_judged_in_whatever_they_come(model):
    samples = pt.sample(model, ["One day", "Once upon a time"], num_responses=3, max_new_tokens=4, **QUIET)
    expected = pt.judge(samples, judge=length, **QUIET)
    rows = [json.loads(json.dumps(row)) for row in samples.rows]
    for given in (rows, iter(rows), samples.comparisons, [samples.comparisons[0], *rows[1:]]):
        assert pt.judge(given, judge=length, **QUIET) == expected
    with pytest.raises(pt.DataError, match=r"comparisons\[1\]: is not a comparison \(the field 'id' is missing\)"):
        pt.judge([rows[0], {"prompt": "One day"}], judge=length, **QUIET)


def test_a_run_is_loaded_as_asked_and_data_are_checked_for_it(train, model, rows, tmp_path):
    run = train(output=tmp_path / "run", max_steps=1, settings={"save.num_samples": 0})
    assert pt.load(run) is run.model
    assert pt.load(run, special_tokens="text").encoder.special_tokens == "text"
    expected = pt.check(rows, tmp_path / "run", **QUIET).as_dict()
    for given in (run, run.model, model):
        assert pt.check(rows, given, **QUIET).as_dict() == expected


def test_a_ranking_says_what_it_left_out():
    said = []

    class Heard:
        say = staticmethod(said.append)
        progress = staticmethod(lambda *_: None)

    pt.rank([*VOTES, {**VOTES[0], "right": "a"}], on_bad_row="drop", progress=Heard())
    assert "compared with itself" in "".join(said)


def test_ranking_and_judging_need_no_pytorch():
    code = "import sys, penchant as pt; pt.rank, pt.judge, pt.sample, pt.evaluate; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_model_by_its_name_is_loaded_as_is_said(named, model, rows):
    name, how = named
    by_name = pt.score(name, rows, reference=name, **how)
    assert by_name.rows() == pt.score(model, rows, reference=model, **QUIET).rows()
    sampled = pt.sample(name, ["One day"], max_new_tokens=4, **how)
    assert sampled.rows == pt.sample(model, ["One day"], max_new_tokens=4, **QUIET).rows


@pytest.mark.parametrize("option", [{"dtype": "float32"}, {"special_tokens": "text"}])
def test_how_to_load_is_refused_of_a_model_that_is_loaded(model, rows, option):
    calls = [
        lambda: pt.score(model, rows, reference=model, **option, **QUIET),
        lambda: pt.evaluate(model, ["One day"], reference=model, judge=length, **option, **QUIET),
        lambda: pt.sample(model, ["One day"], **option, **QUIET),
    ]
    for call in calls:
        with pytest.raises(pt.ConfigError, match=r"give it to `penchant\.load`"):
            call()


@pytest.mark.slow(threads=1)
def test_several_models_are_held_to_the_first_and_written(model, train, tmp_path):
    trained, output = train(settings={"save.num_samples": 0}), tmp_path / "models.json"
    how = {"judge": length, "max_new_tokens": 4, **QUIET}
    found = pt.evaluate([model, trained, model], ["One day", "Tom"], output=output, **how)
    assert found[0] == pt.evaluate(trained, ["One day", "Tom"], reference=model, **how)
    assert [one.win_rate.rate for one in found][1] == 0.5
    assert json.loads(output.read_text()) == json.loads(json.dumps([one.as_dict() for one in found]))
    assert pt.evaluate([trained], ["One day", "Tom"], **how) == [pt.evaluate(trained, ["One day", "Tom"], **how)]
    with pytest.raises(pt.OutputError, match="exists already"):
        pt.evaluate([model, trained], ["One day"], output=output, **how)
    with pytest.raises(pt.ConfigError, match="is only read for one model, as several are compared with the first"):
        pt.evaluate([model, trained], ["One day"], reference=model, **how)
    with pytest.raises(pt.ConfigError, match="no model to evaluate"):
        pt.evaluate([], ["One day"], **how)
    with pytest.raises(pt.ConfigError, match="but no single run with a folder is given"):
        pt.evaluate(model, ["One day"], reference=model, write=True, **how)


def test_people_and_judge_are_compared_and_what_came_of_a_file_is_said(model, tmp_path):
    said = []

    class Heard:
        say = staticmethod(said.append)
        progress = staticmethod(lambda *_: None)

    samples = pt.sample(model, ["One day", "Tom"], max_new_tokens=4, **QUIET)
    people = pt.judge(samples, judge=length, **QUIET)
    assert not said
    pt.judge(samples, judge=length, people=people, output=tmp_path / "votes.jsonl", progress=Heard())
    assert "votes   " in said[-1]
    assert any("people" in line for line in said)
    instructions = tmp_path / "empty.txt"
    instructions.write_text("")
    with pytest.raises(pt.ConfigError, match="is empty"):
        pt.judge(samples, judge="http://localhost:1/v1", judge_model="m", instructions=instructions, **QUIET)


def test_a_check_reads_the_votes_of_a_project_and_labels_are_refused_without_one(named, rows, tmp_path):
    name, how = named
    how = {"chat_template": "plain", **QUIET}
    with pytest.raises(pt.ConfigError, match="says how the votes of a vote project become pairs"):
        pt.check(rows, name, labels="soft", **how)
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(pt.ConfigError, match="none of the files is a project"):
        pt.check(file, name, labels="soft", **how)
    assert pt.check(file, name, **how).rows == pt.check(rows, name, **how).rows


@pytest.mark.slow(threads=1)
def test_a_plan_takes_a_file_of_settings(named, rows, tmp_path):
    name, _ = named
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = tmp_path / "config.yaml"
    model = f"model: {{name: {name}, chat_template: plain}}"
    config.write_text(f"{model}\ndata: {{files: [{tmp_path / 'pairs.jsonl'}]}}\noptimiser: {{batch_size: 4}}\n")
    planned = pt.plan(None, None, config=config, **QUIET)
    same = pt.plan(name, rows, batch_size=4, chat_template="plain", **QUIET)
    same_facts = ("num_parameters", "num_steps", "tokens_an_epoch", "tokens_run_an_epoch")
    assert [planned.as_dict()[one] for one in same_facts] == [same.as_dict().get(one) for one in same_facts]
    assert planned.as_dict()["num_steps"] == 4
