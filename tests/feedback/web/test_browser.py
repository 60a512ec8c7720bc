"""People before a real browser: nothing they say is lost or counted twice, and nothing a model wrote can act."""

import re
import time

import pytest

from .conftest import Reader, served, task

pytestmark = pytest.mark.slow

HOSTILE = "\n\n".join(
    [
        "<script>document.title='taken'; alert(1)</script>",
        "<img src='https://elsewhere.example/a.png' onerror='alert(2)'>",
        "<svg onload=alert(3)><animate onbegin=alert(4) attributeName=x dur=1s>",
        "<iframe src='https://elsewhere.example/b'></iframe><object data='https://elsewhere.example/c'></object>",
        "<link rel=stylesheet href='https://elsewhere.example/d.css'><style>body{display:none}</style>",
        "<form action='https://elsewhere.example/e'><button autofocus onfocus=alert(5)>x</button></form>",
        "<meta http-equiv=refresh content='0;url=https://elsewhere.example/f'><base href='https://elsewhere.example/'>",
        "[click](javascript:alert(6)) [data](data:text/html,<script>alert(7)</script>) ![x](https://elsewhere.example/g.png)",
        "<a href='javascript:alert(8)' autofocus onfocus='alert(9)'>x</a>",
        "\x1b[31mred\x1b[0m \u202egpj.exe\u202c nul\x00here",
        "```html\n</code></pre><script>alert(10)</script>\n```",
        "$</span><script>alert(11)</script>$",
    ]
)


def test_thirty_pairs_are_answered_by_keyboard_alone(make_site, read):
    site = make_site([task(i) for i in range(30)])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        for key in ("1", "a", "ArrowLeft", "2", "b", "ArrowRight", "0", "t", "x", "x") * 3:
            reader.answer(key)
        reader.page.wait_for_selector("body[data-view=end]")
        reader.settle()
        assert "Thank you" in reader.text("#ending")
        assert "30" in reader.text("#ending-figures")
        assert re.search(r"Saved \d\d:\d\d:\d\d", reader.text("#state"))
    answers = site.answers()
    assert len(answers) == 30
    placed = [outcome if outcome in ("tie", "both_bad") else outcome == first for _, _, outcome, first in answers]
    assert placed == [True, True, True, False, False, False, "tie", "tie", "both_bad", "both_bad"] * 3


def test_the_next_pair_is_there_in_the_next_frame(make_site, read):
    """No answer waits for the server: the pair after it was fetched before."""
    site = make_site([task(i, a="word " * 500, b="more " * 500) for i in range(8)])
    press = """() => new Promise((done) => {
        const shown = document.body.dataset, before = shown.assignment;
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "1", bubbles: true }));
        requestAnimationFrame(() => setTimeout(() => done(shown.view === "pair" && shown.assignment !== before)));
    })"""
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        for _ in range(5):
            reader.page.wait_for_timeout(400)
            assert reader.page.evaluate(press)


def test_undo_asks_the_same_pair_again(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        first = reader.shown
        reader.answer("1")
        reader.settle()
        reader.answer("u")
        assert reader.shown == first
        reader.settle()
        assert site.answers() == []
        reader.answer("2")
        reader.settle()
    [(_, _, outcome, shown_first)] = site.answers()
    assert outcome != shown_first


def test_undo_works_after_a_reload_too(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        first = reader.shown
        reader.answer("1")
        reader.settle()
        reader.page.reload()
        reader.wait()
        reader.answer("z")
        assert reader.shown == first
        reader.settle()
    assert site.answers() == []


def test_going_back_shows_an_answer_and_another_key_changes_it(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        first = reader.shown
        reader.answer("1")
        reader.answer("0")
        reader.settle()
        third = reader.shown
        reader.page.reload()
        reader.wait()
        reader.answer("Backspace")
        reader.answer("p")
        assert reader.shown == first
        assert "You answered A is better" in reader.text("#looking-back")
        assert reader.page.get_attribute("[data-action=left]", "aria-pressed") == "true"
        reader.answer("x")
        reader.answer("n")
        reader.settle()
        assert reader.shown == third
    assert sorted(outcome for _, _, outcome, _ in site.answers()) == ["both_bad", "tie"]


def test_strength_reasons_and_comment_go_with_the_answer(make_site, read):
    site = make_site([task(0), task(1)], strength=True, reasons=["correct", "kind"])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.page.click("text=kind")
        reader.press("c")
        reader.page.keyboard.type("because 1 2 x")
        reader.press("Escape", "1")
        assert reader.page.is_visible("text=How much better?")
        reader.press("Escape", "2")
        reader.answer("4")
        reader.settle()
    [found] = list(site.store.comparisons())
    assert found.strength == 4
    assert found.outcome != found.shown_first
    assert found.meta["answer"]["reasons"] == ["kind"]
    assert found.meta["answer"]["comment"] == "because 1 2 x"


def test_answers_given_without_a_network_survive_a_reload_and_count_once(make_site, read):
    site = make_site([task(i) for i in range(6)])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.answer("1")
        reader.settle()
        reader.page.wait_for_timeout(300)
        reader.context.set_offline(True)
        reader.answer("2")
        reader.press("0")
        reader.page.wait_for_selector("body[data-view=offline]")
        assert "Offline, 2 answers waiting" in reader.text("#state")
        reader.answer("p")
        reader.answer("p")
        reader.answer("x")
        reader.page.wait_for_selector("text=Offline, 3 answers waiting")
        assert len(site.answers()) == 1
        reader.context.set_offline(False)
        reader.page.reload()
        reader.wait()
        reader.settle()
        assert len(site.answers()) == 3
        reader.page.reload()
        reader.wait()
        for key in "1111":
            if reader.view == "pair":
                reader.answer(key)
        reader.settle()
    assert len(site.answers()) == 6
    assert len({task_id for task_id, *_ in site.answers()}) == 6
    keys = [c.meta["answer"]["key"] for c in site.store.comparisons(current=False)]
    assert len(keys) == len(set(keys)) <= 7


def test_answers_are_sent_by_themselves_when_the_network_is_back(make_site, read):
    site = make_site([task(i) for i in range(4)])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.page.wait_for_timeout(300)
        reader.context.set_offline(True)
        reader.answer("1")
        reader.press("2")
        reader.page.wait_for_selector("text=Offline, 2 answers waiting")
        reader.context.set_offline(False)
        reader.page.wait_for_selector("body[data-view=pair]")
        reader.settle()
    assert len(site.answers()) == 2


def test_answers_that_wait_are_sent_after_a_new_link_too(make_site, chromium):
    site = make_site([task(i) for i in range(4)])
    with served(site) as base:
        reader = Reader(chromium, base, site.tokens["ann"])
        reader.page.wait_for_timeout(300)
        reader.context.set_offline(True)
        reader.answer("1")
        reader.page.wait_for_selector("text=Offline, 1 answer waiting")
        link = site.invite("ann")  # the old one works no more
        reader.context.set_offline(False)
        reader.page.goto(f"{base}/join/{link}")
        reader.page.wait_for_url(f"{base}/")
        reader.wait()
        reader.settle()
        assert len(site.answers()) == 1
        reader.page.goto(f"{base}/join/{site.tokens['boss']}")
        reader.page.click("#replace")
        reader.page.wait_for_url(f"{base}/")
        assert reader.page.get_attribute("body", "data-queue") == "0", "another person sends nothing of hers"
        reader.context.close()


def test_a_browser_that_can_keep_nothing_still_sends(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.page.wait_for_timeout(300)
        reader.page.evaluate("() => { Storage.prototype.setItem = () => { throw new DOMException('full') } }")
        reader.answer("1")
        reader.settle()
    assert len(site.answers()) == 1


def test_an_answer_whose_reply_was_lost_is_counted_once(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.page.wait_for_timeout(200)
        lost = []

        def lose_the_reply(route):
            if not lost:
                lost.append(route.fetch().status)
                route.abort()
            else:
                route.continue_()

        reader.page.route("**/api/answers", lose_the_reply)
        reader.answer("1")
        reader.settle()
        assert lost == [200]
        reader.problems = [p for p in reader.problems if "ERR_FAILED" not in p]
    assert len(site.answers()) == 1
    assert len(list(site.store.comparisons(current=False))) == 1


def test_an_answer_that_is_refused_is_said_and_holds_up_nothing(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.page.wait_for_timeout(200)
        number = int(reader.shown)
        reader.page.evaluate(
            """(name) => {
                const body = { key: "from-elsewhere", assignment_id: 999, outcome: "left", seconds: 1 };
                localStorage.setItem(`penchant.queue.${name}`, JSON.stringify([{ path: "/api/answers", body }]));
            }""",
            reader.page.get_attribute("body", "data-queue-name"),
        )
        reader.page.reload()
        reader.wait()
        reader.page.wait_for_selector("text=Not saved:")
        assert int(reader.shown) == number
        reader.answer("1")
        reader.settle()
        reader.problems = [p for p in reader.problems if "404" not in p]
    assert len(site.answers()) == 1


def test_hostile_output_is_shown_as_text_and_does_nothing(make_site, read):
    site = make_site([task(0, a=HOSTILE, b=HOSTILE[::-1], prompt=HOSTILE)])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        page = reader.page
        page.evaluate("addEventListener('securitypolicyviolation', (e) => console.error('policy', e.blockedURI))")
        for _ in range(3):
            reader.press("r")
            page.wait_for_timeout(150)
        reader.press("r")
        shown = reader.text("#pair")
        for part in ("<script>document.title='taken'", "<svg onload=alert(3)>", "<U+202E>", "<U+001B>[31m", "<U+0000>"):
            assert part in shown
        for link in page.query_selector_all(".text a"):
            assert link.get_attribute("href").startswith("https://")
        names = ["script", "img", "svg", "iframe", "object", "link", "style", "form", "meta", "base", "input"]
        acting = [f".text {name}" for name in [*names, "[onload]", "[onerror]", "[onfocus]", "[style]", "[srcdoc]"]]
        assert page.locator(", ".join(acting)).count() == 0
        assert page.title() != "taken"
        assert page.url == f"{base}/"
        assert all(url.startswith((base, "data:")) for url in reader.requests)


def test_a_megabyte_is_cut_and_shown_whole_without_freezing(make_site, read):
    site = make_site([task(0, a="line of text \n" * 75_000, b="short")])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        assert len(reader.page.inner_text("#pair")) < 40_000
        reader.page.evaluate(
            """() => {
                window.longest = 0;
                let last = performance.now();
                const tick = () => {
                    const now = performance.now();
                    window.longest = Math.max(window.longest, now - last);
                    last = now;
                    requestAnimationFrame(tick);
                };
                tick();
            }"""
        )
        reader.page.click("button.more")
        reader.until("document.querySelectorAll('.piece').length === 66")
        assert reader.page.evaluate("window.longest") < 1000
        total = "[...document.querySelectorAll('.piece')].reduce((n, e) => n + e.textContent.length, 0)"
        assert reader.page.evaluate(total) == len("line of text \n") * 75_000 + len(" 0")
        reader.answer("1")
        reader.settle()


def test_the_language_follows_the_browser_and_the_switch(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"], locale="zh-CN")
        assert reader.page.get_attribute("html", "lang") == "zh-CN"
        assert "一样好" in reader.text()
        before = reader.shown
        reader.page.click("a[lang=en]")
        reader.wait()
        assert reader.page.get_attribute("html", "lang") == "en"
        assert reader.shown == before
        reader.page.goto(base)
        reader.wait()
        assert "Both bad" in reader.text()


def test_two_people_at_once_never_share_a_pair_beyond_the_overlap(make_site, read):
    site = make_site([task(i) for i in range(10)], overlap=1)
    site.invite("ben")
    with served(site) as base:
        pair = [read(base, site.tokens[name]) for name in ("ann", "ben")]
        for _ in range(12):
            for reader in pair:
                if reader.view == "pair":
                    reader.answer("1")
        for reader in pair:
            reader.settle()
    tasks = [task_id for task_id, *_ in site.answers()]
    assert len(tasks) == len(set(tasks)) == 10
    assert {name for _, name, *_ in site.answers()} == {"ann", "ben"}


def test_the_admin_page_invites_shows_figures_and_settles_disagreements(make_site, read):
    site = make_site([task(0), task(1)], overlap=2)
    site.invite("ben")
    site.answer_all("ann", ["first"])
    site.answer_all("ben", ["tie"])
    with served(site) as base:
        reader = read(base, site.tokens["boss"])
        page = reader.page
        page.goto(f"{base}/admin")
        assert "4 / 4" in reader.text(".tiles")
        page.fill("input[name=name]", "Zoe <b>")
        page.click("text=Invite >> nth=-1")
        page.wait_for_selector("#link-box:not([hidden])")
        link = page.input_value("#link")
        assert read(base, link.rsplit("/", 1)[1]).view in ("pair", "end")
        page.goto(f"{base}/admin/adjudicate")
        page.click("[data-outcome=left] >> nth=0")
        page.wait_for_selector("text=Saved")
        page.reload()
        assert "1 of 2 wait" in reader.text("#announce")
    assert any(person.name == "Zoe <b>" for person in site.store.annotators())


# how it looks

LOOKS = """() => {
  const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return { c: n.slice(0, 3), a: n[3] ?? 1 }; };
  const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const b = parse(getComputedStyle(e).backgroundColor);
    if (b.a > 0.99) return b.c; } return [255, 255, 255]; };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest('.unseen-text, .skip-link')) continue;
    const [x, y] = [light(parse(getComputedStyle(e).color).c), light(behind(e))].sort((p, q) => q - p);
    const ratio = (x + 0.05) / (y + 0.05);
    if (ratio < 4.5) poor.push([walk.currentNode.data.trim().slice(0, 30), ratio.toFixed(2)]);
  }
  return poor;
}"""

RICH = f"""# Head

`code` and $x$ and [link](https://a.example) \u202e

> quote

```python
long = "{"x" * 300}"
```

|a|b|
|-|-|
|1|2|
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1440])
def test_pages_fit_their_width_and_text_stands_out(make_site, read, width, scheme):
    site = make_site(
        [task(0, a=RICH, b="y" * 500, prompt="z" * 300), task(1)], overlap=3, strength=True, reasons=["one", "two"],
        guidelines="# Guide",
    )  # fmt: skip
    site.invite("ben")
    site.answer_all("ann", ["both_bad"])
    site.answer_all("ben", ["tie"])
    options = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme}
    with served(site) as base:
        reader = read(base, site.tokens["boss"], **options)

        def check():
            assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert reader.page.evaluate(LOOKS) == []

        check()
        for keys in (["c"], ["Escape", "1"], ["2", "p"], ["?"], ["Escape", "g"]):
            reader.press(*keys)
            reader.page.wait_for_timeout(150)
            check()
        for path in ("/admin", "/admin/adjudicate", "/nothing"):
            reader.page.goto(base + path)
            check()
        reader.problems = [p for p in reader.problems if "404" not in p]


def test_on_a_phone_the_other_response_is_one_touch_away(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"], viewport={"width": 390, "height": 844}, has_touch=True)
        where = "document.querySelector('#right').getBoundingClientRect().left"
        assert reader.page.evaluate(where) >= 390
        reader.page.tap("#tab-right")
        reader.until(f"{where} < 40")
        reader.page.wait_for_selector("#tab-right[aria-pressed=true]")
        reader.page.tap("[data-action=right]")
        reader.until("document.querySelector('#responses').scrollLeft === 0")
        reader.settle()
    [(_, _, outcome, first)] = site.answers()
    assert outcome != first


def test_the_page_can_be_walked_with_the_tab_key_and_names_everything(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        seen = []
        for _ in range(30):
            reader.press("Tab")
            seen.append(reader.page.evaluate("document.activeElement.textContent.trim().replace(/\\s+/g, ' ')"))
        words = [w for w in seen if w]
        order = ["Skip to the pair", "Keys ?", "中文", "Undo U", "1 A is better", "B is better 2", "Skip S"]
        assert [words.index(word) for word in order] == sorted(words.index(word) for word in order)
        reader.page.keyboard.press("Shift+Tab")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert reader.page.evaluate(outline) == "solid"
        for role in ("banner", "main", "navigation", "progressbar"):
            assert reader.page.get_by_role(role).count() >= 1
        unnamed = """[...document.querySelectorAll('button, a, textarea, [role=progressbar]')].filter((e) =>
            e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"""
        assert reader.page.evaluate(unnamed) == 0
        assert reader.page.locator("[aria-live=polite]").count() == 2


def test_keys_and_guidelines_open_by_a_click_too(make_site, read):
    site = make_site([task(0)], guidelines="# Guide")
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        for name in ("keys", "guidelines"):
            reader.page.click(f"header [data-action={name}]")
            opened = reader.page.locator(f"#{name}[open]")
            assert opened.count() == 1
            reader.page.click(f"#{name} .close")
            assert opened.count() == 0


def test_a_held_key_answers_once_and_typing_answers_nothing(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        before = reader.shown
        reader.press("c")
        reader.page.keyboard.type("a b x 1 2")
        reader.press("Control+a")
        assert reader.shown == before
        reader.press("Escape")
        reader.page.keyboard.down("1")
        for _ in range(5):
            reader.page.keyboard.down("1")
        reader.page.keyboard.up("1")
        time.sleep(0.3)
        reader.settle()
    assert len(site.answers()) == 1
