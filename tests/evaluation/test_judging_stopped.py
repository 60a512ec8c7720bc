"""A call that ends early keeps every answer that came, wherever its place, and sends nothing more."""

import importlib.util
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from penchant.data import Candidate, Comparison, Message
from penchant.errors import ConfigError
from penchant.evaluation.judges import chat_completions, judge_to_file
from penchant.evaluation.judges.chat_completions import Endpoint
from penchant.evaluation.judges.endpoint import EndpointJudge

spec = importlib.util.spec_from_file_location("fake_endpoint", Path(__file__).with_name("fake_endpoint.py"))
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

GUARD = 30
MANY = [
    Comparison(
        id=str(i),
        prompt=(Message(role="user", content=f"Ask {i}."),),
        a=Candidate(text="short"),
        b=Candidate(text="rather longer"),
    )
    for i in range(20)
]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(chat_completions, "FIRST_PAUSE", 0.0)


def finish():
    for thread in [thread for thread in threading.enumerate() if thread.name == "call_concurrently"]:
        thread.join(GUARD)
        assert not thread.is_alive()


@pytest.mark.parametrize("fault", ["a question that fails", "Ctrl-C"])
def test_answers_behind_one_that_is_missing_are_kept(tmp_path, fault):
    others = threading.Event()

    def reply(body):
        if "Ask 1." not in body["messages"][-1]["content"]:
            return fake.shorter(body)
        assert others.wait(GUARD)
        return 401, "no", {}

    def progress(done, total):
        if done == 19:
            if fault == "Ctrl-C":
                raise KeyboardInterrupt
            others.set()

    with fake.fake_endpoint(reply) as server:
        judge = EndpointJudge(Endpoint(server.base, "judge-1"), concurrency=2)
        with pytest.raises((ConfigError, KeyboardInterrupt)):
            judge_to_file(judge, MANY, tmp_path / "votes.jsonl", on_progress=progress)
        others.set()
        finish()
        server.reply, server.asked[:] = fake.shorter, []
        votes = judge_to_file(judge, MANY, tmp_path / "votes.jsonl", resume=True)
    assert len(server.asked) == 2  # of 20 comparisons, the one that was missing
    assert [(vote.id, vote.outcome) for vote in votes] == [(str(i), "a") for i in range(20)]


def test_after_a_stop_the_other_order_is_not_asked_either():
    silent = threading.Event()

    def reply(body):
        if not any(quick in body["messages"][-1]["content"] for quick in ("Ask 0.", "Ask 3.")):
            assert silent.wait(GUARD)
        return fake.shorter(body)

    with fake.fake_endpoint(reply) as server:
        judge = EndpointJudge(Endpoint(server.base, "judge-1"), concurrency=3)
        with closing(judge.answers(MANY)) as answers:
            assert [next(answers)[0] for _ in range(2)] == [0, 3]
            until = time.monotonic() + GUARD
            while len(server.asked) < 7 and time.monotonic() < until:  # both of 0 and 3, the first of 1, 2 and 4
                time.sleep(0.001)
        silent.set()
        finish()
        assert len(server.asked) == 7
