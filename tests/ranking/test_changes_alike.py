"""No interval of width zero: shares have Tango's, and what is the same for every prompt has none, with the reason."""

import math

import numpy as np
import pytest

from penchant.ranking.cautions import SAME
from penchant.ranking.winrate import paired_means, win_rate


def test_the_change_of_a_share_has_tangos_interval_which_is_no_point_where_nothing_changed():
    for before, after in (([1.0] * 5, [1.0] * 5), ([0.0] * 10, [1.0] * 10)):
        found = paired_means(before, after, are_shares=True)
        assert found.low < found.difference <= found.high or found.low <= found.difference < found.high
        assert found.high - found.low > 0.3
    before, after = [1.0] * 60 + [0.0] * 40, [1.0] * 50 + [0.0] * 40 + [1.0] * 10
    found, rate = paired_means(before, after), win_rate(10, 10, 80)
    assert (found.before, found.after, found.difference) == (0.6, 0.6, 0.0)
    assert found.low == pytest.approx(2 * rate.low - 1, abs=0.01)
    assert found.high == pytest.approx(2 * rate.high - 1, abs=0.01)


@pytest.mark.parametrize("num", [5, 10, 20])
@pytest.mark.parametrize(("old", "new"), [(0.9, 0.95), (0.95, 0.98), (0.5, 0.8)])
def test_the_change_of_a_share_is_covered_at_least_93_percent_of_the_time(num, old, new):
    """Every outcome of (won, lost) is counted, so that the coverage has no sampling error."""
    win, loss, covered = (1 - old) * new, old * (1 - new), 0.0
    for won in range(num + 1):
        for lost in range(num + 1 - won):
            same = num - won - lost
            ways = math.comb(num, won) * math.comb(num - won, lost)
            chance = ways * win**won * loss**lost * (1 - win - loss) ** same
            found = paired_means([0.0] * won + [1.0] * (lost + same), [1.0] * won + [0.0] * lost + [1.0] * same)
            if won + lost == 0:
                found = paired_means([1.0] * num, [1.0] * num, are_shares=True)
            covered += chance * (found.low <= new - old <= found.high)
    assert covered >= 0.93


def test_what_is_the_same_for_every_prompt_has_no_interval_and_says_why():
    for before, after in (
        ([3.0] * 6, [3.5] * 6),
        ([0.0] * 6, [0.0] * 6),
        (np.arange(6) * 0.1, np.arange(6) * 0.1 + 0.2),
    ):
        found = paired_means(before, after)
        assert (found.low, found.high, found.warning) == (None, None, SAME)
    assert paired_means([3.0] * 6, [3.5] * 5 + [3.6]).low is not None
    assert paired_means(np.zeros(4), [1.0, 3.0, 2.0, 2.0], list("aabb")).warning == SAME, "prompts' means are compared"
