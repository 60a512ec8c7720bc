"""What people write about an answer, before a real browser: changed, taken up again, and never thrown away unsaid."""

import json

import pytest

from .conftest import served, task

pytestmark = pytest.mark.slow


def said(site):
    """Current answers as (outcome, strength, reasons, comment), in the order in which they were stored."""
    details = [(c, c.meta["answer"]) for c in site.store.comparisons()]
    return [(c.outcome, c.strength, said["reasons"], said["comment"]) for c, said in details]


def num_stored(site):
    return len(list(site.store.comparisons(current=False)))


def write(reader, text, *leave):
    """Write into the comment, in place of what is there, and leave it."""
    reader.press("c", "Control+a")
    reader.page.keyboard.type(text)
    reader.press(*leave or ("Escape",))


def look_back(reader):
    """At the answer before; only what was saved before counts as said from here on."""
    reader.settle()
    reader.answer("p")
    reader.page.evaluate("() => { document.getElementById('state').textContent = '' }")


def sent(reader):
    return sum(url.endswith("/api/answers") for url in reader.requests)


@pytest.mark.parametrize("leave", ["Escape", "Done"])
def test_a_comment_about_an_earlier_answer_is_saved_and_said(make_site, read, leave):
    site = make_site([task(i) for i in range(3)], strength=True, reasons=["correct", "kind"])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.page.click("text=kind")
        reader.press("1")
        reader.answer("3")
        reader.settle()
        [before] = said(site)
        second = reader.shown
        look_back(reader)
        first = reader.shown
        reader.press("c")
        reader.page.keyboard.type("seen only later 1 x")
        if leave == "Done":
            reader.page.click("text=Done")
        else:
            reader.press("Escape")
        reader.page.wait_for_selector("#state:has-text('Saved')")
        assert reader.shown == first, "leaving the comment is not leaving the pair"
        reader.settle()
        assert said(site) == [(before[0], 3, ["kind"], "seen only later 1 x")]
        reader.answer("n")
        assert reader.shown == second
        reader.settle()
        assert sent(reader) == 2, "saved once"
    old, new = (c.meta["answer"] for c in site.store.comparisons(current=False))
    assert old["key"] != new["key"]
    assert new["flags"] == []
    assert new["seconds"] > 0


@pytest.mark.parametrize("key", ["n", "p", "Escape"])
def test_changed_reasons_of_an_earlier_answer_are_saved_on_going_away(make_site, read, key):
    site = make_site([task(i) for i in range(4)], reasons=["correct", "kind"])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.answer("x")
        reader.answer("0")
        look_back(reader)
        reader.page.click("text=kind")
        reader.answer(key)
        reader.page.wait_for_selector("#state:has-text('Saved')")
        reader.settle()
    assert sorted(said(site)) == [("both_bad", None, [], ""), ("tie", None, ["kind"], "")]
    assert num_stored(site) == 3


def test_looking_at_earlier_answers_without_a_change_sends_nothing(make_site, read):
    site = make_site([task(i) for i in range(4)], reasons=["correct", "kind"])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.page.click("text=kind")
        write(reader, "as it is")
        reader.answer("1")
        reader.answer("0")
        look_back(reader)
        reader.answer("p")
        reader.press("c", "Escape")
        write(reader, " as it is \n")
        reader.page.click("text=correct")
        reader.page.click("text=correct")
        reader.answer("n")
        reader.answer("n")
        reader.settle()
        reader.page.wait_for_timeout(200)
        assert sent(reader) == num_stored(site) == 2
        assert reader.text("#state") == ""


def test_a_comment_about_a_skipped_pair_leaves_it_skipped(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        first = reader.shown
        reader.answer("s")
        look_back(reader)
        assert reader.shown == first
        write(reader, "not my field")
        reader.page.wait_for_selector("#state:has-text('Saved')")
        reader.settle()
        [item] = site.store.history(site.id_of("ann"))
    assert (item.answer.outcome, item.answer.comment) == ("skip", "not my field")
    assert site.store.progress(site.id_of("ann")).answered == 0


def test_a_comment_about_an_earlier_answer_waits_while_there_is_no_network(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.answer("0")
        look_back(reader)
        reader.context.set_offline(True)
        write(reader, "on the train")
        reader.page.wait_for_selector("text=Offline, 1 answer waiting")
        reader.context.set_offline(False)
        reader.page.reload()
        reader.wait()
        reader.settle()
    assert said(site) == [("tie", None, [], "on the train")]


def test_a_comment_written_about_an_earlier_answer_and_then_another_answer_are_both_kept(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.answer("0")
        look_back(reader)
        write(reader, "on second thoughts")
        reader.answer("x")
        reader.settle()
    assert said(site) == [("both_bad", None, [], "on second thoughts")]


def test_undo_while_something_is_written_loses_none_of_it(make_site, read):
    site = make_site([task(i) for i in range(3)], reasons=["correct", "kind"])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        write(reader, "about the first")
        reader.answer("1")
        second = reader.shown
        reader.page.click("text=kind")
        write(reader, "about the second")
        reader.answer("u")
        assert reader.page.input_value("#comment") == "about the first"
        reader.answer("0")
        assert reader.shown == second
        assert reader.page.input_value("#comment") == "about the second"
        reader.answer("x")
        reader.settle()
    assert said(site) == [("tie", None, [], "about the first"), ("both_bad", None, ["kind"], "about the second")]


@pytest.mark.parametrize("forget", ["reload", "language", "reload, then look back"])
def test_undo_gives_back_what_was_written_when_the_page_remembers_nothing(make_site, read, forget):
    site = make_site([task(i) for i in range(3)], reasons=["correct", "kind"])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        first = reader.shown
        reader.page.click("text=kind")
        write(reader, "kept <b>as</b> it was")
        reader.answer("1")
        reader.settle()
        second = reader.shown
        if forget == "language":
            reader.page.click("a[lang|=zh]")
            reader.page.wait_for_selector("html[lang|=zh]")
        else:
            reader.page.reload()
        reader.wait()
        if forget == "reload, then look back":
            reader.answer("p")
            reader.press("u")
            reader.page.wait_for_selector("#looking-back", state="hidden")
        else:
            reader.answer("u")
        assert reader.shown == first
        assert reader.page.input_value("#comment") == "kept <b>as</b> it was"
        assert reader.page.get_attribute("[data-reason=kind]", "aria-pressed") == "true"
        assert reader.page.get_attribute("[data-reason=correct]", "aria-pressed") == "false"
        reader.press("c")
        reader.page.wait_for_selector("#comment:focus")
        reader.press("Escape")
        reader.answer("0")
        assert reader.shown == second
        reader.settle()
    assert said(site) == [("tie", None, ["kind"], "kept <b>as</b> it was")]


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_an_undo_that_waited_over_a_reload_gives_back_what_was_written(site, read, lost):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        first = reader.shown
        write(reader, "before the tunnel")
        reader.answer("1")
        reader.settle()
        tried, is_open = [], []

        def lose(route):
            if is_open:
                route.continue_()
                return
            tried.append(route.fetch() if lost == "reply" and not tried else None)
            route.abort()

        reader.page.route("**/api/undo", lose)
        reader.answer("u")
        reader.page.wait_for_selector("text=Offline, 1 answer waiting")
        reader.page.reload()
        is_open.append(True)
        reader.page.wait_for_selector("body[data-view=pair]")
        reader.settle()
        assert reader.shown == first
        assert reader.page.input_value("#comment") == "before the tunnel"
        reader.problems = [p for p in reader.problems if "ERR_FAILED" not in p]


def test_what_was_written_about_the_open_pair_waits_while_undo_brings_an_older_one(site, read):
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        reader.answer("1")
        reader.settle()
        reader.page.reload()
        reader.wait()
        second = reader.shown
        write(reader, "half a thought")
        reader.answer("u")
        assert reader.page.input_value("#comment") == ""
        reader.answer("0")
        assert reader.shown == second
        assert reader.page.input_value("#comment") == "half a thought"


def test_older_answers_are_found_after_a_comment_on_the_oldest_one_shown(make_site, read):
    site = make_site([task(i) for i in range(26)])
    site.answer_all("ann", ["tie"])
    site.store.add_tasks([task(100)], origin="later")
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        for _ in range(20):
            reader.answer("p")
        write(reader, "the oldest so far")
        reader.page.wait_for_selector("#state:has-text('Saved')")
        reader.settle()
        for _ in range(6):
            reader.answer("p")
        first = reader.shown
        reader.press("p")
        reader.page.wait_for_selector("text=This is the first one")
        assert reader.shown == first


def test_an_undo_tells_only_what_its_own_author_said(make_site):
    site = make_site([task(0)], overlap=2, strength=True, reasons=["kind"])
    site.invite("ben")
    ann, ben = site.visitor("ann"), site.visitor("ben")
    for person, comment in ((ann, "what ann said"), (ben, "what ben said")):
        number = person.get("/api/next").json()["current"]["id"]
        sent = {"strength": 2, "reasons": ["kind"], "comment": comment}
        assert person.answer(number, "right", **sent).status_code == 200
    assert ann.answer(1, "left", comment="ann again").status_code == 200
    reply = ben.send_json("/api/undo", {"key": "undo-of-ben"}).json()
    withdrawn = reply["withdrawn"]
    assert withdrawn.pop("created_at")
    assert withdrawn == {"outcome": "right", "strength": 2, "reasons": ["kind"], "comment": "what ben said"}
    assert "ann" not in json.dumps(reply)
    assert ann.send_json("/api/undo", {"key": "undo-of-ben"}).status_code in (403, 404, 409, 422)
    nothing = ben.send_json("/api/undo", {"key": "another-of-ben"}).json()
    assert nothing["assignment"] is None
    assert nothing["withdrawn"] is None
    reply = ann.send_json("/api/undo", {"key": "undo-of-ann"}).json()
    assert reply["withdrawn"]["comment"] == "ann again"
    assert "ben" not in json.dumps(reply)
