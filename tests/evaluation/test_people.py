"""People behind the protocol of judges: asked once, heard as they answer, and never taken for a stand-in."""

import pytest

from penchant.data import Candidate, Comparison, Message
from penchant.errors import ConfigError
from penchant.evaluation.judges import Judge, PeopleJudge, judge_comparisons

pytest.importorskip("sqlalchemy")
from penchant.feedback import NewAnswer, Project, Store


def comparison(name, a, b):
    prompt = (Message(role="user", content=f"Ask {name}"),)
    return Comparison(id=name, prompt=prompt, a=Candidate(text=a), b=Candidate(text=b), meta={"kept": 1})


ROWS = [comparison("0", "short", "rather longer"), comparison("1", "same", "same "), comparison("2", "aa", "a")]


def answer(project, name, outcome, num):
    """`num` open tasks, answered by a person of this name."""
    with Store.open(Project.open(project)) as store:
        person = store.invite(name).annotator
        for key in range(num):
            task = store.next_assignment(person.id, seed=0)
            ids = {"assignment_id": task.id, "annotator_id": person.id}
            store.record(NewAnswer(key=f"{name}-answer-{key}", outcome=outcome, seconds=5.0, **ids))


def test_what_people_answered_is_theirs_and_what_needs_nobody_ties_unasked(tmp_path):
    judge = PeopleJudge(tmp_path / "project", "mine")
    assert isinstance(judge, Judge)
    for _ in range(2):  # asking twice changes nothing
        assert [(place, one.outcome, one.people) for place, one in judge.answers(ROWS)] == [(1, "tie", ())]
    answer(judge.project, "anna", "tie", 2)
    votes = judge_comparisons(judge, ROWS)
    assert [(vote.outcome, vote.annotator) for vote in votes] == [("tie", "anna"), ("tie", None), ("tie", "anna")]
    assert votes[0].meta == {"kept": 1, "people": {"tie": 1}}
    assert votes[1].meta == {"kept": 1}


def test_answers_that_are_not_there_yet_are_not_made_up(tmp_path):
    judge = PeopleJudge(tmp_path / "project", "mine")
    list(judge.answers(ROWS))
    answer(judge.project, "anna", "both_bad", 1)
    assert len(dict(judge.answers(ROWS))) == 2
    with pytest.raises(ConfigError, match="judge 'people' answered 2 of 3 comparisons"):
        judge_comparisons(judge, ROWS)
