"""Votes into pairs, each case worked by hand."""

import random

import pytest
from pydantic import JsonValue

from penchant.errors import ConfigError
from penchant.feedback import Store
from penchant.feedback.asking.choosing import AskableTasks, choose
from penchant.feedback.training import training_pairs


@pytest.fixture
def votes(make_comparison):
    """`votes("t0", "aab")`: a, a and b on task t0; T is tie, X both_bad, - unanswered."""
    outcomes = {"a": "a", "b": "b", "T": "tie", "X": "both_bad", "-": None}

    def make(task_id, letters, kind="main", **details: JsonValue):
        meta = {"answer": {"kind": kind, **details}}
        return [make_comparison(task_id, outcome=outcomes[letter], meta=meta) for letter in letters]

    return make


@pytest.mark.parametrize(
    ("letters", "chosen", "code"),
    [
        ("a", "a", "pairs"),
        ("aab", "a", "pairs"),
        ("bba", "b", "pairs"),
        ("aaTTb", None, "tied"),
        ("ab", None, "tied"),
        ("TTa", None, "tie"),
        ("XXa", None, "both_bad"),
        ("aaX", "a", "pairs"),
    ],
)
def test_the_majority_decides_and_a_vote_that_ends_level_makes_no_pair(votes, letters, chosen, code):
    got = training_pairs(votes("t0", letters))
    assert got.counts[code] == 1
    assert [pair.chosen for pair in got.pairs] == ([f"answer {chosen} of t0"] if chosen else [])
    assert all(pair.probability == 1 for pair in got.pairs)


@pytest.mark.parametrize("meta", [{}, {"answer": {}}, {"answer": "by hand"}])
def test_comparisons_from_elsewhere_that_say_nothing_of_their_kind_are_votes(make_comparison, meta):
    got = training_pairs([make_comparison("t0", outcome="b", meta=meta) for _ in range(3)])
    assert [pair.chosen for pair in got.pairs] == ["answer b of t0"]
    assert (got.counts["votes"], got.counts["answers"]) == (3, 3)


@pytest.mark.parametrize(
    ("letters", "chosen", "probability"),
    [
        ("a", "a", 1.5 / 2),
        ("aab", "a", 2.5 / 4),
        ("bba", "b", 2.5 / 4),
        ("aT", "a", 2 / 3),
        ("aaX", "a", 2.5 / 3),
        ("bbbb", "b", 4.5 / 5),
        ("aX", "a", 1.5 / 2),  # as many for both_bad as for a side, or as ties, are not most
        ("bbXX", "b", 2.5 / 3),
        ("TTXXa", "a", 2.5 / 4),
    ],
)
def test_soft_labels_are_bradley_terry_with_half_a_phantom_win_each(votes, letters, chosen, probability):
    (pair,) = training_pairs(votes("t0", letters), "soft").pairs
    assert pair.chosen == f"answer {chosen} of t0"
    assert pair.probability == pytest.approx(probability)


@pytest.mark.parametrize(
    ("letters", "code"),
    [("ab", "tied"), ("TTab", "tie"), ("XXa", "both_bad"), ("T", "tie"), ("Tab", "tied"), ("TTXXab", "tied")],
)
def test_soft_labels_of_one_half_and_both_bad_make_no_pair(votes, letters, code):
    got = training_pairs(votes("t0", letters), "soft")
    assert got.pairs == ()
    assert got.counts[code] == 1


def test_soft_labels_are_the_fit_of_bradley_terry_itself(votes):
    from penchant.ranking import Votes, fit_bradley_terry

    (pair,) = training_pairs(votes("t0", "aaabT"), "soft").pairs
    phantom = [("a", "b", "left", 0.5), ("a", "b", "right", 0.5)]
    real = [("a", "b", outcome, 1.0) for outcome in ("left", "left", "left", "right", "tie")]
    left, right, outcome, weight = zip(*phantom, *real, strict=True)
    fit = fit_bradley_terry(Votes.from_columns(left, right, outcome, weight=weight), covariance="model")
    assert pair.probability == pytest.approx(fit.win_probability("a", "b").estimate)


def test_gold_and_repeat_answers_are_counted_and_not_used(votes):
    answers = [*votes("t0", "a"), *votes("t0", "bb", "repeat"), *votes("g0", "a", "gold", gold="a"), *votes("t1", "-")]
    got = training_pairs(answers)
    assert [pair.chosen for pair in got.pairs] == ["answer a of t0"]
    counts = got.counts
    assert (counts["votes"], counts["repeat"], counts["gold"], counts["unanswered"]) == (1, 2, 1, 1)
    assert counts["answers"] == len(answers)


def test_a_verdict_alone_decides_a_majority_and_is_one_more_vote_of_a_soft_label(votes):
    answers = [*votes("t0", "aab"), *votes("t0", "b", "adjudication")]
    assert training_pairs(answers).pairs[0].chosen == "answer b of t0"
    assert training_pairs(answers, "soft").pairs == ()  # two for each


def test_the_counts_add_up(votes):
    letters = ["a", "ab", "TT", "X", "b", "abT", "aaX"]
    answers = [vote for i, each in enumerate(letters) for vote in votes(f"t{i}", each)]
    for how in ("majority", "soft"):
        got = training_pairs(answers, how)
        assert got.counts["tasks"] == len(letters) == sum(got.counts[k] for k in ("pairs", "tied", "tie", "both_bad"))
        assert got.counts["pairs"] == len(got.pairs)


def test_weights_are_inverse_probabilities_with_a_mean_of_one(votes):
    answers = [
        *votes("t0", "a", probability=0.5),
        *votes("t1", "a", probability=0.1),
        *votes("t1", "a", probability=0.5),
    ]
    got = training_pairs(answers, weighted=True)
    assert [pair.weight for pair in got.pairs] == pytest.approx([2 / 4, 6 / 4])  # 2 and (10 + 2) / 2, over their mean
    with pytest.raises(ConfigError, match="probability"):
        training_pairs(votes("t0", "a"), weighted=True)


def test_a_verdict_was_not_drawn_so_it_has_no_say_in_the_weight(votes):
    answers = [
        *votes("t0", "ab", probability=0.5),
        *votes("t0", "a", "adjudication"),
        *votes("t1", "a", probability=0.1),
    ]
    got = training_pairs(answers, weighted=True)
    assert [pair.weight for pair in got.pairs] == pytest.approx([2 / 6, 10 / 6])
    assert got.pairs[0].chosen == "answer a of t0"
    sentence = (
        "^task t2: an answer does not say with which probability its task was chosen, which imported answers never do; "
        "leave `weighted=...` out$"
    )
    with pytest.raises(ConfigError, match=sentence):
        training_pairs([*answers, *votes("t2", "a", "adjudication")], weighted=True)


def test_weighting_undoes_the_preference_for_uncertain_tasks(votes):
    """Side a wins on the 4 uncertain tasks of 20, which are asked more often: its plain share comes out high."""
    tasks = AskableTasks({f"t{i}": float(i < 4) for i in range(20)}).without({})
    shares = {"random_share": 0.5, "gold_share": 0.0, "repeat_share": 0.0}
    made = [choose(tasks, [], [], **shares, rng=random.Random(seed)) for seed in range(2000)]
    answers = [  # each a task of its own, so that each is a pair
        *(
            votes(f"{c.task_id}-{i}", "a" if int(c.task_id[1:]) < 4 else "b", probability=c.probability)[0]
            for i, c in enumerate(made)
        )
    ]
    plain, weighted = (training_pairs(answers, weighted=flag).pairs for flag in (False, True))

    def share_of_a(pairs):
        return sum(pair.weight for pair in pairs if "answer a" in pair.chosen) / sum(pair.weight for pair in pairs)

    assert share_of_a(plain) == pytest.approx(0.5 + 0.5 * 4 / 20, abs=0.05)
    assert share_of_a(weighted) == pytest.approx(4 / 20, abs=0.03)


def test_an_unknown_way_is_refused(votes):
    with pytest.raises(ConfigError, match="majority or soft"):
        training_pairs(votes("t0", "a"), "hard")


def test_a_project_folder_gives_its_pairs(make_store, make_answer, tmp_path):
    store = make_store(3)
    ann = store.invite("Ann").annotator.id
    while assignment := store.next_assignment(ann):
        store.record(make_answer(assignment, ann, "b"))
    with Store.of(store.project.path) as again:
        answers = list(again.comparisons())
    got = training_pairs(answers)
    assert {pair.chosen for pair in got.pairs} == {f"answer b of t{i}" for i in range(3)}
    assert {pair.probability for pair in got.pairs} == {1.0}
    assert {pair.probability for pair in training_pairs(answers, "soft").pairs} == {0.75}
    with pytest.raises(ConfigError, match="not a project"):
        Store.of(tmp_path)
