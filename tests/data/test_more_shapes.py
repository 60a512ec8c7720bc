"""Shapes of public data sets in which the two sides are spelled in ways of their own, and lists that become tasks."""

import json

import pytest

from penchant.data import load_pairs, load_prompts
from penchant.errors import DataError
from penchant.feedback.imports import read_comparisons


def json_line(row):
    return json.dumps(row) + "\n"


INFO = {"id": "t3_1", "post": "I lost my keys.", "title": "Keys", "subreddit": "advice"}
USER = {"role": "user", "content": "Q"}


def assistant(text):
    return {"role": "assistant", "content": text}


def sides(rows, **options):
    loaded = load_pairs(rows, on_bad_row="drop", **options)
    return [(pair.chosen, pair.rejected) for pair in loaded.records], loaded.verdict_counts


def rating(text, overall, worker="w1", info=INFO):
    return {"info": info, "summary": {"text": text, "policy": "sup1", "axes": {"overall": overall}}, "worker": worker}


def test_ratings_of_one_posts_summaries_are_a_list_wherever_they_stand_and_workers_are_averaged():
    other = {**INFO, "id": "t3_2", "post": "I found them."}
    rows = [rating("good", 6), rating("of another post", 1, info=other), rating("bad", 5), rating("good", 3, "w2")]
    found, counts = sides(rows)
    assert found == [("bad", "good")]  # 5 against (6 + 3) / 2
    assert counts == {"keep": 3, "one_answer": 1}


@pytest.mark.parametrize(("strength", "expected"), [(-3, [("first", "second")]), (2, [("second", "first")]), (0, [])])
def test_helpsteer_2_prefers_the_second_above_0_and_keeps_the_turns_of_its_prompt(strength, expected):
    prompt = "One?\n<extra_id_1>Assistant\nTwo.\n<extra_id_1>User\nThree?"
    row = {"split": "train", "prompt": prompt, "response_1": "first", "response_2": "second"}
    more = {"preference_strength": strength, "preference_statement": "s", "all_preferences_unprocessed": [{"x": 1}]}
    if not expected:
        with pytest.raises(DataError, match="1 tie"):
            load_pairs([row | more])
        return
    loaded = load_pairs([row | more])
    assert [(pair.chosen, pair.rejected) for pair in loaded.records] == expected
    assert [message.role for message in loaded.records[0].prompt] == ["user", "assistant", "user"]
    assert loaded.unread == ()


def test_the_edits_of_helpsteer_3_are_pairs_and_a_good_edit_is_better_than_a_bad_one():
    said = {"domain": "general", "language": "english", "context": [USER], "feedback": ["a", "b", "c"]}
    edit = said | {"original_response": "old", "edited_response": "new", "change_summary": "it is newer"}
    quality = said | {"original_response": "old", "good_edited_response": "good", "bad_edited_response": "bad"}
    loaded = load_pairs([edit, quality])
    assert [(pair.chosen, pair.rejected) for pair in loaded.records] == [("new", "old"), ("good", "bad")]
    assert loaded.unread == ()


def test_each_right_answer_of_reward_bench_2_is_chosen_over_each_wrong_one():
    row = {"id": "tied:0", "prompt": "A colour?", "chosen": ["red", "blue"], "rejected": ["seven", "a dog"]}
    row |= {"num_correct": 2, "num_incorrect": 2, "total_completions": 4, "models": ["m"] * 4, "subset": "Ties"}
    found, counts = sides([row])
    expected = [("red", "seven"), ("red", "a dog"), ("blue", "seven"), ("blue", "a dog")]
    assert sorted(found) == sorted(expected)
    assert set(counts) == {"keep"}


def test_one_side_as_a_list_of_texts_and_the_other_as_a_text_is_a_bad_row():
    with pytest.raises(DataError, match="'rejected' must be a list of texts, as the other side is"):
        load_pairs([{"prompt": "Q", "chosen": ["R"], "rejected": "S"}])


def test_the_rejected_answer_of_ms_swift_stands_beside_messages_that_end_with_the_chosen_one():
    first = {"messages": [USER, assistant("R")], "rejected_response": "S"}
    second = {"messages": [USER, assistant("R")], "rejected_messages": [USER, assistant("S")]}
    third = {"query": "Q", "response": "R", "rejected_response": "S"}
    found, counts = sides([first, second, third])
    assert set(found) == {("R", "S")}
    assert counts == {"keep": 1, "duplicate": 2}


def test_ms_swifts_messages_that_end_with_the_user_are_refused():
    with pytest.raises(
        DataError, match="the last message of 'messages' is the user's, but it must be the chosen response"
    ):
        load_pairs([{"messages": [USER], "rejected_response": "S"}])


@pytest.mark.parametrize(
    "names",
    [
        ("score_chosen", "score_rejected"),
        ("chosen-rating", "rejected-rating"),
        ("chosen_rating", "rejected_rating"),
        ("chosen_avg_rating", "rejected_avg_rating"),
        ("chosen_reward", "rejected_reward"),
    ],
)
def test_two_sides_of_the_same_score_are_a_tie_and_no_pair(names):
    score, other = names
    row = {"prompt": "Q", "chosen": [USER, assistant("R")], "rejected": [USER, assistant("S")]}
    whole = {"chosen": [USER, assistant("T")], "rejected": [USER, assistant("S")]}
    rows = [row | {score: 8.0, other: 8.0}, whole | {score: 8.0, other: 8.0}, row | {score: 8.5, other: 8.0}, row]
    found, counts = sides(rows)
    assert found == [("R", "S"), ("R", "S")]
    assert counts == {"tie": 2, "keep": 1, "duplicate": 1}


def test_a_judges_verdicts_without_the_rows_they_judge_are_refused_with_what_to_do(shared):
    path = shared / "data" / "pandalm" / "gpt-3.5-turbo-testset-v1.json.gz"
    with pytest.raises(DataError, match="; these are a judge's verdicts, which belong in the judged rows"):
        load_pairs(path)


def test_the_feedback_of_helpsteer_3_is_refused_as_no_pair():
    row = {"domain": "general", "context": [USER], "response": "R", "feedback": ["good", "bad", "fair"]}
    with pytest.raises(DataError, match="; it says in words how good one response is, but holds no pair"):
        load_pairs([row])


def node(name, role, text, *replies, **more):
    return {"message_id": name, "role": role, "text": text, "replies": list(replies), **more}


def test_sampling_asks_what_a_message_tree_begins_with():
    later = node("3", "prompter", "And the moon?")
    tree = {"message_tree_id": "1", "prompt": node("1", "prompter", "The sun?", node("2", "assistant", "Yes.", later))}
    deleted = {"message_tree_id": "4", "prompt": node("4", "prompter", "Gone.", deleted=True)}
    loaded = load_prompts([tree, deleted], on_bad_row="drop")
    assert [prompt.messages[0].content for prompt in loaded.records] == ["The sun?"]
    assert loaded.verdict_counts == {"keep": 1, "empty_prompt": 1}


def test_every_two_answers_of_a_list_are_a_task_ties_and_unjudged_ones_too(tmp_path):
    path = tmp_path / "lists.jsonl"
    scored = [{"text": "a", "score": 3}, {"text": "b", "score": 3}, {"text": "c", "score": 1}]
    path.write_text(
        json_line({"prompt": "Q", "answers": scored})
        + json_line({"prompt": "P", "answers": [{"text": "a", "score": 2}, {"text": "b", "score": None}]}),
        encoding="utf-8",
    )
    tasks = read_comparisons(path)
    assert tasks.refused == []
    won = [
        None if one.outcome is None else one.outcome if one.outcome == "tie" else getattr(one, one.outcome).text
        for one in tasks.comparisons
    ]
    assert won == ["tie", "a", "b", None]
    assert [{one.a.text, one.b.text} for one in tasks.comparisons] == [{"a", "b"}, {"a", "c"}, {"b", "c"}, {"a", "b"}]


def test_rows_of_one_prompt_are_tasks_of_one_list(tmp_path):
    path = tmp_path / "rated.jsonl"
    rows = [{"prompt": "Q", "response": text, "helpfulness": n, "correctness": 1} for n, text in enumerate("abc")]
    path.write_text("".join(map(json_line, rows)), encoding="utf-8")
    assert len(read_comparisons(path).comparisons) == 3
