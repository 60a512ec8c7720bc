"""Prompts and demonstrations in the forms of public question sets, against the files read by hand."""

import json

import pytest

from penchant.data import load_demonstrations, load_prompts
from penchant.errors import DataError

TASK = {
    "id": "t",
    "instruction": "Name it.",
    "instances": [{"input": "a", "output": "x"}, {"input": "", "output": "y"}],
}


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def said(messages):
    return [(message.role, message.content) for message in messages]


@pytest.mark.parametrize("name", ["mt_bench_question.jsonl", "vicuna_bench_question.jsonl"])
def test_of_several_turns_the_first_is_asked_under_the_questions_own_id(shared, name):
    path = shared / "data" / "prompts" / name
    rows, prompts = rows_of(path), load_prompts(path).records
    assert [prompt.id for prompt in prompts] == [str(row["question_id"]) for row in rows]
    assert [said(prompt.messages) for prompt in prompts] == [[("user", row["turns"][0])] for row in rows]


@pytest.mark.parametrize("name", ["prompts/user_oriented_instructions.jsonl", "sft/self_instruct_seed_tasks.jsonl"])
def test_each_instance_of_a_task_is_asked_or_imitated(shared, name):
    path = shared / "data" / name
    cells = [(row["instruction"], one) for row in rows_of(path) for one in row["instances"]]
    asked = [f"{task}\n\n{one['input']}" if one["input"] else task for task, one in cells]
    assert [said(prompt.messages) for prompt in load_prompts(path).records] == [[("user", text)] for text in asked]
    answered = [said(record.messages) for record in load_demonstrations(path).records]
    assert answered == [[("user", t), ("assistant", one["output"])] for t, (_, one) in zip(asked, cells, strict=True)]


def test_instances_of_one_task_have_ids_of_their_own():
    assert [prompt.id for prompt in load_prompts([TASK]).records] == ["t-1", "t-2"]
    assert [said(r.messages)[-1] for r in load_demonstrations([TASK]).records] == [
        ("assistant", "x"),
        ("assistant", "y"),
    ]


def test_of_several_strange_fields_the_first_of_the_row_is_named_whatever_the_hash_seed():
    strange = dict.fromkeys(("weather", "image", "mood", "season", "audio", "moon"), "?")
    with pytest.raises(DataError, match="an instance holds 'weather'"):
        load_prompts([{**TASK, "instances": [{"input": "a", **strange}]}])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"turns": []}, "'turns' must be a list of texts, got a list"),
        ({"turns": "What?"}, "'turns' must be a list of texts, got text"),
        ({"turns": ["What?", 3]}, "'turns' must be a list of texts, got a list"),
        ({"instruction": "Name it.", "instances": []}, "'instances' must be a list of objects, got a list"),
        ({"instruction": "Name it.", "instances": ["x"]}, "'instances' must be a list of objects, got a list"),
        ({"instruction": "Name it.", "instances": [{"input": "a", "image": "b.png"}]}, "'image', which is not read"),
    ],
)
def test_what_is_no_question_is_refused_in_a_sentence(row, words):
    with pytest.raises(DataError, match=words):
        load_prompts([row])


def test_the_prompt_beside_lists_of_texts_is_asked():
    (prompt,) = load_prompts([{"prompt": "Name a colour.", "chosen": ["Red", "Blue"], "rejected": ["Cat"]}]).records
    assert said(prompt.messages) == [("user", "Name a colour.")]
