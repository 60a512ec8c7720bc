"""The chat in a real browser: three turns, a choice by key, a reload; and nothing a model writes can act."""

import random
import re
import threading
from types import SimpleNamespace

import pytest

from penchant.feedback.web.chat import chat_router

from .conftest import Reader, served
from .test_browser import HOSTILE
from .test_chat import FakeTalker, votes

pytestmark = pytest.mark.slow


class EverySecond(random.Random):
    """Draws a comparison every second time; the order and the seed as any other."""

    turns = 0

    def random(self):
        self.turns += 1
        return (0.9, super().random(), 0.1, super().random())[(self.turns - 1) % 4]


@pytest.fixture
def open_chat(site, chromium):
    """`open_chat(talker)`: a person on the page of the chat; at the end, nothing may have gone wrong in it."""
    stack = []

    def start(talker, share=0.5, seed=1, **options):
        router = chat_router(talker, share=share, rng=EverySecond(seed))
        serving = served(SimpleNamespace(app=lambda: site.app(chat=router)))
        base = serving.__enter__()
        reader = Reader(chromium, base, site.tokens["ann"], **options)
        stack.append((serving, reader))
        reader.page.goto(f"{base}/chat")
        reader.wait()
        return reader

    yield start
    for serving, reader in stack:
        problems = reader.problems
        reader.context.close()
        serving.__exit__(None, None, None)
        assert problems == []


def wait_for(reader, state):
    reader.page.wait_for_selector(f"body[data-view={state}]")


def say(reader, text, state):
    reader.page.click("#message")
    reader.page.keyboard.type(text)
    reader.press("Enter")
    reader.page.wait_for_function("() => document.getElementById('message').value === ''")
    wait_for(reader, state)


def turns(reader):
    return [re.sub(r"\s+", " ", text) for text in reader.page.locator("#log .turn .text").all_inner_texts()]


def choose(reader, key, state="idle"):
    reader.press(key)
    wait_for(reader, state)


def test_three_turns_one_choice_by_key_a_reload_and_on(site, open_chat):
    reader = open_chat(FakeTalker())
    assert "Talk to the model" in reader.text("#hello")
    say(reader, "the first", "idle")
    assert turns(reader) == ["the first", "zero is this"]
    say(reader, "the second", "choosing")
    left, right = (reader.text(f"#{place}-text") for place in ("left", "right"))
    assert {left, right} == {"zero is this", "one is that"}
    choose(reader, "2")
    assert "Choice saved" in reader.text("#state")
    assert turns(reader) == ["the first", "zero is this", "the second", right]
    reader.page.reload()
    wait_for(reader, "idle")
    assert turns(reader) == ["the first", "zero is this", "the second", right]
    say(reader, "the third", "idle")
    assert len(turns(reader)) == 6
    [vote] = votes(site)
    assert [message.content for message in vote.prompt] == ["the first", "zero is this", "the second"]
    assert (vote.a if vote.outcome == "a" else vote.b).text == right
    assert vote.outcome != vote.shown_first
    assert vote.meta["answer"]["seconds"] >= 0.3


def test_a_reload_before_the_choice_asks_again_and_both_bad_lets_it_write_again(site, open_chat):
    reader = open_chat(FakeTalker(), seed=3)
    say(reader, "one", "idle")
    say(reader, "two", "choosing")
    reader.page.reload()
    wait_for(reader, "choosing")
    choose(reader, "x", "picking")
    assert "neither is good" in reader.text("#asked")
    choose(reader, "r")
    assert len(turns(reader)) == 4
    assert [vote.outcome for vote in votes(site)] == ["both_bad"]


def test_answers_are_seen_while_they_are_written_and_stop_stops(open_chat):
    talker = FakeTalker(("word " * 200,))
    talker.gate = threading.Semaphore(3)
    reader = open_chat(talker, share=0.0)
    reader.page.fill("#message", "hello")
    reader.page.locator("#message").press("Enter")
    reader.page.wait_for_function("() => document.getElementById('alone-text').textContent.trim() === 'word word word'")
    assert reader.view == "writing"
    with reader.page.expect_response("**/api/chat/stop"):  # before the next piece may come
        reader.page.click("#stop")
    talker.gate.release(1)
    wait_for(reader, "idle")
    reader.until("document.querySelectorAll('#log .turn .text').length > 1")
    assert turns(reader)[1].split() in (["word"] * 3, ["word"] * 4)
    assert talker.num_pieces == 4


def test_shift_enter_makes_a_new_line_and_keys_in_the_box_choose_nothing(site, open_chat):
    reader = open_chat(FakeTalker(), share=0.0)
    reader.page.click("#message")
    reader.page.keyboard.type("1 x")
    reader.press("Shift+Enter")
    reader.page.keyboard.type("2")
    assert reader.page.input_value("#message") == "1 x\n2"
    reader.press("Enter")
    wait_for(reader, "idle")
    assert votes(site) == []


def test_an_error_says_one_sentence_and_gives_the_words_back(open_chat):
    talker = FakeTalker(("this fails",), problem=RuntimeError("secret"))
    reader = open_chat(talker, share=0.0)
    reader.page.fill("#message", "my words")
    reader.page.click("#send")
    reader.until("document.getElementById('state').dataset.kind === 'bad'")
    assert reader.text("#state") == "The model could not answer. Nothing is lost; try again."
    assert reader.page.input_value("#message") == "my words"
    assert turns(reader) == []
    talker.problem = None
    reader.page.click("#send")
    wait_for(reader, "idle")
    reader.until("document.querySelectorAll('#log .turn').length === 2")


def test_nothing_that_a_model_writes_acts_neither_while_it_is_written_nor_after(open_chat):
    talker = FakeTalker((HOSTILE, HOSTILE + "\n\nand more"))
    reader = open_chat(talker)
    say(reader, "<img src=x onerror=alert(1)>", "idle")
    say(reader, "<script>alert(1)</script>", "choosing")
    choose(reader, "1")
    assert "onerror" in reader.text("#log")
    assert all(url.startswith(reader.base) for url in reader.requests)
    assert reader.page.title() == "Chat · Which answer is better?"
    found = "document.querySelectorAll('#talk script, #talk img, #talk svg, #talk iframe, #talk form').length"
    assert reader.page.evaluate(f"() => {found}") == 0


@pytest.mark.parametrize(
    "options",
    [
        {"viewport": {"width": 390, "height": 780}, "has_touch": True, "color_scheme": "dark", "locale": "zh-CN"},
        {"viewport": {"width": 820, "height": 1100}},
    ],
    ids=["phone", "tablet"],
)
def test_narrow_windows_need_no_scrolling_sideways_and_keep_the_choice_in_reach(site, open_chat, options):
    reader = open_chat(FakeTalker(("word " * 150, "other " * 300)), **options)
    say(reader, "hello", "idle")
    say(reader, "a" * 300, "choosing")
    assert reader.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for action in ("left", "right", "tie", "both_bad"):
        box = reader.page.locator(f"#choosing [data-action={action}]").bounding_box()
        assert box["y"] + box["height"] <= options["viewport"]["height"]
        assert box["height"] >= 44
    reader.listened()
    reader.page.click("#choosing [data-action=right]")
    wait_for(reader, "idle")
    assert len(votes(site)) == 1


def test_a_new_conversation_is_asked_for_twice(site, open_chat):
    reader = open_chat(FakeTalker())
    say(reader, "hello", "idle")
    reader.page.click("#open-new")
    reader.page.click("#new button[value=no]")
    assert len(turns(reader)) == 2
    reader.page.click("#open-new")
    reader.page.click("#new button[value=yes]")
    reader.until("document.querySelectorAll('#log .turn').length === 0")
    assert "Talk to the model" in reader.text("#hello")
