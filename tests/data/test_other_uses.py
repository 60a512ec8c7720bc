"""Data that another command reads is refused with the name of that command, by whatever loader it was given to."""

import json

import pytest

from penchant.data import load_demonstrations, load_labelled, load_pairs, load_prompts, load_votes
from penchant.errors import DataError

USER, BOT = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "R"}
PAIR = {"prompt": "Q", "chosen": "x", "rejected": "y"}
SHOWN = {"instruction": "Q", "output": "R"}
VOTE = {"left": "tea", "right": "coffee", "winner": "left"}
ROLES = ("user", "assistant")
COUNTS = {"left": "tea", "right": "coffee", "left_wins": 3, "right_wins": 1}


@pytest.mark.parametrize(
    ("load", "row", "words"),
    [
        (load_pairs, {"prompt": "Q"}, "`penchant sample` reads them, as prompts"),
        (load_pairs, {"messages": [USER]}, "`penchant sample` reads them, as prompts"),
        (load_pairs, {"messages": [USER, BOT]}, "`penchant sft` reads them, as demonstrations"),
        (load_pairs, SHOWN, "`penchant sft` reads them, as demonstrations"),
        (
            load_pairs,
            SHOWN | {"label": True},
            '`penchant dpo` with `objective="kto"` reads them, as labelled responses',
        ),
        (load_pairs, VOTE, "`penchant rank` reads them, as votes"),
        (load_pairs, COUNTS, "`penchant rank` reads them, as votes"),
        (load_labelled, SHOWN, "`penchant sft` reads them, as demonstrations"),
        (load_demonstrations, PAIR, "`penchant dpo` reads them, as preference pairs"),
        (load_demonstrations, VOTE, "`penchant rank` reads them, as votes"),
        (load_prompts, VOTE, "`penchant rank` reads them, as votes"),
        (load_votes, PAIR, "`penchant dpo` reads them, as preference pairs"),
        (load_votes, {"prompt": "Q", "completion": "R"}, "`penchant sft` reads them, as demonstrations"),
    ],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_the_command_that_reads_the_rows_is_named(load, row, words):
    with pytest.raises(
        DataError, match=rf"^data: no known format has its columns \([\w, ]+\); {words}; say which column"
    ):
        load([row])


def test_a_row_with_answers_is_not_sent_where_only_its_prompt_is_read():
    listed = {"prompt": "Q", "answers": [{"text": "x", "score": 1}]}
    for load, row in (
        (load_pairs, PAIR | {"rejected": ""}),
        (load_pairs, listed),
        (load_demonstrations, {"prompt": " ", "completion": "R"}),
    ):
        with pytest.raises(DataError) as caught:
            load([row])
        assert "penchant sample" not in str(caught.value)


def test_what_another_command_would_refuse_is_not_sent_there():
    with pytest.raises(DataError, match="no known format has its columns"):
        load_pairs([{"prompt": "Q", "images": ["a.png"]}])


def test_comparisons_that_nobody_answered_say_who_answers_them():
    row = {"id": "1", "prompt": [USER], "a": {"text": "x"}, "b": {"text": "y"}}
    with pytest.raises(DataError, match="nobody has answered yet: `penchant votes import` asks people"):
        load_pairs([row])


def test_a_record_of_two_objects_names_the_command_that_reads_it(tmp_path):
    one = {"question": {"full_text": "What is the sun?"}, "answer": "A star.", "score": 1}
    path = tmp_path / "webgpt.jsonl"
    path.write_text(json.dumps([one, one | {"answer": "A lamp.", "score": -1}]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"must be a JSON object, got list; `penchant dpo` reads them"):
        load_votes(path)


def test_a_list_that_names_no_models_is_for_training():
    answers = [{"text": "A star.", "pm_score": 2}, {"text": "A lamp.", "pm_score": 1}]
    with pytest.raises(DataError, match=r"\(question, answers\); `penchant dpo` reads them, as preference pairs"):
        load_votes([{"question": "What is the sun?", "answers": answers}])


def test_rows_that_were_put_together_are_named_by_their_own_columns():
    rows = [{"prompt": "What is the sun?", "response": text, "helpfulness": 1} for text in ("A star.", "A lamp.")]
    rows = [row | dict.fromkeys(("correctness", "coherence", "complexity", "verbosity"), 1) for row in rows]
    with pytest.raises(DataError, match=r"has its columns \(prompt, response, helpfulness, correctness, "):
        load_votes(rows)


def test_two_texts_without_a_prompt_say_what_is_missing():
    with pytest.raises(DataError, match="its two texts do not show where the prompt ends"):
        load_pairs([{"chosen": "The sky is blue.", "rejected": "The sky is green."}])


def test_lists_that_nobody_has_scored_are_for_asking_people():
    with pytest.raises(DataError, match=r"\(1 no_scores\); .*`penchant votes import` asks people"):
        load_pairs([{"prompt": "What is the sun?", "responses": ["A star.", "A lamp."], "scores": [None, None]}])


def test_a_way_on_is_named_once():
    turns = [
        [
            {"role": role, "content": f"{role} {side} {n}" if role == "assistant" else f"{n}"}
            for n in (1, 2)
            for role in ROLES
        ]
        for side in "ab"
    ]
    battle = {"model_a": "tea", "model_b": "mud", "winner": "model_a"}
    with pytest.raises(DataError) as caught:
        load_pairs([battle | {"conversation_a": turns[0], "conversation_b": turns[1]}])
    assert str(caught.value).count("`penchant rank`") == 1
