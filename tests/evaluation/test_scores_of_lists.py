"""Rows of RewardBench 2 are scored part by part as their own program does, from rewards of the pairs they made."""

import numpy as np
import pytest

from penchant.data import load_pairs
from penchant.evaluation.scores_of_lists import MEAN, scores_of_parts
from penchant.statistics import ScoredList, ties_score
from penchant.tokens import EncodedPair, TokenSequence


def row(part, own, num_right, num_wrong=3):
    """A row of whose answers every one is another text."""
    right = [f"right {part} {own} {i}" for i in range(num_right)]
    wrong = [f"wrong {part} {own} {i}" for i in range(num_wrong)]
    return {"prompt": f"{part} {own}", "chosen": right, "rejected": wrong, "subset": part, "id": own}


def scored(rows, reward_of):
    """`scores_of_parts` of the pairs that the rows make, rewarded by text."""
    records = load_pairs(rows).records
    texts = dict.fromkeys(text for pair in records for text in (pair.chosen, pair.rejected))
    number = {text: i + 10 for i, text in enumerate(texts)}
    pairs = [
        EncodedPair(
            *(TokenSequence.of([1], [number[text]]) for text in (pair.chosen, pair.rejected)),
            1.0,
            1.0,
            0.0,
            pair.origin,
            pair.gap,
            pair.name,
        )
        for pair in records
    ]
    rewards = [(reward_of(pair.chosen), reward_of(pair.rejected)) for pair in records]
    return scores_of_parts(pairs, rewards, [pair.prompt[0].content.encode() for pair in records])


def test_every_part_has_the_share_of_lists_whose_right_answer_is_best_and_a_shared_top_is_shared():
    rewards = {"right Math 0 0": 2.0, "right Math 1 0": 1.0, "wrong Math 1 2": 1.0, "right Focus 0 0": -1.0}
    rows = [row("Math", "0", 1), row("Math", "1", 1), row("Focus", "0", 1), row("Focus", "1", 1)]
    rewards["right Focus 1 0"] = 5.0
    found = scored(rows, lambda text: rewards.get(text, 0.0))
    assert {part: score.value for part, score in found.items()} == {"Math": 0.75, "Focus": 0.5, MEAN: 0.625}
    assert (found["Math"].num, found[MEAN].num) == (2, 4)
    assert all(score.low <= score.value <= score.high for score in found.values())


def test_rows_without_a_name_are_one_part_and_rows_of_one_pair_are_no_lists():
    rows = [{"prompt": f"Once {i}", "chosen": ["yes"], "rejected": ["no", "never"]} for i in range(4)]
    found = scored(rows, lambda text: float(text == "yes"))
    assert {part: score.value for part, score in found.items()} == {"": 1.0}
    assert scored([{"prompt": "Once", "chosen": "yes", "rejected": "no"}], lambda text: 0.0) == {}


def test_ties_are_scored_by_their_rules_from_tied_and_single_lists_of_one_id():
    rng = np.random.default_rng(5)
    rewards = {}

    def reward_of(text):
        return rewards.setdefault(text, float(rng.normal() + 1.5 * text.startswith("right")))

    rows = [row("Ties", f"{kind}:{i}", num) for i in range(12) for kind, num in (("tied", 3), ("ref", 1))]
    found = scored(rows, reward_of)

    def rewarded(kind, num):
        return {
            str(i): ScoredList(
                tuple(rewards[f"right Ties {kind}:{i} {j}"] for j in range(num)),
                tuple(rewards[f"wrong Ties {kind}:{i} {j}"] for j in range(3)),
            )
            for i in range(12)
        }

    assert found["Ties"].value == pytest.approx(ties_score(rewarded("tied", 3), rewarded("ref", 1)).value)
    assert 0 < found["Ties"].value < 1
    assert found["Ties"].num == 24
    assert list(found) == ["Ties"]


@pytest.mark.parametrize(("best", "score"), [("a", 1.0), ("b", 0.0), ("c", 0.0)])
def test_of_a_list_with_several_grades_the_best_alone_is_right(best, score):
    answers = [{"text": text, "score": value} for text, value in (("a", 3), ("b", 2), ("c", 1))]
    found = scored([{"prompt": "Once", "answers": answers}], lambda text: float(text == best))
    assert {part: one.value for part, one in found.items()} == {"": score}


def test_a_row_of_several_prompts_is_a_list_for_each():
    def asked(text, *replies):
        return {"text": text, "role": "prompter", "replies": replies, "lang": "en"}

    def said(text, rank, *replies):
        return {"text": text, "role": "assistant", "rank": rank, "replies": replies, "lang": "en"}

    tree = asked("Once", said("a", 0, asked("Then", said("c", 0), said("d", 1), said("e", 2))), said("b", 1))
    rewards = {"a": 5.0, "b": -1.0, "c": 0.0, "d": 4.0, "e": 9.0}
    found = scored([{"message_tree_id": "t", "tree_state": "ready", "prompt": tree}], rewards.__getitem__)
    assert (found[""].value, found[""].num) == (0.0, 1), "the pair of the first prompt is no list"
