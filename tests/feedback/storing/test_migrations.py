"""Databases of every age: older ones are brought up to date, newer ones are refused, and what is no database too."""

import shutil
import sqlite3

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from penchant.errors import ConfigError, DataError
from penchant.feedback import Project, Store
from penchant.feedback.storing.database import Database
from penchant.feedback.storing.migrations import configuration
from penchant.feedback.storing.schema import metadata

FIRST = """
INSERT INTO tasks VALUES ('t0', 1, '[{"role": "user", "content": "q"}]', '{"text": "x", "source": null}',
    '{"text": "y", "source": null}', NULL, NULL, 'old', '2026-01-01 00:00:00', '{}');
INSERT INTO annotators VALUES (1, 'Ann', 'annotator', NULL, '2026-01-01 00:00:00', NULL);
INSERT INTO assignments VALUES (1, 't0', 1, 'main', 0, 'a', 'random', 1.0, '2026-01-01 00:00:00', NULL);
INSERT INTO answers VALUES (1, 'key-of-old', 1, 1, 't0', 'b', NULL, '[]', '', 'a', 3.0, '[]', '2026-01-01 00:00:00',
    NULL);
"""


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow(threads=1))])
def test_a_database_of_the_first_revision_is_brought_up_to_date_with_all_it_holds(tmp_path, request, kind, make_answer):
    settings = "" if kind == "sqlite" else f"database: {request.getfixturevalue('new_postgres_database')()}"
    (tmp_path / "project.yaml").write_text(f"overlap: 2\n{settings}\n")
    project = Project.open(tmp_path)
    old = Database(project.url)
    with old.write() as connection:
        command.upgrade(configuration(connection), "0001")
        for statement in filter(str.strip, FIRST.split(";")):
            connection.exec_driver_sql(statement)
    old.close()
    with Store.open(project) as store:
        assert [(c.id, c.annotator, c.outcome) for c in store.comparisons()] == [("t0", "Ann", "b")]
        if kind == "sqlite":
            assert store.next_assignment(1) is None  # she has answered it
            bob = store.invite("Bob").annotator.id
            store.record(make_answer(store.next_assignment(bob), bob))
            assert store.counts().answered == 2


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow(threads=1))])
def test_the_migrations_lead_to_the_tables_that_the_code_names(tmp_path, request, kind):
    url = f"sqlite:///{tmp_path / 'x.db'}" if kind == "sqlite" else request.getfixturevalue("new_postgres_database")()
    database = Database(url)
    with database.write() as connection:
        command.upgrade(configuration(connection), "head")
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


@pytest.fixture
def of_the_future(make_store):
    store = make_store(1)
    store.close()
    with sqlite3.connect(store.project.path / "penchant.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    return store.project


def test_a_newer_schema_is_refused_in_one_sentence_and_left_as_it_is(of_the_future):
    before = (of_the_future.path / "penchant.db").read_bytes()
    with pytest.raises(DataError, match="written by a newer Penchant") as refused:
        Store.open(of_the_future)
    assert "\n" not in str(refused.value)
    assert "update Penchant" in str(refused.value)
    assert (of_the_future.path / "penchant.db").read_bytes() == before


def test_a_file_that_is_no_database_is_the_users_error(tmp_path):
    (tmp_path / "project.yaml").write_text("")
    (tmp_path / "penchant.db").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(DataError, match="not a database"):
        Store.open(Project.open(tmp_path))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://user:hush@host/db", "kind that is not supported"),
        ("postgresql+nodriver://user:hush@host/db", "driver"),
        ("postgresql+psycopg://user:hush@127.0.0.1:1/db", "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_reached_is_the_users_error_and_the_password_stays_hidden(tmp_path, url, words):
    (tmp_path / "project.yaml").write_text(f"database: {url}\n")
    with pytest.raises(ConfigError, match=words) as refused:
        Store.open(Project.open(tmp_path))
    assert "hush" not in str(refused.value)


def test_answers_on_the_disk_need_no_journal_beside_them(make_store, tmp_path):
    store = make_store(2)
    copy = tmp_path / "copy"
    shutil.copytree(store.project.path, copy)
    assert sorted(p.name for p in copy.iterdir()) == ["penchant.db", "project.yaml"]
    with Store.open(Project.open(copy)) as again:
        assert again.counts().tasks == 2


def test_sqlite_is_set_to_lose_nothing(real_disk, make_store):
    store = make_store()
    with store._database.write() as connection:
        values = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS}
    assert values == PRAGMAS
    with store._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA query_only").scalar() == 1


# synchronous 3 is EXTRA: the only one after which, with journal_mode delete, no power cut brings a journal back
PRAGMAS = {"foreign_keys": 1, "synchronous": 3, "journal_mode": "delete", "busy_timeout": 30_000}
