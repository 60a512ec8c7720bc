"""A project made ready to serve from Python, and links for people: what is wrong is said before anything is made."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from penchant import feedback
from penchant.errors import ConfigError, DataError
from penchant.feedback import Store, invite, open_site

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def pairs(tmp_path, make_comparison):
    """`pairs("right", outcome="a")`: a file of three comparisons."""

    def make(name, **fields):
        file = tmp_path / f"{name}.jsonl"
        rows = [make_comparison(f"{name}-{i}", **fields) for i in range(3)]
        file.write_text("".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8")
        return file

    return make


def test_a_site_is_filled_and_knows_its_link_before_it_serves(tmp_path, pairs):
    files = {"tasks": [pairs("asked")], "gold": [pairs("known", outcome="a")]}
    with open_site(tmp_path / "votes", **files, settings={"overlap": 2}, port=0) as site:
        assert [(one.is_gold, one.added.added) for one in site.imported] == [(False, 3), (True, 3)]
        assert (site.store.counts().tasks, site.store.counts().gold) == (3, 3)
        token = site.link.removeprefix(f"{site.base}/join/")
        assert site.store.annotator_by_token(token).name == "me"
        assert site.store.project.config.overlap == 2
    with open_site(tmp_path / "votes", port=0) as again:
        assert again.link.endswith(token)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"host": "0.0.0.0"}, '`host="0.0.0.0"`'),
        ({"token": "short"}, "`token=...`"),
        ({"public_url": "nowhere"}, '`public_url="nowhere"`'),
        ({"settings": {"overlap": 0}}, "'overlap' is 0"),
        ({"tasks": ["none.jsonl"]}, "no such file"),
    ],
)
def test_arguments_are_named_as_python_writes_them_and_leave_nothing_behind(tmp_path, wrong, words):
    with pytest.raises((ConfigError, DataError)) as refused, open_site(tmp_path / "votes", **wrong):
        pass
    assert words in str(refused.value)
    assert "--" not in str(refused.value)
    assert not (tmp_path / "votes").exists()


def test_the_model_of_a_chat_is_made_last_and_no_project_where_it_fails(tmp_path):
    def failing():
        raise ConfigError("no such model")

    with pytest.raises(ConfigError, match="no such model"), open_site(tmp_path / "votes", talker=failing):
        pass
    assert not (tmp_path / "votes").exists()


def test_an_invitation_is_a_link_that_lets_its_person_in(tmp_path, pairs):
    with open_site(tmp_path / "votes", tasks=[pairs("asked")], port=0):
        pass
    link = invite(tmp_path / "votes", "Ann", role="admin", url="https://votes.example.org/")
    base, token = link.split("/join/")
    assert base == "https://votes.example.org"
    with Store.of(tmp_path / "votes") as store:
        assert (store.annotator_by_token(token).name, store.annotator_by_token(token).role) == ("Ann", "admin")
    with pytest.raises(ConfigError, match="whoever starts"):
        invite(tmp_path / "votes", "me")


def test_the_examples_of_the_docs_run(tmp_path, pairs, monkeypatch):
    pairs("samples", outcome="b")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("penchant.listening.serve", lambda app, opened: None)
    for page in ("votes.md", "annotate.md"):
        (example,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
        exec(example.replace('"samples.jsonl"])', '"samples.jsonl"], port=0)'), {})
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert [row["chosen"][0]["content"] for row in rows] == [f"answer b of samples-{i}" for i in range(3)]


def test_every_public_name_is_there():
    assert all(getattr(feedback, name).__name__ == name for name in feedback.__all__)
    assert sorted(feedback.__all__) == sorted(name for names in feedback.ROOMS.values() for name in names)
    with pytest.raises(AttributeError, match="no attribute 'Free'"):
        _ = feedback.Free


@pytest.mark.slow(threads=1)
def test_without_the_packages_it_is_said_what_to_install():
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from penchant.errors import ConfigError\n"
        "from penchant.feedback import resolve_projects\n"
        "print(resolve_projects(['pairs.jsonl'], 'pairs', say=print))\n"
        "try:\n    from penchant.feedback import Store\n"
        "except ConfigError as error:\n    print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("('pairs.jsonl',)\npeople's answers: sqlalchemy is not installed; run pip install")
