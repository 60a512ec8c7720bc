"""Pairs scored by the reward of a model in memory or by name; what the command prints is tested with the command."""

import json

import pytest
import torch

from penchant.errors import ConfigError, DataError, ModelError
from penchant.evaluation.score import score_pairs
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics

ROWS = [
    {"prompt": "Once there was a dog", "chosen": " who was happy.", "rejected": " who ran away."},
    {"prompt": "Once there was a cat", "chosen": " who slept.", "rejected": " who was very big and sad."},
]


@pytest.fixture
def load(stories260k):
    def load(name=str(stories260k), *, special_tokens="refuse", by=0.0):
        model = load_model(name, choose_numerics("cpu", "float32"), chat_template="plain")
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.network.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=by)
        return model

    return load


@pytest.mark.slow(threads=1)
def test_a_model_measured_against_itself_gives_no_reward_and_is_right_by_half(load, stories260k):
    found = score_pairs(stories260k, ROWS, reference=stories260k, load=load)
    assert [(s.reward_chosen, s.reward_rejected, s.probability) for s in found.pairs] == [(0.0, 0.0, 0.5)] * 2
    assert (found.summary.accuracy.rate, found.beta) == (0.5, 0.1)


@pytest.mark.slow(threads=1)
def test_rewards_are_beta_times_the_gain_in_log_prob_whichever_way_the_reference_is_given(load, stories260k):
    policy = load(by=0.02)
    found = score_pairs(policy, ROWS, reference=load(), beta=0.5)
    assert found == score_pairs(policy, ROWS, reference=stories260k, beta=0.5)
    for score in found.pairs:
        assert score.reward_chosen == pytest.approx(0.5 * (score.policy_chosen - score.reference_chosen))
        assert abs(score.margin) > 1e-3


@pytest.mark.slow(threads=1)
def test_scores_are_rows_that_say_where_their_pair_stands(load, stories260k):
    found = score_pairs(load(), ROWS, reference=load())
    assert [row["origin"] for row in found.rows()] == [str(score.origin) for score in found.pairs]
    assert [json.loads(line) for line in found.as_lines().splitlines()] == found.rows()


@pytest.mark.slow(threads=1)
def test_bad_rows_are_left_out_aloud_or_refused(load):
    said = []

    class Listening:
        def say(self, text):
            said.append(text)

        def progress(self, what, done, total, facts):
            return

    rows = [*ROWS, {"prompt": "Once", "chosen": " same", "rejected": " same"}]
    model = load()
    assert len(score_pairs(model, rows, reference=model, reporter=Listening()).pairs) == 2
    assert any(line.startswith("left out 1 bad rows") for line in said)
    with pytest.raises(DataError, match="1 bad row in 3 read"):
        score_pairs(model, rows, reference=model, on_bad_row="error")


@pytest.mark.slow(threads=1)
def test_what_cannot_be_scored_is_refused(load):
    with pytest.raises(ConfigError, match=r"^beta must be a finite number above 0, got 0"):
        score_pairs("nowhere", ROWS, beta=0.0)
    other = load()
    other.tokenizer.add_tokens(["zebra"])
    with pytest.raises(ModelError, match="its tokenizer is not the policy's"):
        score_pairs(load(), ROWS, reference=other)


def test_a_row_with_one_right_answer_among_several_is_right_where_it_beats_every_wrong_one(load):
    """RewardBench 2's best of four, for rows as they are."""
    rows = [{"prompt": f"Once {i}", "chosen": [" a dog."], "rejected": [" a cat.", f" {i}.", " no."]} for i in range(6)]
    found = score_pairs(load(by=0.02), rows, reference=load())
    margins = [score.margin for score in found.pairs]
    assert len(margins) == 18
    whole = [all(margin > 0 for margin in margins[i : i + 3]) for i in range(0, 18, 3)]
    assert (found.summary.lists.rate, found.summary.lists.num) == (sum(whole) / 6, 6)
    assert score_pairs(load(), ROWS, reference=load()).summary.lists is None
