"""What must hold when many ask at once, when a process is killed, and whatever the order of what people do."""

import subprocess
import sys
import textwrap
import threading
import uuid
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from penchant.feedback import Project, Refused, Store
from penchant.feedback.storing.schema import assignments

NUM_THREADS = 8


def in_threads(work, num=NUM_THREADS):
    """Run `work(i)` in threads that start together; what they raised is raised here."""
    barrier, errors = threading.Barrier(num), []

    def run(i):
        try:
            barrier.wait(20)
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(num)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if errors:
        raise errors[0]


@pytest.mark.parametrize("overlap", [1, 3])
def test_eight_threads_that_ask_at_once_never_exceed_the_overlap_and_answer_everything(
    make_any_store, make_answer, overlap
):
    store = make_any_store(6, overlap=overlap)
    people = [store.invite(f"P{i}").annotator.id for i in range(NUM_THREADS)]

    def work(i):
        while assignment := store.next_assignment(people[i]):
            store.record(make_answer(assignment, people[i]))

    in_threads(work)
    answers = Counter(c.id for c in store.comparisons())
    assert answers == {f"t{i}": overlap for i in range(6)}
    assert len({(c.id, c.annotator) for c in store.comparisons()}) == 6 * overlap


def test_one_person_who_asks_from_eight_tabs_has_one_open_pair(make_any_store):
    store = make_any_store(5)
    ann = store.invite("Ann").annotator.id
    given = []
    in_threads(lambda i: given.append(store.next_assignment(ann).id))
    assert len(given) == NUM_THREADS
    assert len(set(given)) == 1
    assert store.counts().open == 1


def test_the_same_answer_sent_eight_times_at_once_is_one_answer(make_any_store, make_answer):
    store = make_any_store(1)
    ann = store.invite("Ann").annotator.id
    new = make_answer(store.next_assignment(ann), ann)
    stored = []
    in_threads(lambda i: stored.append(store.record(new)))
    assert len(set(stored)) == 1
    assert len(stored) == NUM_THREADS
    assert store.counts().answered == 1


def test_changes_made_at_once_form_one_chain(make_any_store, make_answer):
    store = make_any_store(1)
    ann = store.invite("Ann").annotator.id
    assignment = store.next_assignment(ann)
    in_threads(lambda i: store.record(make_answer(assignment, ann, "ab"[i % 2])))
    assert len(list(store.comparisons())) == 1
    assert len(list(store.comparisons(current=False))) == NUM_THREADS


def test_two_stores_of_one_project_share_the_work(make_any_store, make_answer, clock):
    first = make_any_store(6)
    people = [first.invite(f"P{i}").annotator.id for i in range(4)]
    with Store.open(Project.open(first.project.path), clock=clock) as second:

        def work(i):
            store = (first, second)[i % 2]
            while assignment := store.next_assignment(people[i]):
                store.record(make_answer(assignment, people[i]))

        in_threads(work, num=4)
    assert Counter(c.id for c in first.comparisons()) == {f"t{i}": 1 for i in range(6)}


ANSWERER = """
    import sys, uuid
    from penchant.feedback import NewAnswer, Project, Store

    with Store.open(Project.open(sys.argv[1])) as store:
        ann = store.invite("Ann").annotator.id
        while assignment := store.next_assignment(ann):
            key = str(uuid.uuid4())
            ids = {"assignment_id": assignment.id, "annotator_id": ann}
            store.record(NewAnswer(key=key, outcome="a", seconds=3, **ids))
            print(key, flush=True)
"""


@pytest.mark.slow(threads=1)
def test_an_acknowledged_answer_survives_a_kill(real_disk, make_store):
    store = make_store(500)
    store.close()
    command = [sys.executable, "-c", textwrap.dedent(ANSWERER), str(store.project.path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    acknowledged = [process.stdout.readline().strip() for _ in range(12)]
    process.kill()
    rest, _ = process.communicate()
    acknowledged += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    acknowledged = {line.strip() for line in acknowledged}
    with Store.open(Project.open(store.project.path)) as again:
        stored = {c.meta["answer"]["key"] for c in again.comparisons()}
        assert acknowledged <= stored
        assert len(stored) <= len(acknowledged) + 1  # one may be on the disk and not yet acknowledged
        assert again.next_assignment(again.invite("Ann").annotator.id) is not None


class People(RuleBasedStateMachine):
    """Two people answer, change, skip and undo in any order; a dict says what must be current."""

    make = None

    @initialize(overlap=st.integers(1, 2))
    def begins(self, overlap):
        self.overlap = overlap
        self.store, self.make_answer, self.clock = type(self).make(overlap)
        self.people = [self.store.invite(name).annotator.id for name in ("Ann", "Bob")]
        self.now = {}  # (person, assignment id) -> outcome
        self.said = {person: [] for person in self.people}  # assignment ids in the order of their latest answers
        self.task_of = {}

    person = st.integers(0, 1)
    outcome = st.sampled_from(["a", "b", "tie", "both_bad", "skip"])

    def _record(self, who, assignment, outcome):
        self.store.record(self.make_answer(assignment, who, outcome))
        self.now[who, assignment.id] = outcome
        self.task_of[assignment.id] = assignment.task_id
        self.said[who] = [*(a for a in self.said[who] if a != assignment.id), assignment.id]

    def _was_taken(self, refused, who, assignment_id):
        """Only a skipped pair can have gone to somebody else."""
        assert refused.code == "taken"
        assert self.now[who, assignment_id] == "skip"

    @rule(person=person, outcome=outcome, seed=st.integers(0, 99))
    def answers_the_next(self, person, outcome, seed):
        who = self.people[person]
        assignment = self.store.next_assignment(who, seed=seed)
        if assignment is None:
            return
        assert assignment.answer is None
        assert assignment.task_id not in {self.task_of[a] for (p, a) in self.now if p == who}
        self._record(who, assignment, outcome)

    @precondition(lambda self: self.now)
    @rule(data=st.data(), outcome=outcome)
    def changes_an_earlier_answer(self, data, outcome):
        who, assignment_id = data.draw(st.sampled_from(sorted(self.now)))
        try:
            self._record(who, self.store.assignment(assignment_id, who), outcome)
        except Refused as refused:
            self._was_taken(refused, who, assignment_id)

    @rule(person=person)
    def undoes(self, person):
        who = self.people[person]
        try:
            answer = self.store.undo(who, str(uuid.uuid4()))
        except Refused as refused:
            self._was_taken(refused, who, self.said[who][-1])
            return
        if not self.said[who]:
            assert answer is None
            return
        undone = self.said[who].pop()
        assert answer.assignment_id == undone
        del self.now[who, undone]

    @rule(person=person, minutes=st.sampled_from([1, 10, 20]))
    def lets_time_pass(self, person, minutes):
        self.store.next_assignment(self.people[person])
        self.clock.pass_by(minutes=minutes)

    @invariant()
    def what_is_current_is_what_was_said_last(self):
        current = Counter((c.annotator, c.id, c.outcome) for c in self.store.comparisons())
        names = dict(zip(self.people, ("Ann", "Bob"), strict=True))
        said = ((names[who], self.task_of[a], outcome) for (who, a), outcome in self.now.items() if outcome != "skip")
        assert current == Counter(said)
        for who in self.people:
            assert [line.assignment.id for line in self.store.history(who)] == self.said[who][::-1]
            assert self.store.progress(who).answered == sum(o != "skip" for (p, _), o in self.now.items() if p == who)

    @invariant()
    def no_task_has_more_live_assignments_than_the_overlap(self):
        with self.store._database.read() as connection:
            live = select(assignments.c.task_id).where(assignments.c.released_at.is_(None))
            assert all(num <= self.overlap for num in Counter(connection.scalars(live)).values())


@pytest.mark.slow
def test_whatever_people_do_in_whatever_order_the_latest_word_counts(make_store, make_answer, clock):
    def make(overlap):
        return make_store(3, overlap=overlap, lease_minutes=15), make_answer, clock

    class Machine(People):
        pass

    Machine.make = staticmethod(make)
    Machine.TestCase.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
    Machine.TestCase().runTest()
