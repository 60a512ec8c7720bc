"""An answer that puts another right: the pair was read before, so that its time says nothing."""

import uuid

import pytest

from penchant.feedback import Project, Store
from penchant.feedback.reliability import reliability


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("how", ["undo", "change"])
def test_a_quick_correction_is_not_too_fast_and_the_first_reading_counts(make_any_store, make_answer, clock, how):
    store = make_any_store(1, too_fast_seconds=1.5)
    ann = store.invite("Ann").annotator.id
    assignment = store.next_assignment(ann)
    assert store.record(make_answer(assignment, ann, "a", seconds=30.0)).flags == ()
    if how == "undo":
        store.undo(ann, str(uuid.uuid4()))
    corrected = store.record(make_answer(assignment, ann, "b", seconds=0.9))
    assert (corrected.flags, corrected.seconds) == ((), 0.9)
    assert store.counts().flags == {}
    (found,) = reliability(store.comparisons())
    assert (found.too_fast.hits, found.too_fast.num) == (0, 1)
    with Store.open(Project.open(store.project.path), clock=clock) as anew:
        medians = [s.progress(person).seconds_median for s in (store, anew) for person in (ann, None)]
    assert medians == [30.0] * 4


@pytest.mark.slow(threads=1)
def test_a_first_answer_that_is_too_fast_is_flagged_and_what_corrects_a_skip_is_no_first(make_any_store, make_answer):
    store = make_any_store(2, too_fast_seconds=1.5)
    ann = store.invite("Ann").annotator.id
    first = store.next_assignment(ann)
    store.record(make_answer(first, ann, "skip", seconds=0.4))
    assert store.record(make_answer(first, ann, "a", seconds=0.8)).flags == ()
    assert store.progress(ann).seconds_median is None
    assert store.progress().seconds_median is None
    second = store.next_assignment(ann)
    assert store.record(make_answer(second, ann, "a", seconds=0.8)).flags == ("too_fast",)
    assert store.progress(ann).seconds_median == store.progress().seconds_median == 0.8
