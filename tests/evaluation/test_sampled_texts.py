"""A plain model's sampled answers are written down so that training on them reads the tokens that it wrote."""

import json

import pytest

from penchant.data import Message, Prompt
from penchant.evaluation.answers import Asked, answer
from penchant.evaluation.authors import ModelAuthor
from penchant.evaluation.candidates import sample_prompts, sample_to_file
from penchant.evaluation.judges import judge_comparisons, open_judge
from penchant.models.generate import Request, generate
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.sampler import SamplingParams
from penchant.progress import Silent

GREEDY = SamplingParams(temperature=0.0, max_new_tokens=4)
DOG = Prompt(messages=(Message(role="user", content="There was a dog"),), id="dog")


@pytest.fixture(scope="module")
def stories(stories260k):
    return load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain")


def test_answers_keep_the_space_that_parts_them_from_the_prompt(stories):
    (text,) = answer(stories, Asked([DOG], GREEDY), Silent(), "").texts["dog"]
    prompt = Request(tuple(stories.encoder.encode_prompt(DOG.messages)), "dog")
    ((response,),) = generate(stories, [prompt], GREEDY, num_responses=1, batch_size=1)
    assert text.startswith(" named")
    assert stories.encoder.encode_response(DOG.messages, text)[:-1] == list(response.token_ids)


@pytest.mark.parametrize("num_responses", [1, 2])
def test_candidates_keep_the_space_that_parts_them_from_the_prompt(stories, num_responses, tmp_path):
    sample_to_file(ModelAuthor(stories, GREEDY), [DOG], tmp_path / "sampled.jsonl", num_responses=num_responses)
    (row,) = map(json.loads, (tmp_path / "sampled.jsonl").read_text().splitlines())
    texts = [row["completion"]] if num_responses == 1 else [row["a"]["text"], row["b"]["text"]]
    assert all(text.startswith(" named") for text in texts)


ANIMALS = [
    Prompt(messages=(Message(role="user", content=f"Once there was a {animal} who"),), id=animal)
    for animal in ("dog", "cat", "bird")
]


@pytest.mark.parametrize("num_responses", [1, 2, 3])
def test_samples_in_memory_are_the_rows_of_the_file_in_the_prompts_order(stories, tmp_path, num_responses):
    params, seen = SamplingParams(max_new_tokens=4, seed=3), []
    found = sample_prompts(
        ModelAuthor(stories, params), ANIMALS, num_responses=num_responses, on_progress=lambda *done: seen.append(done)
    )
    done = sample_to_file(
        ModelAuthor(stories, params), ANIMALS, tmp_path / "samples.jsonl", num_responses=num_responses
    )
    written = (tmp_path / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in written] == list(found.rows)
    assert (found.num_tokens, found.num_identical) == (done.num_tokens, done.num_identical)
    assert len(found.comparisons) == (0 if num_responses == 1 else len(found.rows))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_samples_in_memory_are_judged_as_they_are(stories):
    found = sample_prompts(ModelAuthor(stories, SamplingParams(max_new_tokens=4)), ANIMALS)
    votes = judge_comparisons(open_judge(lambda prompt, response: response.count("e")), found.comparisons)
    assert [vote.id for vote in votes] == ["dog", "cat", "bird"]
    assert {vote.outcome for vote in votes} <= {"a", "b", "tie"}
