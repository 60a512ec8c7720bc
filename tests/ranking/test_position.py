"""Position bias: the share that the side shown first wins, and limits that hold what they say."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from penchant.errors import ConfigError
from penchant.ranking import Ballots, first_shown_share, variance_ratio
from penchant.ranking.position import wilson


def shown(won: list[bool], **columns) -> Ballots:
    """Ballots whose first shown side is the left for even rows and the right for odd ones."""
    first = ["left" if i % 2 == 0 else "right" for i in range(len(won))]
    other = {"left": "right", "right": "left"}
    outcome = [side if first_won else other[side] for side, first_won in zip(first, won, strict=True)]
    return Ballots(["a"] * len(won), ["b"] * len(won), outcome, shown_first=first, **columns)


def test_only_decided_answers_whose_order_is_known_are_counted():
    ballots = Ballots(
        ["a"] * 5,
        ["b"] * 5,
        ["left", "right", "tie", "both_bad", "left"],
        shown_first=["left", "left", "left", "right", None],
    )
    share = first_shown_share(ballots)
    assert (share.value, share.num) == (0.5, 2)


def test_a_share_of_nothing_is_none_and_says_why():
    unknown = first_shown_share(Ballots(["a"], ["b"], ["left"]))
    tied = first_shown_share(Ballots(["a"], ["b"], ["tie"], shown_first=["left"]))
    assert (unknown.value, unknown.num, unknown.reason) == (None, 0, "no answer says which side was shown first")
    assert (tied.value, tied.reason) == (None, "no decided answer says which side was shown first")


def test_the_limits_of_wilson_solve_his_equation():
    for share, num in ((0.6, 10), (0.0, 7), (1.0, 7)):
        for limit in wilson(share, num, 0.9):
            if 1e-9 < limit < 1 - 1e-9:
                assert abs(share - limit) == pytest.approx(1.6448536 * (limit * (1 - limit) / num) ** 0.5, rel=1e-6)
    assert wilson(0.0, 7)[0] == pytest.approx(0, abs=1e-12)
    assert wilson(1.0, 7)[1] == pytest.approx(1, abs=1e-12)


def test_answers_given_five_times_over_by_one_annotator_say_no_more_than_once():
    won = [i % 3 != 0 for i in range(60)]
    once = first_shown_share(shown(won))
    often = shown([w for w in won for _ in range(5)], annotator=[i for i in range(60) for _ in range(5)])
    five = first_shown_share(often)
    assert five.value == once.value
    assert (five.low, five.high) == pytest.approx((once.low, once.high))
    naive = first_shown_share(shown([w for w in won for _ in range(5)]))
    assert naive.high - naive.low < 0.5 * (once.high - once.low)


def test_the_variance_ratio_is_that_of_a_slow_loop_over_clusters_of_unequal_size():
    clusters = [label for label, num in zip("abcde", (1, 9, 2, 4, 4), strict=True) for _ in range(num)]
    value = np.array([0.0] + [1.0] * 9 + [1.0, 0.0] + [1.0] * 4 + [0.0] * 4)
    size, share = 20 / 5, (value.sum() + 2) / (20 + 4)
    drawn = (
        5 / 4 * sum(sum(v - share for v, c in zip(value, clusters, strict=True) if c == one) ** 2 for one in "abcde")
    )
    drawn += size**2 * ((1 - share) ** 2 + share**2) / 2
    independent = sum((v - share) ** 2 for v in value) + size * ((1 - share) ** 2 + share**2) / 2
    wider = student.ppf(0.95, 5) / norm.ppf(0.95)
    assert variance_ratio(value, clusters, 0.9) == pytest.approx(drawn / independent * wider**2)
    assert variance_ratio(value, clusters, 0.9) > 2
    assert (
        variance_ratio(value, clusters) == variance_ratio(value, clusters, 0.95) > variance_ratio(value, clusters, 0.9)
    )


def test_clustered_limits_are_wilsons_at_the_level_asked_for():
    won, people = [i % 3 != 0 for i in range(24)], [i // 6 for i in range(24)]
    for confidence in (0.5, 0.95):
        share = first_shown_share(shown(won, annotator=people), confidence)
        ratio = variance_ratio(np.array(won, dtype=float), people, confidence)
        assert (share.low, share.high) == pytest.approx(wilson(2 / 3, 24 / ratio, confidence))


def test_few_answers_are_allowed_for_whether_or_not_two_share_a_prompt():
    won = [True] * 8 + [False] * 2
    alone, paired = (first_shown_share(shown(won, prompt=names)) for names in (list("abcdefghij"), list("aabcdefghi")))
    assert alone == first_shown_share(shown(won))
    assert alone.low < wilson(0.8, 10)[0] - 0.05
    assert paired.low < alone.low < paired.low + 0.1
    ratio = variance_ratio(np.array(won, dtype=float), range(10))
    assert (alone.low, alone.high) == pytest.approx(wilson(0.8, 10 / ratio))


def test_clusters_that_vary_less_than_chance_or_cannot_vary_change_nothing():
    won = [i % 2 == 0 for i in range(40)]
    plain = first_shown_share(shown(won))
    assert first_shown_share(shown(won, annotator=[i // 2 for i in range(40)])) == plain
    assert first_shown_share(shown(won, annotator=["Ann"] * 40)) == plain
    assert first_shown_share(shown([True] * 9, annotator=list(range(9)))) == first_shown_share(shown([True] * 9))


def test_the_limits_hold_the_truth_as_often_as_they_say_where_annotators_differ():
    rng = np.random.default_rng(0)
    held, num = 0, 400
    for _ in range(num):
        leaning = np.repeat(rng.beta(6, 4, size=40), 12)
        won = (rng.random(480) < leaning).tolist()
        share = first_shown_share(shown(won, annotator=np.repeat(np.arange(40), 12).tolist()))
        held += share.low < 0.6 < share.high
    assert 0.92 < held / num < 0.98


def test_a_level_of_percent_is_refused():
    with pytest.raises(ConfigError, match="between 0 and 1; got 95"):
        first_shown_share(shown([True]), 95)
