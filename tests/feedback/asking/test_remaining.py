"""How many pairs are left: near enough to the truth, and moved by no kind of pair."""

import random

import pytest

from penchant.feedback.asking.choosing import Extent, about_left


@pytest.mark.parametrize(
    ("reach", "done", "num_gold", "expected"),
    [(90, 0, 0, 90), (91, 0, 0, 100), (100, 50, 20, 60), (100, 50, 2, 60), (100, 99, 0, 10), (100, 120, 0, 10)],
)
def test_it_is_what_would_be_left_if_kinds_came_in_their_shares(reach, done, num_gold, expected):
    extent = Extent(reach, done, num_gold, is_over=False)
    assert about_left(extent, gold_share=0.1, repeat_share=0.0) == expected
    assert about_left(extent._replace(is_over=True), gold_share=0.1, repeat_share=0.0) == 0


def test_repeats_begin_after_ten_answers_and_take_their_share():
    at = {done: about_left(Extent(200, done, 0, is_over=False), 0.0, 0.5) for done in (10, 12, 100)}
    assert at == {10: 190, 12: 190, 100: 150}


def test_it_is_near_the_truth_for_somebody_who_is_asked_by_these_shares():
    rng = random.Random(0)
    for gold_share, num_gold in ((0.1, 1000), (0.3, 1000), (0.2, 15)):
        left, done, num_known, off = 500, 0, 0, []
        while left:
            is_known = num_known < num_gold and rng.random() < gold_share
            num_known, left, done = num_known + is_known, left - (not is_known), done + 1
            off.append(about_left(Extent(500, done, num_gold, is_over=not left), gold_share, 0.0) - left)
        assert max(map(abs, off)) < 40, (gold_share, num_gold)  # of 500, with the 9 of the rounding
