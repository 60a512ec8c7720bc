"""People answer a round: it waits, goes on when enough is there, and asks under names that nobody else's tasks have."""

import json
import shutil
import sqlite3
import uuid

import pytest

from penchant.data import Comparison
from penchant.errors import ConfigError, DataError, UserError
from penchant.rounds import RoundInterrupted, model_stages, run_round

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def shorter(a, b):
    return "tie" if len(a) == len(b) else "a" if len(a) < len(b) else "b"


def task_ids(project):
    with sqlite3.connect(project / "penchant.db") as connection:
        return [row[0] for row in connection.execute("SELECT id FROM tasks ORDER BY position")]


def answer_all(project, prefix, num, outcome_of):
    """Answer `num` open tasks of a project as a person would, through the store."""
    from penchant.feedback import NewAnswer, Project, Store

    with Store.open(Project.open(project)) as store:
        person = store.invite(f"anna-{uuid.uuid4()}").annotator
        for _ in range(num):
            task = store.next_assignment(person.id, seed=0)
            assert task is not None
            assert task.task_id.startswith(prefix)
            ids = {"assignment_id": task.id, "annotator_id": person.id}
            store.record(NewAnswer(key=str(uuid.uuid4()), outcome=outcome_of(task), seconds=5.0, **ids))


def missing(result):
    return result.waiting and (result.waiting.num_missing, result.waiting.num_comparisons)


@pytest.mark.slow
def test_a_round_waits_for_people_and_goes_on_when_enough_is_there(tmp_path, asked):
    folder, project = tmp_path / "asked", tmp_path / "votes of people"
    settings = asked | {"people": project}
    for _ in range(2):
        waiting = run_round(folder, **settings)
        assert missing(waiting) == (7, 7)
    prefix = json.loads((folder / "round-1" / "plan.json").read_text())["tasks"] + "/round-1-"
    assert prefix.startswith("asked-")
    assert waiting.waiting.project == str(project)
    assert waiting.waiting.tasks.startswith(prefix)
    with pytest.raises(ConfigError, match=rf"`judge=\.\.\.`: round 1 is under way with `people={project}`;"):
        run_round(folder, judge="positivity")
    folder = folder.rename(tmp_path / "moved")  # keeps the names of its tasks
    answer_all(project, prefix, 5, lambda task: shorter(task.a, task.b))
    assert missing(run_round(folder, **settings)) == (2, 7)
    assert missing(run_round(folder, **settings, min_votes=6)) == (1, 7)
    assert missing(run_round(folder, min_votes=5)) == (3, 3)
    votes = rows(folder / "round-1" / "votes.jsonl")
    assert len(votes) == 5
    for vote in votes:
        assert vote["outcome"] == shorter(vote["a"]["text"], vote["b"]["text"])
        assert sum(vote["meta"]["people"].values()) == 1
    drawn = 0
    while run_round(folder).waiting:  # also the two left over are asked, in any order
        answer_all(project, prefix, 1, lambda task: "both_bad")
        drawn += 1
    assert drawn <= 5
    found = json.loads((folder / "round-1" / "round.json").read_text())
    assert found["figures"]["win_rate"]["ties"] == 3
    assert found["figures"]["judge"] == "people"
    assert "mean_after" not in found["figures"]
    assert found["settings"]["min_votes"] == {"vote": 5, "compare": None}


@pytest.mark.slow(threads=1)
def test_another_folder_of_the_same_name_does_not_mix_its_answers_into_a_project(tmp_path, asked):
    project, one, two = tmp_path / "votes", tmp_path / "one" / "wheel", tmp_path / "two" / "wheel"
    for folder in (one, two):  # with the very same comparisons
        assert missing(run_round(folder, **asked, people=project)) == (7, 7)
    names = {id_of.rpartition("/")[0] for id_of in task_ids(project)}
    assert (len(task_ids(project)), len(names)) == (14, 2)
    answer_all(project, "wheel-", 1, lambda task: "a")
    assert sorted(missing(run_round(folder))[0] for folder in (one, two)) == [6, 7]


@pytest.mark.slow(threads=1)
def test_a_round_that_is_begun_again_and_asks_something_else_can_ask_in_the_same_project(tmp_path, asked):
    settings = asked | {"people": tmp_path / "votes"}
    for more, num_tasks in (({}, 7), ({}, 7), ({"temperature": 0.5}, 14)):
        shutil.rmtree(tmp_path / "wheel", ignore_errors=True)
        assert missing(run_round(tmp_path / "wheel", **settings, **more)) == (7, 7)
        assert len(task_ids(tmp_path / "votes")) == num_tasks


@pytest.mark.slow(threads=1)
def test_a_plan_without_a_name_for_its_tasks_asks_under_the_old_one_and_adds_all_or_none(tmp_path, asked):
    from penchant.feedback import Project, Store

    folder, project = tmp_path / "wheel", tmp_path / "votes"
    run_round(folder, **asked, people=project)
    plan = folder / "round-1" / "plan.json"
    plan.write_text(json.dumps({k: v for k, v in json.loads(plan.read_text()).items() if k != "tasks"}))
    shutil.rmtree(project)
    last = rows(folder / "round-1" / "samples.jsonl")[-1]
    with Store.open(Project.open(project, create=True)) as store:
        other = Comparison.model_validate(last | {"id": f"wheel/round-1/{last['id']}", "a": {"text": "else"}})
        store.add_tasks([other], origin="elsewhere")
    with pytest.raises(DataError, match=r"1 of \d+ comparisons cannot be asked, so none was added"):
        run_round(folder)
    assert task_ids(project) == [other.id]
    shutil.rmtree(project)
    run_round(folder)
    assert set(task_ids(project)) == {
        f"wheel/round-1/{row['id']}" for row in rows(folder / "round-1" / "samples.jsonl")
    }


@pytest.mark.parametrize(
    ("project", "words"),
    [
        ("file", "file is not a folder; choose another place for the project"),
        ("file/within", "file is not a folder; choose another place for the project"),
        ("wrong", "there is no setting 'overlp'"),
        ("torn", "not a database that can be read"),
    ],
)
def test_a_project_that_cannot_be_used_is_refused_before_a_round_begins(tmp_path, asked, listener, project, words):
    (tmp_path / "file").write_text("mine")
    for name, settings in (("wrong", "overlp: 2"), ("torn", "overlap: 1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "project.yaml").write_text(settings)
    (tmp_path / "torn" / "penchant.db").write_text("no database " * 100)
    with pytest.raises(UserError) as refused:
        run_round(tmp_path / "wheel", **asked, people=tmp_path / project, reporter=listener)
    assert words in str(refused.value)
    assert not [line for line in listener.said if "sample:" in line]
    assert not (tmp_path / "wheel").exists()


def test_a_new_project_is_not_made_before_it_is_needed(tmp_path, asked, monkeypatch):
    def stopped(*_):
        assert not (tmp_path / "new").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(model_stages, "sample_responses", stopped)
    with pytest.raises(RoundInterrupted):
        run_round(tmp_path / "wheel", **asked, people=tmp_path / "new" / "votes")
    assert not (tmp_path / "new").exists()
