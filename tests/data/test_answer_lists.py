"""Lists of answers become pairs by the rule that was asked for, votes on their models, or are counted with a reason."""

import gzip
import json
from itertools import combinations

import pytest

from penchant.data import guess_kind, load_demonstrations, load_labelled, load_pairs, load_votes, prompt_key
from penchant.data.answer_lists import Answer, AnswerList
from penchant.data.pairing import Pairing, pairs_of_list
from penchant.data.records import Message
from penchant.data.verdicts import BadRow
from penchant.errors import ConfigError, DataError


def answer_list(*scores, texts="ABCDEFGH", prompt="Q"):
    answers = tuple(Answer(response=text, score=score) for text, score in zip(texts, scores, strict=False))
    return AnswerList(prompt=(Message(role="user", content=prompt),), answers=answers)


def pairs(answers, rule="all", min_gap=0.0):
    return [pair.chosen + pair.rejected for pair in pairs_of_list(answers, Pairing(rule, min_gap))]


def sides(loaded):
    return [(pair.chosen, pair.rejected) for pair in loaded.records]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rule", "min_gap", "expected"),
    [
        ("all", 0, ["BC", "BA", "BD", "CA", "CD", "AD"]),
        ("all", 2, ["BA", "BD", "CD"]),
        ("best_worst", 0, ["BD"]),
        ("adjacent", 0, ["BC", "CA", "AD"]),
        ("adjacent", 1.5, ["AD"]),
    ],
)
def test_a_list_becomes_the_pairs_of_the_rule(rule, min_gap, expected):
    assert pairs(answer_list(2, 4, 3, 0.5), rule, min_gap) == expected


def test_answers_of_equal_score_make_no_pair_with_each_other():
    assert pairs(answer_list(1, 2, 1, 2)) == ["BA", "BC", "DA", "DC"]
    assert pairs(answer_list(1, 2, 1, 2, 3), "adjacent") == ["EB", "ED", "BA", "BC", "DA", "DC"]


def test_answers_of_the_same_text_are_one_with_the_mean_of_their_scores():
    assert pairs(answer_list(5, 2, 1, texts=["A", "B", " A "])) == ["AB"]


def test_empty_answers_and_those_without_a_score_are_in_no_pair():
    assert pairs(answer_list(4, None, 9, 1, texts=["A", "B", " ", "D"])) == ["AD"]


def test_the_best_meets_another_that_the_prompt_decides_whatever_the_order_of_rows_and_answers():
    met = set()
    for number in range(40):
        scores, texts = [3, 2, 1, 0], "ABCD"
        (found,) = pairs(answer_list(*scores, texts=texts, prompt=f"Q{number}"), "best_random")
        assert pairs(answer_list(*scores[::-1], texts=texts[::-1], prompt=f"Q{number}"), "best_random") == [found]
        met.add(found)
    assert met == {"AB", "AC", "AD"}
    assert pairs(answer_list(3, 2, 0), "best_random", 2) == ["AC"]


@pytest.mark.parametrize(
    ("scores", "texts", "code"),
    [
        ([1], "A", "one_answer"),
        ([], "", "one_answer"),
        ([1, None], "AB", "one_answer"),
        ([2, 1], "AA", "one_answer"),
        ([None, None], "AB", "no_scores"),
        ([3, 3, 3], "ABC", "tie"),
        ([3, 2.5], "AB", "small_gap"),
    ],
)
def test_a_list_without_a_pair_is_counted_with_its_reason(scores, texts, code):
    with pytest.raises(BadRow) as caught:
        pairs(answer_list(*scores, texts=texts), min_gap=1)
    assert caught.value.code == code


def test_a_list_of_very_many_answers_is_refused_and_the_way_on_named():
    many = answer_list(*range(200), texts=[str(number) for number in range(200)])
    with pytest.raises(BadRow, match="best_worst"):
        pairs(many)
    assert pairs(many, "best_worst") == ["1990"]


@pytest.mark.parametrize(
    "wrong", [{"pairing": "best"}, {"min_gap": -1}, {"min_gap": float("nan")}, {"min_gap": True}, {"pairing": 3}]
)
def test_a_rule_or_gap_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be"):
        load_pairs([{"prompt": "Q", "chosen": "a", "rejected": "b"}], **wrong)


NECTAR = {
    "prompt": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: What is the sun?\n\nAssistant: ",
    "answers": [
        {"answer": "A star.", "model": "gpt-4", "rank": 1.0},
        {"answer": "A lamp.", "model": "llama", "rank": 3.0},
        {"answer": "A ball.", "model": "mistral", "rank": 2.0},
    ],
    "turns": 2,
    "num_responses": 3,
    "source": ["lmsys-chat-1m"],
    "good_natured": True,
}
STACK = {
    "qid": 3,
    "question": "<p>What is the sun?</p>",
    "answers": [
        {
            "answer_id": 1,
            "author": "J",
            "author_id": 3,
            "author_profile": "p",
            "pm_score": 0,
            "selected": False,
            "text": "x",
        },
        {
            "answer_id": 2,
            "author": "K",
            "author_id": 4,
            "author_profile": "q",
            "pm_score": 4,
            "selected": True,
            "text": "y",
        },
        {
            "answer_id": 5,
            "author": "L",
            "author_id": 5,
            "author_profile": "r",
            "pm_score": -1,
            "selected": False,
            "text": "z",
        },
    ],
    "date": "2010/11/01",
    "metadata": ["https://example.org"],
}
DISTILABEL = {
    "instruction": "What is the sun?",
    "generation_models": ["m1", "m2", "m3"],
    "generations": ["A star.", "A lamp.", None],
    "ratings": [4, 1, None],
    "rationale": ["good", "bad", ""],
    "raw_labelling_response": {"x": "y"},
}


def rated(**ratings):
    return {aspect: {"Rating": rating, "Rationale": "r"} for aspect, rating in ratings.items()}


ULTRAFEEDBACK = {
    "source": "evol_instruct",
    "instruction": "What is the sun?",
    "models": ["alpaca-7b", "gpt-4", "bard"],
    "completions": [
        {
            "annotations": rated(helpfulness="1", honesty="N/A", instruction_following="2", truthfulness="1"),
            "custom_system_prompt": "Be honest.",
            "model": "alpaca-7b",
            "principle": "honesty",
            "response": "A lamp.",
            "critique": "No.",
            "overall_score": 10.0,
        },
        {
            "annotations": rated(helpfulness="5", honesty="5", instruction_following="4", truthfulness="5"),
            "model": "gpt-4",
            "response": "A star.",
            "overall_score": 7.5,
        },
        {"model": "bard", "response": "A ball.", "fine-grained_score": 3.0, "overall_score": 1.0},
    ],
    "correct_answers": ["None"],
    "incorrect_answers": ["None"],
}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (NECTAR, [("A star.", "A ball."), ("A star.", "A lamp."), ("A ball.", "A lamp.")]),
        (STACK, [("y", "x"), ("y", "z"), ("x", "z")]),
        (DISTILABEL, [("A star.", "A lamp.")]),
        (ULTRAFEEDBACK, [("A star.", "A lamp.")]),
        ({"prompt": "Q", "responses": ["a", "b"], "ranks": [2, 1]}, [("b", "a")]),
        ({"question": "Q", "candidates": ["a", "b"], "scores": ["0.5", "1e-3"]}, [("a", "b")]),
        (
            {
                "messages": [{"role": "user", "content": "Q"}],
                "completions": [{"text": "a", "score": 0}, {"text": "b", "score": 1}],
            },
            [("b", "a")],
        ),
    ],
    ids=["nectar", "stack", "distilabel", "ultrafeedback", "ranks", "texts", "messages"],
)
def test_rows_of_the_public_shapes_are_read_whole(row, expected):
    loaded = load_pairs([row])
    assert sides(loaded) == expected
    assert loaded.unread == ()
    assert guess_kind([row]) == "pairs"


def test_nectars_transcript_is_read_as_its_turns():
    pair = load_pairs([NECTAR]).records[0]
    assert [(one.role, one.content) for one in pair.prompt] == [
        ("user", "Hi"),
        ("assistant", "Hello."),
        ("user", "What is the sun?"),
    ]


def test_a_field_of_an_answer_that_nobody_knows_is_listed():
    row = {"prompt": "Q", "answers": [{"text": "a", "score": 1, "mood": "fine"}, {"text": "b", "score": 2}]}
    (unread,) = load_pairs([row]).unread
    assert (unread.name, unread.num_rows) == ("answers[].mood", 1)


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"question": "Another?"}, "unread_field", "'prompt' and 'question'"),
        ({"completions": ["c"]}, "unread_field", "'responses' and 'completions'"),
        ({"ratings": [1]}, "bad_type", "holds 1 values for 2 answers"),
        ({"ratings": ["good", 2]}, "bad_type", "'ratings[0]' is 'good', which is not a score"),
        ({"ratings": [True, 2]}, "bad_type", "not a score"),
        ({"responses": ["a"], "ratings": [1]}, "one_answer", "holds 1 answer"),
        ({"ratings": [2, 2]}, "tie", "its 2 answers have the same score"),
    ],
)
def test_a_list_that_cannot_be_used_is_counted_by_what_is_wrong(change, code, said):
    row = {"prompt": "Q", "responses": ["a", "b"], "ratings": [1, 2]}
    loaded = load_pairs([row, row | {"prompt": "R"} | change], on_bad_row="drop")
    (verdict,) = loaded.problems
    assert (verdict.code, said in verdict.reason) == (code, True)
    assert (verdict.origin.line, len(loaded.records)) == (2, 1)


def test_the_models_of_a_list_meet_two_by_two():
    votes = load_votes(
        [NECTAR, ULTRAFEEDBACK, {"prompt": "Q", "responses": ["a", "b"], "scores": [1, 1], "models": ["x", "y"]}]
    )
    assert [(vote.left, vote.outcome, vote.right) for vote in votes.records] == [
        ("gpt-4", "left", "llama"),
        ("gpt-4", "left", "mistral"),
        ("llama", "right", "mistral"),
        ("alpaca-7b", "right", "gpt-4"),
        ("x", "tie", "y"),
    ]
    with pytest.raises(DataError, match="no known format"):
        load_votes([STACK])


def test_what_learns_from_single_responses_takes_the_best_and_the_worst_of_a_list():
    labelled = load_labelled([NECTAR]).records
    assert [(one.response, one.desirable) for one in labelled] == [("A star.", True), ("A lamp.", False)]
    with pytest.raises(ConfigError, match="both good and bad"):
        load_labelled([NECTAR], pairing="all")


# message trees


@pytest.fixture(scope="module")
def oasst(shared):
    return shared / "data" / "oasst"


@pytest.fixture(scope="module")
def file_of_trees(oasst):
    return oasst / "en_100_tree.jsonl.gz"


@pytest.fixture(scope="module")
def trees(file_of_trees):
    with gzip.open(file_of_trees, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def messages_of(node):
    return [node, *(one for reply in node["replies"] for one in messages_of(reply))]


def ranked_lists(trees):
    """By an own walk through the file: the ranks of every message's replies, where two or more have one."""
    lists = []
    for tree in trees:
        for node in messages_of(tree["prompt"]):
            ranks = [reply["rank"] for reply in node["replies"] if reply.get("rank") is not None]
            if len(ranks) > 1:
                lists.append(sorted(ranks))
    return lists


def test_the_trees_give_the_pairs_that_a_walk_of_its_own_counts(file_of_trees, trees):
    lists = ranked_lists(trees)
    assert (len(lists), all(len(set(ranks)) == len(ranks) for ranks in lists)) == (212, True)
    loaded = load_pairs(file_of_trees)
    assert len(loaded.records) == sum(len(ranks) * (len(ranks) - 1) // 2 for ranks in lists) == 754
    assert loaded.verdict_counts == {"keep": 100}
    assert loaded.unread == ()
    far = load_pairs(file_of_trees, min_gap=2)
    assert len(far.records) == sum(b - a >= 2 for ranks in lists for a, b in combinations(ranks, 2))
    for rule in ("best_worst", "best_random"):
        assert len(load_pairs(file_of_trees, pairing=rule).records) == len(lists)
    assert len(load_pairs(file_of_trees, pairing="adjacent").records) == sum(len(ranks) - 1 for ranks in lists)


@pytest.mark.parametrize("spell", [json.dumps, repr], ids=["json", "repr"])
def test_an_answer_that_is_messages_kept_as_text_is_their_answer(spell):
    said = [{"role": "assistant", "content": "good"}]
    for answers in ([{"text": spell(said), "score": 2}, {"text": "bad", "score": 1}], [spell(said), "bad"]):
        (pair,) = load_pairs([{"prompt": "Q", "answers": answers, "scores": [2, 1]}]).records
        assert (pair.chosen, pair.rejected) == ("good", "bad")


@pytest.mark.parametrize(
    "beside", [{"weight": 0}, {"reasoning_content": "hm"}, {"tool_calls": [{}, {"x": 1}]}], ids=str
)
def test_what_changes_the_meaning_of_an_answer_and_is_not_read_refuses_its_row(beside):
    listed = {"prompt": "Q", "answers": [{"text": "good", "score": 2} | beside, {"text": "bad", "score": 1}]}
    rated = {"prompt": "Q", "response": "R", "helpfulness": 1, "correctness": 1}
    for rows in ([listed], [rated, rated | {"response": "S", "helpfulness": 2} | beside]):
        with pytest.raises(DataError, match=f"the field '(answers\\[\\].)?{next(iter(beside))}' "):
            load_pairs(rows)


@pytest.mark.parametrize("beside", [{"system": "Be brief."}, {"tools": [{"name": "look"}]}], ids=str)
def test_responses_of_helpsteer_under_another_system_or_other_tools_are_another_list(beside):
    rated = {"prompt": "Q", "helpfulness": 1, "correctness": 1}
    rows = [
        rated | {"response": "R"},
        *(rated | beside | {"response": r, "helpfulness": i} for i, r in enumerate("ST")),
    ]
    loaded = load_pairs(rows, on_bad_row="drop")
    assert loaded.verdict_counts == {"keep": 2, "one_answer": 1}
    (pair,) = loaded.records
    assert (pair.prompt[0].content if "system" in beside else bool(pair.prompt[0].tools)) in ("Be brief.", True)
    assert (pair.chosen, pair.rejected) == ("T", "S")


def test_the_pairs_of_trees_prefer_the_lower_rank_after_the_whole_thread(file_of_trees, trees):
    rank_of = {}
    for tree in trees:
        waiting = [(tree["prompt"], ())]
        while waiting:
            node, before = waiting.pop()
            thread = (*before, node["text"])
            rank_of[thread] = node.get("rank")
            waiting += [(reply, thread) for reply in node["replies"]]
    for pair in load_pairs(file_of_trees).records:
        before = tuple(message.content for message in pair.prompt)
        assert rank_of[(*before, pair.chosen)] < rank_of[(*before, pair.rejected)]
        assert [message.role for message in pair.prompt] == ["user", "assistant"] * (len(before) // 2) + ["user"]


def flat(tree):
    return [{name: value for name, value in node.items() if name != "replies"} for node in messages_of(tree["prompt"])]


def test_a_flat_file_in_any_order_gives_the_pairs_of_its_trees_with_the_line_of_the_message_answered(tmp_path, trees):
    rows = [row | {"parent_id": row.get("parent_id")} for tree in trees[:20] for row in flat(tree)]
    rows = rows[::-1]
    nested = write(tmp_path / "trees.jsonl", trees[:20])
    loaded = load_pairs(write(tmp_path / "flat.jsonl", rows))
    keys = [{(prompt_key(p.prompt), p.chosen, p.rejected) for p in one.records} for one in (loaded, load_pairs(nested))]
    assert keys[0] == keys[1]
    assert len(loaded.records) == len(keys[0])
    assert loaded.verdict_counts == {"keep": len(rows)}
    assert loaded.unread == ()
    for pair in loaded.records:
        assert rows[pair.origin.line - 1]["text"] == pair.prompt[-1].content
        assert pair.origin.file == str(tmp_path / "flat.jsonl")


def test_a_message_without_its_thread_and_an_id_that_comes_again_are_bad_rows(tmp_path, trees):
    rows = flat(trees[0])
    rows = [row | {"parent_id": row.get("parent_id")} for row in rows]
    stray = rows[1] | {"message_id": "stray", "parent_id": "nobody"}
    loaded = load_pairs(write(tmp_path / "flat.jsonl", [*rows, stray, rows[0]]), on_bad_row="drop")
    assert loaded.verdict_counts == {"keep": len(rows), "missing_field": 1, "repeated_id": 1}
    assert sorted(verdict.origin.line for verdict in loaded.problems) == [len(rows) + 1, len(rows) + 2]


def small_tree(**change):
    replies = [
        {"role": "assistant", "text": text, "rank": rank, "replies": [], "message_id": text}
        for text, rank in (("good", 0), ("fair", 1), ("bad", 2))
    ]
    replies[0] |= change
    return {"message_tree_id": "t", "prompt": {"role": "prompter", "text": "Q", "message_id": "q", "replies": replies}}


@pytest.mark.parametrize("change", [{"deleted": True}, {"review_result": False}])
def test_what_was_deleted_or_failed_its_review_is_left_out(change):
    assert sides(load_pairs([small_tree(**change)])) == [("fair", "bad")]
    (thread,) = load_demonstrations([small_tree(**change)]).records
    assert thread.messages[-1].content == "fair"


def test_imitation_follows_the_best_answers_and_learns_each_once():
    again = [
        {"role": "prompter", "text": f"Q{n}", "replies": [{"role": "assistant", "text": f"A{n}", "replies": []}]}
        for n in (1, 2)
    ]
    unanswered = {"role": "prompter", "text": "Q3", "replies": []}
    threads = load_demonstrations([small_tree(replies=[*again, unanswered])]).records
    assert [[(m.content, m.weight) for m in one.messages] for one in threads] == [
        [("Q", 1), ("good", 1), ("Q1", 1), ("A1", 1)],
        [("Q", 1), ("good", 0), ("Q2", 1), ("A2", 1)],
    ]


def best_answers(node):
    """Assistant messages on the threads of best answers, by a recursion of its own."""
    ranked = [reply for reply in node["replies"] if reply.get("rank") is not None]
    followed = node["replies"]
    if node["role"] == "prompter" and ranked:
        followed = [min(ranked, key=lambda reply: reply["rank"])]
    return (node["role"] == "assistant") + sum(map(best_answers, followed))


def test_every_best_answer_of_the_trees_is_imitated_exactly_once(file_of_trees, trees):
    loaded = load_demonstrations(file_of_trees)
    learnt = sum(m.role == "assistant" and m.weight == 1 for one in loaded.records for m in one.messages)
    assert learnt == sum(best_answers(tree["prompt"]) for tree in trees)
    assert loaded.unread == ()


def test_messages_without_ranks_are_for_imitation_and_hold_no_pairs(oasst):
    seeds = oasst / "realistic_seed_data.json.gz"
    rows = json.loads(gzip.decompress(seeds.read_bytes()))
    by_id = {row["user_message_id"]: row for row in rows}
    odd = {
        row["user_message_id"]
        for row in rows
        if (up := by_id.get(row["parent_message_id"])) and up["role"] == row["role"]
    }

    def root(row):
        return root(by_id[row["parent_message_id"]]) if row["parent_message_id"] else row["user_message_id"]

    spoilt = {root(by_id[one]) for one in odd}
    num_bad = sum(root(row) in spoilt for row in rows)
    loaded = load_demonstrations(seeds, on_bad_row="drop")
    assert loaded.verdict_counts == {"keep": len(rows) - num_bad, "bad_type": num_bad}
    with pytest.raises(DataError, match="no answer in the tree is ranked; train on its threads with `penchant sft`"):
        load_pairs(seeds, on_bad_row="drop")


# rows of several responses


def helpsteer(prompt, response, helpfulness):
    more = {"correctness": 4, "coherence": 4, "complexity": 1, "verbosity": 2}
    return {"prompt": prompt, "response": response, "helpfulness": helpfulness, **more}


def test_neighbouring_rows_of_helpsteer_are_one_list(tmp_path):
    later = "Hi\n<extra_id_1>Assistant\nHello.\n<extra_id_1>User\nWhat is the sun?"
    rows = [
        helpsteer("Q", "a", 1),
        helpsteer("Q", "b", 3),
        helpsteer("Q", "c", 2),
        helpsteer(later, "d", 4),
        helpsteer(later, "e", 0),
        helpsteer("R", "f", 2),
        helpsteer("S", "g", 2),
        helpsteer("S", "h", 2),
    ]
    loaded = load_pairs(write(tmp_path / "rows.jsonl", rows))
    assert sides(loaded) == [("b", "c"), ("b", "a"), ("c", "a"), ("d", "e")]
    assert [pair.origin.line for pair in loaded.records] == [1, 1, 1, 4]
    assert loaded.verdict_counts == {"keep": 5, "one_answer": 1, "tie": 2}
    assert loaded.unread == ()
    spoken = [(one.role, one.content) for one in loaded.records[-1].prompt]
    assert spoken == [("user", "Hi"), ("assistant", "Hello."), ("user", "What is the sun?")]


def test_a_row_of_helpsteer_in_csv_is_read_alike(tmp_path):
    text = "prompt,response,helpfulness,correctness\nQ,a,1,2\nQ,b,3,2\n"
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    assert sides(load_pairs(tmp_path / "rows.csv")) == [("b", "a")]


HUGE = 10**400


@pytest.mark.parametrize(
    ("scores", "gap"),
    [
        ({"chosen_score": 8, "rejected_score": 3}, 5.0),
        ({"score_chosen": "8", "score_rejected": " 2.5"}, 5.5),
        ({"gap": 2}, 2.0),
        ({"gap": "large"}, None),
        ({"gap": HUGE}, None),
        ({"chosen_score": HUGE, "rejected_score": 3}, None),
        ({"chosen_score": 1.7e308, "rejected_score": -1.7e308}, None),
        ({"chosen_score": True, "rejected_score": 0}, None),
        ({"meta": {"chosen_score": HUGE, "rejected_score": 1}}, None),
    ],
)
def test_scores_of_the_sides_are_how_much_better_chosen_is_where_that_is_a_number(tmp_path, scores, gap):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"prompt": "Q", "chosen": "a", "rejected": "b", **scores}) + "\n")
    (pair,) = load_pairs(tmp_path / "rows.jsonl").records
    assert pair.gap == gap


def test_scores_of_a_table_of_texts_are_numbers_too(tmp_path):
    (tmp_path / "rows.csv").write_text("prompt,chosen,rejected,chosen_score,rejected_score\nQ,a,b,8,3\nR,a,b,,3\n")
    assert [pair.gap for pair in load_pairs(tmp_path / "rows.csv").records] == [5.0, None]


def test_answers_whose_scores_are_too_far_apart_for_a_number_are_a_pair_all_the_same(tmp_path):
    answers = [{"text": "a", "score": 1.7e308}, {"text": "b", "score": -1.7e308}]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"prompt": "Q", "answers": answers}) + "\n")
    assert [pair.gap for pair in load_pairs(tmp_path / "rows.jsonl").records] == [None]
