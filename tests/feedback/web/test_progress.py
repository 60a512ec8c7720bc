"""How far one is, as annotators are told: nothing of it tells a known pair or a repeat from any other."""

import pytest

from penchant.feedback.asking import desk
from penchant.feedback.asking.choosing import choose

from .conftest import Reader, served, task

pytestmark = pytest.mark.slow

SHARES = {"gold_share": 0.2, "repeat_share": 0.1}


@pytest.fixture
def drawn(monkeypatch):
    """`drawn("main", "gold")`: of which kind the pairs are that are fetched from now on; after these, main ones."""

    def plan(*kinds):
        remaining = iter(kinds)

        def chosen(main, gold, repeats, **how):
            kind = next(remaining, "main")
            shares = {"gold_share": float(kind == "gold"), "repeat_share": float(kind == "repeat")}
            choice = choose(main, gold, repeats, **how | shares)
            assert choice is None or choice.kind == kind
            return choice

        monkeypatch.setattr(desk, "choose", chosen)

    return plan


def with_known(make_site, num_tasks, num_known, **config):
    site = make_site([task(i) for i in range(num_tasks)], **config)
    site.store.add_tasks([task(100 + i, outcome="a") for i in range(num_known)], origin="test", gold=True)
    return site


def walk(site, num):
    """What every reply says of progress while somebody answers, skips and undoes, but for the time on the clock."""
    ann, said = site.visitor("ann"), []
    for step in range(num):
        reply = ann.get("/api/next").json()
        said += [reply["progress"], ann.get("/api/progress").json()]
        outcome = "skip" if step % 7 == 6 else "left"
        said.append(ann.answer(reply["current"]["id"], outcome).json()["progress"])
        if step % 5 == 4:
            said.append(ann.send_json("/api/undo", {"key": f"undo-number-{step}"}).json()["progress"])
    return [{name: value for name, value in progress.items() if name != "per_hour"} for progress in said]


def test_fetching_a_known_pair_or_a_repeat_and_answering_it_moves_progress_as_any_other_pair_does(make_site, drawn):
    plans = {"main": [], "gold": ["main", "gold", "main"] * 9, "repeat": ["main"] * 18 + ["repeat", "main"] * 4}
    told = {}
    for kind, plan in plans.items():
        site = with_known(make_site, 60, 12, **SHARES)
        drawn(*plan)
        told[kind] = walk(site, 30)
        kinds = {c.meta["answer"]["kind"] for c in site.store.comparisons()}
        assert kinds == {"main", kind}
    assert told["gold"] == told["main"]
    assert told["repeat"] == told["main"]
    assert {progress["total"] for progress in told["main"]} == {None}
    left = [progress["about_left"] for progress in told["main"]]
    assert all(number % 10 == 0 for number in left)
    assert left[0] == 60 > left[-1] > 0


def test_at_the_end_nothing_is_left_and_not_before(make_site, drawn):
    site = with_known(make_site, 3, 2, **SHARES)
    drawn("gold", "main", "main", "gold", "main")
    ann, left = site.visitor("ann"), []
    while current := (reply := ann.get("/api/next").json())["current"]:
        left.append(reply["progress"]["about_left"])
        last = ann.answer(current["id"], "left").json()["progress"]
    assert left == [10] * 5
    assert (last["answered"], last["about_left"]) == (5, 0)


def test_without_known_pairs_and_repeats_the_number_is_exact(make_site):
    site = with_known(make_site, 23, 2)
    assert site.visitor("ann").get("/api/next").json()["progress"]["total"] == 23


@pytest.mark.parametrize(("locale", "words"), [("en-US", "0 answered, about 30 left"), ("zh-CN", "已答 0，约剩 30")])
def test_the_page_says_about_how_many_are_left(make_site, chromium, locale, words):
    site = with_known(make_site, 23, 2, **SHARES)
    with served(site) as base:
        reader = Reader(chromium, base, site.tokens["ann"], locale=locale)
        assert reader.text("#progress") == words
        assert reader.page.get_attribute("#bar", "aria-valuemax") == "30"
        reader.answer("1")
        reader.settle()
        assert reader.text("#progress").startswith(words.replace("0", "1", 1))
        assert reader.problems == []
        reader.context.close()
