"""Each format becomes the record it stands for, and each kind of bad row its verdict."""

import json
import re
from pathlib import Path

import pytest

from penchant.data import Demonstration, Document, Labelled, Message, PreferencePair, prompt_key
from penchant.data.importers import DEMONSTRATION_IMPORTERS, LABELLED_IMPORTERS, PAIR_IMPORTERS, PROMPT_IMPORTERS
from penchant.data.verdicts import CODES, BadRow

EVERY_TABLE = (PAIR_IMPORTERS, LABELLED_IMPORTERS, DEMONSTRATION_IMPORTERS, PROMPT_IMPORTERS)
ALL = tuple(importer for table in EVERY_TABLE for importer in table)
TABLES = {importer.name: table for table in EVERY_TABLE for importer in table}
DOCS = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def message(role, content):
    return Message(role=role, content=content)


QUESTION = message("user", "What is the sun?")
SUN_PAIR = PreferencePair(prompt=(QUESTION,), chosen="A star, the nearest one.", rejected="A lamp.")
ANSWERED = Demonstration(messages=(QUESTION, message("assistant", "A star, the nearest one.")))


def read(table, row):
    """What the loader does with one row: the first importer that matches converts it."""
    return next(importer for importer in table if importer.matches(row)).convert(row)


def complaint(table, row):
    with pytest.raises(BadRow) as caught:
        read(table, row)
    assert caught.value.code in CODES
    return caught.value.code, caught.value.reason


@pytest.mark.parametrize("importer", ALL, ids=lambda importer: importer.name)
def test_the_first_importer_that_matches_an_example_is_its_own(importer):
    matching = [other.name for other in TABLES[importer.name] if other.matches(importer.example)]
    assert matching[0] == importer.name


@pytest.mark.parametrize("importer", PAIR_IMPORTERS, ids=lambda importer: importer.name)
def test_every_pair_format_reads_its_example_as_the_same_pair(importer):
    found = importer.convert(importer.example)
    pair = found[0] if isinstance(found, tuple) else found
    if importer.name in ("summaries", "rated_summaries"):  # whose prompt says what is summarised, and asks for it
        assert "POST: What is the sun?" in pair.prompt[0].content
        pair = pair.model_copy(update={"prompt": (QUESTION,)})
    assert pair.model_copy(update={"gap": None}) == SUN_PAIR  # which is of a list's scores, where it is one


@pytest.mark.parametrize(("spelled", "good"), [(True, True), ("true", True), ("1", True), (0, False), ("False", False)])
def test_a_label_is_read_as_json_and_csv_spell_it(spelled, good):
    row = {"prompt": "What is the sun?", "completion": "A star, the nearest one.", "label": spelled}
    expected = Labelled(prompt=(QUESTION,), response="A star, the nearest one.", desirable=good)
    assert read(LABELLED_IMPORTERS, row) == expected


def test_a_label_that_is_neither_true_nor_false_is_a_bad_row():
    row = {"prompt": "Q", "completion": "R", "label": "good"}
    assert complaint(LABELLED_IMPORTERS, row) == ("bad_type", "'label' must be true or false, got 'good'")


def test_every_demonstration_format_reads_its_example():
    read_as = {importer.name: importer.convert(importer.example) for importer in DEMONSTRATION_IMPORTERS}
    question = message("user", "Name the star.\n\nIt is the nearest one.")
    assert read_as == {
        "messages": ANSWERED,
        "sharegpt": ANSWERED,
        "prompt_completion": ANSWERED,
        "alpaca": Demonstration(messages=(question, message("assistant", "The sun."))),
        "instances": (Demonstration(messages=(question, message("assistant", "The sun."))),),
        "oasst_tree": (ANSWERED,),
        "text": Document(text="Once there was a star."),
    }


@pytest.mark.parametrize("importer", PROMPT_IMPORTERS, ids=lambda importer: importer.name)
def test_every_prompt_format_reads_its_example_as_the_same_prompt(importer):
    found = importer.convert(importer.example)
    if isinstance(found, tuple):
        assert found[0].messages == (message("user", "Name the star.\n\nIt is the nearest one."),)
        return
    prompt = found
    assert prompt.messages == (QUESTION,)
    assert len(prompt.id) == 16
    assert prompt.id == PROMPT_IMPORTERS[0].convert({"prompt": [QUESTION.model_dump()]}).id


def test_the_documentation_shows_the_example_of_every_format():
    lines = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    shown = [json.loads(line) for line in lines]
    assert [importer.name for importer in ALL if importer.example not in shown] == []


def test_the_documentation_lists_every_code():
    text = DOCS.read_text(encoding="utf-8")
    assert [code for code, row in CODES.items() if f"| `{code}` | {row.severity} | {row.meaning} |" not in text] == []


QUESTION_ROW, REPLY = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "R"}


@pytest.mark.parametrize("prompt", ["Q", [QUESTION_ROW]])
@pytest.mark.parametrize("chosen", ["R", REPLY, [REPLY], [QUESTION_ROW, REPLY], {"from": "gpt", "value": "R"}])
def test_an_explicit_prompt_goes_with_a_text_a_message_or_messages(prompt, chosen):
    pair = read(PAIR_IMPORTERS, {"prompt": prompt, "chosen": chosen, "rejected": "S"})
    assert pair == PreferencePair(prompt=(message("user", "Q"),), chosen="R", rejected="S")


def test_weight_probability_and_margin_are_read_with_the_pair():
    row = {"prompt": "Q", "chosen": "R", "rejected": "S", "weight": 2, "probability": "0.8", "margin": None, "id": 7}
    pair = read(PAIR_IMPORTERS, row)
    assert (pair.weight, pair.probability, pair.margin) == (2.0, 0.8, 0.0)


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"chosen": 3}, "bad_type", "'chosen' must be a list of messages, got a number"),
        ({"prompt": []}, "missing_field", "'prompt' holds no messages"),
        ({"prompt": ["Q"]}, "bad_type", r"'prompt\[0\]' must be a message, got text"),
        ({"chosen": [QUESTION_ROW]}, "bad_type", "last message of 'chosen' is the user's"),
        ({"chosen": [REPLY, REPLY]}, "prompts_differ", "'chosen' before its last one differ from the prompt"),
        ({"chosen": {"role": "assistant"}}, "missing_field", "'content' is missing"),
        ({"chosen": {"role": "bot", "content": "R"}}, "bad_type", "unknown role 'bot'"),
        ({"chosen": {"role": "assistant", "content": [1]}}, "bad_type", "'content' must be text, got a list"),
        ({"chosen": {**REPLY, "tool_calls": [{"id": "c1"}]}}, "bad_type", r"a call of 'chosen\[0\]' names no function"),
    ],
)
def test_a_wrong_field_is_named(change, code, reason):

    got_code, got_reason = complaint(PAIR_IMPORTERS, {"prompt": "Q", "chosen": "R", "rejected": "S", **change})
    assert got_code == code
    assert re.search(reason, got_reason)


def test_conversations_that_differ_before_the_response_are_refused():
    row = {"chosen": [QUESTION_ROW, REPLY], "rejected": [{**QUESTION_ROW, "content": "other"}, REPLY]}
    assert complaint(PAIR_IMPORTERS, row)[0] == "prompts_differ"
    row = {"chosen": [QUESTION_ROW, REPLY], "rejected": [QUESTION_ROW, REPLY, QUESTION_ROW, REPLY]}
    assert complaint(PAIR_IMPORTERS, row)[0] == "prompts_differ"
    assert complaint(PAIR_IMPORTERS, {"chosen": [REPLY], "rejected": [REPLY]})[0] == "missing_field"


def hh(chosen, rejected=None):
    rejected = chosen.rpartition("\n\nAssistant:")[0] + "\n\nAssistant: other" if rejected is None else rejected
    return {"chosen": chosen, "rejected": rejected}


def test_a_transcript_splits_at_its_last_assistant_turn():
    pair = read(PAIR_IMPORTERS, hh("\n\nHuman: one\n\nAssistant: two\n\nHuman: three\n\nAssistant: four\n\nmore"))
    assert pair.prompt == (message("user", "one"), message("assistant", "two"), message("user", "three"))
    assert (pair.chosen, pair.rejected) == ("four\n\nmore", "other")


def test_a_marker_inside_a_turn_is_text():
    pair = read(PAIR_IMPORTERS, hh("\n\nHuman: who? Assistant: me\nHuman: x\n\nAssistant: I am.  Human: why?"))
    assert pair.prompt == (message("user", "who? Assistant: me\nHuman: x"),)
    assert pair.chosen == "I am.  Human: why?"


def test_turns_of_one_speaker_in_a_row_are_joined():
    pair = read(PAIR_IMPORTERS, hh("\n\nHuman: one\n\nHuman: two\n\nAssistant: three"))
    assert pair.prompt == (message("user", "one\n\ntwo"),)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (hh("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: c\n\nAssistant: b"), "prompts_differ"),
        (hh("\n\nHuman: a\n\nAssistant: b\n\nHuman: c", "\n\nHuman: a\n\nAssistant: b"), "bad_type"),
        (hh("\n\nAssistant: b", "\n\nAssistant: c"), "missing_field"),
    ],
)
def test_a_transcript_without_a_common_prompt_is_refused(row, code):
    assert complaint(PAIR_IMPORTERS, row)[0] == code


def test_a_transcript_with_single_line_ends_is_told_what_it_lacks():
    for text in (
        "\nHuman: a\nAssistant: b",
        "Human: a\nAssistant: b\nHuman: c\nAssistant: d",
        "\n\nAssistant: a\nHuman: b",
    ):
        code, reason = complaint(PAIR_IMPORTERS, hh(text, text))
        assert code == "bad_type"
        assert "separated by single line ends" in reason


@pytest.mark.parametrize("outcome", ["tie", "both_bad", None])
def test_a_comparison_without_a_winner_makes_no_pair_and_says_why(outcome):
    example = next(importer.example for importer in PAIR_IMPORTERS if importer.name == "comparisons")
    code, reason = complaint(PAIR_IMPORTERS, {**example, "outcome": outcome})
    assert code == (outcome or "unanswered")
    assert "sun-1" in reason
    assert CODES[code].severity == "no_pair"


def test_alpaca_rows_put_the_system_first_and_skip_an_empty_input():
    row = {"instruction": "Q", "input": "", "output": "R", "system": "S"}
    assert [m.content for m in read(DEMONSTRATION_IMPORTERS, row).messages] == ["S", "Q", "R"]


def test_a_demonstration_must_end_with_the_assistant():
    assert complaint(DEMONSTRATION_IMPORTERS, {"messages": [QUESTION_ROW]})[0] == "bad_type"


def test_a_prompt_keeps_its_id():
    prompt = read(PROMPT_IMPORTERS, {"prompt": "Q", "id": 81})
    assert (prompt.id, prompt_key(prompt.messages)) == ("81", '[{"content":"Q","role":"user"}]')
