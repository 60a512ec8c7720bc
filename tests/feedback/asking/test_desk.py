"""What people do with their pairs, without a database: what a desk decides, and the rows it would have stored."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from penchant.feedback import Annotator, NewAnswer, ProjectConfig, Refused
from penchant.feedback.asking import Board, Desk, Ids, People, hashed

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
ANN, BOB = 1, 2


class House:
    """Tasks t0, t1, ..., and Ann and Bob, whose tokens are their names; `desk()` is a transaction at `now`."""

    def __init__(self, num_tasks, **settings):
        self.config, self.now = ProjectConfig(**settings), NOON
        self.board, self.people, self.ids = Board(self.config.overlap), People({hashed("visitor"): BOB}), count(1)
        for i in range(num_tasks):
            self.board.put_task(f"t{i}", gold=None, uncertainty=None, is_private=False)
        for number, name in ((ANN, "Ann"), (BOB, "Bob")):
            self.people.put(Annotator(id=number, name=name, role="annotator", created_at=NOON), hashed(name))

    def desk(self, **stored):
        return Desk(
            self.config, self.board, self.people, ids=Ids(self.ids, self.ids), stored=stored, clock=lambda: self.now
        )


def answer(given, outcome="a", key="a-key-of-mine", **more):
    return NewAnswer(
        key=key, assignment_id=given.id, annotator_id=given.annotator_id, outcome=outcome, seconds=4, **more
    )


def test_a_vote_is_one_answer_and_the_next_pair_in_rows():
    house = House(3)
    first = house.desk().turn("Ann")
    assert first.current.task_id != first.then.task_id
    desk = house.desk()
    reply = desk.vote("Ann", first.current.id, lambda _, shown_first: answer(first.current, shown_first))
    (rows,) = desk.rows
    assert [row["key"] for row in rows.answers] == ["a-key-of-mine"]
    assert [row["task_id"] for row in rows.assignments] == [reply.then.task_id]
    assert rows.leases == []
    assert (reply.answer.outcome, reply.progress.answered, reply.progress.total) == (first.current.shown_first, 1, 3)


def test_a_slot_that_is_given_back_is_stored_before_it_is_given_again():
    house = House(1)
    mine = house.desk().next_pair(ANN).current
    desk = house.desk()
    desk.record(answer(mine, "skip"))
    assert desk.next_pair(BOB).current.task_id == "t0"
    kinds = [(len(rows.assignments), len(rows.answers), len(rows.leases)) for rows in desk.rows]
    assert kinds == [(0, 0, 1), (1, 1, 0)]


def test_a_lease_that_ran_out_goes_to_somebody_else_and_its_person_is_told():
    house = House(1, lease_minutes=15)
    mine = house.desk().next_pair(ANN).current
    assert house.desk().next_pair(BOB).current is None
    house.now += timedelta(minutes=16)
    assert house.desk().next_pair(BOB).current.task_id == "t0"
    desk = house.desk()
    with pytest.raises(Refused) as refused:
        desk.record(answer(mine))
    assert refused.value.code == "taken"
    assert [rows.assignments + rows.answers + rows.leases for rows in desk.rows] == [[]]


def test_an_answer_sent_twice_in_one_transaction_is_one():
    house = House(2)
    mine = house.desk().next_pair(ANN).current
    desk = house.desk()
    assert desk.record(answer(mine)).answer == desk.record(answer(mine)).answer
    assert len(desk.rows[0].answers) == 1
    with pytest.raises(Refused, match="another answer was sent under this key"):
        desk.record(answer(mine, "b"))
    withdrawn = desk.undo(ANN, "a-key-to-undo").answer
    assert (withdrawn.outcome, withdrawn.supersedes) == ("withdrawn", desk.rows[0].answers[0]["id"])


def test_whose_token_it_is():
    people = House(0).people
    assert (people.find("Ann").id, people.find("visitor").id) == (ANN, BOB)
    with pytest.raises(Refused) as refused:
        people.find("nobody")
    assert refused.value.code == "no_session"
    ann = people.require(ANN)
    people.put(ann.model_copy(update={"disabled_at": NOON}), hashed("Ann"))
    with pytest.raises(Refused) as refused:
        people.find("Ann")
    assert refused.value.code == "no_session"
