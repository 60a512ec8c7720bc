"""`docs/follow-one-vote.md` says which files a vote passes: every file in which one of our functions runs is named."""

import re
import threading
from pathlib import Path

import pytest

import penchant.feedback

FEEDBACK = Path(penchant.feedback.__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "follow-one-vote.md"
AROUND_THE_ROUTE = "web/security.py"
DRAW_THE_NEXT_PAIR = {"web/views.py", "web/rendering.py"}


@pytest.fixture
def calls():
    """Calls of functions of the package by threads that begin from here on, as (file, function); empty it to begin."""
    made = []

    def note(frame, event, _):
        if event == "call" and (path := Path(frame.f_code.co_filename)).is_relative_to(FEEDBACK):
            made.append((str(path.relative_to(FEEDBACK)), frame.f_code.co_name))

    threading.setprofile(note)
    yield made
    threading.setprofile(None)


@pytest.fixture
def listed():
    return re.findall(r"^\d+\. \*\*`src/penchant/feedback/(.+)`\*\*", PAGE.read_text(encoding="utf-8"), re.M)


def test_a_vote_passes_the_files_that_the_page_names_and_no_other(calls, listed, make_site):
    site = make_site(gold_share=0.1)
    ann = site.visitor("ann")
    first = ann.get("/api/next").json()["current"]["id"]
    calls.clear()
    assert ann.answer(first, "left", comment="clearer").status_code == 200
    begins, goes_on = (i for i, call in enumerate(calls) if call == ("web/annotating.py", "record"))
    assert {file for file, _ in calls[begins:]} == {*listed, *DRAW_THE_NEXT_PAIR, AROUND_THE_ROUTE}
    assert not {file for file, _ in calls[begins:goes_on]} & DRAW_THE_NEXT_PAIR
    assert len(site.answers()) == 1


def test_it_is_seven_files_at_most_and_each_is_short(listed):
    assert len(listed) <= 7
    for file in listed:
        assert len((FEEDBACK / file).read_text(encoding="utf-8").splitlines()) <= 250, file
