"""Two answers that were judged: every public format of them becomes the pairs, votes and tasks that its rows say."""

import csv
import gzip
import json
from collections import Counter

import pytest

from penchant.data import guess_kind, load_pairs, load_votes
from penchant.data.importers import CHOSEN_IMPORTERS, JUDGED_IMPORTERS
from penchant.data.verdicts import CODES
from penchant.errors import DataError
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
    (task, *_), refused, unread = read(importer.example, kind="tasks")
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


def test_a_judge_may_be_a_model_with_its_prompt_and_a_time_may_be_blank(read):
    row = ARENA | {"judge": ["gpt-4", "pair-v2"], "tstamp": ""}
    assert read(row).verdict_counts == {"keep": 1}
    assert [task.annotator for task in read(row, kind="tasks")[0]] == ["gpt-4 pair-v2"]


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


def test_one_prompt_and_two_answers_that_are_plain_texts_are_a_battle_of_one_turn(read):
    row = {"id": "x", "prompt": "[1] What?", "response_a": "[a]", "response_b": "b", "winner": "model_b"}
    row |= {"model_a": "tea", "model_b": "coffee", "language": "English"}
    loaded = read(row, row | {"winner": "tie"})
    assert plain(loaded.records) == [(("[1] What?",), "b", "[a]")]
    assert loaded.verdict_counts == {"keep": 1, "tie": 1}
    assert len(read(row, kind="votes").records) == 1


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


def alike(*texts):
    return len({text.strip() for text in texts}) < len(texts) or not all(text.strip() for text in texts)


def test_alpaca_evals_published_win_rate_comes_out_of_its_votes(shared):
    """SOURCE.md: 672 lost, 112 won, 20 drawn as 0.0, one null."""
    path = shared / "data" / "alpaca_eval" / "text_davinci_001_vs_003.alpaca_eval_gpt4.annotations.json.gz"
    rows = rows_of(path)
    assert Counter(row["preference"] for row in rows) == {1.0: 672, 2.0: 112, 0.0: 20, None: 1}
    votes = load_votes(path)
    outcomes = Counter(vote.outcome for vote in votes.records)
    assert outcomes == {"left": 672, "right": 112, "tie": 20}
    assert {(vote.left, vote.right, vote.annotator) for vote in votes.records} == {
        ("text_davinci_003", "text_davinci_001", "alpaca_eval_gpt4")
    }
    assert votes.verdict_counts == {"keep": 804, "unanswered": 1}
    rate = 100 * (outcomes["right"] + outcomes["tie"] / 2) / len(votes.records)
    published = shared / "data" / "alpaca_eval" / "leaderboard_published_alpaca_eval_gpt4.csv"
    with published.open(encoding="utf-8") as stream:
        assert rate == pytest.approx(
            next(float(row["win_rate"]) for row in csv.DictReader(stream) if row[""] == "text_davinci_001"), abs=1e-9
        )
    expected = [
        ((row["instruction"],), row[f"output_{won}"], row[f"output_{3 - won}"])
        for row in rows
        for won in [int(row["preference"] or 0)]
        if won and not alike(row["output_1"], row["output_2"])
    ]
    pairs = load_pairs(path, on_bad_row="drop")
    assert plain(pairs.records) == expected
    assert (pairs.verdict_counts["tie"], pairs.verdict_counts["unanswered"]) == (20, 1)
    assert pairs.unread == ()


@pytest.mark.parametrize(
    ("preference", "code"),
    [(0, "tie"), (0.0, "tie"), (1.5, "tie"), ("1.0", "keep"), (1.2, "keep"), (None, "unanswered"), (3, "bad_type")],
)
def test_a_draw_is_0_and_1_5_and_a_weighted_judge_says_the_likelier_side(read, preference, code):
    row = {"instruction": "Add.", "input": "1 and 2", "output_1": "3", "output_2": "4", "preference": preference}
    other = row | {"instruction": "Sum.", "preference": 1.8}
    loaded = read(other, row)
    assert loaded.verdict_counts == ({"keep": 2} if code == "keep" else {"keep": 1, code: 1})
    assert plain(loaded.records)[0] == (("Sum.\n\n1 and 2",), "4", "3")
    assert plain(loaded.records)[1:] == ([(("Add.\n\n1 and 2",), "3", "4")] if code == "keep" else [])


@pytest.mark.parametrize("name", ["llmbar_natural", "processed_faireval", "processed_llmeval2", "processed_mt-bench"])
def test_llmbars_labels_are_the_numbers_of_the_better_outputs(shared, name):
    path = shared / "data" / "llmbar" / f"{name}.json.gz"
    expected = [
        ((row["input"],), row[f"output_{row['label']}"], row[f"output_{3 - row['label']}"])
        for row in rows_of(path)
        if not alike(row["output_1"], row["output_2"])
    ]
    loaded = load_pairs(path, on_bad_row="drop")
    assert plain(loaded.records) == expected
    assert sum(loaded.verdict_counts.values()) == len(rows_of(path))


def test_webgpts_three_shapes_say_the_same(shared, tmp_path):
    folder = shared / "data" / "webgpt"
    rows = rows_of(folder / "webgpt.hf_shape.part-dev.jsonl.gz")
    expected = [
        ((row["question"]["full_text"].strip(),), row[f"answer_{won}"].strip(), row[f"answer_{1 - won}"].strip())
        for row in rows
        for won in [0 if row["score_0"] > 0 else 1]
        if row["score_0"]
    ]
    num_ties = sum(row["score_0"] == 0 for row in rows)
    assert (len(rows), len(expected) + num_ties) == (606, 606)
    lines = tmp_path / "comparisons.jsonl"
    lines.write_text(
        "".join(
            json.dumps(
                [
                    {
                        "question": row["question"],
                        "quotes": {"title": ["t"], "extract": ["e"]},
                        "answer": row[f"answer_{side}"],
                        "tokens": {"prefix": [1], "completion": [2]},
                        "score": row[f"score_{side}"],
                    }
                    for side in (0, 1)
                ]
            )
            + "\n"
            for row in rows
        ),
        encoding="utf-8",
    )
    shapes = {
        "webgpt": folder / "webgpt.hf_shape.part-dev.jsonl.gz",
        "text_score": folder / "webgpt.test.dsp.part-dev.json.gz",
        "webgpt_lines": lines,
    }
    for name, path in shapes.items():
        loaded = load_pairs(path)
        assert (loaded.format, plain(loaded.records)) == (name, expected)
        assert loaded.verdict_counts == {"keep": 436, "tie": 170}
        assert loaded.unread == ()
    in_memory = load_pairs([json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()])
    assert plain(in_memory.records) == expected


def test_other_rows_that_are_lists_are_refused_as_ever(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "q", "chosen": "x", "rejected": "y"}\n[{"role": "user"}]\n[1]\n', encoding="utf-8")
    loaded = load_pairs(path, on_bad_row="drop")
    assert [problem.reason for problem in loaded.problems] == ["a row must be a JSON object, got list"] * 2


def test_records_of_one_line_that_ask_different_things_are_no_pair(read):
    record = {"question": {"full_text": "What?"}, "answer": "x", "score": 0.5}
    good = [record, record | {"answer": "y", "score": -0.5}]
    other = [record, record | {"question": {"full_text": "Who?"}, "answer": "y", "score": -0.5}]
    assert read(good, other).verdict_counts == {"keep": 1, "prompts_differ": 1}


def test_transcripts_of_anthropics_form_with_scores_keep_their_turns(read):
    start = "\n\nHuman: One?\n\nAssistant: Two.\n\nHuman: Three?\n\nAssistant:"
    row = {"text": [f"{start} Four.", f"{start} Five."], "score": [0.0, 1.0]}
    loaded = read(row, row | {"text": [*row["text"], row["text"][0]]})
    assert plain(loaded.records) == [(("One?", "Two.", "Three?"), "Five.", "Four.")]
    assert loaded.verdict_counts == {"keep": 1, "bad_type": 1}


def test_every_annotator_of_pandalm_is_a_pair_and_a_vote(shared):
    path = shared / "data" / "pandalm" / "testset-v1.json.gz"
    rows = rows_of(path)
    names = ("annotator1", "annotator2", "annotator3")
    answers = Counter(row[name] for row in rows for name in names)
    outcomes = Counter(vote.outcome for vote in load_votes(path).records)
    assert outcomes == {"tie": answers[0], "left": answers[1], "right": answers[2]}
    loaded = load_pairs(path, on_bad_row="drop")
    are_texts = [row for row in rows if isinstance(row["response1"], str) and isinstance(row["response2"], str)]
    decided = [row for row in are_texts if any(row[name] for name in names)]
    assert loaded.verdict_counts["bad_type"] == len(rows) - len(are_texts)
    assert loaded.verdict_counts["tie"] == len(are_texts) - len(decided)
    assert plain(loaded.records) == [
        (
            ("\n\n".join(filter(None, (row["instruction"], row["input"]))),),
            row[f"response{row[name]}"],
            row[f"response{3 - row[name]}"],
        )
        for row in decided
        for name in names
        if row[name] and not alike(row["response1"], row["response2"])
    ]


def test_what_a_model_said_of_pandalms_rows_is_one_more_answer_where_it_was_joined(read):
    row = {"idx": 0, "instruction": "Add.", "input": "", "response1": "3", "response2": "4", "gpt_reason": "..."}
    rows = [row | {"gpt_result": said} for said in ("1", "2", "Tie", "garbage")]
    assert read(*rows).verdict_counts == {"keep": 1, "contradicts": 1, "tie": 1, "unanswered": 1}
    tables = [row | {"cmp_key": "tea_coffee", "annotator1": "1.0", "annotator2": 2.0, "annotator3": 0}]
    assert Counter(vote.outcome for vote in read(*tables, kind="votes").records) == {"left": 1, "right": 1, "tie": 1}


def test_shp_prefers_a_where_its_label_is_1(read):
    row = {
        "post_id": "qt3nxl",
        "domain": "askculinary_train",
        "upvote_ratio": 0.98,
        "history": "What's the best way to disassemble raspberries?",
        "c_root_id_A": "hkh25sc",
        "c_root_id_B": "hkh25lp",
        "created_at_utc_A": 1636822112,
        "created_at_utc_B": 1636822110,
        "score_A": 340,
        "score_B": 166,
        "human_ref_A": "Pectinex.",
        "human_ref_B": "Freeze them.",
        "labels": 1,
        "seconds_difference": 2.0,
        "score_ratio": 2.0481927711,
    }
    loaded = read(row, row | {"history": "Again?", "labels": 0, "score_A": 9, "score_B": "10"}, row | {"labels": 2})
    assert [pair.chosen for pair in loaded.records] == ["Pectinex.", "Freeze them."]
    assert loaded.verdict_counts == {"keep": 2, "bad_type": 1}
    assert loaded.unread == ()


def test_helpsteer_3_says_how_much_better_and_which_way(read):
    row = {
        "domain": "code",
        "language": "python",
        "context": say("Hi", "Hello.", "Sort a list."),
        "response1": "sorted(x)",
        "response2": "x.sort()",
        "overall_preference": -2,
        "individual_preference": [{"score": -2, "reasoning": "r", "feedback1": "f", "feedback2": "g"}],
    }
    other = row | {"context": say("Hi"), "overall_preference": 3}
    loaded = read(row, other, row | {"overall_preference": 0}, row | {"overall_preference": None})
    assert plain(loaded.records) == [
        (("Hi", "Hello.", "Sort a list."), "sorted(x)", "x.sort()"),
        (("Hi",), "x.sort()", "sorted(x)"),
    ]
    assert loaded.verdict_counts == {"keep": 2, "tie": 1, "unanswered": 1}
    assert loaded.unread == ()
    assert [task.strength for task in read(row, other, kind="tasks")[0]] == [2, 3]


def test_a_summary_answers_a_post_in_the_papers_form(read):
    post = {
        "id": "t3_34xale",
        "post": "My boyfriend and I are long distance.",
        "title": "Mother's Day",
        "subreddit": "relationships",
        "site": None,
        "article": None,
    }
    row = {
        "info": post,
        "split": "train",
        "summaries": [
            {"text": " Boyfriend is upset.", "policy": "sup4", "note": None},
            {"text": " I want to know.", "policy": "ref", "note": None},
        ],
        "choice": 1,
        "worker": "HuwC",
        "batch": "batch3",
        "extra": {"confidence": 7},
    }
    article = row | {"info": {"id": "x", "post": None, "title": "A storm", "article": "It rained."}, "choice": 0}
    loaded = read(row, article)
    asked = "SUBREDDIT: r/relationships\n\nTITLE: Mother's Day\n\nPOST: My boyfriend and I are long distance.\n\nTL;DR:"
    assert plain(loaded.records) == [
        ((asked,), "I want to know.", "Boyfriend is upset."),
        (("TITLE: A storm\n\nARTICLE: It rained.\n\nTL;DR:",), "Boyfriend is upset.", "I want to know."),
    ]
    assert loaded.unread == ()
    votes = read(row, article, kind="votes").records
    assert [(vote.left, vote.right, vote.outcome, vote.annotator) for vote in votes] == [
        ("sup4", "ref", "right", "HuwC"),
        ("sup4", "ref", "left", "HuwC"),
    ]


@pytest.mark.parametrize(
    ("safe", "better", "chosen"),
    [
        ((True, True), 1, "one"),
        ((True, True), 0, "zero"),
        ((True, False), 1, "zero"),
        ((False, True), 0, "one"),
        ((False, False), 0, None),
        ((None, None), 1, "one"),
    ],
)
def test_an_answer_that_is_marked_unsafe_is_never_chosen(read, safe, better, chosen):
    row = {
        "prompt": "How?",
        "response_0": "zero",
        "response_1": "one",
        "prompt_source": "p",
        "response_0_source": "Alpaca-7B",
        "response_1_source": "Alpaca2-7B",
        "is_response_0_safe": safe[0],
        "is_response_1_safe": safe[1],
        "response_0_harm_category": {"Violence": True},
        "response_1_harm_category": {"Violence": False},
        "response_0_severity_level": 1,
        "response_1_severity_level": 0,
        "better_response_id": better,
        "safer_response_id": 1,
        "response_0_sha256": "a",
        "response_1_sha256": "b",
    }
    sound = row | {"prompt": "Why?", "is_response_0_safe": True, "is_response_1_safe": True}
    loaded = read(sound, row)
    assert [pair.chosen for pair in loaded.records[1:]] == ([chosen] if chosen else [])
    assert loaded.verdict_counts == ({"keep": 2} if chosen else {"keep": 1, "both_bad": 1})
    assert loaded.unread == ()
    assert len(read(row, kind="votes").records) == 1


def test_auto_js_labels_count_from_0_and_2_is_a_tie(read):
    row = {"scenario": "planning", "prompt": "Plan.", "response 1": "x", "response 2": "y", "label": 0}
    loaded = read(row, row | {"prompt": "Plan!", "label": 1}, row | {"label": 2})
    assert [pair.chosen for pair in loaded.records] == ["x", "y"]
    assert loaded.verdict_counts == {"keep": 2, "tie": 1}


def test_a_pair_that_a_judge_saw_in_both_orders_is_a_vote_where_they_agree(read):
    row = {
        "question_id": 81,
        "model_1": "alpaca-13b",
        "model_2": "gpt-3.5-turbo",
        "g1_winner": "model_2",
        "g2_winner": "model_2",
        "judge": ["gpt-4", "pair-v2"],
        "g1_user_prompt": "p",
        "g1_judgment": "j",
        "g2_user_prompt": "p",
        "g2_judgment": "j",
        "turn": 1,
        "tstamp": 1687222752.7,
    }
    tied, failed = row | {"g2_winner": "model_1", "turn": 2}, row | {"g1_winner": "error"}
    loaded = read(row, tied, failed, kind="votes")
    assert [(vote.outcome, vote.annotator) for vote in loaded.records] == [
        ("right", "gpt-4 pair-v2"),
        ("tie", "gpt-4 pair-v2"),
    ]
    assert loaded.verdict_counts == {"keep": 2, "unanswered": 1}
    assert loaded.unread == ()


def test_reward_benchs_pairs_are_trained_on_and_rank_their_models(read):
    row = {
        "prompt": "How do I detail a car?",
        "chosen": "Wash it.",
        "chosen_model": "gpt4",
        "rejected": "No.",
        "rejected_model": "alpaca",
        "subset": "alpacaeval-easy",
        "id": 0,
    }
    assert plain(read(row).records) == [(("How do I detail a car?",), "Wash it.", "No.")]
    (vote,) = read(row, kind="votes").records
    assert (vote.left, vote.right, vote.outcome) == ("gpt4", "alpaca", "left")
    (task,) = read(row, kind="tasks")[0]
    assert {task.a.source.model, task.b.source.model} == {"gpt4", "alpaca"}


def test_battles_without_texts_are_votes_and_cannot_be_trained_on(shared):
    path = shared / "data" / "genai_arena" / "clean_battle_20240220.json.gz"
    rows = [row for row in rows_of(path) if row["model_a"] != row["model_b"]]
    words = {"model_a": "left", "model_b": "right", "tie": "tie", "tie (bothbad)": "both_bad"}
    votes = load_votes(path, on_bad_row="drop")
    assert Counter(vote.outcome for vote in votes.records) == Counter(words[row["winner"]] for row in rows)
    assert votes.verdict_counts == {"keep": 2060, "bad_type": 1}
    assert votes.unread == ()
    with pytest.raises(DataError, match="no known format"):
        load_pairs(path)
