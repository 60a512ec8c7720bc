"""CHES is what transformers' own states give, pair by pair, and is highest where both sides are alike."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from penchant.errors import ConfigError
from penchant.models.load import load_model
from penchant.models.numerics import Numerics
from penchant.models.similarity import ches, ches_of_pairs
from penchant.tokens import EncodedPair, TokenSequence

CPU = Numerics(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def model(stories260k):
    return load_model(str(stories260k), CPU, chat_template="plain")


def pair(prompt, chosen, rejected):
    return EncodedPair(TokenSequence.of(prompt, chosen), TokenSequence.of(prompt, rejected), 1.0, 1.0, 0.0, None)


def test_it_is_the_inner_product_of_mean_states_less_the_chosen_ones_norm():
    chosen, rejected = torch.randn(5, 7, dtype=torch.float64), torch.randn(3, 7, dtype=torch.float64)
    by_hand = (
        sum((c * r).sum() for c in chosen for r in rejected) / 15
        - sum((a * b).sum() for a in chosen for b in chosen) / 25
    )
    assert float(ches(chosen, rejected)) == pytest.approx(float(by_hand), rel=1e-12)


def test_states_are_those_of_the_model_itself_whatever_is_shared(model, stories260k):
    plain = AutoModelForCausalLM.from_pretrained(stories260k, dtype=torch.float32)
    draw = np.random.default_rng(0)
    prompts = [draw.integers(3, 300, size=n).tolist() for n in (4, 4, 9)]
    pairs = [pair(p, *(draw.integers(3, 300, size=n).tolist() for n in (6, 3))) for p in prompts]
    found = ches_of_pairs(model, pairs, token_budget=30)
    for one, value in zip(pairs, found, strict=True):
        states = []
        for sequence in one.sequences:
            with torch.no_grad():
                hidden = plain.model(input_ids=torch.from_numpy(sequence.ids)[None])[0][0]
            states.append(hidden[np.flatnonzero(sequence.scored) - 1])
        assert value == pytest.approx(float(ches(*states)), rel=1e-4, abs=1e-4)


def test_the_same_response_on_both_sides_has_similarity_zero(model):
    [alike] = ches_of_pairs(model, [pair([5, 6, 7], [20, 21, 22], [20, 21, 22])])
    assert alike == pytest.approx(0, abs=1e-5)


def test_a_check_lists_the_pairs_that_are_most_alike_and_refuses_what_are_no_pairs(stories260k, tmp_path):
    import penchant as pt

    rows = [{"prompt": "Once", "chosen": " a dog ran.", "rejected": " a dog ran!"}]
    rows += [
        {"prompt": "Once", "chosen": f" {i} cats sat.", "rejected": " The big red boat sank in the sea"}
        for i in range(3)
    ]
    found = pt.check(rows, stories260k, chat_template="plain", ches=True, progress=False)
    assert [value for _, value in found.ches] == sorted((value for _, value in found.ches), reverse=True)
    assert found.ches[0][0] == str(found.items[0].origin)
    assert found.as_dict()["ches"][0]["where"] == found.ches[0][0]
    with pytest.raises(ConfigError, match="compares the two sides of preference pairs, but the data are"):
        pt.check([{"text": "Once there was."}], stories260k, chat_template="plain", ches=True, progress=False)
