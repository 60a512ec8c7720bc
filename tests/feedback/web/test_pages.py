"""What the API does with answers, and what the pages of the admin do; in this process, without a browser."""

import json
import re
from importlib.resources import files

import pytest

from penchant.data import load_pairs
from penchant.errors import ConfigError
from penchant.feedback.records import outcome_at, place_of
from penchant.feedback.web import languages

from .conftest import ORIGIN, task

WEB = files("penchant.feedback.web")


def test_left_and_right_are_translated_there_and_back():
    for first in "ab":
        for place in ("left", "right", "tie", "both_bad", "skip"):
            assert place_of(outcome_at(place, first), first) == place
    assert outcome_at("left", "b") == "b"
    assert outcome_at("right", "b") == "a"


def test_the_side_shown_first_is_on_the_left(site):
    ann = site.visitor("ann")
    for _ in range(3):
        current = ann.get("/api/next").json()["current"]
        assignment = site.store.assignment(current["id"], site.id_of("ann"))
        left = assignment.a if assignment.shown_first == "a" else assignment.b
        assert current["left"]["raw"] == left
        ann.answer(current["id"], "left")
    assert all(outcome == first for _, _, outcome, first in site.answers())


def test_the_pair_after_the_next_comes_along(site):
    ann = site.visitor("ann")
    reply = ann.get("/api/next").json()
    assert reply["current"]["id"] != reply["then"]["id"]
    assert ann.get("/api/next").json() == reply
    ann.answer(reply["current"]["id"], "tie")
    assert ann.get("/api/next").json()["current"] == reply["then"]


def test_the_reply_to_an_answer_brings_the_pair_after_the_one_that_is_there(make_site):
    site = make_site([task(i) for i in range(4)])
    ann = site.visitor("ann")
    first = ann.get("/api/next").json()
    reply = ann.answer(first["current"]["id"], "left").json()
    after = ann.get("/api/next").json()
    assert (after["current"], after["then"]) == (first["then"], reply["then"])
    for place in ("then", "current"):
        assert ann.answer(after[place]["id"], "left").status_code == 200
    last = ann.get("/api/next").json()
    assert last["then"] is None
    assert ann.answer(last["current"]["id"], "left").json()["then"] is None


def test_the_same_answer_sent_twice_is_one_answer(site):
    ann = site.visitor("ann")
    first = ann.get("/api/next").json()["current"]["id"]
    body = {"key": "the-same-key", "assignment_id": first, "outcome": "right", "seconds": 4.5}
    replies = [ann.send_json("/api/answers", body).json() for _ in range(2)]
    assert replies[0]["saved_at"] == replies[1]["saved_at"]
    assert replies[1]["progress"]["answered"] == 1
    assert len(list(site.store.comparisons(current=False))) == 1
    assert ann.send_json("/api/answers", body | {"outcome": "left"}).status_code == 409


def test_a_changed_answer_takes_the_place_of_the_old_one_and_both_are_kept(site):
    ann = site.visitor("ann")
    first = ann.get("/api/next").json()["current"]["id"]
    ann.answer(first, "left")
    ann.answer(first, "both_bad")
    assert [outcome for _, _, outcome, _ in site.answers()] == ["both_bad"]
    assert len(list(site.store.comparisons(current=False))) == 2
    [item] = ann.get("/api/history").json()
    assert item["answer"]["outcome"] == "both_bad"


def test_undo_without_an_answer_says_so(site):
    reply = site.visitor("ann").send_json("/api/undo", {"key": "k" * 8}).json()
    assert reply["assignment"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": "a"},
        {"outcome": "withdrawn"},
        {"seconds": -1},
        {"seconds": "NaN"},
        {"strength": 5},
        {"strength": 2},
        {"reasons": ["made up"]},
        {"key": "short"},
        {"more": 1},
        {"comment": "x" * 10_001},
        {"comment": "nul\x00"},
        {"assignment_id": 10**30},
        {"assignment_id": 0},
    ],
)
def test_an_answer_that_cannot_be_is_refused_in_one_sentence(site, wrong):
    ann = site.visitor("ann")
    first = ann.get("/api/next").json()["current"]["id"]
    response = ann.send_json(
        "/api/answers", {"key": "k" * 8, "assignment_id": first, "outcome": "left", "seconds": 2} | wrong
    )
    assert response.status_code in (404, 422)
    assert set(response.json()) <= {"error", "code"}
    assert site.answers() == []


def test_what_is_not_json_is_refused(site):
    ann = site.visitor("ann")
    headers = {"Origin": ORIGIN, "X-CSRF-Token": ann.csrf, "Content-Type": "application/json"}
    for body in (b"", b"{", b"[]", b"\xff\xfe", b'"x"'):
        assert ann.post("/api/undo", content=body, headers=headers).status_code == 422


def test_progress_counts_ones_own_answers(site):
    ann, boss = site.visitor("ann"), site.visitor("boss")
    ann.answer(ann.get("/api/next").json()["current"]["id"], "left")
    assert ann.get("/api/progress").json()["answered"] == 1
    assert boss.get("/api/progress").json()["answered"] == 0


def test_when_nothing_is_left_there_is_no_pair(make_site):
    site = make_site([task(0)])
    ann = site.visitor("ann")
    ann.answer(ann.get("/api/next").json()["current"]["id"], "left")
    reply = ann.get("/api/next").json()
    assert reply["current"] is reply["then"] is None


def test_an_invitation_is_a_link_that_opens_the_door_once_shown(site):
    boss = site.visitor("boss")
    reply = boss.send_json("/api/admin/invitations", {"name": "cleo", "role": "annotator"}).json()
    assert reply["link"].startswith(f"{ORIGIN}/join/")
    visitor = site.visitor()
    assert visitor.get(reply["link"]).status_code == 200
    assert visitor.get("/").status_code == 200
    again = boss.send_json("/api/admin/invitations", {"name": "cleo"}).json()
    assert again["id"] == reply["id"]
    assert visitor.get("/").status_code == 401
    assert boss.send_json("/api/admin/invitations", {"name": "\u202e"}).status_code == 422


def test_an_admin_lets_people_in_no_more_but_not_themselves(site):
    boss = site.visitor("boss")
    assert boss.send_json(f"/api/admin/annotators/{site.id_of('ann')}/disable", {}).status_code == 200
    assert site.visitor("ann").get("/").status_code == 401
    assert boss.send_json(f"/api/admin/annotators/{site.id_of('boss')}/disable", {}).status_code == 409
    assert boss.send_json("/api/admin/annotators/999/disable", {}).status_code == 404


def two_people_answer(make_site):
    site = make_site([task(i) for i in range(6)], overlap=2)
    site.answer_all("ann", ["first", "first", "both_bad"])
    site.answer_all("boss", ["first", "tie", "second"])
    return site


@pytest.fixture(scope="module")
def answered(make_site):
    """Two people who agree on some pairs and not on others; to read."""
    return two_people_answer(make_site)


@pytest.fixture
def to_settle(make_site):
    """The same, to write to."""
    return two_people_answer(make_site)


@pytest.mark.slow(threads=1)
def test_the_admin_page_shows_what_the_summary_says_in_both_languages(answered):
    boss = answered.visitor("boss")
    summary = boss.get("/api/admin/summary").json()
    for language in languages.LANGUAGES:
        html = boss.get(f"/admin?lang={language}").text
        assert "secret-model-one" in html
        assert f"{summary['agreement']['value']:.2f}" in html
        assert "ann" in html
        assert "reading:" not in re.sub(r'data-words="[^"]*"', "", html)
    assert "<html" not in boss.get("/admin/figures").text


def test_an_empty_project_has_an_admin_page_too(site):
    boss = site.visitor("boss")
    assert boss.get("/admin").status_code == 200
    assert "Nobody disagrees" in boss.get("/admin/adjudicate").text


@pytest.mark.parametrize("to", ["pairs", "kto", "sft", "arena", "raw"])
def test_exports_are_downloads_of_json_lines(answered, to, tmp_path):
    response = answered.visitor("boss").get(f"/admin/export/{to}")
    assert response.status_code == 200
    assert re.search(rf'attachment; filename="project-{to}-\d+\.jsonl"', response.headers["content-disposition"])
    rows = [json.loads(line) for line in response.text.splitlines()]
    assert rows
    if to == "pairs":
        file = tmp_path / "pairs.jsonl"
        file.write_text(response.text, encoding="utf-8")
        assert len(load_pairs(file).records) == len(rows)


def test_a_database_that_cannot_be_reached_is_worth_trying_again_and_names_no_file(site, monkeypatch):
    ann = site.visitor("ann")
    first = ann.get("/api/next").json()["current"]["id"]

    def fail(*_, **__):
        raise ConfigError("/home/me/secret/penchant.db: the database cannot be used (locked)")

    monkeypatch.setattr(site.store, "submit", fail)
    response = ann.answer(first, "left")
    assert response.status_code == 503
    assert "secret" not in response.text


def test_an_unknown_export_is_refused(site):
    assert site.visitor("boss").get("/admin/export/exe").status_code == 422


def test_a_verdict_is_added_and_changes_no_answer(to_settle):
    boss = to_settle.visitor("boss")
    found = to_settle.store.disagreements()
    assert len(found) == 4
    before = to_settle.answers()
    body = {"key": "verdict-1", "task_id": found[0].task_id, "outcome": "left"}
    assert boss.send_json("/api/adjudications", body).status_code == 200
    after = to_settle.store.disagreements()[0]
    assert after.adjudication.outcome in ("a", "b")
    assert after.answers == found[0].answers
    assert len(to_settle.answers()) == len(before) + 1
    assert boss.send_json("/api/adjudications", body | {"key": "verdict-2", "task_id": "none"}).status_code == 404
    html = boss.get("/admin/adjudicate").text
    assert 'data-outcome="left" aria-pressed="true"' in html
    assert "secret-model" not in html


def test_the_verdict_means_the_text_that_stood_there(to_settle):
    boss = to_settle.visitor("boss")
    html = boss.get("/admin/adjudicate").text
    task_id = re.search(r'data-task="([^"]+)"', html)[1]
    left = re.search(r"<article>.*?<p>(the \w+ answer \d)</p>", html, re.S)[1]
    boss.send_json("/api/adjudications", {"key": "verdict-1", "task_id": task_id, "outcome": "left"})
    found = next(task for task in to_settle.store.disagreements() if task.task_id == task_id)
    assert getattr(found, found.adjudication.outcome) == left


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("fr,en;q=0.5,zh;q=0.9", "zh"),
        ("en-GB", "en"),
        ("de", "en"),
        ("", "en"),
        ("zh;q=nonsense,en;q=0.1", "en"),
    ],
)
def test_the_browser_says_which_language(site, header, language):
    html = site.visitor("ann").get("/", headers={"Accept-Language": header}).text
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in html


def test_a_chosen_language_is_kept(site):
    ann = site.visitor("ann")
    ann.get("/?lang=zh")
    assert 'lang="zh-CN"' in ann.get("/").text
    assert 'lang="zh-CN"' in ann.get("/?lang=xx").text


def test_both_languages_have_the_same_words_with_the_same_blanks():
    english, chinese = (languages.words(name) for name in languages.LANGUAGES)
    assert english.keys() == chinese.keys()
    for key in english:
        assert set(re.findall(r"\{\w+\}", english[key])) == set(re.findall(r"\{\w+\}", chinese[key])), key


def test_every_word_that_scripts_and_templates_say_exists():
    known = languages.words("en")
    for script in (WEB / "static").iterdir():
        if script.name.endswith(".js"):
            for key in re.findall(r"""\bsay\(\s*"(\w+)\"""", script.read_text(encoding="utf-8")):
                assert key in known, f"{key} in {script.name}"
    for template in (WEB / "templates").iterdir():
        for key in re.findall(r"words\.(\w+)", template.read_text(encoding="utf-8")):
            assert key in known or key == "get", f"{key} in {template.name}"


def test_keys_on_the_page_are_the_keys_that_work(make_site):
    html = make_site([task(0)], strength=True, guidelines="Look.").visitor("ann").get("/").text
    script = (WEB / "static" / "keys.js").read_text(encoding="utf-8")
    shown = {name.lower() for name in re.findall(r"<kbd[^>]*>([^<]+)</kbd>", html)}
    works = set(re.findall(r'(\w+|"\?"): "', script))
    names = {"arrowleft": "left", "arrowright": "right", "escape": "esc", '"?"': "?"}
    assert {names.get(key, key) for key in works} <= shown
