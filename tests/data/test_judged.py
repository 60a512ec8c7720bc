"""Two answers that were judged: every public format of them becomes the pairs, votes and tasks that its rows say."""

import csv
import gzip
import json
from collections import Counter

import pytest

from penchant.data import guess_kind, load_pairs, load_votes
from penchant.data.importers import CHOSEN_IMPORTERS, JUDGED_IMPORTERS
from penchant.data.verdicts import CODES
from penchant.feedback.imports import read_comparisons


def rows_of(path):
    """A file as json alone reads it."""
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
    return json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def say(*texts):
    """A conversation whose turns alternate."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def plain(pairs):
    return [(tuple(m.content for m in pair.prompt), pair.chosen, pair.rejected) for pair in pairs]


@pytest.fixture
def read(tmp_path):
    """What each command makes of rows: pairs, votes (None where they are none) and tasks; a bad row is left out."""

    def run(*rows, kind="pairs"):
        path = write(tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl", rows)
        load = {"pairs": load_pairs, "votes": load_votes, "tasks": read_comparisons}[kind]
        return load(path) if kind == "tasks" else load(path, on_bad_row="drop")

    return run


@pytest.mark.parametrize("importer", JUDGED_IMPORTERS, ids=lambda one: one.name)
def test_rows_of_every_format_are_pairs_and_tasks_and_every_field_is_accounted_for(importer, read):
    loaded = read(importer.example)
    assert (loaded.format, loaded.verdict_counts, loaded.unread) == (importer.name, {"keep": 1}, ())
    assert guess_kind([importer.example]) == "pairs"
    (task,), refused, unread = read(importer.example, kind="tasks")
    assert (refused, unread) == ([], [])
    assert (task.a.text if task.outcome == "a" else task.b.text) == loaded.records[0].chosen
    assert not any(one.matches(importer.example) for one in CHOSEN_IMPORTERS if one.name != importer.name)


ARENA = {
    "question_id": "58210e39b3fd4441a2bd4a518bb44c2d",
    "model_a": "chatglm-6b",
    "model_b": "koala-13b",
    "winner": "model_b",
    "judge": "arena_user_973",
    "conversation_a": say("What is OpenCL?", "A card."),
    "conversation_b": say("What is OpenCL?", "A standard."),
    "turn": 1,
    "anony": True,
    "language": "English",
    "tstamp": 1682351591.1322,
    "openai_moderation": {"categories": {"harassment": False}, "flagged": False},
    "toxic_chat_tag": {"roberta-large": {"flagged": False, "probability": 0.012}},
}


@pytest.mark.parametrize(
    ("winner", "code"),
    [("tie", "tie"), ("tie (bothbad)", "both_bad"), ("both_bad", "both_bad"), ("tie (inconsistent)", "tie")],
)
def test_a_tie_and_both_bad_of_an_arena_stay_apart(read, winner, code):
    loaded = read(ARENA, ARENA | {"winner": winner}, ARENA | {"winner": None})
    assert loaded.verdict_counts == {"keep": 1, code: 1, "unanswered": 1}
    assert plain(loaded.records) == [(("What is OpenCL?",), "A standard.", "A card.")]
    assert Counter(vote.outcome for vote in read(ARENA | {"winner": winner}, kind="votes").records) == {code: 1}
    assert loaded.unread == ()


def test_conversations_that_part_before_the_last_answer_are_votes_and_no_pairs(read):
    parted = ARENA | {
        "conversation_a": say("Hi", "Hello.", "Who are you?", "A model."),
        "conversation_b": say("Hi", "Hey.", "Who are you?", "Nobody."),
        "turn": 2,
    }
    shared = parted | {"conversation_b": say("Hi", "Hello.", "Who are you?", "Nobody.")}
    loaded = load_pairs([parted, shared])  # a sound row: no reason to stop
    assert loaded.verdict_counts == {"turns_differ": 1, "keep": 1}
    assert plain(loaded.records) == [(("Hi", "Hello.", "Who are you?"), "Nobody.", "A model.")]
    assert len(read(parted, shared, kind="votes").records) == 2
    other = parted | {"conversation_b": say("Bye", "Hello.", "Who are you?", "Nobody.")}
    assert read(shared, other).verdict_counts == {"keep": 1, "prompts_differ": 1}


def test_what_was_judged_is_the_answer_of_the_turn_that_is_named(read):
    """MT-bench's rows hold both turns whichever was judged."""
    row = {
        "question_id": 81,
        "model_a": "alpaca-13b",
        "model_b": "gpt-3.5-turbo",
        "winner": "model_b",
        "judge": "author_2",
        "conversation_a": say("Write a post.", "I went.", "Rewrite it.", "Went I."),
        "conversation_b": say("Write a post.", "Aloha!", "Rewrite it.", "Again!"),
    }
    loaded = read(row | {"turn": 1}, row | {"turn": 2})
    assert plain(loaded.records) == [(("Write a post.",), "Aloha!", "I went.")]
    assert loaded.verdict_counts == {"keep": 1, "turns_differ": 1}
    first, second = read(row | {"turn": 1}, row | {"turn": 2}, kind="votes").records
    assert first.unit != second.unit  # two things were judged, not one thing twice


def test_a_vote_after_other_votes_of_its_session_is_no_pair(read):
    """Since 2025 a conversation holds what one vote saw, and full_conversation what went before with other models."""
    part = {"type": "text", "text": "Hi", "image": None, "mimeType": None}
    row = {
        "id": "x",
        "model_a": "tea",
        "model_b": "coffee",
        "winner": "model_a",
        "evaluation_session_id": "s",
        "evaluation_order": 1,
        "conversation_a": [{"role": "user", "content": [part]}, {"role": "assistant", "content": [part]}],
        "conversation_b": [{"role": "user", "content": [part]}, *say("", "Hello.")[1:]],
        "full_conversation": [{"user": {"role": "user", "content": [part]}, "model_side_a": {}, "model_side_b": {}}],
        "conv_metadata": {"sum_user_tokens": 12},
        "category_tag": {"math_v0.1": {"math": False}},
        "language": "en",
        "is_code": False,
        "timestamp": "2025-05-21 14:24:55.105",
    }
    later = row | {"evaluation_order": 2, "full_conversation": 2 * row["full_conversation"]}
    loaded = read(row, later, later | {"full_conversation": None})
    assert loaded.verdict_counts == {"keep": 1, "turns_differ": 2}
    assert plain(loaded.records) == [(("Hi",), "Hi", "Hello.")]
    assert loaded.unread == ()


def kaggle(prompt, a, b, winner):
    wins = {f"winner_{name}": int(name == winner) for name in ("model_a", "model_b", "tie")}
    return {"id": 30192, "model_a": "tea", "model_b": "coffee"} | {
        "prompt": json.dumps(prompt),
        "response_a": json.dumps(a),
        "response_b": json.dumps(b),
        **wins,
    }


def test_lists_of_turns_that_are_kept_as_text_are_whole_conversations(read, tmp_path):
    rows = [
        kaggle(["Is it [a] list?"], ["Yes."], ["No."], "model_b"),
        kaggle(["Hi", "And then?"], ["Hello.", "A."], ["Hello.", "B."], "model_a"),
        kaggle(["Hi", "And then?"], ["Hello.", "A."], ["Hey.", "B."], "model_a"),
        kaggle(['["a", "b"]'], ["x"], ["y"], "model_a"),
        kaggle(["Hi"], ["A."], ["B."], "tie"),
        kaggle(["Hi"], [None], ["B."], "model_b"),
        kaggle(["Hi"], ["A.", "C."], ["B."], "model_b"),
    ]
    path = tmp_path / "train.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, rows[0])
        table.writeheader()
        table.writerows(rows)
    for loaded in (load_pairs(path, on_bad_row="drop"), read(*rows)):
        assert plain(loaded.records) == [
            (("Is it [a] list?",), "No.", "Yes."),
            (("Hi", "Hello.", "And then?"), "A.", "B."),
            (('["a", "b"]',), "x", "y"),
        ]
        assert loaded.verdict_counts == {"keep": 3, "turns_differ": 1, "tie": 1, "empty_response": 1, "bad_type": 1}
    votes = load_votes(path, on_bad_row="drop").records
    assert Counter(vote.outcome for vote in votes) == {"left": 3, "right": 2, "tie": 1}


def test_the_arenas_test_file_has_no_winners_and_says_so(read):
    row = {name: kaggle(["Hi"], ["A."], ["B."], "tie")[name] for name in ("id", "prompt", "response_a", "response_b")}
    assert read(kaggle(["Hi"], ["A."], ["B."], "model_a"), row).verdict_counts == {"keep": 1, "unanswered": 1}


CROWD = {"model_a": 364, "model_b": 350, "tie": 481}
"""Winners that SOURCE.md counts."""


def test_a_crowds_battles_are_the_pairs_that_their_rows_say(shared):
    path = shared / "data" / "llmfao" / "arena_shape_from_llmfao.jsonl.gz"
    rows = rows_of(path)
    assert Counter(row["winner"] for row in rows) == CROWD
    expected = [
        ((row["conversation_a"][0]["content"],), *(row[f"conversation_{s}"][1]["content"] for s in sides))
        for row in rows
        for sides in [{"model_a": "ab", "model_b": "ba"}.get(row["winner"])]
        if sides
    ]
    loaded = load_pairs(path, on_bad_row="drop")
    equal = loaded.verdict_counts.get("equal_responses", 0) + loaded.verdict_counts.get("empty_response", 0)
    assert loaded.verdict_counts["tie"] == CROWD["tie"]
    assert len(loaded.records) + equal == CROWD["model_a"] + CROWD["model_b"]
    usable = [pair for pair in expected if pair[1].strip() != pair[2].strip() and pair[1].strip() and pair[2].strip()]
    assert plain(loaded.records) == usable
    assert [field.name for field in loaded.unread] == []


def test_the_latest_arenas_shape_keeps_its_four_outcomes(shared):
    path = shared / "cases" / "arena140k.jsonl"
    assert Counter(row["winner"] for row in rows_of(path)) == {"model_a": 2, "model_b": 1, "tie": 1, "both_bad": 1}
    loaded = load_pairs(path)
    assert loaded.verdict_counts == {"keep": 1, "contradicts": 2, "tie": 1, "both_bad": 1}
    assert plain(loaded.records) == [(("hi",), "a", "b"), (("hi",), "b", "a"), (("hi",), "a", "b")]
    assert Counter(vote.outcome for vote in load_votes(path).records) == {
        "left": 2,
        "right": 1,
        "tie": 1,
        "both_bad": 1,
    }


def test_every_code_of_a_row_without_a_preference_is_no_fault():
    codes = ("tie", "both_bad", "unanswered", "turns_differ")
    assert {CODES[code].severity for code in codes} == {"no_pair"}
