"""What several ranks sample, score and evaluate is what one process does."""

import json

import pytest
import torch

from penchant import ranks
from penchant.data import Message, Prompt
from penchant.errors import ConfigError
from penchant.evaluation.authors import Answers, ModelAuthor, sampled_by
from penchant.evaluation.candidates import sample_prompts, sample_to_file
from penchant.evaluation.evaluate import evaluate
from penchant.evaluation.judges import FunctionJudge, PreferenceFunctionJudge
from penchant.evaluation.score import score_pairs
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.sampler import SamplingParams

ANIMALS = ("dog", "cat", "bird", "frog", "cow")
PROMPTS = [Prompt(messages=(Message(role="user", content=f"Once there was a {a} who"),), id=a) for a in ANIMALS]
ROWS = [{"prompt": f"Once there was a {a}", "chosen": " who was happy.", "rejected": " who ran away."} for a in ANIMALS]
TEXTS = [{"text": f"The {animal} was warm and sang in the trees."} for animal in ANIMALS]
PARAMS = SamplingParams(0.8, max_new_tokens=8, seed=3)


@pytest.fixture(scope="module")
def load(stories260k):
    def load(by=0.0):
        model = load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain")
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.network.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=by)
        return model

    return load


def equal_but_for_rounding(found, expected, of=0.1):
    """Of whatever JSON holds: a rank may take another matrix product, which adds up in another order.

    of: what 1e-5 is taken of, besides the number itself; for the limits of an interval its width, which few prompts
    make large.
    """
    if isinstance(expected, dict):
        if isinstance(expected.get("low"), float):
            of = max(of, expected["high"] - expected["low"])
        return found.keys() == expected.keys() and all(
            equal_but_for_rounding(found[k], expected[k], of) for k in expected
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(
            equal_but_for_rounding(one, other, of) for one, other in zip(found, expected, strict=True)
        )
    return found == (pytest.approx(expected, rel=1e-5, abs=1e-5 * of) if isinstance(expected, float) else expected)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("num_responses", [1, 3])
def test_a_file_of_samples_is_the_same_bytes_from_any_number_of_ranks(in_ranks, load, tmp_path, num_responses):
    model = load()
    sample_to_file(ModelAuthor(model, PARAMS), PROMPTS, tmp_path / "alone.jsonl", num_responses=num_responses)
    models = [model.copy() for _ in range(3)]

    def work(rank):
        author, output = ModelAuthor(models[rank], PARAMS), tmp_path / "together.jsonl"
        done = sample_to_file(author, PROMPTS, output, num_responses=num_responses)
        return done.num_prompts, output.read_bytes(), sample_prompts(author, PROMPTS, num_responses=num_responses).rows

    alone = (tmp_path / "alone.jsonl").read_bytes()
    rows = sample_prompts(ModelAuthor(model, PARAMS), PROMPTS, num_responses=num_responses).rows
    assert in_ranks(3, work) == [(5, alone, rows)] * 3


@pytest.mark.slow(threads=1)
def test_an_interrupted_file_goes_on_in_another_number_of_ranks(in_ranks, load, tmp_path):
    model = load()
    output = tmp_path / "samples.jsonl"
    sample_to_file(ModelAuthor(model, PARAMS), PROMPTS, output)
    whole = output.read_bytes()
    lines = whole.splitlines(keepends=True)
    output.write_bytes(b"".join(lines[1:3]) + lines[3][:20])
    models = [model.copy() for _ in range(2)]

    def work(rank):
        return sample_to_file(ModelAuthor(models[rank], PARAMS), PROMPTS, output, resume=True)

    done = in_ranks(2, work)
    assert [(one.num_prompts, one.num_found) for one in done] == [(3, 2)] * 2, done
    assert sorted(output.read_bytes().splitlines()) == sorted(whole.splitlines())


class Author:
    """Answers with the prompt's id, and fails on one."""

    source = sampled_by("author", PARAMS)

    def __init__(self, fails_on=""):
        self.fails_on = fails_on

    def answers(self, prompts, num_responses):
        for prompt in prompts:
            if prompt.id == self.fails_on:
                raise ConfigError("a frog does not answer")
            yield prompt, Answers((prompt.id,) * num_responses, (1,) * num_responses, (True,) * num_responses)


def test_what_fails_on_one_rank_ends_all_and_what_was_told_before_is_kept(in_ranks, tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "SECONDS_BETWEEN_MEETINGS", 0.0)
    output = tmp_path / "samples.jsonl"
    ended = in_ranks(2, lambda _: sample_to_file(Author("frog"), PROMPTS, output))
    assert [(type(one), str(one)) for one in ended] == [(ConfigError, "a frog does not answer")] * 2
    assert {json.loads(line)["id"] for line in output.read_text().splitlines()} == {"dog", "cat"}


def test_ranks_with_other_prompts_are_refused_before_anything_is_written(in_ranks, tmp_path):
    output = tmp_path / "samples.jsonl"
    ended = in_ranks(2, lambda rank: sample_to_file(Author(), PROMPTS[rank:], output))
    assert all(isinstance(one, ConfigError) for one in ended)
    assert "process 2 of 2 and the first process have different inputs (prompts)" in str(ended[0])
    assert not output.exists()


@pytest.mark.slow(threads=1)
def test_scores_and_evaluations_are_those_of_one_process(in_ranks, load):
    policy, reference = load(0.02), load()
    longer = FunctionJudge("longer", lambda prompt, response: len(response))
    shorter = PreferenceFunctionJudge("shorter", lambda prompt, a, b: "a" if len(a) < len(b) else "b")

    def work(one, other):
        found = [
            evaluate(
                one,
                PROMPTS,
                judge,
                reference=other,
                num_responses=2,
                sampling=PARAMS,
                pairs=ROWS,
                demonstrations=TEXTS,
            ).as_dict()
            for judge in (longer, shorter)
        ]
        scores = score_pairs(one, ROWS, reference=other)
        return json.loads(json.dumps([scores.rows(), found], default=str))

    alone = work(policy, reference)
    copies = [(policy.copy(), reference.copy()) for _ in range(3)]
    for found in in_ranks(3, lambda rank: work(*copies[rank])):
        assert isinstance(found, list), found
        scores, evaluations = found
        assert equal_but_for_rounding(scores, alone[0])
        for one, expected in zip(evaluations, alone[1], strict=True):
            for name in ("pairs", "win_rate", "accuracy", "forgetting", "mean_after", "kl", "kl_exact"):
                assert equal_but_for_rounding(one[name], expected[name]), name
