"""The chat: what is recorded, what the person is told and not told, who waits, and what stops."""

import json
import logging
import random
import re
import threading
import time
from http.client import HTTPConnection
from importlib.resources import files
from types import SimpleNamespace

import pytest

from penchant.data.records import Source
from penchant.feedback.web import chat, languages
from penchant.feedback.web.chat import chat_router, conversation
from penchant.feedback.web.chat.page import MAX_CHARACTERS, words
from penchant.feedback.web.sessions import cookie_name, csrf_token

from .conftest import HOST, ORIGIN, Visitor, served


class FakeTalker:
    """Answers "zero ..." and "one ..." word by word. gate: where set, it must be opened before each piece."""

    def __init__(self, answers=("zero is this", "one is that"), problem=None):
        self.answers, self.problem = answers, problem
        self.gate = None
        self.asked, self.num_pieces, self.num_closed, self.has_room = [], 0, 0, True
        self.threads = set()

    def source(self, seed):
        return Source(model="secret-model@abc", temperature=0.8, seed=seed)

    def fits(self, messages):
        return self.has_room

    def reply(self, messages, num, seed):
        self.asked.append([(message.role, message.content) for message in messages])
        words = [re.findall(r"\S+\s*|\s+", text) for text in self.answers[:num]]
        try:
            for step in range(max(map(len, words), default=0)):
                for number in range(num):
                    if step < len(words[number]):
                        if self.gate is not None:
                            assert self.gate.acquire(timeout=10)
                        self.threads.add(threading.current_thread().name)
                        self.num_pieces += 1
                        yield number, words[number][step]
                if self.problem:
                    raise self.problem
        finally:
            self.num_closed += 1


class Person(Visitor):
    """Somebody who chats."""

    name = ""

    @property
    def state(self):
        return self.get("/api/chat").json()

    def lines(self, text, version=None):
        sent = {"version": self.state["version"] if version is None else version, "text": text}
        response = self.send_json("/api/chat/replies", sent)
        assert response.status_code == 200, response.text
        return [json.loads(line) for line in response.text.splitlines()]

    def say(self, text):
        """The conversation after the reply."""
        last = self.lines(text)[-1]
        assert last["kind"] == "end"
        return last["chat"]

    def choose(self, outcome, **more):
        body = {"version": self.state["version"], "key": f"key-{time.monotonic_ns()}", "outcome": outcome}
        return self.send_json("/api/chat/choices", body | {"seconds": 4.5} | more)

    def pick(self, place):
        return self.send_json("/api/chat/picks", {"version": self.state["version"], "place": place})


@pytest.fixture
def enter(site):
    """`enter("ann", talker)`: a person in the chat; people with the same router share one model."""
    routers = {}

    def start(name, talker, share=1.0, seed=0):
        if id(talker) not in routers:
            routers[id(talker)] = (talker, chat_router(talker, share=share, rng=random.Random(seed)))
        person = Person(site.app(chat=routers[id(talker)][1]), base_url=ORIGIN, follow_redirects=False)
        person.cookies.set(cookie_name(HOST), site.tokens[name], domain="127.0.0.1", path="/")
        person.csrf = csrf_token(site.tokens[name])
        return person

    return start


@pytest.fixture
def talker():
    return FakeTalker()


@pytest.fixture
def ann(enter, talker):
    return enter("ann", talker)


def raw(view):
    return [(message["role"], message["raw"]) for message in view["messages"]]


def votes(site):
    return [c for c in site.store.comparisons() if c.id.startswith("chat-")]


def test_the_annotation_page_links_to_the_chat_where_there_is_one(site, ann):
    assert 'href="/chat"' in ann.get("/").text
    assert 'href="/chat"' not in site.visitor("ann").get("/").text


# what is recorded


def test_a_choice_is_recorded_as_an_answered_comparison_and_the_conversation_goes_on_with_it(site, ann):
    view = ann.say("  hello there  ")
    assert view["state"] == "choosing"
    assert {view["left"]["raw"], view["right"]["raw"]} == {"zero is this", "one is that"}
    assert votes(site) == []
    after = ann.choose("right", seconds=7.25).json()
    assert after["state"] == "idle"
    assert raw(after) == [("user", "hello there"), ("assistant", view["right"]["raw"])]
    [vote] = votes(site)
    assert [(m.role, m.content) for m in vote.prompt] == [("user", "hello there")]
    assert (vote.a.text, vote.b.text) == ("zero is this", "one is that")
    assert vote.annotator == "ann"
    chosen, first = (vote.a, vote.b) if vote.outcome == "a" else (vote.b, vote.a), vote.shown_first
    assert chosen[0].text == view["right"]["raw"]
    assert (vote.a if first == "a" else vote.b).text == view["left"]["raw"]
    assert vote.a.source == vote.b.source
    assert (vote.a.source.model, vote.a.source.temperature) == ("secret-model@abc", 0.8)
    assert vote.a.source.seed is not None
    detail = vote.meta["answer"]
    assert (detail["kind"], detail["seconds"], detail["probability"], detail["flags"]) == ("main", 7.25, 1.0, [])
    assert site.store.progress(site.id_of("ann")).answered == 1


def test_the_next_comparison_has_the_whole_conversation_as_its_prompt(site, ann, talker):
    ann.say("first")
    chosen = ann.choose("left").json()["messages"][-1]["raw"]
    ann.say("second")
    ann.choose("tie")
    said = [("user", "first"), ("assistant", chosen), ("user", "second")]
    assert talker.asked[-1] == said
    assert [(m.role, m.content) for m in votes(site)[1].prompt] == said


@pytest.mark.parametrize(("outcome", "state", "goes_on"), [("tie", "idle", 1), ("both_bad", "picking", 0)])
def test_what_is_no_preference_is_recorded_as_it_was_said(site, ann, outcome, state, goes_on):
    ann.say("hello")
    view = ann.choose(outcome).json()
    assert [vote.outcome for vote in votes(site)] == [outcome]
    assert view["state"] == state
    assert len(view["messages"]) == 1 + goes_on


def test_after_both_bad_one_picks_an_answer_without_another_vote(site, ann):
    left = ann.say("hello")["left"]["raw"]
    assert ann.choose("both_bad").json()["is_voted"]
    assert raw(ann.pick("left").json()) == [("user", "hello"), ("assistant", left)]
    assert len(votes(site)) == 1


@pytest.mark.slow(threads=1)
def test_after_both_bad_the_model_writes_again_for_another_comparison(site, ann, talker):
    ann.say("hello")
    ann.choose("both_bad")
    talker.answers = ("better", "best")
    view = ann.say(None)
    assert talker.asked[0] == talker.asked[1] == [("user", "hello")]
    assert {view["left"]["raw"], view["right"]["raw"]} == {"better", "best"}
    ann.choose("left")
    first, second = votes(site)
    assert first.outcome == "both_bad"
    assert second.outcome in ("a", "b")
    assert first.id != second.id
    assert first.a.source.seed != second.a.source.seed


def test_a_choice_sent_twice_is_one_choice(site, ann):
    ann.say("hello")
    body = {"version": ann.state["version"], "key": "the-same-key", "outcome": "left", "seconds": 3}
    replies = [ann.send_json("/api/chat/choices", body) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].json() == replies[1].json()
    assert len(votes(site)) == 1


def test_a_choice_that_was_made_too_fast_is_flagged_as_on_the_other_page(site, ann):
    ann.say("hello")
    ann.choose("left", seconds=0.2)
    assert votes(site)[0].meta["answer"]["flags"] == ["too_fast"]


def test_answers_that_are_the_same_are_no_comparison(site, enter):
    view = enter("ann", FakeTalker(("same words", " same words\n"))).say("hello")
    assert raw(view) == [("user", "hello"), ("assistant", "same words")]
    view = enter("boss", FakeTalker(("", "only this"))).say("hello")
    assert raw(view)[1] == ("assistant", "only this")
    assert votes(site) == []


@pytest.mark.slow
def test_the_share_is_kept_and_both_orders_occur(site, enter):
    talker = FakeTalker()
    ann = enter("ann", talker, share=0.3, seed=1)
    num_turns, firsts = 120, []
    for turn in range(num_turns):
        if turn % 40 == 0:
            ann.send_json("/api/chat/new", {})
        view = ann.say("hello")
        if view["state"] == "choosing":
            firsts.append(view["left"]["raw"])
            ann.choose("tie")
    assert 0.18 * num_turns < len(firsts) < 0.42 * num_turns
    assert {vote.shown_first for vote in votes(site)} == {"a", "b"}
    for vote, left in zip(votes(site), firsts, strict=True):
        assert (vote.a if vote.shown_first == "a" else vote.b).text == left
    assert 0.25 < firsts.count("zero is this") / len(firsts) < 0.75
    assert len({vote.a.source.seed for vote in votes(site)}) == len(firsts)


@pytest.mark.slow(threads=1)
def test_a_share_of_zero_never_asks(site, enter):
    ann = enter("ann", FakeTalker(), share=0.0)
    for _ in range(20):
        assert ann.say("hello")["state"] == "idle"
    assert votes(site) == []
    assert site.store.counts().tasks == 3


# what the person is told


def test_pieces_come_by_place_and_end_with_the_rendered_conversation(ann, talker):
    talker.answers = ("**zero** is this", "one")
    lines = ann.lines("hello")
    assert [line["kind"] for line in lines] == ["begin", *["piece"] * 4, "end"]
    assert lines[0]["places"] == ["left", "right"]
    texts = {"left": "", "right": ""}
    for line in lines[1:-1]:
        texts[line["place"]] += line["text"]
    assert sorted(texts.values()) == ["**zero** is this", "one"]
    view = lines[-1]["chat"]
    assert {view["left"]["raw"], view["right"]["raw"]} == set(texts.values())
    assert any("<strong>zero</strong>" in view[place]["html"] for place in ("left", "right"))


def test_no_reply_tells_sources_seeds_sides_or_the_share(site, ann):
    bodies = [ann.get("/chat").text, json.dumps(ann.lines("hello")), json.dumps(ann.state)]
    bodies.append(ann.choose("left").text)
    bodies.append(ann.get("/api/history").text)
    for body in bodies:
        for planted in ("secret-model", "temperature", "seed", "shown_first", "probability", "source", "chat-"):
            assert planted not in re.sub(r'"/static/chat/|static/chat/|class="[^"]*"|data-words="[^"]*"', "", body)


def test_a_reload_shows_the_conversation_and_the_choice_that_waits(ann, enter, talker):
    view = ann.say("hello")
    assert enter("ann", talker).state == view
    ann.choose("left")
    assert raw(enter("ann", talker).state)[0] == ("user", "hello")


def test_nobody_sees_or_decides_anothers_conversation(site, ann, enter, talker):
    version = ann.say("hello")["version"]
    boss = enter("boss", talker)
    assert boss.state["messages"] == []
    assert boss.choose("left", version=version).status_code == 409
    assert boss.get("/api/chat/texts/left").status_code == 404
    assert votes(site) == []


def test_hostile_text_is_escaped_while_it_is_written_and_after(ann, talker):
    talker.answers = ("<script>alert(1)</script> \u202egpj", "<img src=x onerror=alert(2)> [x](javascript:alert(3))")
    lines = ann.lines("<b>me</b>")
    pieces = "".join(line["text"] for line in lines if line["kind"] == "piece")
    assert "<U+202E>" in pieces
    view = lines[-1]["chat"]
    for html in (view["left"]["html"], view["right"]["html"], view["messages"][0]["html"]):
        assert "<script" not in html
        assert "<img" not in html
        assert "<b>" not in html
        assert "href=" not in html


@pytest.mark.slow
def test_a_text_that_is_cut_can_be_had_whole(ann, talker):
    talker.answers = ("long " * 6000, "short")
    view = ann.say("hello")
    place = "left" if view["left"]["cut"] else "right"
    assert "".join(ann.get(f"/api/chat/texts/{place}").json()["pieces"]) == ("long " * 6000).strip()
    assert ann.get("/api/chat/texts/message-0").json()["pieces"] == ["hello"]
    for wrong in ("message-1", "alone", "message--1", "a"):
        assert ann.get(f"/api/chat/texts/{wrong}").status_code == 404


# limits and faults


def test_limits_are_one_sentence_and_nothing_is_said(ann, talker, monkeypatch):
    for text in ("", "  \n "):
        assert ann.send_json("/api/chat/replies", {"version": ann.state["version"], "text": text}).status_code == 422
    long = {"version": ann.state["version"], "text": "x" * (MAX_CHARACTERS + 1)}
    refused = ann.send_json("/api/chat/replies", long)
    assert refused.status_code == 422
    assert refused.json()["error"] == "A message has at most 8000 characters. Make it shorter."
    chinese = ann.post(
        "/api/chat/replies",
        content=json.dumps(long),
        headers={
            "Origin": ORIGIN,
            "X-CSRF-Token": ann.csrf,
            "Content-Type": "application/json",
            "Accept-Language": "zh",
        },
    )
    assert "8000" in chinese.json()["error"]
    assert "字符" in chinese.json()["error"]
    monkeypatch.setattr("penchant.feedback.web.chat.routes.MAX_TURNS", 1)
    ann.say("hello")
    ann.choose("left")
    many = ann.send_json("/api/chat/replies", {"version": ann.state["version"], "text": "more"})
    assert many.status_code == 422
    assert "at most 1 messages" in many.json()["error"]
    assert len(talker.asked) == 1


@pytest.mark.parametrize("text", ["nul \x00", "half \ud800", 5])
def test_what_is_no_text_is_refused(ann, text):
    assert ann.send_json("/api/chat/replies", {"version": ann.state["version"], "text": text}).status_code == 422
    assert ann.state["messages"] == []


def test_a_context_that_is_full_is_told_and_the_message_given_back(ann, talker):
    talker.has_room = False
    last = ann.lines("too much")[-1]
    assert last["problem"] == "chat_full"
    assert (last["chat"]["draft"], last["chat"]["messages"], last["chat"]["state"]) == ("too much", [], "idle")
    assert talker.asked == []


@pytest.mark.parametrize("answers", [("never whole", "nor this"), ()])
def test_a_model_that_fails_is_one_sentence_and_the_message_comes_back(site, enter, log_records, answers):
    talker = FakeTalker(answers, problem=RuntimeError("/secret/path and what was said"))
    ann = enter("ann", talker)
    if not answers:
        talker.reply = lambda *_: 1 / 0
    lines = ann.lines("my private words")
    assert lines[-1]["problem"] == "chat_failed"
    assert lines[-1]["chat"]["draft"] == "my private words"
    assert lines[-1]["chat"]["messages"] == []
    assert "secret" not in json.dumps(lines)
    assert log_records
    assert "private" not in "".join(map(logging.Formatter().format, log_records))
    talker.problem, talker.reply = None, FakeTalker().reply
    assert ann.say("again")["state"] == "choosing", "the model is free again"


def test_a_failure_while_writing_again_leaves_the_two_answers_to_pick_from(ann, talker):
    ann.say("hello")
    ann.choose("both_bad")
    talker.problem = RuntimeError()
    view = ann.lines(None)[-1]["chat"]
    assert view["state"] == "picking"
    assert {view["left"]["raw"], view["right"]["raw"]} == {"zero is this", "one is that"}
    assert view["is_voted"]


def test_a_model_that_says_nothing_is_told(enter):
    last = enter("ann", FakeTalker(("  ", "\n"))).lines("hello")[-1]
    assert last["problem"] == "chat_silent"
    assert last["chat"]["draft"] == "hello"


def test_another_window_cannot_act_on_what_is_no_longer_there(site, ann):
    old = ann.state["version"]
    shown = ann.say("hello")["version"]
    refused = ann.send_json("/api/chat/replies", {"version": old, "text": "from the other window"})
    assert refused.status_code == 409
    assert "another window" in refused.json()["error"]
    assert ann.send_json("/api/chat/replies", {"version": shown, "text": "before choosing"}).status_code == 409
    assert ann.pick("left").status_code == 409
    assert ann.choose("left").status_code == 200
    assert ann.choose("right", version=shown).status_code == 409
    stale = ann.send_json("/api/chat/replies", {"version": old, "text": "the other window once more"})
    assert stale.status_code == 409
    assert len(ann.state["messages"]) == 2
    assert len(votes(site)) == 1


def test_a_new_conversation_is_empty_and_recorded_choices_stay(site, ann):
    ann.say("hello")
    ann.choose("left")
    ann.say("a pair that nobody will choose from")
    assert ann.send_json("/api/chat/new", {}).json()["messages"] == []
    assert ann.say("anew")["messages"][0]["raw"] == "anew"
    assert len(votes(site)) == 1


def test_only_so_many_conversations_are_kept(monkeypatch):
    monkeypatch.setattr(conversation, "MAX_CONVERSATIONS", 3)
    kept = conversation.Conversations()
    first = kept.of(0)
    for person in (1, 2):
        kept.of(person)
    assert kept.of(0) is first
    kept.of(3)
    assert kept.of(0) is first
    assert len(kept._of) == 3


# stopping and waiting


def in_background(function, *arguments):
    """Call it in a thread; returns the thread and a list that will hold what it returned."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments)), daemon=True)
    thread.start()
    return thread, results


def until(condition):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < 10, "it does not happen"
        time.sleep(0.005)


def test_stopping_ends_the_writing_at_the_next_piece_and_nothing_is_compared(site, ann, talker):
    talker.answers = ("word " * 100, "other " * 100)
    talker.gate = threading.Semaphore(6)
    thread, results = in_background(ann.say, "hello")
    until(lambda: talker.num_pieces == 6)
    assert ann.state["state"] == "writing"
    assert ann.send_json("/api/chat/stop", {}).status_code == 200
    talker.gate.release()
    thread.join(10)
    until(lambda: talker.num_closed == 1)
    assert talker.num_pieces == 7
    view = results[0]
    assert (view["state"], view["is_voted"]) == ("picking", False)
    assert ann.choose("left").status_code == 409
    assert raw(ann.pick("left").json())[1] == ("assistant", view["left"]["raw"])
    assert votes(site) == []


def test_stopping_a_single_answer_keeps_what_is_there_or_gives_the_message_back(enter, talker):
    ann = enter("ann", talker, share=0.0)
    talker.gate = threading.Semaphore(1)
    thread, results = in_background(ann.say, "hello")
    until(lambda: talker.num_pieces == 1)
    ann.send_json("/api/chat/stop", {})
    talker.gate.release(5)
    thread.join(10)
    assert raw(results[0])[1][1].startswith("zero")
    assert results[0]["messages"][1]["raw"] != "zero is this"
    talker.answers = (" \n" * 50,)
    talker.gate = threading.Semaphore(1)
    before = talker.num_pieces
    thread, results = in_background(ann.say, "and now")
    until(lambda: talker.num_pieces == before + 1)
    ann.send_json("/api/chat/stop", {})
    talker.gate.release(5)
    thread.join(10)
    assert results[0]["draft"] == "and now"
    assert len(results[0]["messages"]) == 2


@pytest.mark.slow(threads=1)
def test_a_second_person_waits_and_is_told_so_and_a_third_comes_after_them(site, enter, talker):
    site.invite("zoe")
    talker.gate = threading.Semaphore(0)
    people = [enter(name, talker) for name in ("ann", "boss", "zoe")]
    running = []
    for number, person in enumerate(people):
        running.append(in_background(person.lines, f"I am number {number}"))
        until(lambda: person.state["state"] == "writing")  # noqa: B023  # called at once
        time.sleep(0.15)
    assert len(talker.asked) == 1
    talker.gate.release(100)
    told = []
    for thread, results in running:
        thread.join(10)
        told.append([line["before"] for line in results[0] if line["kind"] == "waiting"])
    assert told[0] == []
    assert told[1] == [1]
    assert told[2][0] == 2
    assert [asked[0][1] for asked in talker.asked] == [f"I am number {number}" for number in range(3)]
    assert len(talker.threads) == 1, "one model, one thread"


def test_who_waits_can_leave_the_line(enter, talker):
    talker.gate = threading.Semaphore(0)
    first = in_background(enter("ann", talker).say, "hello")
    until(lambda: talker.asked)
    boss = enter("boss", talker)
    second = in_background(boss.lines, "me too")
    until(lambda: boss.state["state"] == "writing")
    boss.send_json("/api/chat/stop", {})
    second[0].join(10)
    assert second[1][0][-1]["chat"]["draft"] == "me too"
    assert len(talker.asked) == 1
    talker.gate.release(100)
    first[0].join(10)
    assert first[1][0]["state"] == "choosing"


def test_beginning_anew_stops_the_reply_that_is_on_its_way(ann, talker):
    talker.gate = threading.Semaphore(2)
    thread, results = in_background(ann.say, "hello")
    until(lambda: talker.num_pieces == 2)
    ann.send_json("/api/chat/new", {})
    talker.gate.release(1)
    thread.join(10)
    assert results[0]["messages"] == []
    assert talker.num_pieces == 3


@pytest.mark.slow
def test_a_connection_that_breaks_stops_the_writing_and_frees_the_model(site, enter, talker):
    talker.answers = ("word " * 1000, "other " * 1000)
    talker.gate = threading.Semaphore(4)
    ann = enter("ann", talker)
    body = json.dumps({"version": ann.state["version"], "text": "hello"})
    with served(SimpleNamespace(app=lambda: ann.app)) as base:
        connection = HTTPConnection(base.removeprefix("http://"))
        cookie = f"{cookie_name(base)}={site.tokens['ann']}"
        headers = {"Origin": base, "X-CSRF-Token": ann.csrf, "Content-Type": "application/json", "Cookie": cookie}
        connection.request("POST", "/api/chat/replies", body, headers)
        response = connection.getresponse()
        assert json.loads(response.readline())["kind"] == "begin"
        assert json.loads(response.readline())["kind"] == "piece", "a piece arrives while the next is not there yet"
        until(lambda: talker.num_pieces == 4)
        connection.sock.close()
        response.close()
        time.sleep(0.2)
        talker.gate.release(1)
        until(lambda: talker.num_closed == 1)
        assert talker.num_pieces == 5
        until(lambda: ann.state["state"] == "picking")
        talker.gate.release(10_000)
        assert enter("boss", talker).say("hello")["state"] == "choosing"


# the guard, the page, the words


def test_the_guard_applies_to_every_change(site, ann):
    for path in ("replies", "stop", "choices", "picks", "new"):
        for headers, status in (
            ({"Origin": "http://elsewhere.example"}, 403),
            ({"X_CSRF_Token": "wrong"}, 403),
            ({"Content_Type": "text/plain"}, 415),
            ({"Host": "elsewhere.example"}, 421),
        ):
            assert ann.send_json(f"/api/chat/{path}", {"version": 0, "text": "x"}, **headers).status_code == status
    assert ann.state["messages"] == []


def test_without_an_invitation_there_is_no_chat(site, talker):
    stranger = Person(site.app(chat=chat_router(talker)), base_url=ORIGIN, follow_redirects=False)
    for path in ("/chat", "/api/chat", "/api/chat/texts/left"):
        assert stranger.get(path).status_code == 401
    stranger.cookies.set(cookie_name(HOST), "made-up", domain="127.0.0.1", path="/")
    stranger.csrf = csrf_token("made-up")
    for path in ("replies", "stop", "choices", "picks", "new"):
        assert stranger.send_json(f"/api/chat/{path}", {"version": 0, "text": "x"}).status_code == 401
    assert talker.asked == []


def test_without_chat_there_is_no_page(site):
    for path in ("/chat", "/api/chat", "/static/chat/chat.js"):
        assert site.visitor("ann").get(path).status_code == 404


def test_a_disabled_person_is_out_at_once(site, ann):
    ann.say("hello")
    site.store.disable(site.id_of("ann"))
    assert ann.get("/chat").status_code == 401
    body = {"version": 1, "key": "k" * 8, "outcome": "left", "seconds": 3}
    assert ann.send_json("/api/chat/choices", body).status_code == 401
    assert votes(site) == []


@pytest.mark.parametrize("language", languages.LANGUAGES)
def test_the_page_is_in_the_language_and_without_inline_code(ann, language):
    html = ann.get(f"/chat?lang={language}").text
    assert words(language)["chat_hello_title"] in html
    assert "<style" not in html
    assert " style=" not in html
    assert html.count("<script") == html.count('<script type="module" src="/static/') == 2
    for path in re.findall(r'"(/static/[^"]+)"', html):
        assert ann.get(path).status_code == 200, path
    assert ann.get("/static/chat/chat.js").headers["content-type"].startswith("text/javascript")
    for outside in ("..%2fchat.js", "nothing.js", "..%2f..%2froutes.py"):
        assert ann.get(f"/static/chat/{outside}").status_code == 404


def test_both_languages_have_the_same_words_and_every_word_said_exists():
    english, chinese = (words(name) for name in languages.LANGUAGES)
    assert english.keys() == chinese.keys()
    for key in english:
        assert set(re.findall(r"\{\w+\}", english[key])) == set(re.findall(r"\{\w+\}", chinese[key])), key
    folder = files(chat)
    for script in folder.joinpath("static").iterdir():
        for key in re.findall(r"""\bsay\(\s*"(\w+)\"""", script.read_text(encoding="utf-8")):
            assert key in english, f"{key} in {script.name}"
    said = set()
    for source in folder.iterdir():
        if source.name.endswith(".py"):
            said |= set(re.findall(r'"(chat_\w+)"', source.read_text(encoding="utf-8")))
    template = files("penchant.feedback.web").joinpath("templates", "chat.html").read_text(encoding="utf-8")
    said |= set(re.findall(r"\bchat\.(chat\w*)", template))
    assert {"chat_failed", "chat_full", "chat_long", "chat_stop"} <= said
    assert said - {"chat_words", "chat_router"} <= english.keys()
