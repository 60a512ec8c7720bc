"""A reply that cannot be read is a tie; where none of the first can be, the settings are at fault."""

import importlib.util
import json
from pathlib import Path

import pytest

from penchant.data import Candidate, Comparison, Message
from penchant.errors import ConfigError
from penchant.evaluation.judges import judge_to_file, tally
from penchant.evaluation.judges.chat_completions import Endpoint
from penchant.evaluation.judges.endpoint import MAX_SHOWN, REFUSED_AT_FIRST, EndpointJudge

spec = importlib.util.spec_from_file_location("fake_endpoint", Path(__file__).with_name("fake_endpoint.py"))
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

KEY = "sk-secret-0123456789"
REFUSED = (400, "too long", {})
MANY = [
    Comparison(
        id=f"id-{i}",
        prompt=(Message(role="user", content=f"Ask {i}."),),
        a=Candidate(text="short"),
        b=Candidate(text="rather longer"),
    )
    for i in range(12)
]


def judge_of(server, key=None):
    return EndpointJudge(Endpoint(server.base, "judge-1", key), concurrency=4)


def saying(reply, *numbers):
    """A server that says this on these comparisons."""
    marks = [f"Ask {number}." for number in numbers]
    return lambda body: reply if any(mark in body["messages"][-1]["content"] for mark in marks) else fake.shorter(body)


def test_where_none_can_be_read_it_ends_and_shows_the_first(tmp_path):
    with fake.fake_endpoint(lambda body: "Both have\ntheir merits.") as server:
        with pytest.raises(
            ConfigError, match=r"about 8 comparisons can be read, .* the first reply was 'Both have"
        ) as e:
            judge_to_file(judge_of(server), MANY, tmp_path / "votes.jsonl")
        assert len(server.asked) == 2 * REFUSED_AT_FIRST
    assert "as the last line must be FIRST, SECOND, TIE or NEITHER alone; the first" in str(e.value)
    assert "'Both have\\ntheir merits.'; give other `instructions=...`, or another `judge_model=...`" in str(e.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow(threads=1)
def test_what_is_shown_is_short_and_holds_neither_the_key_nor_what_moves_the_cursor(tmp_path):
    for reply, shown in (
        (f"\x1b[31m\u202e\ud800 {KEY} no", "'\\x1b[31m\\u202e\\ud800 *** no'"),
        ("x" * (MAX_SHOWN - 5) + KEY, "'" + "x" * (MAX_SHOWN - 5) + "***'"),
        ("y" * 300, "'" + "y" * MAX_SHOWN + "...'"),
        ("  \n", "empty"),
    ):
        with fake.fake_endpoint(lambda body, reply=reply: reply) as server, pytest.raises(ConfigError) as raised:
            judge_to_file(judge_of(server, KEY), MANY, tmp_path / "votes.jsonl")
        assert f"the first reply was {shown}; give" in str(raised.value)
        assert KEY[:5] not in str(raised.value)


@pytest.mark.parametrize("unreadable", [[3], list(range(REFUSED_AT_FIRST - 1)), list(range(1, 12))], ids=str)
def test_one_that_can_be_read_makes_ties_of_the_others(tmp_path, unreadable):
    with fake.fake_endpoint(saying("Hm.", *unreadable)) as server:
        votes = judge_to_file(judge_of(server), MANY, tmp_path / "votes.jsonl")
    assert [vote.outcome for vote in votes] == ["tie" if i in unreadable else "a" for i in range(12)]
    assert tally(votes).num_unreadable == len(unreadable)


def test_a_judge_that_has_no_text_for_a_question_cannot_be_read_there(tmp_path):
    textless = 200, '{"choices": [{"message": {"content": null}, "finish_reason": "length"}]}', {}
    with fake.fake_endpoint(saying(textless, 3)) as server:
        votes = judge_to_file(judge_of(server), MANY, tmp_path / "votes.jsonl")
    assert [vote.outcome for vote in votes] == ["tie" if i == 3 else "a" for i in range(12)]


def test_a_few_that_cannot_be_read_are_ties():
    with fake.fake_endpoint(lambda body: "Hm.") as server:
        judgements = list(judge_of(server).answers(MANY[: REFUSED_AT_FIRST - 1]))
    assert [one.details for _, one in judgements] == [{"orders": [None, None]}] * (REFUSED_AT_FIRST - 1)


def test_refused_and_unreadable_count_together(tmp_path):
    reply = saying("Hm.", *range(3, 12))
    with fake.fake_endpoint(lambda body: REFUSED if reply(body) != "Hm." else "Hm.") as server:
        with pytest.raises(ConfigError, match=r"8 comparisons can be read, .* first reply was 'Hm\.'"):
            judge_to_file(judge_of(server), MANY, tmp_path / "votes.jsonl")
        assert len(server.asked) == 3 + 2 * 5


def test_unreadable_ones_of_an_earlier_call_are_no_answers(tmp_path):
    with fake.fake_endpoint(lambda body: "Hm.") as server:
        judge = judge_of(server)
        row = MANY[0].model_dump(mode="json", exclude_none=True)
        row |= {"outcome": "tie", "annotator": f"stand-in:{judge.name}", "meta": {"judge": {"orders": [None, None]}}}
        (tmp_path / ".votes.jsonl.answering").write_text(json.dumps(row) + "\n", encoding="utf-8")
        with pytest.raises(ConfigError, match="8 comparisons can be read"):
            judge_to_file(judge, MANY, tmp_path / "votes.jsonl", resume=True)
