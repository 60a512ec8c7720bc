"""Public data sets as they are published, every column of them: read without a word, in whatever file they are kept.

The texts are ours; the columns are those of the data sets' cards and files.
"""

import csv
import json

import pytest

import penchant as pt
from penchant.data import guess_kind, load_demonstrations, load_labelled, load_pairs
from penchant.errors import DataError

Q, GOOD, BAD = "What is the sun?", "A star, the nearest one.", "A lamp."


def user(text=Q):
    return {"role": "user", "content": text}


def bot(text):
    return {"role": "assistant", "content": text}


def talk(answer, question=Q):
    return [user(question), bot(answer)]


def parts(text):
    return [{"type": "text", "text": text, "image": None, "mimeType": None}]


def battle(winner, **more):
    return {
        "question_id": "q1",
        "model_a": "tea-7b",
        "model_b": "coffee-7b",
        "winner": winner,
        "judge": "arena_user_1",
        "conversation_a": talk(GOOD),
        "conversation_b": talk(BAD),
        "turn": 1,
        "anony": True,
        "language": "English",
        "tstamp": 1682351591.1322,
        **more,
    }


MODERATION = {
    "openai_moderation": {"categories": {"hate": False}, "category_scores": {"hate": 1e-6}, "flagged": False},
    "toxic_chat_tag": {
        "roberta-large": {"flagged": False, "probability": 0.01},
        "t5-large": {"flagged": False, "score": 0.02},
    },
}
METADATA = {
    "conv_metadata": {"sum_user_tokens": 6, "sum_assistant_a_tokens": 9, "bold_count_a": {"**": 0, "__": 0}},
    "is_code": False,
    "is_refusal": False,
    "dedup_tag": {"high_freq": False, "sampled": True},
    "category_tag": {"math_v0.1": {"math": False}, "criteria_v0.1": {"complexity": True}},
    "judge_hash": "d3ad",
}


def latest_battle(winner):
    sides = {
        f"conversation_{side}": [
            {"role": "user", "content": parts(Q), "num_tokens": 6},
            {"role": "assistant", "content": parts(text), "num_tokens": 9},
        ]
        for side, text in (("a", GOOD), ("b", BAD))
    }
    asked = {"role": "user", "content": parts(Q)}
    full = {
        "user": asked,
        "model_side_a": {"role": "assistant", "content": parts(GOOD)},
        "model_side_b": {"role": "assistant", "content": parts(BAD)},
    }
    return {
        "id": "b1",
        "model_a": "tea-7b",
        "model_b": "coffee-7b",
        "winner": winner,
        "evaluation_session_id": "s1",
        "evaluation_order": 1,
        **sides,
        "full_conversation": [full],
        "conv_metadata": METADATA["conv_metadata"],
        "category_tag": METADATA["category_tag"],
        "language": "en",
        "is_code": False,
        "timestamp": "2025-05-30 12:00:00",
    }


def kaggle(winner):
    return {
        "id": 30192,
        "model_a": "tea-7b",
        "model_b": "coffee-7b",
        "prompt": json.dumps([Q]),
        "response_a": json.dumps([GOOD]),
        "response_b": json.dumps([BAD]),
        **{f"winner_{name}": int(name == winner) for name in ("model_a", "model_b", "tie")},
    }


def webgpt(score):
    quotes, tokens = {"title": ["Sun"], "extract": ["The Sun is a star."]}, {"prefix": [50256], "completion": [3]}
    sides = ((GOOD, score), (BAD, -score))
    question = {"dataset": "eli5", "id": "abc", "full_text": Q}
    return {"question": question} | {
        f"{name}_{n}": value
        for n, (text, number) in enumerate(sides)
        for name, value in {"quotes": quotes, "answer": text, "tokens": tokens, "score": number}.items()
    }


def webgpt_line(score):
    return [
        {name: webgpt(score)[f"{name}_{n}" if name != "question" else name] for name in WEBGPT_NAMES} for n in (0, 1)
    ]


WEBGPT_NAMES = ("question", "quotes", "answer", "tokens", "score")


def dsp(first, second):
    return {"text": [f"## Human:\n{Q}\n\n## Assistant:\n{answer}" for answer in (GOOD, BAD)], "score": [first, second]}


def message(name, parent, role, text, rank=None):
    return {
        "message_id": name,
        "parent_id": parent,
        "user_id": "u1",
        "created_date": "2023-02-05T14:23:50.983374+00:00",
        "text": text,
        "role": role,
        "lang": "en",
        "review_count": 3,
        "review_result": True,
        "deleted": False,
        "rank": rank,
        "synthetic": False,
        "model_name": None,
        "detoxify": {"toxicity": 0.0004},
        "message_tree_id": "m1",
        "tree_state": "ready_for_export",
        "emojis": {"name": ["+1"], "count": [2]},
        "labels": {"name": ["spam"], "value": [0.0], "count": [3]},
    }


OASST = [
    message("m1", None, "prompter", Q),
    message("m2", "m1", "assistant", BAD, 1),
    message("m3", "m1", "assistant", GOOD, 0),
]


def tree():
    told = ("text", "role", "lang", "review_count", "review_result", "deleted", "rank", "synthetic", "model_name")
    root, *answers = ({name: one[name] for name in ("message_id", "parent_id", *told, "labels")} for one in OASST)
    replies = [answer | {"replies": []} for answer in answers]
    return {"message_tree_id": "m1", "tree_state": "ready_for_export", "prompt": root | {"replies": replies}}


def rated(text, rating, model):
    aspect = {"Rating": str(rating), "Rationale": "Because.", "Type": None}
    return {
        "annotations": {
            "instruction_following": {"Rating": str(rating), "Rationale": "It is so."},
            "helpfulness": aspect,
        },
        "custom_system_prompt": "As an AI assistant, answer.",
        "model": model,
        "principle": "helpfulness",
        "response": text,
        "critique": "Well done.",
        "overall_score": 10.0 - rating,
        "fine-grained_score": float(rating),
    }


def alpaca_eval(preference):
    return {
        "instruction": Q,
        "output_1": GOOD,
        "generator_1": "text_davinci_003",
        "dataset": "helpful_base",
        "output_2": BAD,
        "generator_2": "coffee-7b",
        "annotator": "weighted_alpaca_eval_gpt4_turbo",
        "preference": preference,
        "raw_completion": {"finish_reason": "stop", "logprobs": {"content": []}, "index": 0},
        "time_per_example": 0.3,
        "price_per_example": 0.001,
    }


def pandalm(*labels):
    return {
        "idx": 0,
        "motivation_app": "Grammarly",
        "cmp_key": "tea-7b_coffee-7b",
        "instruction": Q,
        "input": "",
        "response1": GOOD,
        "response2": BAD,
        **{f"annotator{n}": label for n, label in enumerate(labels, 1)},
    }


def safe(better, first_safe=True, second_safe=True):
    harm = {"Endangering Public Health": False, "Privacy Violation": False}
    row = {
        "prompt": Q,
        "response_0": GOOD,
        "response_1": BAD,
        "prompt_source": "Alpaca3-70B",
        "response_0_source": "Alpaca-7B",
        "response_1_source": "WizardLM-7B",
        "is_response_0_safe": first_safe,
        "is_response_1_safe": second_safe,
    }
    for n in (0, 1):
        row |= {f"response_{n}_harm_category": harm, f"response_{n}_severity_level": 0, f"response_{n}_sha256": "e3b0"}
    return row | {"better_response_id": better, "safer_response_id": better}


def helpsteer(text, helpfulness):
    scores = {"helpfulness": helpfulness, "correctness": 3, "coherence": 4, "complexity": 1, "verbosity": 1}
    return {"prompt": Q, "response": text, **scores}


def helpsteer3(score):
    voice = {"score": score, "reasoning": "It is right.", "feedback1": "Good.", "feedback2": "Bad."}
    return {
        "domain": "general",
        "language": "english",
        "context": [user()],
        "response1": GOOD,
        "response2": BAD,
        "overall_preference": score,
        "individual_preference": [voice, voice, voice],
    }


INFO = {"id": "t3_1", "post": Q, "title": "The sun", "subreddit": "space", "site": None, "article": None}


def summary(text, overall):
    axes = {"overall": overall, "accuracy": 6, "coverage": 6, "coherence": 7, "compatible": None}
    told = {"text": f" {text}", "policy": "sup4", "note": "Fine.", "axes": axes}
    return {"info": INFO, "summary": told, "worker": "w1", "batch": "cnndm0", "split": "valid1"}


def from_value(role, text):
    return {"from": role, "value": text}


CALLED = {
    "type": "function",
    "function": {"name": "look", "description": "Looks up.", "parameters": {"type": "object"}},
}

PAIRS = {
    "lmsys_33k": ("arena_battles", [battle("model_a", **MODERATION)]),
    "arena_100k": ("arena_battles", [battle("model_a", **METADATA)]),
    "arena_55k": ("arena_turns", [kaggle("model_a")]),
    "arena_140k": ("arena_battles", [latest_battle("model_a")]),
    "mt_bench_human": (
        "arena_battles",
        [{n: v for n, v in battle("model_a").items() if n not in ("anony", "language", "tstamp")}],
    ),
    "webgpt": ("webgpt", [webgpt(0.5)]),
    "webgpt_original": ("webgpt_lines", [webgpt_line(0.5)]),
    "webgpt_dsp": ("text_score", [dsp(1.5, 0.5)]),
    "oasst_flat": ("oasst_tree", OASST),
    "oasst_tree": ("oasst_tree", [tree()]),
    "nectar": (
        "answer_objects",
        [
            {
                "prompt": f"\n\nHuman: {Q}\n\nAssistant: ",
                "answers": [
                    {"answer": BAD, "model": "coffee-7b", "rank": 7.0},
                    {"answer": GOOD, "model": "gpt-4", "rank": 1.0},
                ],
                "turns": 1,
                "num_responses": 2,
                "source": ["sharegpt"],
                "good_natured": True,
            }
        ],
    ),
    "ultrafeedback": (
        "ultrafeedback",
        [
            {
                "source": "evol_instruct",
                "instruction": Q,
                "models": ["tea-7b", "coffee-7b"],
                "completions": [rated(BAD, 2, "coffee-7b"), rated(GOOD, 5, "tea-7b")],
                "correct_answers": ["None"],
                "incorrect_answers": ["None"],
            }
        ],
    ),
    "ultrafeedback_binarized": (
        "prompt_chosen_rejected",
        [
            {
                "prompt": Q,
                "prompt_id": "f0e3",
                "chosen": talk(GOOD),
                "rejected": talk(BAD),
                "messages": talk(GOOD),
                "score_chosen": 8.5,
                "score_rejected": 6.0,
            }
        ],
    ),
    "ultrafeedback_argilla": (
        "prompt_chosen_rejected",
        [
            {
                "source": "evol_instruct",
                "prompt": Q,
                "chosen": talk(GOOD),
                "chosen-rating": 5.0,
                "chosen-model": "tea-7b",
                "rejected": talk(BAD),
                "rejected-rating": 3.25,
                "rejected-model": "coffee-7b",
            }
        ],
    ),
    "ultrafeedback_curated": (
        "instruction_chosen_response_rejected_response",
        [
            {
                "source": "flan",
                "instruction": Q,
                "chosen_response": GOOD,
                "rejected_response": BAD,
                "chosen_avg_rating": 4.5,
                "rejected_avg_rating": 3.0,
                "chosen_model": "tea-7b",
            }
        ],
    ),
    "ultrafeedback_sampled": (
        "prompt_chosen_rejected",
        [
            {
                "prompt_id": "f0e3",
                "prompt": Q,
                "all_generated_responses": [GOOD, BAD],
                "all_rm_scores": [0.17, 0.12],
                "chosen": talk(GOOD),
                "rejected": talk(BAD),
            }
        ],
    ),
    "stack_exchange": (
        "answer_objects",
        [
            {
                "qid": 1,
                "question": Q,
                "answers": [
                    {
                        "answer_id": n,
                        "author": "Kim",
                        "author_id": 7,
                        "author_profile": "https://example.com/users/7",
                        "pm_score": score,
                        "selected": score > 1,
                        "text": text,
                    }
                    for n, (text, score) in enumerate(((BAD, 0), (GOOD, 4)))
                ],
                "date": "2012/11/01",
                "metadata": ["https://example.com/questions/1", "https://example.com"],
            }
        ],
    ),
    "stack_exchange_paired": (
        "question_response_j_response_k",
        [{"qid": 1, "question": Q, "date": "2012/11/01", "metadata": ["x"], "response_j": GOOD, "response_k": BAD}],
    ),
    "shp": (
        "shp",
        [
            {
                "post_id": "qt3nxl",
                "domain": "askculinary_train",
                "upvote_ratio": 0.98,
                "history": Q,
                "c_root_id_A": "hkh25sc",
                "c_root_id_B": "hkh25lp",
                "created_at_utc_A": 1636822112,
                "created_at_utc_B": 1636822110,
                "score_A": 340,
                "score_B": 166,
                "human_ref_A": GOOD,
                "human_ref_B": BAD,
                "labels": 1,
                "seconds_difference": 2.0,
                "score_ratio": 2.05,
            }
        ],
    ),
    "helpsteer": ("helpsteer", [helpsteer(BAD, 1), helpsteer(GOOD, 4)]),
    "helpsteer2_preference": (
        "helpsteer2_preference",
        [
            {
                "split": "train",
                "prompt": Q,
                "response_1": GOOD,
                "response_2": BAD,
                "preference_strength": -2,
                "preference_statement": "The first is right.",
                "preference_elaboration": "It is a star.",
                "three_most_similar_preferences": [{"statement": "s", "elaboration": "e", "strength": -2}],
                "all_preferences_unprocessed": [{"strength": -2, "annotator_id": "1"}],
            }
        ],
    ),
    "helpsteer3": ("helpsteer3", [helpsteer3(-2)]),
    "summarize_comparisons": (
        "summaries",
        [
            {
                "info": INFO,
                "summaries": [
                    {"text": f" {GOOD}", "policy": "sup4", "note": "Right."},
                    {"text": f" {BAD}", "policy": "ref", "note": "Wrong."},
                ],
                "choice": 0,
                "worker": "w1",
                "batch": "batch3",
                "split": "train",
                "extra": {"confidence": 8},
            }
        ],
    ),
    "summarize_axis": ("rated_summaries", [summary(BAD, 2), summary(GOOD, 7)]),
    "pku_safe_rlhf": ("safe_rlhf", [safe(0)]),
    "pku_safe_rlhf_first": (
        "safe_rlhf",
        [
            {
                "prompt": Q,
                "response_0": GOOD,
                "response_1": BAD,
                "is_response_0_safe": True,
                "is_response_1_safe": False,
                "better_response_id": 1,
                "safer_response_id": 0,
            }
        ],
    ),
    "orca_dpo": ("question_chosen_rejected", [{"system": "", "question": Q, "chosen": GOOD, "rejected": BAD}]),
    "distilabel_orca": (
        "distilabel_pair",
        [
            {
                "system": "",
                "input": Q,
                "chosen": GOOD,
                "rejected": BAD,
                "generations": [GOOD, BAD],
                "order": ["chosen", "rejected"],
                "labelling_model": "gpt-4-1106-preview",
                "labelling_prompt": [{"content": "You are a helpful assistant.", "role": "system"}, user("Rate.")],
                "raw_labelling_response": "9 1\nIt is a star.",
                "rating": [9.0, 1.0],
                "rationale": "It is a star.",
                "status": "unchanged",
                "original_chosen": GOOD,
                "original_rejected": BAD,
                "chosen_score": 9.0,
                "in_gsm8k_train": False,
            }
        ],
    ),
    "distilabel_math": (
        "instruction_chosen_response_rejected_response",
        [
            {
                "metadata": "{}",
                "instruction": Q,
                "chosen_response": GOOD,
                "chosen_rating": 4.0,
                "rejected_response": BAD,
                "rejected_rating": 2.0,
            }
        ],
    ),
    "distilabel_capybara": (
        "prompt_chosen_rejected",
        [
            {
                "source": "Airoboros",
                "conversation": [{"input": Q, "output": GOOD}],
                "original_response": GOOD,
                "generation_prompt": ["<|im_start|>user"],
                "raw_generation_responses": [BAD],
                "new_generations": [BAD],
                "prompt": Q,
                "chosen": talk(GOOD),
                "rejected": talk(BAD),
                "rating_chosen": 5,
                "rating_rejected": 1,
                "chosen_model": "original",
                "rejected_model": "coffee-7b",
            }
        ],
    ),
    "llama_factory_alpaca": (
        "instruction_chosen_rejected",
        [{"instruction": Q, "input": "", "chosen": GOOD, "rejected": BAD}],
    ),
    "llama_factory_sharegpt": (
        "sharegpt_pair",
        [
            {
                "conversations": [from_value("human", Q)],
                "chosen": from_value("gpt", GOOD),
                "rejected": from_value("gpt", BAD),
            }
        ],
    ),
    "llama_factory_comparison": ("ranked_output", [{"instruction": Q, "input": "", "output": [GOOD, BAD]}]),
    "openai_preference": (
        "openai_pair",
        [
            {
                "input": {"messages": [user()], "tools": [], "parallel_tool_calls": True},
                "preferred_output": [bot(GOOD)],
                "non_preferred_output": [bot(BAD)],
            }
        ],
    ),
    "trl_explicit": ("prompt_chosen_rejected", [{"prompt": [user()], "chosen": [bot(GOOD)], "rejected": [bot(BAD)]}]),
    "trl_implicit": ("shared_prefix", [{"chosen": talk(GOOD), "rejected": talk(BAD), "source": "HelpSteer2"}]),
    "hh": (
        "hh_transcripts",
        [{name: f"\n\nHuman: {Q}\n\nAssistant: {text}" for name, text in (("chosen", GOOD), ("rejected", BAD))}],
    ),
    "tulu_3": (
        "prompt_chosen_rejected",
        [
            {
                "id": "ai2-1",
                "source": "ai2-adapt-dev/sft_v3.9",
                "prompt": Q,
                "chosen": talk(GOOD),
                "rejected": talk(BAD),
                "chosen_rating": 4.75,
                "rejected_rating": 2.5,
                "chosen_model": "tea-7b",
                "rejected_model": "coffee-7b",
            }
        ],
    ),
    "dpo_mix_7k": (
        "shared_prefix",
        [
            {
                "dataset": "argilla/distilabel-capybara-dpo-7k-binarized",
                "chosen": talk(GOOD),
                "rejected": talk(BAD),
                "chosen_rating": 5.0,
                "rejected_rating": 4.0,
            }
        ],
    ),
    "orpo_mix_40k": (
        "prompt_chosen_rejected",
        [{"source": "Airoboros", "chosen": talk(GOOD), "rejected": talk(BAD), "prompt": Q, "question": Q}],
    ),
    "truthy_dpo": (
        "prompt_chosen_rejected",
        [{"id": "a1", "source": "truthy_dpo", "system": "", "prompt": Q, "chosen": GOOD, "rejected": BAD}],
    ),
    "alpaca_eval": ("alpaca_eval", [alpaca_eval(1.0)]),
    "alpaca_farm": (
        "alpaca_eval",
        [
            {
                "instruction": Q,
                "input": "",
                "output_1": GOOD,
                "output_2": BAD,
                "preference": 1,
                "raw_preference": 1,
                "annotator_index": 3,
            }
        ],
    ),
    "pandalm": ("pandalm", [pandalm(1, 1, 1)]),
    "llmbar": ("llmbar", [{"input": Q, "output_1": GOOD, "output_2": BAD, "label": 1}]),
    "auto_j": (
        "auto_j",
        [{"scenario": "explaining_general", "prompt": Q, "response 1": GOOD, "response 2": BAD, "label": 0}],
    ),
    "reward_bench": (
        "prompt_chosen_rejected",
        [
            {
                "prompt": Q,
                "chosen": GOOD,
                "chosen_model": "tea-7b",
                "rejected": BAD,
                "rejected_model": "coffee-7b",
                "subset": "alpacaeval-easy",
                "id": 0,
            }
        ],
    ),
    "reward_bench_2": (
        "reward_bench_2",
        [
            {
                "id": "0",
                "prompt": Q,
                "chosen": [GOOD],
                "rejected": [BAD],
                "num_correct": 1,
                "num_incorrect": 1,
                "total_completions": 2,
                "models": ["tea-7b", "coffee-7b"],
                "subset": "Factuality",
                "additional_metadata": {"category": None, "correct": None},
            }
        ],
    ),
    "gutenberg_dpo": (
        "prompt_chosen_rejected",
        [{"prompt": Q, "chosen": GOOD, "rejected": BAD, "rejected_model": "coffee-7b"}],
    ),
    "trl_tools": (
        "prompt_chosen_rejected",
        [{"prompt": [user()], "chosen": [bot(GOOD)], "rejected": [bot(BAD)], "tools": [CALLED]}],
    ),
}
"""By name: the format that reads it, and rows that prefer GOOD to BAD as answers to Q."""

NO_PREFERENCE = {
    "lmsys_33k": [(battle("tie", **MODERATION), "tie"), (battle("tie (bothbad)", **MODERATION), "both_bad")],
    "arena_55k": [(kaggle("tie"), "tie")],
    "arena_140k": [(latest_battle("tie"), "tie"), (latest_battle("both_bad"), "both_bad")],
    "mt_bench_judged": [(battle("tie (inconsistent)"), "tie")],
    "webgpt": [(webgpt(0.0), "tie")],
    "webgpt_original": [(webgpt_line(0.0), "tie")],
    "webgpt_dsp": [(dsp(1.0, 1.0), "tie")],
    "alpaca_eval": [(alpaca_eval(value), code) for value, code in ((0, "tie"), (1.5, "tie"), (None, "unanswered"))],
    "pandalm": [(pandalm(0, 0, 0), "tie"), (pandalm(0.0, 0.0, 0.0), "tie")],
    "auto_j": [({"scenario": "s", "prompt": Q, "response 1": GOOD, "response 2": BAD, "label": 2}, "tie")],
    "helpsteer3": [(helpsteer3(0), "tie")],
    "pku_safe_rlhf": [(safe(0, first_safe=False, second_safe=False), "both_bad")],
}
"""By name: rows in which nobody prefers one answer, and the verdict on them."""

LABELLED = {
    "kto_messages": ("labelled_messages", [{"messages": talk(GOOD), "label": True}]),
    "kto_mix_14k": ("labelled", [{"prompt": [user()], "completion": [bot(GOOD)], "label": True}]),
    "llama_factory_kto": ("labelled_messages_kto_tag", [{"messages": talk(GOOD), "kto_tag": True}]),
}
"""By name: the format that reads it, and rows that call GOOD a good answer to Q."""

DEMONSTRATIONS = {
    "openai_messages": ("messages", [{"messages": talk(GOOD), "tools": [CALLED], "parallel_tool_calls": False}]),
    "alpaca": ("alpaca", [{"instruction": Q, "input": "", "output": GOOD}]),
    "sharegpt": (
        "sharegpt",
        [{"id": "s1", "conversations": [from_value("human", Q), from_value("gpt", GOOD)], "system": ""}],
    ),
}
"""By name: the format that reads it, and rows that answer Q with GOOD."""

EVERY = [
    *((name, load_pairs, *rows) for name, rows in PAIRS.items()),
    *((name, load_labelled, *rows) for name, rows in LABELLED.items()),
    *((name, load_demonstrations, *rows) for name, rows in DEMONSTRATIONS.items()),
]
KINDS = {load_pairs: "pairs", load_labelled: "labelled", load_demonstrations: "demonstrations"}


def as_cell(value):
    """A value as libraries write it into a table of texts."""
    return json.dumps(value) if isinstance(value, list | dict) else "" if value is None else str(value)


def write(folder, name, ending, rows):
    """The rows as a file of that ending; lists and objects in a cell are JSON."""
    path = folder / f"{name}{ending}"
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if ending == ".jsonl":
        path.write_text(lines, encoding="utf-8")
    elif ending in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream, delimiter="," if ending == ".csv" else "\t")
            table.writerow(rows[0])
            table.writerows([as_cell(value) for value in row.values()] for row in rows)
    else:
        pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
        import pyarrow.parquet

        if ending == ".parquet":
            pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
        else:
            with pa.CompressedOutputStream(str(path), "zstd") as stream:
                stream.write(lines.encode())
    return path


def texts_of(record):
    if hasattr(record, "chosen"):
        return record.prompt[-1].content, record.chosen, record.rejected
    if hasattr(record, "response"):
        return record.prompt[-1].content, record.response, record.desirable
    return tuple(message.content for message in record.messages)


SAID = {"pairs": (GOOD, BAD), "labelled": (GOOD, True), "demonstrations": (GOOD,)}
OF_A_POST = {"summarize_comparisons", "summarize_axis"}
"""Their prompt holds more than the question."""
NOT_IN_CELLS = {
    "webgpt_original": "its lines are lists, which have no columns",
    "llama_factory_comparison": "a text that spells a list may be an answer",
}


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".tsv", ".parquet", ".jsonl.zst"])
@pytest.mark.parametrize(("name", "load", "format", "rows"), EVERY, ids=[name for name, *_ in EVERY])
def test_every_shape_says_the_same_in_every_file_and_nothing_is_left_to_remark(
    name, load, format, rows, ending, tmp_path
):
    if ending in (".csv", ".tsv", ".parquet") and name in NOT_IN_CELLS:
        pytest.skip(NOT_IN_CELLS[name])
    path = write(tmp_path, name, ending, rows)
    kind = KINDS[load]
    loaded = load(path)
    assert (guess_kind(path), loaded.format, list(loaded.remarks())) == (kind, format, [])
    for record in loaded.records:
        question, *answers = texts_of(record)
        assert tuple(answers) == SAID[kind]
        assert Q in question if name in OF_A_POST else question == Q
    assert set(loaded.verdict_counts) == {"keep"}


NO_PREFERENCES = [(name, row, code) for name, cases in NO_PREFERENCE.items() for row, code in cases]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize(("name", "row", "code"), NO_PREFERENCES)
def test_ties_both_bad_and_failed_judgements_stay_what_they_are(name, row, code, ending, tmp_path):
    if isinstance(row, list) and ending != ".jsonl":
        pytest.skip(NOT_IN_CELLS[name])
    with pytest.raises(DataError, match=rf"no row can be used \(1 {code}\)"):
        load_pairs(write(tmp_path, name, ending, [row]))


@pytest.mark.slow(threads=1)
def test_all_of_them_are_trained_on_together_and_found_to_say_the_same(stories260k, tmp_path):
    paths = [write(tmp_path, name, ".jsonl", rows) for name, (_, rows) in PAIRS.items() if name != "trl_tools"]
    one_step = {"optimiser.max_steps": 1, "data.held_out": 0.0}
    output = tmp_path / "run"
    pt.dpo(str(stories260k), paths, chat_template="plain", output=output, settings=one_step, progress=False)
    run = json.loads((output / "run.json").read_text(encoding="utf-8"))
    assert run["num_train_pairs"] == len(paths) + 2  # of one, three annotators say the same
    assert (
        run["rows"]["duplicate"] == len(paths) - 2
    )  # the first is none, nor a summary's, which is asked with its post
    assert (run["fields_not_read"], run["problems"]) == ([], [one for one in run["problems"] if "duplicate" in one])
