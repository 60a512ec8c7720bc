"""A newcomer's tasks are done as CONTRIBUTING.md says: its package is installed, and its commands are run."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from penchant.plugins import GROUPS

PAGE = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (?:An?) (.*?)\n(.*?)(?=^### |\Z)", PAGE, re.M | re.S))
PAIRS = [{"prompt": "Once upon a time", "chosen": f"there was a cat{'.' * i}", "rejected": "no."} for i in range(1, 5)]
COMPARED = [
    {
        "id": "1",
        "prompt": [{"role": "user", "content": "Name a star."}],
        "a": {"text": "The sun, of course."},
        "b": {"text": "The sun."},
    }
]
DUELS = [{"over": "Name a star.", "duel": ["The sun.", "The moon."]}]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


@pytest.fixture
def package(add_package, stories260k, tmp_path, monkeypatch):
    """The package of the page, installed; a folder with data, a model, and settings that make a run short."""
    (declared,) = blocks(PAGE, "toml")
    sources = {source.split(".py")[0].removeprefix("# "): source for source in blocks(PAGE, "python")}
    project = tomllib.loads(declared)["project"]
    add_package(project["name"], project["entry-points"], **sources)
    for name, rows in (("pairs", PAIRS), ("duels", DUELS), ("comparisons", COMPARED)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "base").symlink_to(stories260k)
    settings = {"MODEL__NAME": "base", "MODEL__CHAT_TEMPLATE": "plain", "OPTIMISER__EPOCHS": "1"}
    for name, value in settings.items():
        monkeypatch.setenv(f"PENCHANT_{name}", value)
    monkeypatch.chdir(tmp_path)
    return project


def run(penchant, section):
    """What the commands of a section print, each of which must succeed."""
    printed = []
    for line in "".join(blocks(SECTIONS[section], "console")).splitlines():
        result = penchant(*shlex.split(line)[1:])
        assert result.code == 0, f"{line}: {result.err}"
        printed.append(result.out)
    return printed


def test_the_package_adds_to_every_group_that_there_is(package):
    assert set(package["entry-points"]) == set(GROUPS)
    assert len(SECTIONS) == len(package["entry-points"])


@pytest.mark.slow(threads=1)
def test_an_objective_is_trained_with_and_explained(package, penchant):
    _, explained = run(penchant, "objective")
    assert "power    a finite number" in explained
    ledger = json.loads(Path("runs/focal/run.json").read_text())
    assert ledger["status"] == "finished"
    assert "power: 3" in Path("runs/focal/config.yaml").read_text()


@pytest.mark.slow(threads=1)
def test_an_estimator_is_held_against_the_exact_gradient(package, penchant):
    by_name, by_path = run(penchant, "estimator of advantages")
    assert "from_batch" in by_name
    assert "my_estimators:from_batch" in by_path


def test_an_importer_reads_its_rows(package, penchant):
    (printed,) = run(penchant, "importer")
    assert "format duel" in printed


def test_a_judge_answers(package, penchant):
    run(penchant, "judge")
    for file, name in (("votes.jsonl", "brevity"), ("the-same-votes.jsonl", "my_judges:brevity")):
        (vote,) = map(json.loads, Path(file).read_text().splitlines())
        assert (vote["outcome"], vote["annotator"]) == ("b", f"stand-in:{name}")


@pytest.mark.slow
def test_a_tracker_is_told_of_every_step(package, penchant):
    run(penchant, "tracker")
    rows = [line.split(",") for line in Path("losses.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["1", "1"], "a step of each of the two runs"


def test_a_command_prints_what_it_found(package, penchant):
    assert run(penchant, "command") == ["there was a cat....\n"]


def test_an_experiment_shows_its_claim(package, penchant):
    (printed,) = run(penchant, "experiment of the lab")
    assert "The claim held." in printed
