"""Votes to files and back: what is written is read again, by us as by others."""

import json
import os

import pytest

from penchant.data import load_demonstrations, load_pairs
from penchant.errors import ConfigError, DataError, OutputError
from penchant.feedback.exports import export, kto_rows
from penchant.feedback.imports import import_file, read_comparisons
from penchant.feedback.snapshots import resolve_projects
from penchant.feedback.training import training_pairs
from penchant.files import whole


@pytest.fixture
def voted(make_store, make_answer):
    """Two people on six tasks: a and a, a and b, tie and tie, both_bad and both_bad, b and tie, b and b."""
    store = make_store(6, overlap=2, reasons=["clear"])
    said = {"t0": "aa", "t1": "ab", "t2": "TT", "t3": "XX", "t4": "bT", "t5": "bb"}
    names = {"a": "a", "b": "b", "T": "tie", "X": "both_bad"}
    for number, name in enumerate(("Ann", "Bob")):
        person = store.invite(name).annotator.id
        while assignment := store.next_assignment(person, seed=store.counts().answered):
            outcome = names[said[assignment.task_id][number]]
            store.record(make_answer(assignment, person, outcome, reasons=("clear",), comment="so “it” is"))
    return store


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("how", ["majority", "soft"])
def test_pairs_are_read_back_by_our_importer_as_the_same_pairs(voted, tmp_path, how):
    path = tmp_path / "pairs.jsonl"
    written = training_pairs(voted.comparisons(), how).pairs
    assert export(voted, "pairs", path, how=how) == len(written) > 0
    read = [pair.model_copy(update={"origin": None}) for pair in load_pairs(path).records]
    assert tuple(read) == written


def test_pairs_are_lists_of_messages(voted, tmp_path):
    export(voted, "pairs", tmp_path / "pairs.jsonl")
    row = next(row for row in rows_of(tmp_path / "pairs.jsonl") if "t5" in row["prompt"][0]["content"])
    assert row == {
        "prompt": [{"role": "user", "content": "question t5"}],
        "chosen": [{"role": "assistant", "content": "answer b of t5"}],
        "rejected": [{"role": "assistant", "content": "answer a of t5"}],
    }


def test_kto_has_a_good_and_a_bad_row_for_a_pair_and_two_bad_ones_for_both_bad(voted, tmp_path):
    export(voted, "kto", tmp_path / "kto.jsonl")
    labels = {}
    for row in rows_of(tmp_path / "kto.jsonl"):
        assert set(row) == {"prompt", "completion", "label"}
        assert row["completion"][0]["role"] == "assistant"
        labels[row["completion"][0]["content"]] = row["label"]
    assert labels == {
        "answer a of t0": True,
        "answer b of t0": False,
        "answer b of t5": True,
        "answer a of t5": False,
        "answer a of t3": False,
        "answer b of t3": False,
    }


def test_a_verdict_of_both_bad_against_the_votes_gives_each_text_one_label(make_store, make_answer, tmp_path):
    store = make_store(1, overlap=3)
    for name, outcome in (("Ann", "a"), ("Bob", "a"), ("Cem", "b")):
        person = store.invite(name).annotator.id
        store.record(make_answer(store.next_assignment(person), person, outcome))
    boss = store.invite("Boss", "admin").annotator.id
    store.adjudicate("t0", boss, key="the-verdict", outcome="both_bad")
    for how in ("majority", "soft"):
        path = tmp_path / f"{how}.jsonl"
        if how == "soft":
            with pytest.raises(ConfigError, match="labels each response true or false"):
                export(store, "kto", path, how=how)
            assert not path.exists()
        else:
            export(store, "kto", path, how=how)
            said = [(row["completion"][0]["content"], row["label"]) for row in rows_of(path)]
            assert said == [("answer a of t0", False), ("answer b of t0", False)]
        # also for who calls the format itself
        assert [row["label"] for row in kto_rows(store.comparisons(), how)] == [False, False]


def test_sft_is_the_preferred_conversations_as_our_importer_reads_them(voted, tmp_path):
    export(voted, "sft", tmp_path / "sft.jsonl")
    loaded = load_demonstrations(tmp_path / "sft.jsonl")
    assert {d.messages[-1].content for d in loaded.records} == {"answer a of t0", "answer b of t5"}
    assert loaded.verdict_counts == {"keep": 2}


def test_arena_has_the_fields_and_the_winners_of_chatbot_arena(voted, tmp_path):
    assert export(voted, "arena", tmp_path / "arena.jsonl") == 12
    rows = rows_of(tmp_path / "arena.jsonl")
    fields = "question_id model_a model_b winner judge conversation_a conversation_b turn anony tstamp"
    assert all(set(row) == set(fields.split()) for row in rows)
    assert {row["winner"] for row in rows} == {"model_a", "model_b", "tie", "tie (bothbad)"}
    for row in rows:
        if row["question_id"] in ("t0", "t5"):  # big wrote a, and a won t0
            winner = row[row["winner"]]
            assert winner == ("big" if row["question_id"] == "t0" else "small")
    shown = {(c.id, c.annotator): c.shown_first for c in voted.comparisons()}
    for row in rows:
        assert row["model_a"] == {"a": "big", "b": "small"}[shown[row["question_id"], row["judge"]]]


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("to", ["pairs", "arena", "raw"])
def test_what_was_exported_and_imported_into_a_fresh_project_trains_the_same(voted, make_store, tmp_path, to):
    path = tmp_path / "votes.jsonl"
    num_rows = export(voted, to, path)
    fresh = make_store()
    added = import_file(fresh, path)
    assert added.refused == ()
    assert added.answers == num_rows
    assert import_file(fresh, path).answers == 0  # nothing is doubled
    original, again = (training_pairs(store.comparisons()) for store in (voted, fresh))
    assert set(again.pairs) == set(original.pairs)
    if to == "raw":
        assert list(fresh.comparisons()) == list(voted.comparisons())
    if to == "arena":
        assert {(c.annotator, c.created_at) for c in fresh.comparisons()} == {
            (c.annotator, c.created_at) for c in voted.comparisons()
        }
        seen = [(c.a.text if c.shown_first == "a" else c.b.text, c.annotator) for c in fresh.comparisons()]
        assert sorted(seen) == sorted(
            (c.a.text if c.shown_first == "a" else c.b.text, c.annotator) for c in voted.comparisons()
        )


def test_which_side_a_preferred_response_is_on_gives_nothing_away(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"q{i}", "chosen": f"yes {i * 7919 % 101}", "rejected": f"no {i}"} for i in range(50)]
    rows += [{"prompt": f"q{i}", "chosen": f"no {i}", "rejected": f"yes {i * 7919 % 101}"} for i in range(50, 100)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    comparisons, refused, unread = read_comparisons(path)
    assert refused == unread == []
    assert {c.outcome for c in comparisons[:50]} != {c.outcome for c in comparisons[50:]}
    for comparison, row in zip(comparisons, rows, strict=True):
        assert (comparison.a if comparison.outcome == "a" else comparison.b).text == row["chosen"]


def test_pairs_can_be_imported_as_questions_that_are_still_open(voted, make_store, tmp_path):
    export(voted, "raw", tmp_path / "raw.jsonl")
    fresh = make_store()
    added = import_file(fresh, tmp_path / "raw.jsonl", unanswered=True)
    assert (added.added, added.answers) == (6, 0)
    assert fresh.next_assignment(fresh.invite("Cem").annotator.id) is not None


def test_rows_that_cannot_be_taken_are_named_by_file_and_line_and_the_others_are_taken(make_store, tmp_path):
    path = tmp_path / "arena.jsonl"
    user, bot = {"role": "user", "content": "q"}, {"role": "assistant", "content": "x"}
    good = {"conversation_a": [user, bot], "conversation_b": [user, bot | {"content": "y"}], "winner": "tie"}
    bad = [
        good | {"winner": "both"},
        good | {"conversation_b": [user | {"content": "p"}, bot]},
        good | {"judge": {"id": 7}},
    ]
    text = "".join(json.dumps(row) + "\n" for row in (good, *bad))
    path.write_text(text + "{oh\n", encoding="utf-8")
    added = import_file(make_store(), path)
    assert (added.added, added.answers) == (1, 1)
    assert [f"{path}:{line}" in reason for line, reason in zip((2, 3, 4, 5), added.refused, strict=True)] == [True] * 4


def test_what_people_cannot_be_shown_is_no_task_and_fields_that_nobody_reads_are_named(make_store, tmp_path):
    path = tmp_path / "rows.jsonl"
    user, bot = {"role": "user", "content": [{"type": "text", "text": "q"}]}, {"role": "assistant", "content": "x"}
    call = {"role": "assistant", "content": None, "tool_calls": [{"name": "f", "arguments": {}}]}
    battle = {"conversation_a": [user, bot], "conversation_b": [user, bot | {"content": "y"}], "winner": "tie"}
    rows = [
        battle | {"system": "s", "mine": 1},
        battle | {"conversation_b": [user, call]},
        battle | {"images": ["a.png"]},
        {"prompt": "q", "chosen": call, "rejected": "y"},
        {"prompt": "q", "chosen": "x", "rejected": "y"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    store = make_store()
    added = import_file(store, path)
    assert (added.added, added.answers) == (2, 2)
    assert [m.content for m in next(iter(store.comparisons())).prompt] == ["s", "q"]
    assert added.unread == (f"mine (in 1 row, first at {path}:1)",)
    for reason, line, why in zip(
        added.refused, (2, 3, 4), ("only texts can be compared", "other than text", "only texts"), strict=True
    ):
        assert f"{path}:{line}: " in reason
        assert why in reason


def test_battles_with_content_in_parts_are_taken(shared):
    comparisons, refused, unread = read_comparisons(shared / "cases" / "arena140k.jsonl")
    assert ([c.prompt[0].content for c in comparisons], refused, unread) == (["hi"] * 5, [], [])
    assert {(c.a.text, c.b.text) for c in comparisons} <= {("a", "b"), ("b", "a")}


def test_a_soft_label_is_an_answer_for_the_likelier_side(make_store, tmp_path):
    path = tmp_path / "soft.jsonl"
    pair = {"prompt": "q", "chosen": "x", "rejected": "y"}
    rows = [pair | {"probability": 0.2}, pair | {"prompt": "r", "probability": 0.5}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    store = make_store()
    import_file(store, path)
    first, second = store.comparisons()
    assert (first.a if first.outcome == "a" else first.b).text == "y"
    assert second.outcome == "tie"


def test_a_file_that_cannot_be_written_or_read_is_the_users_error_and_leaves_nothing(voted, tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        export(voted, "raw", tmp_path / "nowhere" / "raw.jsonl")
    with pytest.raises(ConfigError, match="did you mean 'pairs'"):
        export(voted, "pair", tmp_path / "pairs.jsonl")
    with pytest.raises(ConfigError, match="majority or soft"):
        export(voted, "pairs", tmp_path / "pairs.jsonl", how="all")
    for to in ("kto", "arena", "raw"):
        with pytest.raises(ConfigError, match="leave it out"):
            export(voted, to, tmp_path / "out.jsonl", how="soft")
    with pytest.raises(DataError):
        import_file(voted, tmp_path / "none.jsonl")
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == []


def test_an_export_replaces_the_file_whole_and_others_may_read_it(voted, tmp_path):
    path = tmp_path / "raw.jsonl"
    path.write_text("old\n" * 1000)
    os.umask(umask := os.umask(0o022))
    export(voted, "raw", path)
    assert len(rows_of(path)) == 12
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["raw.jsonl"]


def test_an_export_leaves_the_umask_of_the_process_alone(voted, tmp_path, monkeypatch):
    """To read it one must set it, and of two threads that do so the second may put back what the first had set."""

    def touched(mask):
        raise AssertionError(f"the umask of every thread was set to {mask:o}")

    monkeypatch.setattr(os, "umask", touched)
    assert export(voted, "raw", tmp_path / "raw.jsonl") == 12


def test_a_snapshot_has_its_name_before_the_folder_is_synced(voted, monkeypatch):
    synced, exports = [], voted.project.path / "exports"
    monkeypatch.setattr(whole, "sync_folder", lambda folder: synced.append((folder, len(rows_in(exports)))))
    (snapshot,) = resolve_projects([str(voted.project.path)], "pairs", say=lambda _: None)
    assert synced[-1] == (exports, 1)
    assert [str(path) for path in rows_in(exports)] == [snapshot]


def rows_in(exports):
    return list(exports.glob("pairs-*.jsonl"))
