"""Many votes in one transaction: each is told what became of it, and one that fails harms no other."""

import threading

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from penchant.errors import ConfigError
from penchant.feedback import Project, Refused, Reply, Store
from penchant.feedback.asking import Desk
from penchant.feedback.storing.committing import Mirror
from penchant.feedback.storing.schema import answers, assignments


class Held:
    """The writing thread waits until it is let go, so that what is submitted meanwhile is one batch."""

    def __init__(self, store) -> None:
        self.go, begun = threading.Event(), threading.Event()

        def work(desk):
            begun.set()
            self.go.wait(20)
            return Reply()

        store.submit(work)
        assert begun.wait(20)


@pytest.fixture
def asked(make_any_store, make_answer):
    """A store, and for each of ten people an answer to the pair they have."""
    store = make_any_store(40)
    people = [invited(store, f"P{i}") for i in range(10)]
    return store, [make_answer(store.next_assignment(person), person) for person in people]


def invited(store, name):
    """The person's id; `submit` knows their token."""
    invitation = store.invite(name)
    store.token_of = getattr(store, "token_of", {}) | {invitation.annotator.id: invitation.token}
    return invitation.annotator.id


def submit(store, new, answer=None):
    vote = (Desk.vote, store.token_of[new.annotator_id], new.assignment_id, answer or (lambda *_: new))
    return store.submit(*vote, key=new.key)


def test_votes_that_come_together_are_stored_in_one_transaction(asked, monkeypatch):
    store, new = asked
    commits = []
    write = store._database.write
    held = Held(store)
    monkeypatch.setattr(store._database, "write", lambda: commits.append(1) or write())
    futures = [submit(store, answer) for answer in new]
    held.go.set()
    assert [future.result(20).answer.key for future in futures] == [answer.key for answer in new]
    assert len(commits) == 1
    assert len({future.result().then.task_id for future in futures}) == 10
    assert sorted(c.meta["answer"]["key"] for c in store.comparisons()) == sorted(answer.key for answer in new)


def test_a_refused_vote_and_a_broken_one_leave_the_others_of_their_batch(asked):
    store, new = asked

    def broken(*_):
        raise ZeroDivisionError

    held = Held(store)
    futures = [submit(store, answer) for answer in new[:8]]
    stolen = submit(store, new[8].model_copy(update={"assignment_id": new[0].assignment_id}))
    failing = submit(store, new[9], broken)
    held.go.set()
    assert all(future.result(20) for future in futures)
    with pytest.raises(Refused, match="not given to you"):
        stolen.result(20)
    with pytest.raises(ZeroDivisionError):
        failing.result(20)
    assert store.counts().answered == 8
    assert submit(store, new[9]).result(20).answer.key == new[9].key


def test_nothing_is_acknowledged_when_the_commit_fails_and_all_can_be_sent_again(asked, monkeypatch):
    store, new = asked
    held = Held(store)
    futures = [submit(store, answer) for answer in new]
    engine = store._database._writer
    with monkeypatch.context() as patch:
        patch.setattr(engine.dialect, "do_commit", lambda connection: (_ for _ in ()).throw(full_disk()))
        held.go.set()
        for future in futures:
            with pytest.raises(ConfigError, match="disk is full"):
                future.result(20)
    assert store.counts().answered == 0
    assert all(submit(store, answer).result(20) for answer in new)
    assert store.counts().answered == 10


def full_disk():
    return OperationalError("COMMIT", {}, Exception("database or disk is full"))


def test_a_pair_given_and_skipped_in_one_batch_is_skipped(make_any_store, make_answer):
    store = make_any_store(3)
    ann = invited(store, "Ann")
    first = store.next_assignment(ann)
    held = Held(store)
    answered = submit(store, make_answer(first, ann))
    skip = make_answer(first, ann, "skip").model_copy(update={"assignment_id": first.id + 1})
    skipped = submit(store, skip)
    held.go.set()
    assert answered.result(20).then.id == first.id + 1
    assert skipped.result(20).answer.outcome == "skip"
    with store._database.read() as connection:
        released = connection.execute(select(assignments.c.id).where(assignments.c.released_at.is_not(None)))
        assert list(released.scalars()) == [first.id + 1]


def test_who_gives_up_waiting_is_left_out(asked):
    store, new = asked
    held = Held(store)
    left, stays = submit(store, new[0]), submit(store, new[1])
    assert left.cancel()
    held.go.set()
    stays.result(20)
    assert store.counts().answered == 1


def test_closing_stores_what_waits(asked):
    store, new = asked
    held = Held(store)
    futures = [submit(store, answer) for answer in new]
    threading.Timer(0.2, held.go.set).start()
    store.close()
    assert all(future.done() for future in futures)
    with Store.open(Project.open(store.project.path)) as again:
        assert again.counts().answered == 10


def test_a_change_by_another_process_is_seen_at_once(asked, make_comparison, clock):
    store, new = asked
    with Store.open(Project.open(store.project.path), clock=clock) as other:
        token = other.invite("Zoe").token
        assert store.submit(Desk.turn, token).result(20).current is not None
        other.disable(new[0].annotator_id)
        with pytest.raises(Refused) as refused:
            store.record(new[0])
        assert refused.value.code == "disabled"
        other.add_tasks([make_comparison("late")], origin="tests")
        other.set_uncertainty({"late": 9.0})
        other.invite("Zoe")
        with pytest.raises(Refused) as refused:
            store.submit(Desk.turn, token).result(20)
        assert refused.value.code == "no_session"
        assert other.record(new[1]).key == new[1].key
        assert submit(store, new[1]).result(20).answer == other.record(new[1])


def test_answers_get_their_ids_in_the_order_in_which_they_are_stored(asked):
    store, new = asked
    for answer in new:
        submit(store, answer).result(20)
    with store._database.read() as connection:
        rows = connection.execute(select(answers.c.id, answers.c.key).order_by(answers.c.id)).all()
    assert [row.key for row in rows] == [answer.key for answer in new]


def test_what_is_in_memory_is_what_would_be_read_anew(make_any_store, make_answer, clock):
    store = make_any_store(12, overlap=3, repeat_share=0.3)
    people = [store.invite(f"P{i}").annotator.id for i in range(4)]
    for round_ in range(30):
        person = people[round_ % 4]
        assignment = store.next_assignment(person, seed=round_, ahead=round_ % 2)
        if assignment is None:
            continue
        if round_ % 11 != 7:
            outcome = ("a", "b", "skip", "tie")[round_ * 7 % 4]
            store.record(make_answer(assignment, person, outcome))
        if round_ % 5 == 4:
            store.undo(person, f"undo-number-{round_}")
        clock.pass_by(minutes=3 + 20 * (round_ % 9 == 8))
    fresh = Mirror(3, {})
    with store._database.read() as connection:
        fresh.sync(connection)
    for person in people:
        mine, anew = store._group.mirror.board, fresh.board
        assert mine.open_of(person) == anew.open_of(person)
        assert mine.progress(person) == anew.progress(person)
        assert mine.repeats_for(person) == anew.repeats_for(person)
        assert mine.latest(person) == anew.latest(person)
        pools = mine.pool(person), anew.pool(person)
        assert pools[0].num == pools[1].num
        assert pools[0].num_highest == pools[1].num_highest
        assert set(pools[0]._highest.items) == set(pools[1]._highest.items)
