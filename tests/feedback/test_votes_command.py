"""`penchant votes`: from a file to a project and back, as a user does it."""

import json
import re
import sqlite3
import sys
from contextlib import closing

import pytest

from penchant.cli.main import main
from penchant.feedback import Project, Store


@pytest.fixture
def votes(monkeypatch, capsys):
    """`votes("export", folder, ...)`: exit code, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["penchant", "votes", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        try:
            main()
            code = 0
        except SystemExit as leaving:
            code = leaving.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def file(tmp_path, make_comparison):
    path = tmp_path / "votes.jsonl"
    answers = [
        make_comparison(f"t{i}", outcome="a" if i % 3 else "b", annotator=name, shown_first="ab"[i % 2])
        for i in range(6)
        for name in ("Ann", "Bob")
    ]
    path.write_text("".join(answer.model_dump_json() + "\n" for answer in answers))
    return path


def test_votes_are_imported_into_a_new_project_and_exported_again(votes, tmp_path, file):
    code, out, _ = votes("import", tmp_path / "p", file)
    assert (code, out) == (0, "6 pairs and 12 answers added, 0 known, 0 left out\n")
    assert votes("import", tmp_path / "p", file)[1] == "0 pairs and 0 answers added, 12 known, 0 left out\n"
    code, out, err = votes("export", tmp_path / "p", "--to", "pairs", "-o", tmp_path / "pairs.jsonl")
    assert (code, out, err) == (0, f"{tmp_path / 'pairs.jsonl'}\n", "6 rows\n")
    assert len((tmp_path / "pairs.jsonl").read_text().splitlines()) == 6


@pytest.mark.slow(threads=1)
def test_pairs_imported_as_gold_or_unanswered_carry_no_votes(votes, tmp_path, file):
    assert votes("import", tmp_path / "p", file, "--unanswered")[1].startswith("6 pairs and 0 answers added, 6 known")
    assert votes("import", tmp_path / "q", file, "--gold")[1].startswith("6 gold pairs and 0 answers added")
    code, _, err = votes("import", tmp_path / "q", file, "--gold", "--unanswered")
    assert code == 2
    assert "one of the two" in err


def test_rows_left_out_are_named(votes, tmp_path, file):
    rows = file.read_text()
    file.write_text(rows + '{"id": 7}\n')
    code, out, err = votes("import", tmp_path / "p", file)
    assert code == 0
    assert out.endswith("1 left out\n")
    assert f"{file}:13" in err


def test_a_file_of_which_nothing_can_be_taken_or_that_is_not_there_makes_no_success_and_no_project(votes, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "x", "prompt": [], "a": {"text": "1"}, "b": {"text": "2"}}\n')
    code, _, err = votes("import", tmp_path / "p", bad)
    assert (code, f"{bad}: none of its 1 rows can be used; the first: {bad}:1" in err) == (2, True), err
    assert votes("import", tmp_path / "new", tmp_path / "none.jsonl")[0] == 2
    assert not (tmp_path / "new").exists()


def test_a_database_that_is_gone_is_not_replaced_by_an_empty_one(votes, tmp_path, file):
    votes("import", tmp_path / "p", file)
    (tmp_path / "p" / "penchant.db").unlink()
    for arguments in (("export", "{p}", "--to", "raw", "-o", tmp_path / "x.jsonl"), ("agreement", "{p}")):
        code, _, err = votes(*(str(word).format(p=tmp_path / "p") for word in arguments))
        assert (code, "penchant.db is missing" in err) == (2, True)
    assert not (tmp_path / "p" / "penchant.db").exists()


def test_an_export_replaces_no_file(votes, tmp_path, file):
    votes("import", tmp_path / "p", file)
    backup = tmp_path / "backup.jsonl"
    assert votes("export", tmp_path / "p", "--to", "raw", "-o", backup)[0] == 0
    before = backup.read_bytes()
    code, _, err = votes("export", tmp_path / "p", "--to", "pairs", "-o", backup)
    assert (code, "exists already" in err, backup.read_bytes()) == (2, True, before)


@pytest.mark.slow(threads=1)
def test_agreement_is_shown_as_tables_and_as_json(votes, tmp_path, file):
    votes("import", tmp_path / "p", file)
    code, out, _ = votes("agreement", tmp_path / "p")
    assert code == 0
    shown = " ".join(out.split())
    assert "alpha 1.000: people agree so well that one can stand for the others" in shown
    assert "same answer 100 % on 6 pairs" in shown
    assert re.search(r"Ann 6 - - 100 %", shown)
    assert re.search(r"big \(temperature 0.7\) \d+ \d+ to \d+ 8 4 0", shown)
    found = json.loads(votes("agreement", tmp_path / "p", "--json")[1])
    assert found["counts"]["answered"] == 12


def test_answers_that_name_nobody_are_counted_apart_and_are_no_people_who_agree(votes, tmp_path):
    said = [{"role": "user", "content": "hi"}]
    sides = {
        f"conversation_{s}": [*said, {"role": "assistant", "content": text}] for s, text in (("a", "1"), ("b", "2"))
    }
    rows = [{"model_a": "x", "model_b": "y", "winner": winner, **sides} for winner in ("model_a", "model_b")]
    rows += [{**rows[0], "judge": name} for name in ("Ann", "Bo")]
    (tmp_path / "arena.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    votes("import", tmp_path / "p", tmp_path / "arena.jsonl")
    shown = " ".join(votes("agreement", tmp_path / "p")[1].split())
    assert "name nobody 2 answers, of one person or of many: in no agreement" in shown
    assert "same answer 100 % on 1 pairs" in shown


def test_an_invitation_is_a_link_that_lets_its_person_in(votes, tmp_path, file):
    votes("import", tmp_path / "p", file)
    code, out, _ = votes("invite", tmp_path / "p", "Zoë", "--admin", "--url", "https://votes.example.org/")
    assert code == 0
    link, token = out.strip().rsplit("/", 1)
    assert link == "https://votes.example.org/join"
    with Store.open(Project.open(tmp_path / "p")) as store:
        person = store.annotator_by_token(token)
    assert (person.name, person.role) == ("Zoë", "admin")


def test_a_project_of_a_newer_penchant_is_refused_with_exit_code_2(votes, make_store):
    store = make_store(1)
    store.close()
    with closing(sqlite3.connect(store.project.path / "penchant.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    code, out, err = votes("agreement", store.project.path)
    assert (code, out) == (2, "")
    assert err.startswith("penchant: ")
    assert err.count("\n") == 1
    assert "update Penchant" in err


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "{p}", "--to", "pear", "-o", "x.jsonl"], "no export format 'pear'"),
        (["export", "{none}", "--to", "raw", "-o", "x.jsonl"], "not a project"),
        (["export", "{p}", "--to", "pairs", "--how", "vote", "-o", "x.jsonl"], "majority or soft"),
        (["import", "{p}", "{none}.jsonl"], "no such file"),
        (["invite", "{p}", " "], "a name must be 1 to 100 printable characters"),
        (["invite", "{p}", "me"], "whoever starts `penchant annotate`"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(votes, tmp_path, file, arguments, words):
    votes("import", tmp_path / "p", file)
    code, _, err = votes(*(word.format(p=tmp_path / "p", none=tmp_path / "none") for word in arguments))
    assert code == 2
    assert words in err
    assert err.startswith("penchant: ")
    assert err.count("\n") == 1
