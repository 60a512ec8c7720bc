"""What a project keeps is its owner's: nobody else reads its files, and no project shares its database unasked."""

import io
import os
import stat

import pytest
import yaml

from penchant.cli import annotate
from penchant.cli.main import main
from penchant.errors import ConfigError
from penchant.feedback import Project, Store, open_site
from penchant.feedback.storing import held
from penchant.feedback.web.serving import read_token

MODES = {"project.yaml": 0o600, "penchant.db": 0o600, "penchant.db-journal": 0o600, "owner.token": 0o600}


def modes(folder):
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_every_file_of_a_new_project_is_for_its_owner_alone(tmp_path, umask):
    project = Project.open(tmp_path / "votes", create=True)
    read_token(project.path, None)
    with Store.open(project) as store, store._database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE more (id INTEGER)")  # a transaction that writes has a journal
        assert modes(project.path) == MODES


def test_an_old_project_is_tightened_when_it_is_opened(tmp_path, umask):
    project = Project.open(tmp_path / "votes", create=True)
    read_token(project.path, None)
    Store.open(project).close()
    (project.path / "penchant.db-journal").touch()
    for file in project.path.iterdir():
        file.chmod(0o664)
    project = Project.open(project.path)
    read_token(project.path, None)
    with Store.open(project):
        assert set(modes(project.path).values()) == {0o600}


def test_a_database_elsewhere_is_for_its_owner_too_and_one_that_cannot_be_made_is_named(tmp_path, umask):
    (tmp_path / "votes").mkdir()
    (tmp_path / "votes" / "project.yaml").write_text(f"database: sqlite:///{tmp_path}/elsewhere.sqlite\n")
    Store.open(Project.open(tmp_path / "votes")).close()
    assert modes(tmp_path)["elsewhere.sqlite"] == 0o600
    (tmp_path / "votes" / "project.yaml").write_text(f"database: sqlite:///{tmp_path}/none/x.sqlite\n")
    with pytest.raises(ConfigError, match="cannot be used"):
        Store.open(Project.open(tmp_path / "votes"))


# two projects, one database


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow(threads=1))])
def database(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shared.sqlite"
    return request.getfixturevalue("new_postgres_database")()


@pytest.fixture
def used(database, tmp_path, make_comparison):
    """The URL of a database in which another project has a pair and somebody invited."""
    with Store.open(Project.create(tmp_path / "first", {"database": database})) as store:
        store.add_tasks([make_comparison()], origin="tests")
        store.invite("Ann")
    return database


def opened(folder, database, **options):
    """A project on this database is made ready to serve, and closed again."""
    with open_site(folder, settings={"database": database}, port=0, **options):
        pass


def test_a_second_project_on_a_used_database_is_refused_where_nobody_can_be_asked(tmp_path, used):
    with pytest.raises(ConfigError) as refused:
        opened(tmp_path / "second", used)
    assert "1 pairs, 1 people, 0 answers of another project" in str(refused.value)
    assert "`share_database=True`" in str(refused.value)
    assert not (tmp_path / "second").exists()


def test_an_empty_database_needs_no_question_and_the_own_one_neither(tmp_path, database):
    with Store.open(Project.create(tmp_path / "first", {"database": database})):
        assert held(database) == ""
    opened(tmp_path / "second", database)
    assert held(database) == "0 pairs, 1 people, 0 answers"
    opened(tmp_path / "second", database)


def test_the_option_shares_it(tmp_path, used):
    opened(tmp_path / "second", used, share_database=True)
    assert yaml.safe_load((tmp_path / "second" / "project.yaml").read_text())["database"] == used


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self):
        return True


def test_somebody_at_a_terminal_is_asked(tmp_path, used, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Terminal("n\ny\n"))
    with pytest.raises(ConfigError):
        opened(tmp_path / "second", used, share_database=annotate._confirmed)
    assert not (tmp_path / "second").exists()
    opened(tmp_path / "second", used, share_database=annotate._confirmed)
    assert Project.open(tmp_path / "second").url == used
    assert capsys.readouterr().err.count("Share it?") == 2


def test_share_database_without_a_database_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["penchant", "annotate", str(tmp_path / "votes"), "--share-database"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "--share-database is only read with --database" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "votes").exists()
