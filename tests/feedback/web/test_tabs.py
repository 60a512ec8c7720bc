"""Two tabs of one person: one takes answers, the other says so and can take over."""

import pytest

from .conftest import served, task

pytestmark = pytest.mark.slow


@pytest.fixture
def tabs(make_site, read):
    """A site, its reader, and a second tab in the same browser."""
    site = make_site([task(i) for i in range(4)])
    with served(site) as base:
        reader = read(base, site.tokens["ann"])
        second = reader.context.new_page()
        second.goto(base)
        second.wait_for_selector("body[data-view=pair]")
        yield site, reader, second


def wait_for(page, view):
    page.wait_for_selector(f"body[data-view={view}]")
    page.wait_for_function("() => !(performance.now() < Number(document.body.dataset.listensFrom))")


def test_the_older_tab_says_so_and_takes_no_answer(tabs):
    site, reader, second = tabs
    wait_for(reader.page, "elsewhere")
    assert "You are answering in another tab" in reader.text()
    assert reader.page.is_hidden("#pair")
    for key in ("1", "x", "s", "u", "p", "n", "r", "c"):
        reader.press(key)
    assert reader.view == "elsewhere"
    reader.settle()
    assert site.answers() == []
    wait_for(second, "pair")
    second.keyboard.press("1")
    second.wait_for_selector("text=Saved")
    assert len(site.answers()) == 1


def test_going_on_here_asks_what_the_other_tab_has_left_and_silences_it(tabs):
    site, reader, second = tabs
    wait_for(second, "pair")
    answered = second.get_attribute("body", "data-assignment")
    second.keyboard.press("1")
    second.wait_for_selector("text=Saved")
    reader.page.click("#go-on-here")
    wait_for(reader.page, "pair")
    wait_for(second, "elsewhere")
    assert reader.shown != answered
    while reader.view == "pair":
        reader.answer("2")
    reader.settle()
    tasks = [task_id for task_id, *_ in site.answers()]
    assert len(tasks) == len(set(tasks)) == 4
    assert len(list(site.store.comparisons(current=False))) == 4, "nothing was answered twice"


def test_another_person_in_another_browser_disturbs_nobody(site, read):
    with served(site) as base:
        first, second = read(base, site.tokens["ann"]), read(base, site.tokens["boss"])
        assert first.view == second.view == "pair"
