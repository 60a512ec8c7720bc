"""Whatever is read can be written as another format, which says the same when it is read; the rest is told."""

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data import Comparison, Message, PreferencePair, load_demonstrations, load_labelled, load_pairs
from penchant.data.answer_lists import Answer, AnswerList
from penchant.data.convert import convert
from penchant.data.importers import (
    CHOSEN_IMPORTERS,
    DEMONSTRATION_IMPORTERS,
    JUDGED_IMPORTERS,
    LABELLED_IMPORTERS,
    LIST_IMPORTERS,
)
from penchant.data.importers.base import converting
from penchant.data.importers.listed import comparisons_by
from penchant.data.load import open_records
from penchant.data.pairing import ALL_PAIRS
from penchant.data.written import WRITERS
from penchant.errors import ConfigError, DataError, OutputError

CONVERSATIONS = [one for one in DEMONSTRATION_IMPORTERS if one.name != "text"]
EVERY = (*CHOSEN_IMPORTERS, *JUDGED_IMPORTERS, *LABELLED_IMPORTERS, *CONVERSATIONS)
CALL = {"type": "function", "function": {"name": "look", "arguments": {"where": "up"}}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
USER, BOT = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "R"}


def written(rows, to, folder, **options):
    """What a conversion says, and the rows that it wrote."""
    path = folder / f"{to}-{len(list(folder.iterdir()))}.jsonl"
    found = convert(rows, to=to, output=path, **options)
    return found, [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def records(rows):
    return [
        record.model_copy(update={"origin": None}) if hasattr(record, "origin") else record
        for record in open_records(rows)
    ]


def core(record):
    """What a record says of texts and of which is better: what every format holds of it."""
    if isinstance(record, Comparison):
        sides = {"a": (record.a.text, record.b.text), "b": (record.b.text, record.a.text)}
        return (
            record.prompt,
            sides.get(record.outcome, tuple(sorted((record.a.text, record.b.text)))),
            record.outcome in ("a", "b"),
        )
    return record


@pytest.mark.parametrize("importer", EVERY, ids=lambda one: one.name)
def test_every_format_read_written_and_read_again_is_equal(importer, tmp_path):
    before = records([importer.example])
    for to, (_, kinds) in WRITERS.items():
        if not isinstance(before[0], kinds):
            continue
        _, rows = written([importer.example], to, tmp_path)
        again = records(rows)
        _, rows_again = written(rows, to, tmp_path)
        assert records(rows_again) == again, to
        if type(again[0]) is type(before[0]) and to != "arena":
            assert [replace_id(one) for one in again] == [replace_id(one) for one in before], to


def replace_id(record):
    return record.model_copy(update={"id": ""}) if isinstance(record, Comparison) else record


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(str.strip)
NUMBER = st.floats(0.01, 1, allow_nan=False)
MESSAGES = st.builds(
    lambda system, turns, last: [
        *([{"role": "system", "content": system}] if system else []),
        *(
            {"role": role, "content": text}
            for turn in turns
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ),
        {"role": "user", "content": last},
    ],
    st.none() | TEXT,
    st.lists(st.tuples(TEXT, TEXT), max_size=2),
    TEXT,
)
ANSWER = st.builds(
    lambda text, reasoning, call: {
        "role": "assistant",
        "content": text,
        **({"reasoning_content": reasoning} if reasoning else {}),
        **({"tool_calls": [CALL]} if call else {}),
    },
    TEXT,
    st.none() | TEXT,
    st.booleans(),
)
BESIDE = st.fixed_dictionaries({}, optional={"tools": st.just([TOOL]), "weight": NUMBER})


@settings(deadline=None, max_examples=25)
@given(MESSAGES, ANSWER, ANSWER, BESIDE, st.fixed_dictionaries({}, optional={"probability": NUMBER, "margin": NUMBER}))
def test_pairs_keep_prompt_tools_calls_reasoning_and_numbers(
    tmp_path_factory, prompt, chosen, rejected, beside, numbers
):
    rows = [{"prompt": prompt, "chosen": [chosen], "rejected": [rejected], **beside, **numbers}]
    try:
        before = load_pairs(rows).records
    except DataError:
        return
    found, again = written(rows, "trl", tmp_path_factory.mktemp("trl"))
    assert strip(load_pairs(again).records) == strip(before)
    assert found.lost == ()
    assert load_pairs(again).unread == ()


@pytest.mark.slow(threads=1)
@settings(deadline=None, max_examples=25)
@given(MESSAGES, ANSWER, BESIDE, st.booleans())
def test_labelled_responses_and_demonstrations_keep_all_that_they_say(tmp_path_factory, prompt, answer, beside, label):
    rows = [{"prompt": prompt, "completion": [answer], "label": label, **beside}]
    _, again = written(rows, "kto", tmp_path_factory.mktemp("kto"))
    assert strip(load_labelled(again).records) == strip(load_labelled(rows).records)
    shown = [{"messages": [*prompt, answer], **beside}]
    _, again = written(shown, "messages", tmp_path_factory.mktemp("messages"))
    assert strip(load_demonstrations(again).records) == strip(load_demonstrations(shown).records)


@settings(deadline=None, max_examples=25)
@given(
    MESSAGES,
    TEXT,
    TEXT,
    st.sampled_from(["a", "b", "tie", "both_bad", None]),
    st.none() | st.sampled_from(["a", "b"]),
    st.none() | TEXT,
    st.none() | TEXT,
)
def test_comparisons_keep_ties_models_and_people(tmp_path_factory, prompt, a, b, outcome, first, annotator, model):
    source = {"model": model} if model else None
    row = {"id": "1", "prompt": prompt, "a": {"text": a, "source": source}, "b": {"text": b}, "outcome": outcome}
    rows = [row | {"shown_first": first, "annotator": annotator}]
    folder = tmp_path_factory.mktemp("comparisons")
    found, again = written(rows, "comparisons", folder)
    assert (records(again), found.lost) == (records(rows), ())
    _, battles = written(rows, "arena", folder)
    (battle,) = records(battles)
    (before,) = records(rows)
    swapped = first == "b"
    assert (battle.a.text, battle.b.text) == ((b, a) if swapped else (a, b))
    assert core(battle) == core(before)
    assert (battle.outcome in ("a", "b"), battle.annotator) == (outcome in ("a", "b"), annotator)
    assert battle.outcome == outcome or swapped
    assert (battle.b if swapped else battle.a).source == (before.a.source if model != "human" else None)


def strip(found):
    return [record.model_copy(update={"origin": None}) for record in found]


COMPARED = {"prompt": [USER], "a": {"text": "x", "source": {"model": "m"}}, "b": {"text": "y"}}
ANSWERS = [
    {"id": str(n), **COMPARED, "outcome": outcome, "annotator": "Ann", "strength": 2}
    for n, outcome in enumerate(["a", "b", "tie", "both_bad", None])
]


def test_what_makes_no_row_and_what_has_no_place_is_counted_and_said(tmp_path):
    found, rows = written(ANSWERS, "trl", tmp_path)
    assert [(row["chosen"][0]["content"], row.get("chosen_model"), row.get("rejected_model")) for row in rows] == [
        ("x", "m", None),
        ("y", None, "m"),
    ]
    assert found.left_out == {"tie": 1, "both_bad": 1, "unanswered": 1}
    assert [(field.name, field.num_rows, str(field.first)) for field in found.lost] == [
        ("strength", 2, "data[0]"),
        ("annotator", 2, "data[0]"),
    ]
    said = list(found.in_words())
    assert said[0] == "5 rows read as comparisons, 2 written as trl"
    assert "not written: 1 tie: the two are judged equally good" in said
    assert (
        said[4] == "lost, as the format trl has no place for it: strength (in 2 rows, first at data[0]), "
        "annotator (in 2 rows, first at data[0])"
    )


def test_both_bad_are_two_bad_labels_and_a_pair_a_good_and_a_bad_one(tmp_path):
    found, rows = written(ANSWERS, "kto", tmp_path)
    labels = [(row["id"], row["completion"][0]["content"], row["label"], row.get("model")) for row in rows]
    assert labels == [
        ("0", "x", True, "m"),
        ("0", "y", False, None),
        ("1", "y", True, None),
        ("1", "x", False, "m"),
        ("3", "x", False, "m"),
        ("3", "y", False, None),
    ]
    assert found.left_out == {"tie": 1, "unanswered": 1}


def test_the_models_of_a_pair_are_those_of_the_battle(tmp_path):
    pair = {"prompt": "Q", "chosen": "x", "rejected": "y", "chosen_model": "tea", "rejected_model": "coffee"}
    _, (battle,) = written([pair], "arena", tmp_path)
    assert (battle["model_a"], battle["model_b"], battle["winner"]) == ("tea", "coffee", "model_a")
    found, (battle,) = written([pair | {"weight": 2}], "arena", tmp_path)
    assert [field.name for field in found.lost] == ["weight"]


def test_how_a_response_was_sampled_has_a_place_among_comparisons_alone(tmp_path):
    sampled = ANSWERS[0] | {"a": {"text": "x", "source": {"model": "m", "temperature": 0.7}}}
    for to, lost in (("comparisons", []), ("arena", ["strength", "sampling"])):
        assert [field.name for field in written([sampled, ANSWERS[1]], to, tmp_path)[0].lost] == lost
    assert written([sampled], "arena", tmp_path)[0].lost[1].num_rows == 1


def test_demonstrations_from_pairs_imitate_the_chosen_response_alone(tmp_path):
    pair = {"prompt": [USER, BOT, USER], "chosen": "good", "rejected": "bad", "weight": 0.5}
    found, rows = written([pair], "messages", tmp_path)
    (shown,) = load_demonstrations(rows).records
    assert [(m.content, m.weight) for m in shown.messages] == [("Q", 1), ("R", 0), ("Q", 1), ("good", 0.5)]
    assert [field.name for field in found.lost] == ["the rejected response"]


def test_numbers_of_pairs_that_a_format_cannot_hold_are_said(tmp_path):
    rows = [{"prompt": "Q", "chosen": "x", "rejected": "y", "probability": 0.7, "margin": 2, "weight": 3}]
    assert [field.name for field in written(rows, "kto", tmp_path)[0].lost] == ["probability", "margin"]
    assert [field.name for field in written(rows, "arena", tmp_path)[0].lost] == ["weight", "probability", "margin"]


@pytest.mark.parametrize(("to", "lost"), [("trl", ["meta"]), ("kto", ["meta"]), ("comparisons", [])])
def test_the_part_of_a_benchmark_that_a_list_is_of_is_kept_or_named(tmp_path, to, lost):
    row = {"prompt": "Q", "chosen": ["a"], "rejected": ["b"], "subset": "Math", "id": "1", "num_correct": 1}
    assert [field.name for field in written([row], to, tmp_path)[0].lost] == lost


@pytest.mark.parametrize(("to", "lost"), [("trl", []), ("kto", ["gap"]), ("comparisons", [])])
def test_by_how_much_chosen_is_better_is_kept_or_named(tmp_path, to, lost):
    row = {"prompt": "Q", "chosen": "a", "rejected": "b", "chosen_score": 3, "rejected_score": 1}
    assert [field.name for field in written([row], to, tmp_path)[0].lost] == lost


def test_what_is_more_than_a_text_makes_no_comparison_and_is_counted(tmp_path):
    rows = [
        {"prompt": "Q", "chosen": BOT | {"reasoning": "hm"}, "rejected": "y"},
        {"prompt": "Q", "chosen": "x", "rejected": "y"},
    ]
    found, out = written(rows, "comparisons", tmp_path)
    assert (len(out), found.left_out) == (1, {"bad_type": 1})


def test_a_format_that_cannot_hold_the_data_is_refused_and_nothing_is_written(tmp_path):
    path = tmp_path / "out.jsonl"
    with pytest.raises(
        DataError, match=r"data\[0\]: a record of the type Labelled cannot be written as trl; choose from kto, messages"
    ):
        convert([{"prompt": "Q", "completion": "R", "label": True}], to="trl", output=path)
    with pytest.raises(DataError, match=r"no row can be written as trl \(1 tie\), so nothing was written"):
        convert([ANSWERS[2]], to="trl", output=path)
    with pytest.raises(DataError, match="1 bad row in 2 read"):
        convert(
            [{"prompt": "Q", "chosen": "x", "rejected": "y"}, {"prompt": "Q", "chosen": "x"}], to="trl", output=path
        )
    with pytest.raises(ConfigError, match=r"there is no format 'tlr' to write; choose from trl, kto, messages"):
        convert(ANSWERS, to="tlr", output=path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="exists already"):
        convert(ANSWERS, to="trl", output=path)
    assert path.read_text(encoding="utf-8") == "mine"


@pytest.mark.slow(threads=1)
def test_rows_are_written_one_by_one(tmp_path):
    def peak(number):
        source = tmp_path / f"{number}.jsonl"
        with source.open("w", encoding="utf-8") as file:
            for n in range(number):
                file.write(json.dumps({"prompt": f"{n}" + "q" * 2000, "chosen": "x" * 2000, "rejected": "y"}) + "\n")
        tracemalloc.start()
        try:
            convert(source, to="trl", output=tmp_path / f"{number}.out.jsonl")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    assert peak(1000) < peak(200) + 1_000_000  # 800 rows more are 3.2 MB


def test_datasets_loads_what_trl_is_to_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    convert(ANSWERS[:2], to="trl", output=tmp_path / "trl.jsonl")
    convert(ANSWERS[:2], to="kto", output=tmp_path / "kto.jsonl")
    loaded = {
        name: datasets.load_dataset(
            "json", data_files=str(tmp_path / f"{name}.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
        )
        for name in ("trl", "kto")
    }
    assert {"prompt", "chosen", "rejected"} <= set(loaded["trl"].column_names)
    assert loaded["trl"][0]["chosen"] == [{"role": "assistant", "content": "x"}]
    assert loaded["kto"].features["label"].dtype == "bool"
    assert strip(load_pairs(loaded["trl"]).records) == strip(load_pairs(tmp_path / "trl.jsonl").records)


def test_plain_text_makes_no_row_of_any_format(tmp_path):
    with pytest.raises(
        DataError, match="a record of the type Document cannot be written as messages; `penchant sft` reads it as it is"
    ):
        convert([{"text": "Once."}], to="messages", output=tmp_path / "out.jsonl")


@pytest.mark.parametrize("importer", LIST_IMPORTERS, ids=lambda one: one.name)
def test_lists_of_answers_are_written_as_all_their_pairs(importer, tmp_path):
    _, rows = written([importer.example], "trl", tmp_path)
    assert strip(load_pairs(rows).records) == strip(load_pairs([importer.example]).records)


LIST = {
    "instruction": "Q",
    "source": "web",
    "completions": [
        {"response": word, "overall_score": score, "model": f"m-{word}"}
        for word, score in (("x", 1), ("y", 5), ("z", 3))
    ],
}


def test_lists_of_answers_keep_their_scores_and_models_and_the_rule_of_pairing(tmp_path):
    found, rows = written([LIST], "trl", tmp_path)
    told = [(row["chosen_score"], row["rejected_score"], row["chosen_model"], row["rejected_model"]) for row in rows]
    assert told == [(5, 3, "m-y", "m-z"), (5, 1, "m-y", "m-x"), (3, 1, "m-z", "m-x")]
    assert found.lost == ()
    _, rows = written([LIST], "trl", tmp_path, pairing="best_worst")
    assert [(row["chosen_score"], row["rejected_score"]) for row in rows] == [(5, 1)]
    _, rows = written([LIST], "trl", tmp_path, min_gap=3)
    assert len(rows) == 1
    _, labels = written([LIST], "kto", tmp_path, pairing="best_worst")
    assert [(row["label"], row["score"], row["model"]) for row in labels] == [(True, 5, "m-y"), (False, 1, "m-x")]
    _, (row,) = written([LIST], "comparisons", tmp_path, pairing="best_worst")
    assert row["meta"] == {"score_a": 5, "score_b": 1}
    _, (again,) = written([row | {"outcome": "b"}], "trl", tmp_path)
    assert (again["chosen_score"], again["rejected_score"]) == (1, 5)
    found, _ = written([LIST], "arena", tmp_path)
    assert [field.name for field in found.lost] == ["scores"]


def test_a_list_with_an_answer_that_is_more_than_a_text_makes_pairs_of_it():
    thought = Message(role="assistant", content="x", reasoning="hm")
    answers = tuple(Answer(response=one, score=i) for i, one in enumerate(("z", "y", thought)))
    made = AnswerList(prompt=(Message(role="user", content="Q"),), answers=answers)
    found = comparisons_by(converting(LIST_IMPORTERS[0], lambda _: made), ALL_PAIRS).convert({})
    assert [type(one) for one in found] == [PreferencePair, PreferencePair, Comparison]
    assert (found[0].chosen, found[2].a.text, found[2].meta) == (thought, "y", {"score_a": 1, "score_b": 0})


def test_fields_that_change_nothing_are_left_behind_and_said(tmp_path):
    pair = {"prompt": "Q", "chosen": "x", "rejected": "y", "source": "web", "score_chosen": 3, "category": None}
    found, (row,) = written([pair | {"mine": 1}], "trl", tmp_path)
    assert {"source", "score_chosen", "mine"}.isdisjoint(row)
    assert [(field.name, field.num_rows) for field in found.left_behind] == [("source", 1), ("score_chosen", 1)]
    said = list(found.in_words())
    assert (
        "fields not copied, as they change nothing: source (in 1 row, first at data[0]), "
        "score_chosen (in 1 row, first at data[0])"
    ) in said
    assert "fields not read: mine (in 1 row, first at data[0])" in said
    assert "source" in [field.name for field in written([LIST], "trl", tmp_path)[0].left_behind]
