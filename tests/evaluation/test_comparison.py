"""Before and after, summed up as the report shows it."""

import numpy as np
import pytest

from penchant.data import Message, Prompt
from penchant.evaluation.comparison import Answers, answer, compare_answers
from penchant.evaluation.judges import FunctionJudge
from penchant.models.sampler import SamplingParams
from penchant.ranking.winrate import paired_means

PROMPTS = [Prompt(messages=(Message(role="user", content=f"question {i}"),), id=str(i)) for i in range(40)]
LONGER = FunctionJudge("longer", lambda prompt, response: len(response))


def answers(*texts_by_prompt):
    return Answers({}, {p.id: list(texts) for p, texts in zip(PROMPTS, texts_by_prompt, strict=True)})


def compare(before, after, log_ratios):
    return compare_answers(PROMPTS, before, after, LONGER, np.array(log_ratios), SamplingParams())


def test_wins_losses_ties_and_means_are_counted_response_by_response():
    before = answers(*[["aa"]] * 40)
    after = answers(*[["aaa"]] * 20, *[["a"]] * 10, *[["bb"]] * 10)
    found = compare(before, after, [0.5] * 40)
    assert {k: found["win_rate"][k] for k in ("wins", "losses", "ties")} == {"wins": 20, "losses": 10, "ties": 10}
    assert found["win_rate"]["rate"] == pytest.approx(25 / 40)
    assert (found["mean_before"], found["mean_after"]) == (2.0, pytest.approx((60 + 10 + 20) / 40))
    assert found["kl"]["mean"] == pytest.approx(0.5)


def test_the_kl_is_the_mean_log_ratio_of_the_policys_own_samples():
    ratios = np.linspace(-1, 3, 40)
    found = compare(answers(*[["a"]] * 40), answers(*[["b"]] * 40), ratios)
    assert found["kl"]["mean"] == pytest.approx(1.0)
    assert found["kl"]["low"] < 1.0 < found["kl"]["high"]


def test_log_ratios_of_one_prompt_are_clustered_with_each_other():
    """Two a prompt, in the prompts' order: had they other prompts' labels, their likeness would not be seen."""
    ratios = np.repeat(np.linspace(-1, 3, 40), 2)
    found = compare(answers(*[["a"]] * 40), answers(*[["b"]] * 40), ratios)["kl"]
    expected = paired_means([0.0] * 80, ratios.tolist(), [i // 2 for i in range(80)])
    assert (found["mean"], found["low"], found["high"]) == (expected.after, expected.low, expected.high)


def test_four_like_answers_to_a_prompt_do_not_make_the_interval_narrower():
    one = compare(answers(*[["aa"]] * 40), answers(*[["aaa"]] * 25, *[["a"]] * 15), [0.0] * 40)
    four = compare(answers(*[["aa"] * 4] * 40), answers(*[["aaa"] * 4] * 25, *[["a"] * 4] * 15), [0.0] * 160)
    width = [found["win_rate"]["high"] - found["win_rate"]["low"] for found in (one, four)]
    assert four["win_rate"]["rate"] == one["win_rate"]["rate"]
    assert width[1] == pytest.approx(width[0], rel=0.2)


def test_two_prompts_with_one_id_are_a_mistake_of_the_caller():
    with pytest.raises(AssertionError, match="one id"):
        answer(None, [PROMPTS[0], PROMPTS[0]], SamplingParams(), num_responses=1, batch_size=1)
