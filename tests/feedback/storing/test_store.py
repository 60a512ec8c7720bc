"""The store: who is asked what, who may answer, and what is read back; on SQLite and on PostgreSQL."""

import uuid

import pytest
from pydantic import ValidationError

from penchant.data.records import Candidate
from penchant.errors import ConfigError, DataError
from penchant.feedback import Project, Refused, Store
from penchant.feedback.asking import Desk


def key():
    return str(uuid.uuid4())


def answer_all(store, annotator_id, make_answer, outcome="a"):
    """Answer until nothing is left; the tasks in their order."""
    asked = []
    while assignment := store.next_assignment(annotator_id, seed=len(asked)):
        store.record(make_answer(assignment, annotator_id, outcome))
        asked.append(assignment.task_id)
    return asked


def test_a_person_is_asked_every_task_once_and_then_nothing_is_left(make_any_store, make_answer):
    store = make_any_store(5)
    ann = store.invite("Ann").annotator.id
    assert sorted(answer_all(store, ann, make_answer)) == ["t0", "t1", "t2", "t3", "t4"]
    assert store.next_assignment(ann) is None
    assert store.next_assignment(store.invite("Bob").annotator.id) is None  # overlap is 1


def test_an_answer_is_read_back_with_everything_that_was_said(make_any_store, make_answer, make_comparison, clock):
    store = make_any_store(0, strength=True, reasons=["clear", "true"])
    asked = make_comparison("t0", meta={"topic": "stars"})
    store.add_tasks([asked], origin="tests")
    ann = store.invite("Ann").annotator.id
    assignment = store.next_assignment(ann, seed=1)
    new = make_answer(assignment, ann, "b", strength=3, reasons=("true",), comment="雪 is snow", seconds=7.5)
    store.record(new)
    (got,) = store.comparisons()
    assert (got.id, got.prompt, got.a, got.b) == (asked.id, asked.prompt, asked.a, asked.b)
    assert (got.outcome, got.strength, got.annotator, got.created_at) == ("b", 3, "Ann", clock.now)
    assert got.shown_first == assignment.shown_first
    assert got.meta == {
        "topic": "stars",
        "answer": {
            "key": new.key,
            "kind": "main",
            "chosen_by": got.meta["answer"]["chosen_by"],
            "probability": 1.0,
            "seconds": 7.5,
            "flags": [],
            "reasons": ["true"],
            "comment": "雪 is snow",
        },
    }


def test_nobody_sees_or_answers_what_another_was_given(make_any_store, make_answer):
    store = make_any_store(2)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    assignment = store.next_assignment(ann)
    assert store.assignment(assignment.id, bob) is None
    with pytest.raises(Refused, match="not given to you") as refused:
        store.record(make_answer(assignment, bob))
    assert refused.value.code == "not_yours"
    with pytest.raises(Refused):
        store.record(make_answer(assignment, 999))
    assert store.counts().answered == 0
    assert store.history(bob) == []
    assert store.assignment(assignment.id, ann) == assignment


def test_the_same_key_twice_is_one_answer_and_another_answer_under_it_is_refused(make_any_store, make_answer):
    store = make_any_store(2)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    new = make_answer(store.next_assignment(ann), ann, "a")
    first = store.record(new)
    assert store.record(new) == first
    assert store.record(new.model_copy(update={"seconds": 60.0})) == first  # sent again later
    assert store.counts().answered == 1
    with pytest.raises(Refused) as refused:
        store.record(new.model_copy(update={"outcome": "b"}))
    assert refused.value.code == "key"
    theirs = make_answer(store.next_assignment(bob), bob, "a", key=new.key)
    with pytest.raises(Refused):
        store.record(theirs)
    with pytest.raises(Refused):
        store.undo(ann, new.key)


def test_a_change_is_a_new_row_and_the_old_one_stays(make_any_store, make_answer):
    store = make_any_store(1)
    ann = store.invite("Ann").annotator.id
    assignment = store.next_assignment(ann)
    first = store.record(make_answer(assignment, ann, "a"))
    second = store.record(make_answer(assignment, ann, "tie"))
    assert second.supersedes == first.id
    assert [c.outcome for c in store.comparisons()] == ["tie"]
    assert [c.outcome for c in store.comparisons(current=False)] == ["a", "tie"]
    assert [line.answer.outcome for line in store.history(ann)] == ["tie"]
    assert store.assignment(assignment.id, ann).answer == second


def test_undo_opens_the_pair_again_and_goes_back_answer_by_answer(make_any_store, make_answer):
    store = make_any_store(3)
    ann = store.invite("Ann").annotator.id
    first, second = [], []
    for kept in (first, second):
        kept.append(store.next_assignment(ann))
        store.record(make_answer(kept[0], ann))
    undo = key()
    withdrawn = store.undo(ann, undo)
    assert withdrawn.outcome == "withdrawn"
    assert withdrawn.assignment_id == second[0].id
    assert store.undo(ann, undo) == withdrawn  # sent twice, undone once
    assert store.next_assignment(ann) == second[0]
    assert store.undo(ann, key()).assignment_id == first[0].id
    assert store.undo(ann, key()) is None
    assert list(store.comparisons()) == []
    assert store.next_assignment(ann) == first[0]
    store.record(make_answer(first[0], ann, "b"))
    assert [c.outcome for c in store.comparisons()] == ["b"]


def test_undo_takes_back_what_was_said_last_also_where_that_was_a_change(make_any_store, make_answer):
    store = make_any_store(3)
    ann = store.invite("Ann").annotator.id
    first, second = store.next_assignment(ann), store.next_assignment(ann, ahead=1)
    for assignment, outcome in ((first, "a"), (second, "b"), (first, "tie")):
        store.record(make_answer(assignment, ann, outcome))
    assert store.undo(ann, key()).assignment_id == first.id
    assert [(c.id, c.outcome) for c in store.comparisons()] == [(second.task_id, "b")]
    assert store.undo(ann, key()).assignment_id == second.id


def test_a_skip_goes_to_others_and_not_to_the_same_person_again(make_any_store, make_answer):
    store = make_any_store(1)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    store.record(make_answer(store.next_assignment(ann), ann, "skip"))
    assert store.next_assignment(ann) is None
    given = store.next_assignment(bob)
    assert given.task_id == "t0"
    assert store.counts().skipped == 1
    with pytest.raises(Refused) as refused:
        store.undo(ann, key())
    assert refused.value.code == "taken"
    store.record(make_answer(given, bob))
    assert [c.annotator for c in store.comparisons()] == ["Bob"]


def test_a_skip_can_be_undone_while_nobody_has_the_pair(make_any_store, make_answer):
    store = make_any_store(1)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    assignment = store.next_assignment(ann)
    store.record(make_answer(assignment, ann, "skip"))
    store.undo(ann, key())
    assert store.next_assignment(bob) is None
    assert store.next_assignment(ann) == assignment


def test_a_lease_that_ran_out_goes_to_whoever_asks(make_any_store, make_answer, clock):
    store = make_any_store(1, lease_minutes=15)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    late = store.next_assignment(ann)
    clock.pass_by(minutes=14)
    assert store.next_assignment(bob) is None
    clock.pass_by(minutes=2)
    given = store.next_assignment(bob)
    assert given.task_id == late.task_id
    with pytest.raises(Refused) as refused:
        store.record(make_answer(late, ann))
    assert refused.value.code == "taken"
    store.record(make_answer(given, bob))


def test_a_late_answer_is_taken_where_nobody_else_was_given_the_pair(make_any_store, make_answer, clock):
    store = make_any_store(2, lease_minutes=15)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    late = store.next_assignment(ann)
    clock.pass_by(hours=3)
    store.next_assignment(bob)
    if store.next_assignment(bob).task_id == late.task_id:  # whichever of the two he was given, leave him the other
        store.record(make_answer(store.next_assignment(bob), bob, "skip"))
        assert store.next_assignment(bob).task_id != late.task_id
    assert store.record(make_answer(late, ann)).outcome == "a"


def test_a_person_who_comes_back_late_finds_the_same_pair_and_keeps_it(make_any_store, clock):
    store = make_any_store(1, lease_minutes=15)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    assignment = store.next_assignment(ann)
    clock.pass_by(hours=3)
    assert store.next_assignment(ann) == assignment
    clock.pass_by(minutes=10)
    assert store.next_assignment(bob) is None  # the lease began anew


def test_a_vote_renews_the_lease_of_the_pair_that_was_fetched_ahead(make_any_store, make_answer, clock):
    store = make_any_store(2, lease_minutes=15)
    invitation = store.invite("Ann")
    ann, bob = invitation.annotator.id, store.invite("Bob").annotator.id
    first, ahead = store.next_assignment(ann), store.next_assignment(ann, ahead=1)
    clock.pass_by(minutes=14)
    new = make_answer(first, ann)
    assert store.submit(Desk.vote, invitation.token, first.id, lambda *_: new, key=new.key).result(20).then is None
    clock.pass_by(minutes=14)
    assert store.next_assignment(bob) is None
    store.record(make_answer(ahead, ann))


def test_one_pair_can_be_fetched_ahead_and_it_is_the_next_one(make_any_store, make_answer):
    store = make_any_store(5)
    ann = store.invite("Ann").annotator.id
    current = store.next_assignment(ann)
    ahead = store.next_assignment(ann, ahead=1)
    assert store.next_assignment(ann) == current
    assert store.next_assignment(ann, ahead=1) == ahead
    assert ahead.task_id != current.task_id
    assert store.counts().open == 2
    store.record(make_answer(current, ann))
    assert store.next_assignment(ann) == ahead


def test_progress_counts_what_is_answered_and_what_is_left_for_this_person(make_any_store, make_answer, clock):
    store = make_any_store(4, overlap=2)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    assert (store.progress(ann).answered, store.progress(ann).total) == (0, 4)
    for seconds in (4.0, 6.0, 20.0):
        store.record(make_answer(store.next_assignment(ann), ann, seconds=seconds))
        clock.pass_by(seconds=30)
    clock.pass_by(hours=2)
    store.record(make_answer(store.next_assignment(ann), ann, "skip"))
    progress = store.progress(ann)
    assert (progress.answered, progress.total, progress.seconds_median) == (3, 3, 6.0)
    assert progress.per_hour == pytest.approx(120)
    assert store.progress(bob).total == 4
    assert (store.progress().answered, store.progress().total) == (3, 8)


def test_a_gold_task_is_asked_like_any_other_and_never_as_a_main_task(make_any_store, make_answer, make_comparison):
    store = make_any_store(3, gold_share=0.5)
    store.add_tasks([make_comparison("g0", outcome="b")], origin="tests", gold=True)
    ann = store.invite("Ann").annotator.id
    asked = answer_all(store, ann, make_answer)
    kinds = {c.id: c.meta["answer"]["kind"] for c in store.comparisons()}
    assert sorted(kind for task, kind in kinds.items() if task != "g0") == ["main"] * 3
    assert kinds.get("g0", "gold") == "gold"
    assert len(asked) == len(set(asked))
    known = [c for c in store.comparisons() if c.id == "g0"]
    assert [c.meta["answer"]["gold"] for c in known] == ["b"] * len(known)


def test_what_an_annotator_is_shown_tells_neither_gold_nor_source(make_any_store, make_comparison):
    store = make_any_store(0, gold_share=1.0)
    store.add_tasks([make_comparison("g0", outcome="b")], origin="secret.jsonl", gold=True)
    shown = store.next_assignment(store.invite("Ann").annotator.id)
    assert set(shown.model_dump()) == {"id", "task_id", "prompt", "a", "b", "shown_first", "answer"}
    assert "big" not in shown.model_dump_json()


def test_own_earlier_tasks_are_asked_again_after_ten_answers_and_once_each(make_any_store, make_answer):
    store = make_any_store(15, repeat_share=0.9)
    ann = store.invite("Ann").annotator.id
    asked = answer_all(store, ann, make_answer)
    places = {}
    for place, task_id in enumerate(asked):
        places.setdefault(task_id, []).append(place)
    repeated = [where for where in places.values() if len(where) > 1]
    assert repeated
    assert all(len(where) == 2 and where[1] - where[0] > 10 for where in repeated)
    assert [c.meta["answer"]["kind"] for c in store.comparisons()].count("repeat") == len(repeated)


def test_a_hasty_answer_is_flagged_and_a_hasty_skip_is_not(make_any_store, make_answer):
    store = make_any_store(2, too_fast_seconds=2)
    ann = store.invite("Ann").annotator.id
    assert store.record(make_answer(store.next_assignment(ann), ann, seconds=1.9)).flags == ("too_fast",)
    assert store.record(make_answer(store.next_assignment(ann), ann, "skip", seconds=0.1)).flags == ()
    assert store.counts().flags == {"too_fast": 1}


def test_strength_and_reasons_are_refused_where_the_project_does_not_ask_for_them(make_store, make_answer):
    store = make_store(1, reasons=["clear"])
    ann = store.invite("Ann").annotator.id
    assignment = store.next_assignment(ann)
    for fields, code in (({"strength": 2}, "strength"), ({"reasons": ("pretty",)}, "reason")):
        with pytest.raises(Refused) as refused:
            store.record(make_answer(assignment, ann, "a", **fields))
        assert refused.value.code == code
    with pytest.raises(ValidationError):
        make_answer(assignment, ann, "tie", strength=2)
    with pytest.raises(ValidationError):
        make_answer(assignment, ann, "a", comment="nul \x00")
    with pytest.raises(ValidationError):
        make_answer(assignment, ann, "a", seconds=float("nan"))


def test_a_token_lets_in_its_person_alone_and_is_not_in_the_database(make_any_store):
    store = make_any_store()
    invitation = store.invite("Ann", "admin")
    assert store.annotator_by_token(invitation.token) == invitation.annotator
    assert invitation.annotator.role == "admin"
    assert store.annotator_by_token(invitation.token + "x") is None
    assert store.annotator_by_token("") is None
    if store.project.config.database is None:
        assert invitation.token.encode() not in (store.project.path / "penchant.db").read_bytes()
    renewed = store.invite("Ann")
    assert renewed.annotator.id == invitation.annotator.id
    assert store.annotator_by_token(invitation.token) is None
    assert store.annotator_by_token(renewed.token).role == "annotator"


def test_a_disabled_person_is_out_their_answers_stay_and_their_pair_goes_to_others(make_any_store, make_answer):
    store = make_any_store(2)
    invitation, bob = store.invite("Ann"), store.invite("Bob").annotator.id
    ann = invitation.annotator.id
    store.record(make_answer(store.next_assignment(ann), ann))
    held = store.next_assignment(ann)
    store.disable(ann)
    assert store.annotator_by_token(invitation.token) is None
    for attempt in (lambda: store.next_assignment(ann), lambda: store.record(make_answer(held, ann))):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.code == "disabled"
    assert store.next_assignment(bob).task_id == held.task_id
    assert store.counts().by_annotator == {"Ann": 1}


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "line\nbreak", "(unknown)"])
def test_a_name_nobody_can_have_is_refused(make_store, name):
    with pytest.raises(ConfigError, match="a name must be 1 to 100 printable characters"):
        make_store().invite(name)


def test_disagreements_are_listed_and_an_admin_settles_them(make_any_store, make_answer):
    store = make_any_store(2, overlap=2)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    boss = store.invite("Boss", "admin").annotator.id
    outcomes = {("t0", ann): "a", ("t0", bob): "b", ("t1", ann): "tie", ("t1", bob): "tie"}
    for person in (ann, bob):
        while assignment := store.next_assignment(person):
            store.record(make_answer(assignment, person, outcomes[assignment.task_id, person]))
    (found,) = store.disagreements()
    assert found.task_id == "t0"
    assert sorted((name, answer.outcome) for name, answer in found.answers) == [("Ann", "a"), ("Bob", "b")]
    assert found.adjudication is None
    with pytest.raises(Refused) as refused:
        store.adjudicate("t0", ann, key=key(), outcome="a")
    assert refused.value.code == "not_admin"
    first = store.adjudicate("t0", boss, key=key(), outcome="a", comment="see the source")
    other = store.invite("Chief", "admin").annotator.id
    second = store.adjudicate("t0", other, key=key(), outcome="b")
    assert second.supersedes == first.id
    assert store.disagreements()[0].adjudication == second
    assert [c.outcome for c in store.comparisons() if c.meta["answer"]["kind"] == "adjudication"] == ["b"]
    assert store.history(boss) == []
    assert store.undo(boss, key()) is None
    with pytest.raises(Refused):
        store.adjudicate("t9", boss, key=key(), outcome="a")


def test_history_is_read_page_by_page_newest_first(make_any_store, make_answer):
    store = make_any_store(5)
    ann = store.invite("Ann").annotator.id
    asked = answer_all(store, ann, make_answer)
    page = store.history(ann, limit=2)
    rest = store.history(ann, before=page[-1].answer.id)
    assert [line.assignment.task_id for line in (*page, *rest)] == asked[::-1]
    assert page[0].assignment.answer == page[0].answer


def test_the_most_uncertain_task_comes_first_and_then_the_one_people_differ_on(make_any_store, make_answer):
    store = make_any_store(4, overlap=3, random_share=0.0)
    assert store.set_uncertainty({"t2": 0.9, "t1": 0.1, "nowhere": 1.0}) == 2
    people = [store.invite(name).annotator.id for name in ("Ann", "Bob", "Cem")]
    assert store.next_assignment(people[0]).task_id == "t2"
    for person, outcome in zip(people[:2], ("a", "b"), strict=True):
        while assignment := store.next_assignment(person):
            store.record(make_answer(assignment, person, outcome if assignment.task_id == "t3" else "a"))
    asked = answer_all(store, people[2], make_answer)
    assert asked[:3] == ["t2", "t3", "t1"]  # 0.9, a disagreement of 1/2, 0.1, none
    with pytest.raises(DataError, match="finite"):
        store.set_uncertainty({"t0": float("nan")})


def test_tasks_are_added_once_and_a_known_id_with_other_texts_is_refused(make_any_store, make_comparison):
    store = make_any_store()
    tasks = [make_comparison(f"t{i}") for i in range(3)]
    assert store.add_tasks(tasks, origin="one.jsonl").added == 3
    again = store.add_tasks([*tasks, make_comparison("t1", b=Candidate(text="another"))], origin="two.jsonl")
    assert (again.added, again.known) == (0, 3)
    assert len(again.refused) == 1
    assert "t1" in again.refused[0]
    assert "another" in again.refused[0]
    assert store.counts().tasks == 3


def test_a_task_to_ask_does_not_become_gold_and_gold_keeps_its_answer(make_store, make_comparison):
    store = make_store(1)
    gold = make_comparison("g0", outcome="a")
    assert store.add_tasks([gold, make_comparison("t0", outcome="a")], origin="tests", gold=True).refused == (
        "t0: the project has the same task without a right answer; give this gold task another id",
    )
    again = store.add_tasks([gold, gold.model_copy(update={"outcome": "b"})], origin="tests", gold=True)
    assert (again.known, len(again.refused)) == (1, 1)
    assert "right answer a" in again.refused[0]
    assert (store.counts().tasks, store.counts().gold) == (1, 1)


def test_reading_in_pages_leaves_nothing_out_and_nothing_in_twice(make_store, make_answer, monkeypatch):
    monkeypatch.setattr("penchant.feedback.storing.overview.PAGE", 3)
    store = make_store(8)
    ann = store.invite("Ann").annotator.id
    asked = answer_all(store, ann, make_answer)
    reading = store.comparisons()
    first = next(reading)
    store.record(make_answer(store.history(ann, limit=1)[0].assignment, ann, "b"))  # changed while somebody reads
    got = [first, *reading]
    assert [c.id for c in got] == asked
    assert {c.outcome for c in got} == {"a"}  # as it was when the reading began
    assert [c.outcome for c in store.comparisons()] == ["a"] * 7 + ["b"]


def test_numbers_too_large_for_the_database_are_nobodys(make_any_store):
    store = make_any_store(1)
    ann = store.invite("Ann").annotator.id
    for number in (0, -1, 2**31, 2**70):
        assert store.assignment(number, ann) is None
    assert store.history(ann, before=2**70) == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"b": Candidate(text=" \n")}, "empty"),
        ({"b": Candidate(text="answer a of t0 ")}, "same text"),
        ({"prompt": ()}, "no messages"),
        ({"outcome": "a", "strength": 5}, "1 to 4"),
        ({"id": "a\x00b"}, "NUL"),
    ],
)
def test_a_task_nobody_could_answer_is_refused_with_its_reason(make_store, make_comparison, fields, reason):
    store = make_store()
    added = store.add_tasks([make_comparison().model_copy(update=fields)], origin="tests")
    assert added.added == 0
    assert reason in added.refused[0]


def test_answers_given_elsewhere_come_with_their_tasks_and_only_once(make_any_store, make_comparison):
    store = make_any_store()
    given = [make_comparison("t0", outcome=outcome, annotator=name) for name, outcome in (("Ann", "a"), ("Bob", "b"))]
    given += [make_comparison("t0", outcome="tie")] * 2  # two people without names who said the same
    assert store.add_tasks(given, origin="tests").answers == 4
    again = store.add_tasks(given, origin="tests")
    assert (again.answers, again.known) == (0, 4)
    got = [(c.annotator, c.outcome) for c in store.comparisons()]
    assert got == [("Ann", "a"), ("Bob", "b"), (None, "tie"), (None, "tie")]
    assert store.next_assignment(store.invite("Cem").annotator.id) is None  # already more answers than overlap


@pytest.mark.slow(threads=1)
def test_what_is_exported_and_imported_elsewhere_is_the_same(make_any_store, make_answer, make_comparison):
    store = make_any_store(14, overlap=2, gold_share=0.3, repeat_share=0.4, strength=True)
    gold = [make_comparison(f"g{i}", outcome="b", meta={"topic": i}) for i in range(3)]
    store.add_tasks(gold, origin="tests", gold=True)
    for name in ("Ann", "Bob"):
        person = store.invite(name).annotator.id
        while assignment := store.next_assignment(person, seed=store.counts().answered):
            outcome = ("a", "b", "tie", "both_bad")[assignment.id % 4]
            store.record(make_answer(assignment, person, outcome, strength=2 if outcome in ("a", "b") else None))
    boss = store.invite("Boss", "admin").annotator.id
    split = store.disagreements()
    store.adjudicate(split[0].task_id, boss, key=key(), outcome="tie")
    exported = list(store.comparisons())
    assert {c.meta["answer"]["kind"] for c in exported} == {"main", "gold", "repeat", "adjudication"}
    fresh = make_any_store()
    fresh.add_tasks(exported, origin="export")
    assert list(fresh.comparisons()) == exported
    assert len(fresh.disagreements()) == len(split)


def test_a_store_is_the_same_after_it_was_closed(make_store, make_answer):
    store = make_store(2)
    ann = store.invite("Ann").annotator.id
    store.record(make_answer(store.next_assignment(ann), ann))
    before = list(store.comparisons())
    store.close()
    with Store.open(Project.open(store.project.path)) as again:
        assert list(again.comparisons()) == before


def test_all_or_none_of_some_comparisons_are_added(make_any_store, make_comparison):
    store = make_any_store(1)
    other = make_comparison("t0", a=Candidate(text="something else"))
    refused = store.add_tasks([make_comparison("new"), other], origin="tests", all_or_none=True)
    assert (refused.added, len(refused.refused)) == (0, 1)
    assert store.counts().tasks == 1
    assert store.add_tasks([make_comparison("new")], origin="tests", all_or_none=True).added == 1
    assert store.counts().tasks == 2
