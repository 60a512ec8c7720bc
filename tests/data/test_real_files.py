"""Every file of the real data beside the repository is read or refused; what is read is counted here by json or csv."""

import csv
import gzip
import io
import json
from collections import Counter

import pytest

from penchant.data import load_demonstrations, load_pairs, load_prompts, load_votes
from penchant.errors import DataError


def rows_of(path):
    """A file as json or csv alone reads it."""
    packed = path.read_bytes()
    text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode()
    if ".csv" in path.name:
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return json.loads(text) if text.lstrip().startswith("[") else list(map(json.loads, text.rstrip("\n").split("\n")))


def one_field(name, meanings):
    """How a field spells the outcome of its row."""
    return lambda row: Counter([meanings[row[name]]])


ARENA = {"model_a": "left", "model_b": "right", "tie": "tie", "tie (bothbad)": "both_bad"}
EACH_WAY = {"left": "left", "right": "right", "tie": "tie"}
VOTES = {
    "alpaca_eval/text_davinci_001_vs_003.alpaca_eval_gpt4.annotations.json.gz": one_field(
        "preference", {1.0: "left", 2.0: "right", 0.0: "tie", None: "unanswered"}
    ),
    "bt_classic/baseball_al_east_1987.csv": lambda row: Counter(
        left=int(row["home.wins"]), right=int(row["away.wins"])
    ),
    "bt_classic/citations_stigler_1994.csv": lambda row: Counter(left=int(row["count"])),
    "bt_classic/springall_contests.csv": lambda row: Counter(
        left=int(row["win"]), right=int(row["loss"]), tie=int(row["tie"])
    ),
    "bt_classic/evalica_food.csv": one_field("winner", EACH_WAY),
    "bt_classic/evalica_simple.csv": one_field("winner", EACH_WAY),
    "genai_arena/clean_battle_20240220.json.gz": lambda row: Counter(
        [ARENA[row["winner"]] if row["model_a"] != row["model_b"] else "bad_type"]
    ),
    "llmfao/arena_shape_from_llmfao.jsonl.gz": one_field("winner", ARENA),
    "llmfao/gpt4-crowd-comparisons.csv.gz": one_field("winner", EACH_WAY),
    "pandalm/testset-v1.json.gz": lambda row: Counter(
        ["tie", "left", "right"][row[f"annotator{number}"]] for number in (1, 2, 3)
    ),
}
"""By file, how often a row says what: a vote each, or why there is none."""


@pytest.mark.parametrize("name", VOTES)
def test_votes_are_as_many_of_each_outcome_as_the_file_says(shared, name):
    path = shared / "data" / name
    expected = sum(map(VOTES[name], rows_of(path)), Counter())
    loaded = load_votes(path, on_bad_row="drop")
    codes = {code: number for code, number in loaded.verdict_counts.items() if code != "keep"}
    assert Counter(vote.outcome for vote in loaded.records) + Counter(codes) == expected


def numbered(row, name, texts, base):
    """The texts, the preferred one first, for a field that numbers them from `base`; None where it names neither."""
    place = None if row[name] is None else int(row[name]) - base
    return (texts[place], texts[1 - place]) if place in (0, 1) else None


def of_scores(first, second):
    """Two texts with their scores, the preferred one first."""
    (text, score), (other, other_score) = first, second
    return None if score == other_score else (text, other) if score > other_score else (other, text)


def labelled_output(row):
    return numbered(row, "label", (row["output_1"], row["output_2"]), 1)


def answer_of(transcript):
    return transcript.split("\n\n## Assistant:\n", 1)[1]


SIDES = {
    "alpaca_eval/text_davinci_001_vs_003.alpaca_eval_gpt4.annotations.json.gz": lambda row: numbered(
        row, "preference", (row["output_1"], row["output_2"]), 1
    ),
    "llmbar/llmbar_natural.json.gz": labelled_output,
    "llmbar/processed_faireval.json.gz": labelled_output,
    "llmbar/processed_llmeval2.json.gz": labelled_output,
    "llmbar/processed_mt-bench.json.gz": labelled_output,
    "llmfao/arena_shape_from_llmfao.jsonl.gz": lambda row: numbered(
        {"winner": {"model_a": 0, "model_b": 1, "tie": None}[row["winner"]]},
        "winner",
        tuple(row[f"conversation_{side}"][-1]["content"] for side in "ab"),
        0,
    ),
    "sft/dpo_en_demo.sharegpt.json.gz": lambda row: (row["chosen"]["value"], row["rejected"]["value"]),
    "webgpt/webgpt.hf_shape.part-dev.jsonl.gz": lambda row: of_scores(
        *((row[f"answer_{n}"], row[f"score_{n}"]) for n in (0, 1))
    ),
    "webgpt/webgpt.test.dsp.part-dev.json.gz": lambda row: of_scores(
        *zip(map(answer_of, row["text"]), row["score"], strict=True)
    ),
}
"""By file, the preferred and the other text of a row; None where nobody prefers one."""


@pytest.mark.parametrize("name", SIDES)
def test_pairs_are_the_texts_that_the_file_prefers_and_ties_and_nulls_are_counted(shared, name):
    path = shared / "data" / name
    found = [SIDES[name](row) for row in rows_of(path)]
    sides = [tuple(map(str.strip, both)) for both in found if both]
    loaded = load_pairs(path, on_bad_row="drop")
    counts = loaded.verdict_counts
    assert [(pair.chosen.strip(), pair.rejected.strip()) for pair in loaded.records] == [
        both for both in sides if all(both) and len(set(both)) == 2
    ]
    assert counts.get("tie", 0) + counts.get("unanswered", 0) == found.count(None)
    assert counts.get("empty_response", 0) == sum(not all(both) for both in sides)
    assert counts.get("equal_responses", 0) == sum(all(both) and len(set(both)) == 1 for both in sides)


def instances_of(row):
    return len(row["instances"])


OTHERS = {
    "prompts/mt_bench_question.jsonl": (load_prompts, lambda row: 1),
    "prompts/vicuna_bench_question.jsonl": (load_prompts, lambda row: 1),
    "prompts/user_oriented_instructions.jsonl": (load_demonstrations, instances_of),
    "llmfao/prompts.jsonl": (load_prompts, lambda row: 1),
    "sentiment/imdb_train_2000.jsonl.gz": (load_demonstrations, lambda row: 1),
    "sft/alpaca_en_demo.json.gz": (load_demonstrations, lambda row: 1),
    "sft/self_instruct_seed_tasks.jsonl": (load_demonstrations, instances_of),
    "sft/fastchat_dummy_conversation.sharegpt.json": (load_demonstrations, lambda row: 1),
}


@pytest.mark.parametrize("name", OTHERS)
def test_no_prompt_and_no_demonstration_is_lost(shared, name):
    load, number = OTHERS[name]
    loaded = load(shared / "data" / name)
    assert len(loaded.records) == sum(map(number, rows_of(shared / "data" / name)))


REFUSED = {
    "alpaca_eval/leaderboard_published_alpaca_eval_gpt4.csv": "no known format has its columns",
    "genai_arena/leaderboard_published_20240220.csv": "no known format has its columns",
    "bt_classic/evalica_food-golden.csv": "no known format has its columns",
    "bt_classic/published_values.json": "no known format has its columns",
    "hh_rlhf/quirk_rows_index.jsonl": "no known format has its columns",
    "llmfao/models.jsonl": "no known format has its columns",
    "llmfao/results.jsonl.gz": "no known format has its columns",
    "tinystories/reference_logprobs.json": "no known format has its columns",
    "pandalm/gpt-3.5-turbo-testset-v1.json.gz": "these are a judge's verdicts, which belong in the judged rows",
    "sentiment/rt-polarity.pos.gz": r"unknown format \(.pos.gz\)",
    "tinystories/tok512.bin": r"unknown format \(.bin\)",
    "genai_arena/clean_battle_20240220.json.gz": "`penchant rank` reads them, as votes",
    "prompts/mt_bench_question.jsonl": "`penchant sample` reads them, as prompts",
    "sft/alpaca_en_demo.json.gz": "`penchant sft` reads them, as demonstrations",
}
"""What holds no pairs, and what is said of it."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_pairs_is_refused_in_one_sentence_with_who_reads_it(shared, name):
    path = shared / "data" / name
    with pytest.raises(DataError, match=REFUSED[name]) as error:
        load_pairs(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
