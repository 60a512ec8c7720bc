"""How far a judge agrees with people: counted by hand, and by texts, not by ids or places."""

import numpy as np
import pytest

from penchant.data import Candidate, Comparison, Message
from penchant.evaluation.judges.agreement import agreement_with_people, shared_answers
from penchant.ranking import cohen_kappa


def comparison(name, outcome, a=None, b=None, **more):
    return Comparison(
        id=f"id-{name}",
        prompt=(Message(role="user", content=f"Ask {name}"),),
        a=Candidate(text=a or f"one {name}"),
        b=Candidate(text=b or f"two {name}"),
        outcome=outcome,
        **more,
    )


def found(judge, people):
    """Agreement of two lists of outcomes on the same comparisons."""
    judged = [comparison(i, outcome) for i, outcome in enumerate(judge)]
    return agreement_with_people(shared_answers(judged, [comparison(i, o) for i, o in enumerate(people)]))


def test_share_and_kappa_are_those_counted_by_hand():
    agreement = found(["a"] * 6 + ["b"] * 4, ["a"] * 5 + ["b"] * 4 + ["a"])
    assert (agreement.num_comparisons, agreement.num_answers) == (10, 10)
    assert agreement.share.value == pytest.approx(0.8)
    assert agreement.kappa.value == pytest.approx((0.8 - 0.52) / 0.48)
    assert agreement.kappa.low < agreement.kappa.value < agreement.kappa.high
    assert (agreement.decided.rate, agreement.decided.num) == (pytest.approx(0.8), 10)


def test_tie_and_both_bad_are_one_answer_and_left_out_where_a_side_must_be_preferred():
    agreement = found(["tie", "tie", "a", "a", "b"], ["both_bad", "tie", "a", "b", "tie"])
    assert agreement.share.value == pytest.approx(3 / 5)
    labels = {"a": "a", "b": "b", "tie": "n", "both_bad": "n"}
    expected = cohen_kappa([labels[o] for o in ("tie", "tie", "a", "a", "b")], ["n", "n", "a", "b", "n"])
    assert agreement.kappa.value == pytest.approx(expected.value)
    assert (agreement.decided.rate, agreement.decided.num) == (0.5, 2)


def test_texts_are_matched_whatever_the_id_and_whichever_is_called_a():
    judged = [comparison(0, "a"), comparison(1, "a")]
    turned = comparison(0, "b", a="two 0", b="one 0").model_copy(update={"id": "other"})
    agreement = agreement_with_people(shared_answers(judged, [turned, comparison(7, "a")]))
    assert (agreement.num_answers, agreement.share.value) == (1, 1.0)
    assert agreement.share.low is None  # of one comparison nothing can be said about others


def test_unanswered_rows_are_no_answers_and_nothing_in_common_is_an_error():
    assert shared_answers([comparison(0, "a")], [comparison(0, None), comparison(1, "a")]) == []
    with pytest.raises(ValueError, match="no comparison in common"):
        agreement_with_people([])


def test_answers_that_are_all_alike_have_no_kappa_and_say_why():
    agreement = found(["a"] * 5, ["a"] * 5)
    assert agreement.kappa.value is None
    assert "cannot be told from chance" in agreement.kappa.reason
    assert agreement.share.value == 1.0


def test_ten_answers_to_one_comparison_do_not_make_the_interval_narrower():
    rng = np.random.default_rng(0)
    judge = ["a" if x else "b" for x in rng.random(60) < 0.5]
    people = [j if x else {"a": "b", "b": "a"}[j] for j, x in zip(judge, rng.random(60) < 0.7, strict=True)]
    judged = [comparison(i, outcome) for i, outcome in enumerate(judge)]
    once = [comparison(i, outcome) for i, outcome in enumerate(people)]
    widths = []
    for times in (1, 10):
        kappa = agreement_with_people(shared_answers(judged, once * times)).kappa
        widths.append(kappa.high - kappa.low)
    assert widths[1] == pytest.approx(widths[0], rel=0.05)


@pytest.mark.slow
def test_the_interval_of_kappa_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        judge = ["a" if x else "b" for x in rng.random(80) < 0.5]
        people = [j if x else {"a": "b", "b": "a"}[j] for j, x in zip(judge, rng.random(80) < 0.8, strict=True)]
        groups = [[pair] for pair in zip(judge, people, strict=True)]
        kappa = agreement_with_people(groups, seed=seed).kappa
        covered += kappa.low <= 0.6 <= kappa.high
    assert 88 <= covered <= 100


def test_a_resample_without_a_kappa_makes_the_interval_wider_not_narrower():
    agreement = found(["a", "a", "b"], ["a", "a", "b"])
    assert (agreement.kappa.value, agreement.kappa.low, agreement.kappa.high) == (1.0, -1.0, 1.0)
