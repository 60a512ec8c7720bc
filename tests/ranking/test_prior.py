"""What is assumed before any vote, written as a word or as a number of Elo points."""

import pytest

from penchant.errors import ConfigError
from penchant.ranking import ELO_PER_NAT, Gaussian
from penchant.ranking.prior import prior_of


@pytest.mark.parametrize("word", ["auto", "none", "phantom"])
def test_words_stay_what_they_are(word):
    assert prior_of(word) == word


def test_a_number_is_the_standard_deviation_of_a_normal_prior_in_elo_points():
    assert prior_of("100") == Gaussian(100 / ELO_PER_NAT)


@pytest.mark.parametrize("text", ["flat", "-3", "0", "inf", "nan", ""])
def test_anything_else_is_refused_with_what_it_may_be(text):
    with pytest.raises(
        ConfigError, match=f"prior must be auto, none, phantom or a standard deviation .*, got '{text}'"
    ):
        prior_of(text)
