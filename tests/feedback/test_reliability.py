"""How far annotators can be relied on: by hand, and on annotators whose faults are known because they are simulated."""

import random

import pytest

from penchant.feedback.reliability import label_noise, position_bias, reliability, share


@pytest.fixture
def vote(make_comparison):
    """`vote("t0", "Ann", "a", kind="gold", gold="b")`."""

    def make(task_id, annotator, outcome, *, shown_first=None, kind="main", **details):
        meta = {"answer": {"kind": kind, "flags": [], **details}}
        return make_comparison(task_id, annotator=annotator, outcome=outcome, shown_first=shown_first, meta=meta)

    return make


def test_shares_are_counted_as_a_person_would_count_them(vote):
    answers = [
        vote("t0", "Ann", "a"),
        vote("t0", "Bob", "a"),
        vote("t0", "Cem", "b"),
        vote("t1", "Ann", "tie", flags=["too_fast"]),
        vote("t1", "Bob", "b"),
        vote("t1", "Cem", "b"),
        vote("t2", "Ann", "a"),
        vote("t0", "Ann", "b", kind="repeat"),
        vote("t1", "Ann", "tie", kind="repeat"),
        vote("g0", "Ann", "a", kind="gold", gold="a"),
        vote("g1", "Ann", "a", kind="gold", gold="b"),
        vote("t0", "Boss", "a", kind="adjudication"),
    ]
    found = {one.annotator: one for one in reliability(answers)}
    assert list(found) == ["Ann", "Bob", "Cem"]
    ann = found["Ann"]
    assert (ann.num_answers, ann.too_fast.hits) == (7, 1)
    assert (ann.gold.hits, ann.gold.num) == (1, 2)
    assert (ann.self_agreement.hits, ann.self_agreement.num) == (1, 2)
    # on t0 the others say a and b, as often; on t1 they say b; on t2 there is nobody else
    assert (ann.with_majority.hits, ann.with_majority.num) == (0, 1)
    assert (found["Bob"].with_majority.hits, found["Bob"].with_majority.num) == (0, 0)
    assert found["Bob"].gold.value is None


def test_who_is_no_other_person_is_no_majority(vote):
    """Neither a copy of one's own answer nor what nobody in particular said; the latest of two answers counts."""
    answers = [
        vote("t0", "Ann", "a"),
        vote("t0", "Ann", "a"),
        vote("t0", None, "a"),
        vote("t0", None, "a"),
        vote("t1", "Ann", "a"),
        vote("t1", "Bob", "tie"),
        vote("t1", "Bob", "b"),
        vote("t1", None, "a"),
    ]
    found = {one.annotator: one for one in reliability(answers)}
    assert {name: (one.with_majority.hits, one.with_majority.num) for name, one in found.items()} == {
        "Ann": (0, 1),
        "Bob": (0, 1),
        "(unknown)": (0, 0),
    }
    assert found["(unknown)"].num_answers == 3
    assert [c.annotator for c in answers].count("Ann") == found["Ann"].num_answers


def test_the_interval_of_a_share_holds_the_truth_as_often_as_it_says():
    rng = random.Random(0)
    for p, num in ((0.5, 10), (0.05, 40), (0.9, 25)):
        found = [share(sum(rng.random() < p for _ in range(num)), num) for _ in range(2000)]
        held = sum(one.low <= p <= one.high for one in found) / 2000
        assert 0.92 < held < 0.985
    assert share(0, 5).low == 0
    assert share(5, 5).high == 1
    assert share(0, 0).value is None


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_label_noise_is_what_the_simulated_annotator_has(vote, noise):
    rng = random.Random(1)
    answers = []
    for i in range(1500):
        truth = "a" if rng.random() < 0.5 else "b"
        for kind in ("main", "repeat"):
            outcome = truth if rng.random() >= noise else {"a": "b", "b": "a"}[truth]
            answers.append(vote(f"t{i}", "Ann", outcome, kind=kind))
    found = label_noise(answers)
    assert found.changed.num == 1500
    assert found.low < noise < found.high
    assert found.label_smoothing == pytest.approx(noise, abs=0.03)


def test_label_noise_is_not_known_without_repeats_and_not_for_a_coin(vote):
    assert label_noise([vote("t0", "Ann", "a")]).label_smoothing is None
    coin = [vote("t0", "Ann", "a"), vote("t0", "Ann", "b", kind="repeat")]
    assert label_noise(coin).label_smoothing is None
    assert label_noise(coin).changed.value == 1
    ties = [vote("t0", "Ann", "tie"), vote("t0", "Ann", "b", kind="repeat")]
    assert label_noise(ties).changed.num == 0
    other = [vote("t0", "Ann", "a"), vote("t0", "Bob", "b", kind="repeat")]
    assert label_noise(other).changed.num == 0


def test_a_person_who_always_takes_the_first_side_is_seen_and_one_who_reads_is_not(vote):
    rng = random.Random(2)
    lazy, careful = [], []
    for i in range(200):
        first = "a" if rng.random() < 0.5 else "b"
        lazy.append(vote(f"t{i}", "Lazy", first, shown_first=first))
        careful.append(vote(f"t{i}", "Careful", "a" if i % 3 else "b", shown_first=first))
    assert position_bias(lazy).low > 0.9
    read = position_bias(careful)
    assert read.low < 0.5 < read.high
    assert position_bias([vote("t0", "Ann", "tie", shown_first="a"), vote("t1", "Ann", "a")]).num == 0


def test_the_careful_and_the_careless_are_told_apart_by_gold(vote):
    rng = random.Random(3)
    answers = []
    for name, right in (("Careful", 0.95), ("Careless", 0.5)):
        for i in range(100):
            answers.append(vote(f"g{i}", name, "a" if rng.random() < right else "b", kind="gold", gold="a"))
    found = {one.annotator: one.gold for one in reliability(answers)}
    assert found["Careful"].low > found["Careless"].high
