"""The tasks that may be asked: whatever was added, changed or removed, a draw is as from a plain list."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.feedback.asking.choosing import AskableTasks

IDS = st.sampled_from([f"t{i}" for i in range(8)])
CHANGES = st.lists(st.tuples(IDS, st.none() | st.sampled_from([0.0, 0.25, 0.5])), max_size=30)


@pytest.mark.slow(threads=1)
@given(changes=CHANGES, own=st.sets(IDS), seed=st.integers(0, 2**20))
def test_a_pool_is_what_may_be_asked_without_what_a_person_was_given(changes, own, seed):
    askable, scores = AskableTasks(), {}
    for task_id, score in changes:
        if score is None:
            askable.discard(task_id)
            scores.pop(task_id, None)
        else:
            askable.put(task_id, score)
            scores[task_id] = score
    pool = askable.without(dict.fromkeys(own))
    eligible = {task_id: score for task_id, score in scores.items() if task_id not in own}
    highest = {task_id for task_id, score in eligible.items() if score == max(eligible.values())}
    assert (pool.num, pool.num_highest) == (len(eligible), len(highest))
    if eligible:
        rng = random.Random(seed)
        assert pool.draw(rng) in eligible
        assert pool.draw_highest(rng) in highest
        assert all(pool.is_highest(task_id) == (task_id in highest) for task_id in eligible)


@pytest.mark.parametrize("num_given", [0, 5, 18])  # 18 of 20: by listing, not by trying again
def test_each_is_drawn_as_often(num_given):
    pool = AskableTasks({f"t{i}": 0.0 for i in range(20)}).without({f"t{i}": 1 for i in range(num_given)})
    rng = random.Random(0)
    times = Counter(pool.draw(rng) for _ in range(10_000))
    assert set(times) == {f"t{i}" for i in range(num_given, 20)}
    p = 1 / (20 - num_given)
    assert all(abs(num - 10_000 * p) < 5 * (10_000 * p * (1 - p)) ** 0.5 for num in times.values())
