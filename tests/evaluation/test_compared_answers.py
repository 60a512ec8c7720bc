"""Answers that lie in files compared without a model; judges that see both answers; the same question asked again."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest

from penchant.data import Message, Prompt
from penchant.errors import ConfigError, DataError
from penchant.evaluation.answer_files import read_two
from penchant.evaluation.answers import Answers
from penchant.evaluation.compared import compare_answers
from penchant.evaluation.evaluate import compare_files
from penchant.evaluation.judges import FunctionJudge, open_judge
from penchant.evaluation.judges.protocol import Judgement
from penchant.ranking import Votes, fit_davidson
from penchant.ranking.winrate import win_rate_of

PROMPTS = [Prompt(messages=(Message(role="user", content=f"question {i}"),), id=str(i)) for i in range(24)]
LONGER = FunctionJudge("longer", lambda prompt, response: len(response))


def same_to_all(*texts):
    return Answers({prompt.id: list(texts) for prompt in PROMPTS})


def compared(before, after, judge, **how):
    return compare_answers(PROMPTS, before, after, judge, policy="p", reference="r", **how)


def written(path, texts, prompts=("one", "two"), row=None):
    rows = [
        {
            "id": str(i),
            "prompt": [{"role": "user", "content": prompt}],
            "completion": text,
            "meta": {"num_tokens": [len(text)], "finished": [True]},
            **(row or {}),
        }
        for i, (prompt, text) in enumerate(zip(prompts, texts, strict=True))
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def pairs_written(path, *texts):
    """Three answers to each prompt, as `penchant sample` writes them: every pair of them."""
    rows = [
        {
            "id": f"{prompt}/{i}-{j}",
            "prompt": [{"role": "user", "content": prompt}],
            "a": {"text": texts[i]},
            "b": {"text": texts[j]},
            "meta": {"prompt_id": prompt, "num_tokens": [len(texts[i]), len(texts[j])], "finished": [True, False]},
        }
        for prompt in ("one", "two")
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def test_two_files_are_compared_prompt_by_prompt_whatever_their_order(tmp_path):
    before = written(tmp_path / "a.jsonl", ["aa", "aa"])
    after = written(tmp_path / "b.jsonl", ["a", "aaaa"], prompts=("two", "one"))
    found = compare_files(before, after, LONGER)
    assert [(side.before, side.after, side.won) for side in found.pairs] == [("aa", "aaaa", 1), ("aa", "a", -1)]
    assert (found.policy, found.reference) == (str(after), str(before))
    assert (found.kl, found.kl_exact, found.sampling) == (None, None, None)
    tokens = next(change.means for change in found.changes if change.name == "tokens")
    assert (tokens.before, tokens.after) == (2.0, 2.5)


def test_an_answer_that_stands_in_several_pairs_is_compared_once(tmp_path):
    before, after = pairs_written(tmp_path / "a.jsonl", "x", "x", "xxx"), pairs_written(tmp_path / "b.jsonl", *"yyy")
    prompts, old, new = read_two(before, after)
    assert [prompt.messages[0].content for prompt in prompts] == ["one", "two"]
    assert [list(texts) for texts in old.texts.values()] == [["x", "x", "xxx"]] * 2
    assert [list(texts) for texts in new.texts.values()] == [["y"] * 3] * 2
    assert list(old.num_tokens.values()) == [[1, 1, 3]] * 2


def test_a_file_of_two_calls_is_refused_rather_than_half_of_it_compared(tmp_path):
    first, second = (written(tmp_path / f"{name}.jsonl", (name, name)) for name in ("a", "b"))
    both = tmp_path / "both.jsonl"
    both.write_text(first.read_text() + second.read_text())
    with pytest.raises(DataError, match=r"both\.jsonl: holds two different texts as answer 1 to 'one'"):
        read_two(both, second)


def test_answers_for_other_prompts_than_asked_are_refused_with_the_prompt(tmp_path):
    a, b = written(tmp_path / "a.jsonl", "xx"), written(tmp_path / "b.jsonl", "xx", prompts=("one", "three"))
    with pytest.raises(DataError, match=r"b\.jsonl: answers 1 prompts that were not asked, the first 'three'"):
        read_two(a, b)
    asked = [Prompt(messages=(Message(role="user", content=text),), id=text) for text in ("one", "two", "four")]
    with pytest.raises(DataError, match=r"a\.jsonl: has no answer to 1 of 3 prompts, the first 'four'"):
        read_two(a, a, asked)
    three = pairs_written(tmp_path / "c.jsonl", "x", "y", "z")
    with pytest.raises(DataError, match=r"1 answers to 'one' and .*c\.jsonl 3; sample both with the same `num_resp"):
        read_two(a, three)
    (tmp_path / "d.jsonl").write_text('{"text": 1}\n')
    with pytest.raises(DataError, match=r"d\.jsonl:1: holds no sampled answers"):
        read_two(a, tmp_path / "d.jsonl")


@pytest.mark.slow(threads=1)
def test_a_judge_without_scores_is_shown_both_and_a_liking_for_a_place_favours_neither_model():
    first = open_judge(lambda prompt, a, b: "a")
    found = compared(same_to_all("old"), same_to_all("new"), first, repeats=2)
    assert (found.mean_before, found.difference, found.pairs[0].score_after) == (None, None, None)
    assert (found.win_rate.rate, found.win_rate.ties, {side.won for side in found.pairs}) == (0.5, 48, {0})
    assert (found.position_bias.rate, found.position_bias.num) == (1.0, 48)
    assert found.position_bias.low < 1
    likes_new = open_judge(lambda prompt, a, b: "a" if a == "new" else "b")
    newer = compared(same_to_all("old"), same_to_all("new"), likes_new)
    assert (newer.win_rate.wins, newer.position_bias.rate) == (24, 0.0)
    assert compared(same_to_all("a"), same_to_all("bb"), LONGER).position_bias is None


@pytest.mark.slow(threads=1)
def test_ties_apart_is_the_strength_that_davidsons_model_finds():
    lengths = Answers({p.id: ["x" * (3 if i < 9 else 1 if i < 13 else 2)] for i, p in enumerate(PROMPTS)})
    found = compared(same_to_all("xx"), lengths, LONGER)
    assert (found.win_rate.wins, found.win_rate.losses, found.win_rate.ties) == (9, 4, 11)
    assert (found.decided.rate, found.decided.num) == (9 / 13, 13)
    ahead = fit_davidson(Votes.from_counts([("new", "old", 9, 4, 11)])).difference("new", "old").estimate
    assert 1 / (1 + math.exp(-ahead)) == pytest.approx(9 / 13, abs=1e-6)
    assert compared(same_to_all("xx"), same_to_all("yy"), LONGER).decided is None


@dataclass
class Forgetful:
    """Prefers the newer answer, and every third time that it is asked something else."""

    name: str = "forgetful"
    price: str = "nothing"
    asks_once: bool = True
    num: int = 0

    def answers(self, comparisons, *, has_answered=False):
        for place, one in enumerate(comparisons):
            self.num += 1
            newer = "a" if one.a.text == "new" else "b"
            yield place, Judgement("tie" if self.num > len(comparisons) and self.num % 3 == 0 else newer)


@pytest.mark.slow(threads=1)
def test_a_judge_asked_again_says_how_far_it_repeats_itself_and_all_its_answers_count():
    found = compared(same_to_all("old"), same_to_all("new"), Forgetful(), repeats=2)
    assert (found.repeatability.rate, found.repeatability.num) == (pytest.approx(2 / 3), 24)
    assert (found.win_rate.wins, found.win_rate.ties) == (24 + 16, 8)
    steady = compared(same_to_all("a", "b"), same_to_all("aa", "bb"), LONGER, repeats=3)
    assert (steady.repeatability.rate, steady.repeatability.num) == (1.0, 48 * 3)
    assert compared(same_to_all("a"), same_to_all("b"), LONGER).repeatability is None
    with pytest.raises(ConfigError, match="repeats must be a whole number of at least 1, got"):
        compared(same_to_all("a"), same_to_all("b"), LONGER, repeats=0)


@pytest.mark.slow(threads=1)
def test_asking_a_steady_judge_again_makes_no_interval_narrower():
    after = Answers({p.id: ["aa" if i % 3 else ""] for i, p in enumerate(PROMPTS)})
    once, often = (compared(same_to_all("a"), after, LONGER, repeats=k).win_rate for k in (1, 4))
    assert (often.rate, often.wins) == (once.rate, 4 * once.wins)
    assert often.high - often.low >= once.high - once.low


@pytest.mark.slow(threads=1)
def test_an_answer_judged_again_is_one_answer_to_the_length_controlled_model():
    after = Answers({p.id: ["aa" if i % 3 else ""] for i, p in enumerate(PROMPTS)})
    once, often = (compared(same_to_all("a"), after, LONGER, repeats=k).length_controlled for k in (1, 3))
    assert often.num == once.num == 24
    assert often.value == pytest.approx(once.value, abs=1e-12)
    wavering = compared(same_to_all("old"), same_to_all("new"), Forgetful(), repeats=2)
    assert wavering.length_controlled.num == 24
    assert wavering.length_controlled.low <= wavering.win_rate.rate <= wavering.length_controlled.high


def test_an_interval_over_repeats_covers_the_truth_as_often_as_it_says():
    """Prompts differ in how likely the newer answer wins, and every prompt is judged three times."""
    rng, covered, trials = np.random.default_rng(0), 0, 400
    for _ in range(trials):
        share_G = rng.beta(3, 1, 20)
        credits = (rng.random((20, 3)) < share_G[:, None]).astype(float).ravel().tolist()
        found = win_rate_of(credits, np.repeat(np.arange(20), 3).tolist())
        covered += found.low <= 0.75 <= found.high
    assert covered >= 0.93 * trials
