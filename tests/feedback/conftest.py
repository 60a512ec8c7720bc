"""Projects to ask in, on SQLite and on a PostgreSQL that is started for these tests alone."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from glob import glob
from pathlib import Path

import pytest
import yaml

from penchant.data.records import Candidate, Comparison, Message, Source
from penchant.feedback import NewAnswer, Project, Store
from penchant.feedback.storing import database


def comparison(task_id: str = "t0", **fields) -> Comparison:
    """A comparison whose texts tell which task and which side they are."""
    defaults = {
        "prompt": (Message(role="user", content=f"question {task_id}"),),
        "a": Candidate(text=f"answer a of {task_id}", source=Source(model="big", temperature=0.7)),
        "b": Candidate(text=f"answer b of {task_id}", source=Source(model="small")),
    }
    return Comparison(id=task_id, **(defaults | fields))


def new_answer(assignment, annotator_id: int, outcome: str = "a", **fields) -> NewAnswer:
    """An answer to an assignment under a new key."""
    defaults = {"key": str(uuid.uuid4()), "seconds": 5.0}
    ids = {"assignment_id": assignment.id, "annotator_id": annotator_id}
    return NewAnswer(outcome=outcome, **ids, **(defaults | fields))


@pytest.fixture(scope="session")
def make_comparison() -> Callable[..., Comparison]:
    return comparison


@pytest.fixture(scope="session")
def make_answer() -> Callable[..., NewAnswer]:
    return new_answer


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(request, monkeypatch):
    """Most tests need no power cut survived; those that do say so."""
    if "real_disk" not in request.fixturenames:
        monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")


@pytest.fixture
def real_disk() -> None:
    """Keep the real settings of SQLite."""


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time_by: float) -> None:
        """Move it on, by minutes=, seconds=, ..."""
        self.now += timedelta(**time_by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """An empty database with the newest schema, to copy."""
    folder = tmp_path_factory.mktemp("migrated")
    Store.open(Project.open(folder, create=True)).close()
    return folder / "penchant.db"


@pytest.fixture
def make_store(tmp_path, clock, migrated) -> Iterator[Callable[..., Store]]:
    """`make_store(overlap=2, num_tasks=3)`: a store of a new project, with tasks t0, t1, ...; closed at the end."""
    stores = []

    def make(num_tasks: int = 0, **settings) -> Store:
        folder = tmp_path / f"project-{len(stores)}"
        folder.mkdir()
        (folder / "project.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        if "database" not in settings:
            shutil.copy(migrated, folder / "penchant.db")
        store = Store.open(Project.open(folder), clock=clock)
        stores.append(store)
        store.add_tasks([comparison(f"t{i}") for i in range(num_tasks)], origin="tests")
        return store

    yield make
    for store in stores:
        store.close()


def _postgres_programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else [Path(p) for p in sorted(glob("/usr/lib/postgresql/*/bin"))]
    return next((folder for folder in reversed(folders) if (folder / "postgres").exists()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    """The folder of the socket of a server that listens nowhere else."""
    pytest.importorskip("psycopg", reason="needs psycopg")
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("needs the programs initdb and postgres")
    # a socket's path is short, and the server's user must be able to reach it: not below pytest's private folder
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    user = {}
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    run = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **user}
    initdb = [programs / "initdb", "-D", folder / "data", "-U", "tester", "--auth=trust", "-E", "UTF8", "--no-sync"]
    subprocess.run([*initdb, "--locale=C"], check=True, **run)
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    server = subprocess.Popen([programs / "postgres", "-D", folder / "data", *options], **run)
    try:
        _wait_for(folder, server)
        yield folder
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(folder: Path, server: subprocess.Popen) -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(f"host={folder} user=tester dbname=postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline or server.poll() is not None:
                raise
            time.sleep(0.05)


@pytest.fixture
def new_postgres_database(postgres) -> Callable[[], str]:
    """The URL of a new, empty schema at each call: to the code as good as a database, and made at once."""
    import psycopg

    def make() -> str:
        name = f"s{uuid.uuid4().hex}"
        with psycopg.connect(f"host={postgres} user=tester dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"postgresql+psycopg://tester@/postgres?host={postgres}&options=-csearch_path%3D{name}"

    return make


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow(threads=1))])
def make_any_store(request, make_store) -> Callable[..., Store]:
    """`make_store` on each of the two databases."""
    if request.param == "sqlite":
        return make_store
    new = request.getfixturevalue("new_postgres_database")
    return lambda *args, **settings: make_store(*args, **settings, database=new())
