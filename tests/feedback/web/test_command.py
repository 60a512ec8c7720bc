"""`penchant annotate`: a link in two seconds, on this machine alone unless somebody says otherwise."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from penchant import listening
from penchant.cli.main import main
from penchant.errors import ConfigError
from penchant.feedback import Project, Store
from penchant.feedback.imports import import_file
from penchant.feedback.web.serving import announced, read_token, where_it_serves
from penchant.listening import address_of, is_loopback, listen

from .conftest import task

TOKEN = "a-token-of-more-than-32-characters-0123456789"


def write_tasks(folder):
    file = folder / "samples.jsonl"
    file.write_text("".join(task(i).model_dump_json() + "\n" for i in range(4)), encoding="utf-8")
    return file


@pytest.fixture
def tasks(tmp_path):
    return write_tasks(tmp_path)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A project that the command serves while this file is tested, and the owner's link."""
    folder = tmp_path_factory.mktemp("served")
    with running(folder / "votes", "--tasks", write_tasks(folder)) as (_, link):
        yield folder / "votes", link


@pytest.fixture
def started(monkeypatch, capsys):
    """`started("votes", "--overlap", "3")`: the command up to where it would serve."""

    def run(*arguments):
        monkeypatch.setattr(listening, "serve", lambda app, opened: None)
        monkeypatch.setattr(sys, "argv", ["penchant", "annotate", *map(str, arguments), "--port", "0"])
        with pytest.raises(SystemExit) as leaving:
            main()
        assert leaving.value.code == 0
        assert "Open" in capsys.readouterr().out

    return run


@contextmanager
def running(*arguments):
    """The command in a process of its own; yields it and the link it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENCHANT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "penchant", "annotate", *map(str, arguments), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http\S+", line)
        if not found:
            process.kill()
            pytest.fail(process.stderr.read())
        yield process, found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)
        process.stdout.close()
        process.stderr.close()


def fetch(opener, url, **headers):
    with opener.open(Request(url, headers=headers), timeout=10) as response:
        return response.read().decode()


@pytest.mark.slow
def test_the_printed_link_opens_the_page_and_leaves_no_token_in_the_log(tmp_path, tasks):
    project = tmp_path / "votes"
    with running(project, "--tasks", tasks, "--title", "Which?", "--overlap", "2") as (process, link):
        opener = build_opener(HTTPCookieProcessor(CookieJar()))
        base, token = link.split("/join/")
        assert base.startswith("http://127.0.0.1:")
        with pytest.raises(HTTPError, match="401"):
            fetch(opener, base)
        fetch(opener, link)
        assert "Which?" in fetch(opener, base)
        pair = json.loads(fetch(opener, f"{base}/api/next"))
        assert pair["progress"]["total"] == 4
        with pytest.raises(HTTPError, match="421"):
            fetch(opener, base, Host="elsewhere.example")
        with pytest.raises(HTTPError, match="410"):
            fetch(build_opener(), f"{base}/join/wrong")
        process.send_signal(signal.SIGTERM)
        process.wait(15)
        assert token not in process.stderr.read()
    kept = project / "owner.token"
    assert kept.read_text().strip() == token
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert Project.open(project).config.overlap == 2
    with running(project) as (_, again):
        assert again.endswith(token)


@pytest.mark.slow
def test_it_starts_in_two_seconds_without_the_libraries_of_training(tmp_path, tasks):
    code = (
        "import sys, threading, time, penchant.listening as listening\n"
        "listening.serve = lambda app, opened: print('heavy', [m for m in "
        "('torch', 'transformers', 'peft', 'numpy', 'scipy', 'matplotlib') if m in sys.modules])\n"
        f"sys.argv = ['penchant', 'annotate', {str(tmp_path / 'votes')!r}, '--tasks', {str(tasks)!r}, '--port', '0']\n"
        "from penchant.cli.main import main; main()"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "heavy []" in shown.stdout


@pytest.fixture
def refused(monkeypatch, capsys):
    """`refused("votes", "--port", "x")`: the one sentence with which the command stops, before it serves anything."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["penchant", "annotate", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            main()
        shown = capsys.readouterr()
        assert leaving.value.code == 2
        assert shown.out == ""
        assert shown.err.count("\n") == 1
        return shown.err

    return run


def test_another_host_needs_a_token(tmp_path, refused):
    assert "--token" in refused(tmp_path / "votes", "--host", "0.0.0.0")
    assert not (tmp_path / "votes").exists()
    assert "32" in refused(tmp_path / "votes", "--host", "0.0.0.0", "--token", "short", "--port", "0")


def test_a_taken_port_is_one_sentence(tmp_path, refused):
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert f"`--port {port}`: another program listens on this port" in refused(tmp_path / "votes", "--port", port)


def test_settings_are_for_a_new_project_and_must_agree_with_an_old_one(tmp_path, tasks, refused):
    project = tmp_path / "votes"
    Project.open(project, create=True)
    assert "change it there" in refused(project, "--overlap", "3", "--port", "0")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--overlap", "5000"], "'overlap' is 5000"),
        (["--database", "nonsense"], "not a database URL"),
        (["--database", "postgresql+psycopg://user:hush@127.0.0.1:1/db"], "cannot be used"),
        (["--overlap", "2", "--tasks", "none.jsonl"], "no such file"),
        (["--token", "short"], "32 to 200 letters"),
        (["--tasks", "{prompts}"], "prompts.txt"),
        (["--gold", "{tasks}"], "none of its 4 rows"),
    ],
)
def test_a_refused_call_leaves_no_project_in_the_way(tmp_path, tasks, refused, options, words):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("How are you?\n", encoding="utf-8")
    options = [option.format(prompts=prompts, tasks=tasks) for option in options]
    said = refused(tmp_path / "votes", *options, "--port", "0")
    assert words in said
    assert "hush" not in said
    assert not (tmp_path / "votes").exists()


@pytest.mark.slow(threads=1)
def test_a_project_whose_answers_are_gone_is_not_opened_as_an_empty_one(tmp_path, tasks, started, refused):
    project = tmp_path / "votes"
    started(project, "--tasks", tasks)
    (project / "penchant.db").unlink()
    assert "penchant.db is missing" in refused(project, "--port", "0")


def test_settings_of_a_new_project_are_written_into_its_file(tmp_path, tasks, started):
    guidelines = tmp_path / "guide.md"
    guidelines.write_text("Be kind.\n\n- read: both\n# 1\n", encoding="utf-8")
    project = tmp_path / "votes"
    options = ("--tasks", tasks, "--overlap", "3", "--title", "Which: this # or that?", "--guidelines", guidelines)
    started(project, *options)
    config = Project.open(project).config
    assert (config.overlap, config.title) == (3, "Which: this # or that?")
    assert config.guidelines == guidelines.read_text(encoding="utf-8")


def test_a_file_that_holds_no_pairs_is_one_sentence(tmp_path, refused):
    file = tmp_path / "bad.jsonl"
    file.write_text('{"id": "x", "prompt": [], "a": {"text": "1"}, "b": {"text": "2"}}\n', encoding="utf-8")
    assert "bad.jsonl" in refused(tmp_path / "votes", "--tasks", file, "--port", "0")


def test_only_this_machine_is_loopback():
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.0.1", "localhost.example.org", "example.org"]))


def test_a_public_url_sets_the_links_the_host_and_the_cookie():
    address = address_of("0.0.0.0", 8765, "https://votes.example.org/")
    assert address.base == "https://votes.example.org"
    assert "votes.example.org" in address.allowed_hosts
    assert address.is_secure
    assert not address_of("127.0.0.1", 8765, None).is_secure
    assert "[::1]" in address_of("::1", 8765, None).allowed_hosts
    for wrong in ("votes.example.org", "ftp://x", "https://x/path", "https://x?y=1"):
        with pytest.raises(ConfigError):
            address_of("127.0.0.1", 1, wrong)


def test_tokens_are_long_fresh_or_kept(tmp_path):
    assert read_token(tmp_path, TOKEN) == TOKEN
    assert not list(tmp_path.iterdir())
    fresh = {read_token(tmp_path, "new") for _ in range(3)}
    assert len(fresh) == 3
    assert min(map(len, fresh)) >= 32
    kept = read_token(tmp_path, None)
    (tmp_path / "owner.token").chmod(0o644)
    assert read_token(tmp_path, None) == kept
    assert stat.S_IMODE((tmp_path / "owner.token").stat().st_mode) == 0o600
    (tmp_path / "owner.token").write_text("short")
    assert len(read_token(tmp_path, None)) >= 32
    for wrong in ("x" * 31, "x" * 40 + "/", "x y" * 20):
        with pytest.raises(ConfigError):
            read_token(tmp_path, wrong)


@pytest.mark.slow(threads=1)
def test_the_default_is_this_machine_alone(served):
    port = int(re.search(r":(\d+)/", served[1])[1])
    own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in own - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((address, port), timeout=2).close()


@pytest.mark.slow
def test_answers_of_the_owner_in_a_backup_do_not_lock_the_owner_out(tmp_path):
    file = tmp_path / "backup.jsonl"
    rows = [task(i).model_copy(update={"outcome": "a", "annotator": "me"}) for i in range(3)]
    file.write_text("".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8")
    with Store.open(Project.open(tmp_path / "votes", create=True)) as store:
        import_file(store, file)
    with running(tmp_path / "votes") as (_, link):
        opener = build_opener(HTTPCookieProcessor(CookieJar()))
        fetch(opener, link)
        assert 'href="/admin"' in fetch(opener, link.split("/join/")[0])


@pytest.mark.slow(threads=1)
def test_the_owner_both_answers_and_runs_the_project(served):
    project, link = served
    opener = build_opener(HTTPCookieProcessor(CookieJar()))
    fetch(opener, link)
    assert 'href="/admin"' in fetch(opener, link.split("/join/")[0])
    assert "me" in fetch(opener, link.split("/join/")[0] + "/admin")
    with Store.open(Project.open(project)) as store:
        assert [(person.name, person.role) for person in store.annotators()] == [("me", "admin")]


@pytest.mark.slow(threads=1)
def test_an_invitation_names_the_port_that_serves_and_a_killed_server_is_not_believed(tmp_path):
    assert where_it_serves(tmp_path) is None
    with listen("127.0.0.1", 0) as listening:
        base = address_of("127.0.0.1", listening.getsockname()[1], None).base
        with announced(tmp_path, base, listening):
            assert where_it_serves(tmp_path) == base
            left = (tmp_path / "serving.json").read_text()
        assert where_it_serves(tmp_path) is None
    (tmp_path / "serving.json").write_text(left)
    assert where_it_serves(tmp_path) is None, "nobody listens there any more"
