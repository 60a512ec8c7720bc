"""Nothing is cut off: every word has its place on screens of 320 to 1440 pixels, however long what people read is."""

import pytest

from .conftest import served, task
from .test_chat import FakeTalker
from .test_chat_browser import open_chat, say  # noqa: F401  # a fixture

pytestmark = pytest.mark.slow

LONG = {
    "url": "https://a.example/" + "segment-of-a-path/" * 30,
    "link": f"[{'w' * 200}](https://a.example/{'x' * 300})",
    "code": f"```python title={'t' * 200}\nvalue = '{'x' * 400}'\n```",
    "code in a list": f"1. one\n   - two\n\n     ```\n     {'x' * 400}\n     ```",
    "code in a line": f"before `{'x' * 300}` after",
    "table": "\n".join(f"|{'|'.join([cell] * 14)}|" for cell in ("heading", "---", "some words of a cell")),
    "formula": f"$${' + '.join(f'x_{{{i}}}^2' for i in range(60))}$$",
    "formula in a line": f"so ${' + '.join(f'x_{{{i}}}^2' for i in range(60))}$ holds, for ${'x' * 50}$",
    "formula as written": "$$\\unknown{" + "x" * 300 + "}$$",
    "quote": "> > > " + "q" * 300,
    "heading": "# " + "h" * 300,
    "word": "W" * 400,
    "Chinese": "没有空格的很长的一段文字" * 40,
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 60,
    "unseen": "\u202e" * 200,
    "no break": "a\u00a0b\u2060c" * 200,
}  # fmt: skip
EVERYTHING = "\n\n".join(LONG.values())

CUT_OFF = """() => {
  const cards = '.response, .turn.user, .task article, .prompt-box, #prompt, dialog, body';
  const scrolls = (e) => /auto|scroll/.test(getComputedStyle(e).overflowX) && !e.matches('#responses, dialog');
  const inside = (rect, box) => rect.left >= box.left - 1 && rect.right <= box.right + 1;
  const isInside = (rect, e) => {
    for (; e; e = e.parentElement) {
      if (scrolls(e)) rect = e.getBoundingClientRect();
      if (e.matches(cards)) return inside(rect, e.getBoundingClientRect());
    }
    return true;
  };
  const bad = [];
  if (document.documentElement.scrollWidth > innerWidth) bad.push(['page', document.documentElement.scrollWidth]);
  for (const card of document.querySelectorAll(cards))
    if (card.checkVisibility() && card.getBoundingClientRect().width > innerWidth) bad.push(['card', card.className]);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const parent = walk.currentNode.parentElement;
    if (!parent.checkVisibility() || parent.closest('.unseen-text, .skip-link, noscript')) continue;
    for (const word of walk.currentNode.data.matchAll(/\\S+/g)) {  // spaces hang over the end of a line, unseen
      const range = document.createRange();
      range.setStart(walk.currentNode, word.index);
      range.setEnd(walk.currentNode, word.index + word[0].length);
      for (const rect of range.getClientRects())
        if (!isInside(rect, parent)) bad.push([word[0].slice(0, 30), rect.right]);
    }
  }
  return bad;
}"""


def cut_off(page, widths):
    """What is cut off at each of these widths of the window, turned or dragged wider after the page was loaded."""
    found = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 844})
        found += page.evaluate(CUT_OFF)
    return found


@pytest.mark.parametrize("widths", [(320, 344, 360, 375, 390), (1440, 820)], ids=str)
def test_what_has_no_place_to_break_stays_in_its_card_or_scrolls_there(make_site, read, widths):
    tasks = [task(i, a=text, b="short", prompt=text) for i, text in enumerate(LONG.values())]
    site = make_site([*tasks, task(99, a=EVERYTHING, b="! " + EVERYTHING, prompt=EVERYTHING)], reasons=["one", "two"])
    with served(site) as base:
        reader = read(base, site.tokens["ann"], viewport={"width": widths[0], "height": 844})
        while reader.view == "pair":
            assert cut_off(reader.page, widths) == []
            if reader.page.is_visible("#unfold"):
                reader.page.click("#unfold")
                assert cut_off(reader.page, widths) == []
            reader.page.evaluate("document.querySelector('#responses').scrollLeft = 10000")
            reader.press("r")
            assert cut_off(reader.page, widths) == []
            reader.press("r")
            reader.answer("1")
        reader.settle()
    assert len(site.answers()) == len(tasks) + 1


def test_the_other_pages_keep_long_content_too(make_site, read, open_chat):  # noqa: F811
    widths = (320, 390, 1440)
    viewport = {"viewport": {"width": widths[0], "height": 844}}
    chat = open_chat(FakeTalker((EVERYTHING, EVERYTHING[:-1])), **viewport)
    say(chat, "one " + LONG["url"] + LONG["Chinese"], "idle")
    assert cut_off(chat.page, widths) == []
    say(chat, "two", "choosing")
    assert cut_off(chat.page, widths) == []
    site = make_site([task(0, a=EVERYTHING, b="! " + EVERYTHING, prompt=EVERYTHING)], overlap=2, guidelines=EVERYTHING)
    site.invite("ben")
    site.answer_all("ann", ["first"])
    site.answer_all("ben", ["tie"])
    with served(site) as base:
        reader = read(base, site.tokens["boss"], **viewport)
        reader.page.goto(f"{base}/admin/adjudicate")
        assert cut_off(reader.page, widths) == []


ANSWER_SHOWN = """() => {
  const range = document.createRange();
  range.selectNodeContents(document.querySelector('#left-text'));
  const lines = [...range.getClientRects()].filter((rect) => rect.height > 0);
  const floor = document.querySelector('#answers').getBoundingClientRect().top;
  return lines.filter((rect) => rect.top >= 0 && rect.bottom <= floor).length;
}"""
PROMPTS = {
    "no prompt": "",
    "one line": "a question",
    "forty lines": "a line of a long question\n" * 40,
    "one long line": "many words without an end " * 900,
    "a table": LONG["table"] * 3,
    "everything": EVERYTHING,
}


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("num_turns", [1, 8])
@pytest.mark.parametrize("text", PROMPTS.values(), ids=PROMPTS)
def test_on_a_phone_lines_of_an_answer_are_seen_without_scrolling(make_site, read, text, num_turns, locale):
    from penchant.data.records import Message

    roles = ["system", *["user", "assistant"] * num_turns]
    turns = tuple(Message(role=role, content=text) for role in roles[: num_turns + 1]) if num_turns > 1 else None
    asked = task(0, a="word " * 400, b="word " * 300, prompt=text)
    site = make_site([asked.model_copy(update={"prompt": turns}) if turns else asked])
    with served(site) as base:
        reader = read(base, site.tokens["ann"], viewport={"width": 390, "height": 844}, locale=locale)
        assert reader.page.evaluate(ANSWER_SHOWN) >= 3


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("size", [(320, 454), (320, 568), (375, 553)], ids=str)
def test_on_a_short_phone_too_and_no_button_is_cut_off(make_site, read, size, locale):
    site = make_site([task(0, a="word " * 400, b="word " * 300, prompt=PROMPTS["everything"])])
    with served(site) as base:
        viewport = dict(zip(("width", "height"), size, strict=True))
        reader = read(base, site.tokens["ann"], viewport=viewport, locale=locale, has_touch=True)
        assert reader.page.evaluate(ANSWER_SHOWN) >= 2
        wide = "[...document.querySelectorAll('#asking button')].filter((b) => b.scrollWidth > b.clientWidth).length"
        assert reader.page.evaluate(wide) == 0
        assert reader.page.evaluate(CUT_OFF) == []


def test_a_long_prompt_unfolds_by_keyboard_and_the_next_one_is_folded_again(make_site, read):
    site = make_site([task(i, prompt="a line of a long question\n" * 60 + "its last line") for i in range(2)])
    shown = "document.querySelector('#prompt').scrollHeight - document.querySelector('#prompt').clientHeight"
    with served(site) as base:
        reader = read(base, site.tokens["ann"], locale="zh-CN")
        assert reader.page.evaluate(shown) > 100
        assert reader.text("#unfold") == "显示完整提问"
        reader.page.focus("#unfold")
        reader.press("Enter")
        assert reader.page.evaluate(shown) <= 1
        assert reader.page.get_attribute("#unfold", "aria-expanded") == "true"
        reader.answer("1")
        assert reader.page.evaluate(shown) > 100
        assert reader.page.get_attribute("#unfold", "aria-expanded") == "false"


def test_of_a_folded_conversation_the_last_turn_is_seen_and_earlier_ones_unfold_it(make_site, read):
    from penchant.data.records import Message

    turns = [Message(role=role, content="an earlier line\n" * 30) for role in ("user", "assistant") * 3]
    asked = task(0).model_copy(update={"prompt": (*turns, Message(role="user", content="and so the last question"))})
    with served(site := make_site([asked])) as base:
        reader = read(base, site.tokens["ann"], viewport={"width": 390, "height": 844})
        inside = """(text) => {
            const box = document.querySelector('#prompt').getBoundingClientRect();
            const last = [...document.querySelectorAll('#prompt p')].findLast((p) => p.textContent.includes(text));
            const seen = last.getBoundingClientRect();
            return seen.top >= box.top - 1 && seen.bottom <= box.bottom + 1;
        }"""
        assert reader.page.evaluate(inside, "the last question")
        reader.page.evaluate("document.querySelector('#prompt summary').click()")
        reader.until("document.querySelector('#unfold').ariaExpanded === 'true'")
        assert reader.page.evaluate(inside, "an earlier line")


def test_a_short_prompt_has_nothing_to_unfold(site, read):
    with served(site) as base:
        assert read(base, site.tokens["ann"]).page.is_hidden("#unfold")
