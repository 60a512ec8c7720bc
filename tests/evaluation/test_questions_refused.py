"""A question that the server refuses is a tie; where it refuses every one, the settings are at fault."""

import importlib.util
import threading
from pathlib import Path

import pytest

from penchant.data import Candidate, Comparison, Message
from penchant.errors import ConfigError
from penchant.evaluation.judges import chat_completions, judge_to_file, read_comparisons, tally
from penchant.evaluation.judges.chat_completions import Endpoint
from penchant.evaluation.judges.endpoint import REFUSED_AT_FIRST, EndpointJudge

spec = importlib.util.spec_from_file_location("fake_endpoint", Path(__file__).with_name("fake_endpoint.py"))
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

TOO_LONG = (400, '{"error": {"message": "too long \\ud800"}}', {})
WHY = {"unreadable": "HTTP 400: too long ?"}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(chat_completions, "FIRST_PAUSE", 0.0)


def comparison(number, a="short", b="rather longer"):
    ask = Message(role="user", content=f"Ask {number}.")
    return Comparison(id=f"id-{number}", prompt=(ask,), a=Candidate(text=a), b=Candidate(text=b))


MANY = [comparison(i) for i in range(12)]


def judge_of(server, concurrency=4):
    return EndpointJudge(Endpoint(server.base, "judge-1"), concurrency=concurrency)


def refusing(*numbers):
    """A server that takes no question on these comparisons."""
    marks = [f"Ask {number}." for number in numbers]

    def reply(body):
        return TOO_LONG if any(mark in body["messages"][-1]["content"] for mark in marks) else fake.shorter(body)

    return reply


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("refused", [[7], [0], list(range(REFUSED_AT_FIRST - 1)), [11]], ids=str)
def test_one_that_is_refused_is_a_tie_wherever_it_stands_and_all_others_are_answered(tmp_path, refused, concurrency):
    with fake.fake_endpoint(refusing(*refused)) as server:
        votes = judge_to_file(judge_of(server, concurrency), MANY, tmp_path / "votes.jsonl")
    assert [vote.outcome for vote in votes] == ["tie" if i in refused else "a" for i in range(12)]
    assert [i for i, vote in enumerate(votes) if vote.meta["judge"] == WHY] == refused
    assert votes == read_comparisons(tmp_path / "votes.jsonl")
    counts = tally(votes)
    assert counts.num_unreadable == counts.num_refused == len(refused)
    assert counts.num_in_both_orders == 12 - len(refused)
    assert len(server.asked) == 2 * 12 - len(refused)  # neither again, nor in the other order


def test_one_that_is_refused_in_one_order_alone_keeps_the_place_of_the_other_and_counts_as_refused(tmp_path):
    def reply(body):
        return TOO_LONG if fake.shown(body)[0] == "rather longer" else "FIRST"

    with fake.fake_endpoint(reply) as server:
        votes = judge_to_file(judge_of(server), MANY, tmp_path / "votes.jsonl")
    assert [vote.meta["judge"] for vote in votes] == [{"orders": ["first", None]} | WHY] * 12
    counts = tally(votes)
    assert (counts.outcomes["tie"], counts.num_refused, counts.num_unreadable) == (12, 12, 12)
    assert counts.position_bias is None


@pytest.mark.parametrize("concurrency", [1, 4])
def test_where_every_question_is_refused_it_ends_with_the_first_ones_id(tmp_path, concurrency):
    same = [comparison("same", "text", "text")]
    for rows, num_asked in ((same + MANY, REFUSED_AT_FIRST), (MANY[:2] + same, 2)):
        words = rf"refused comparison 'id-0' \(HTTP 400: too long \?\) and answered none of the {num_asked} comp"
        with fake.fake_endpoint(lambda body: TOO_LONG) as server, pytest.raises(ConfigError, match=words):
            judge_to_file(judge_of(server, concurrency), rows, tmp_path / "votes.jsonl")
        assert len(server.asked) == num_asked
        assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_call_had_answered_counts(tmp_path):
    dead = threading.Event()

    def dies(body):
        return (401, "no", {}) if dead.is_set() else fake.shorter(body)

    with fake.fake_endpoint(dies) as server:
        with pytest.raises(ConfigError, match="asks for a key"):
            judge_to_file(judge_of(server, 1), MANY, tmp_path / "v.jsonl", on_progress=lambda done, total: dead.set())
        server.reply = lambda body: TOO_LONG
        votes = judge_to_file(judge_of(server, 1), MANY, tmp_path / "v.jsonl", resume=True)
    counts = tally(votes)
    assert (votes[0].outcome, counts.num_refused) == ("a", 11)


def test_until_one_is_answered_they_are_asked_one_at_a_time():
    under_way, most, lock = [0], [], threading.Lock()
    refuse = refusing(0, 1, 2)

    def reply(body):
        with lock:
            under_way[0] += 1
            most.append(under_way[0])
        answer = refuse(body)
        with lock:
            under_way[0] -= 1
        return answer

    with fake.fake_endpoint(reply) as server:
        assert len(list(judge_of(server, 4).answers(MANY))) == 12
    order = [int(body["messages"][-1]["content"].split("Ask ")[1].split(".")[0]) for body in server.asked]
    assert order[:5] == [0, 1, 2, 3, 3]
    assert most[:5] == [1] * 5
