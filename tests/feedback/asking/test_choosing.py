"""Which pair next: the recorded probabilities are those with which pairs are chosen."""

import random
from collections import Counter

import pytest

from penchant.feedback.asking.choosing import AskableTasks, choose, disagreement, main_probabilities

MAIN = {"low": 0.1, "none": 0.0, "top": 0.9, "top too": 0.9}
SHARES = {"random_share": 0.4, "gold_share": 0.2, "repeat_share": 0.1}


def draws(num, main=MAIN, gold=("g0", "g1"), repeats=("r0", "r1", "r2"), **shares):
    pool = AskableTasks(main).without({})
    return [choose(pool, gold, repeats, **(SHARES | shares), rng=random.Random(seed)) for seed in range(num)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"random_share": 0.0},
        {"random_share": 1.0},
        {"gold": (), "repeats": ()},
        {"gold_share": 0.0, "repeat_share": 0.5},
        {"main": {}, "gold_share": 0.25, "repeat_share": 0.75},
    ],
)
def test_the_recorded_probability_is_how_often_a_task_is_chosen(given):
    num = 20_000
    made = draws(num, **given)
    times = Counter(choice.task_id for choice in made)
    recorded = {choice.task_id: choice.probability for choice in made}
    assert sum(recorded.values()) == pytest.approx(1)
    for task_id, p in recorded.items():
        # five standard deviations of the binomial: a right rule fails once in a million
        assert abs(times[task_id] - num * p) < 5 * (num * p * (1 - p)) ** 0.5 + 1e-6, task_id


def test_sides_are_drawn_evenly_and_on_their_own():
    made = draws(10_000)
    for kind in ("main", "gold", "repeat"):
        shown = [choice.shown_first for choice in made if choice.kind == kind]
        assert abs(shown.count("a") - len(shown) / 2) < 5 * (len(shown) / 4) ** 0.5


def test_without_a_random_share_only_the_most_uncertain_come_up():
    made = draws(200, gold=(), repeats=(), random_share=0.0)
    assert {choice.task_id for choice in made} == {"top", "top too"}
    assert {choice.chosen_by for choice in made} == {"uncertainty"}
    assert {choice.probability for choice in made} == {0.5}


def test_with_a_random_share_of_one_every_task_is_as_likely():
    made = draws(400, gold=(), repeats=(), random_share=1.0)
    assert {choice.task_id for choice in made} == set(MAIN)
    assert {choice.probability for choice in made} == {0.25}


def test_nothing_is_left_when_no_main_task_is_left_even_if_there_is_gold():
    assert set(draws(50, main={})) == {None}
    assert draws(1, main={}, gold=(), repeats=()) == [None]


def test_a_task_drawn_evenly_may_be_the_most_uncertain_and_its_probability_is_that_of_the_mixture():
    low, high = main_probabilities(4, 2, 0.4)
    assert (low, high) == pytest.approx((0.1, 0.1 + 0.6 / 2))
    for choice in draws(500, gold=(), repeats=()):
        assert choice.probability == pytest.approx(high if choice.task_id.startswith("top") else low)


def test_the_same_seed_chooses_the_same():
    assert draws(20) == draws(20)


def test_disagreement_is_the_share_that_is_not_the_commonest():
    assert disagreement([]) == 0
    assert disagreement(["a"]) == 0
    assert disagreement(["a", "b"]) == 0.5
    assert disagreement(["a", "a", "b", "tie"]) == 0.5
