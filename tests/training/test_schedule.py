"""The learning rate of every step by hand, and an order of batches that depends on seed and epoch alone."""

import itertools

import numpy as np
import pytest

from penchant.training.schedule import batches_of_epoch, group_numbers, learning_rate_factor, num_batches


def factors(num_steps, warmup, schedule):
    return [learning_rate_factor(step, num_steps, warmup, schedule) for step in range(num_steps)]


def test_a_linear_schedule_rises_to_one_and_falls_to_just_above_zero():
    assert factors(10, 0.2, "linear") == pytest.approx([0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])


def test_a_constant_schedule_stays_at_one_after_the_warmup():
    assert factors(5, 0.4, "constant") == [0.5, 1, 1, 1, 1]


def test_a_cosine_schedule_is_one_half_halfway():
    values = factors(8, 0.0, "cosine")
    assert values[0] == 1.0
    assert values[4] == pytest.approx(0.5)
    assert values[2] == pytest.approx(0.5 * (1 + 2**-0.5))
    assert all(a > b for a, b in itertools.pairwise(values))


def test_the_warmup_is_rounded_up_and_a_single_step_has_the_full_rate():
    assert factors(10, 0.11, "constant")[:3] == [0.5, 1.0, 1.0]
    for schedule in ("linear", "cosine", "constant"):
        assert factors(1, 0.1, schedule) == [1.0]
        assert all(0 < value <= 1 for value in factors(7, 0.9, schedule))


ITEMS = [(prompt, response) for response in range(3) for prompt in "abcdefg"]


def epoch_of(epoch=0, seed=0, size=4):
    groups = group_numbers(prompt for prompt, _ in ITEMS)
    return list(batches_of_epoch(ITEMS, groups, batch_size=size, epoch=epoch, seed=seed))


def test_every_item_comes_once_and_the_items_of_a_prompt_are_neighbours():
    batches = epoch_of()
    flat = [item for batch in batches for item in batch]
    assert sorted(flat) == sorted(ITEMS)
    assert [prompt for prompt, _ in flat][::3] == [prompt for prompt, _ in flat][2::3]
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 4, 1]
    assert len(batches) == num_batches(len(ITEMS), 4)


def test_the_order_follows_seed_and_epoch_alone():
    assert epoch_of(1, 5) == epoch_of(1, 5)
    assert len({str(epoch_of(epoch, seed)) for epoch in range(2) for seed in range(3)}) == 6


def test_the_order_is_that_of_groups_taken_as_they_first_appear():
    order = np.random.default_rng([3, 1]).permutation(7)
    wanted = [(prompt, response) for prompt in np.array(list("abcdefg"))[order] for response in range(3)]
    assert [item for batch in epoch_of(1, 3) for item in batch] == wanted


def test_numbers_are_given_to_groups_as_they_first_appear_whatever_they_are():
    groups = ["b", "a", "b", "c", "a"]
    assert group_numbers(groups).tolist() == [0, 1, 0, 2, 1]
    assert group_numbers(np.array([9, 4, 9, 2**63, 4], dtype=np.uint64)).tolist() == [0, 1, 0, 2, 1]


def test_batches_from_the_middle_are_those_of_the_whole_epoch():
    groups = group_numbers(prompt for prompt, _ in ITEMS)
    batches = batches_of_epoch(ITEMS, groups, batch_size=4, epoch=0, seed=0)
    assert list(batches[2:5]) == list(batches)[2:5]
    assert list(batches[4:99]) == list(batches)[4:]


def test_the_order_of_the_data_can_be_kept_as_a_curriculum_needs():
    groups = group_numbers(prompt for prompt, _ in ITEMS)
    for epoch in range(2):
        batches = batches_of_epoch(ITEMS, groups, batch_size=4, epoch=epoch, seed=0, as_given=True)
        assert [item for batch in batches for item in batch] == ITEMS
