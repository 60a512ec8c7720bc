"""Pairs that ran out unanswered: they go to whoever asks next, and that may be the same person."""

import pytest

from penchant.feedback import Project, Refused, Store


def ask_twice(store, person):
    """The open pair and the one after it."""
    return [store.next_assignment(person), store.next_assignment(person, ahead=1)]


def tasks_of(assignments):
    return sorted(assignment.task_id for assignment in assignments)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_pairs_that_ran_out_are_offered_to_the_same_person_again(make_any_store, make_answer, clock, is_restarted):
    store = make_any_store(2, overlap=3, lease_minutes=15)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    late = ask_twice(store, ann)
    clock.pass_by(minutes=16)
    store.next_assignment(bob)  # gives back what ran out
    anew = Store.open(Project.open(store.project.path), clock=clock) if is_restarted else store
    assert anew.progress(ann).total == 2
    again = ask_twice(anew, ann)
    assert tasks_of(again) == tasks_of(late) == ["t0", "t1"]
    for assignment in again:
        anew.record(make_answer(assignment, ann))
    assert anew.next_assignment(ann) is None
    with pytest.raises(Refused) as refused:
        anew.record(make_answer(late[0], ann, "b"))  # from a page that was left open: she has answered by now
    assert refused.value.code == "taken"
    assert [c.outcome for c in anew.comparisons()] == ["a", "a"]
    if is_restarted:
        anew.close()


def test_who_was_disabled_and_is_invited_again_is_asked_what_was_open_then(make_any_store):
    store = make_any_store(2)
    ann = store.invite("Ann").annotator.id
    held = ask_twice(store, ann)
    store.disable(ann)
    store.invite("Ann")
    assert tasks_of(ask_twice(store, ann)) == tasks_of(held)


def test_a_known_pair_that_ran_out_is_offered_and_answered_once(make_any_store, make_answer, make_comparison, clock):
    store = make_any_store(0, gold_share=1.0, lease_minutes=15)
    store.add_tasks([make_comparison("g0", outcome="b")], origin="tests", gold=True)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    late = store.next_assignment(ann)
    clock.pass_by(minutes=16)
    store.next_assignment(bob)
    again = store.next_assignment(ann)
    assert (again.task_id, again.id == late.id) == ("g0", False)
    store.record(make_answer(again, ann))
    with pytest.raises(Refused):
        store.record(make_answer(late, ann))
    assert store.counts().by_kind == {"gold": 1}


@pytest.mark.slow(threads=1)
def test_a_repeat_that_ran_out_is_offered_again(make_any_store, make_answer, clock):
    store = make_any_store(12, repeat_share=1.0, lease_minutes=15)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    first = [store.next_assignment(ann)]
    for _ in range(11):
        store.record(make_answer(first[-1], ann))
        first.append(store.next_assignment(ann))
    repeat = first[-1]
    assert repeat.task_id == first[0].task_id
    clock.pass_by(minutes=16)
    store.next_assignment(bob)
    again = store.next_assignment(ann)
    assert (again.task_id, again.id == repeat.id) == (repeat.task_id, False)


def test_a_late_answer_is_taken_while_the_person_was_not_asked_again(make_any_store, make_answer, clock):
    store = make_any_store(1, overlap=2, lease_minutes=15)
    ann, bob = (store.invite(name).annotator.id for name in ("Ann", "Bob"))
    late = store.next_assignment(ann)
    clock.pass_by(minutes=16)
    store.next_assignment(bob)
    assert store.record(make_answer(late, ann)).outcome == "a"
    assert store.next_assignment(ann) is None
