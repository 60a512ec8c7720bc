"""What a person said to the model is not shown to others, unless the project wants more than one answer a pair."""

import uuid

import pytest

from penchant.feedback import Project, Store
from penchant.feedback.storing import CHAT


@pytest.fixture
def chatted(make_any_store, make_comparison):
    """`chatted(overlap)`: a store in which Ann has compared two answers of the chat, and the ids of Ann and Bob."""

    def make(overlap):
        store = make_any_store(0, overlap=overlap, lease_minutes=15)
        people = [store.invite(name).annotator.id for name in ("Ann", "Bob")]
        store.add_tasks([make_comparison("chat-1", outcome="a", annotator="Ann")], origin=CHAT)
        return store, *people

    return make


@pytest.mark.parametrize("how", ["skip", "undo"])
def test_what_was_said_in_the_chat_is_asked_of_nobody_else(chatted, make_answer, clock, how):
    store, ann, bob = chatted(overlap=1)
    assert (store.progress().answered, store.progress().total) == (1, 1)
    (line,) = store.history(ann)
    if how == "skip":
        store.record(make_answer(line.assignment, ann, "skip"))
    else:
        store.undo(ann, str(uuid.uuid4()))
        assert store.next_assignment(ann).task_id == "chat-1"  # it is hers
    clock.pass_by(hours=1)
    assert store.next_assignment(bob) is None
    assert store.progress(bob).total == 0
    assert (store.progress().answered, store.progress().total) == (0, 0)  # nothing that could still be answered
    with Store.open(Project.open(store.project.path), clock=clock) as anew:
        assert anew.next_assignment(bob) is None
    assert store.record(make_answer(line.assignment, ann, "b")).outcome == "b"


def test_where_more_than_one_answer_is_wanted_others_are_asked(chatted):
    store, _, bob = chatted(overlap=2)
    assert store.next_assignment(bob).task_id == "chat-1"
    assert store.progress().total == 2
