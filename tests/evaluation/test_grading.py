"""A language model that grades single responses: asked once about each, and never guessed for."""

import importlib.util
from pathlib import Path

import pytest

from penchant.data import Message
from penchant.errors import ConfigError
from penchant.evaluation.judges.chat_completions import Endpoint
from penchant.evaluation.judges.grading import EndpointScorer, read_grade

spec = importlib.util.spec_from_file_location("fake_endpoint", Path(__file__).with_name("fake_endpoint.py"))
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

ASKED = [((Message(role="user", content="Where?"),), text) for text in ("Here.", "Over there, by the sea.", "No.")]


def of_length(body):
    text = body["messages"][-1]["content"]
    return f"It is an answer.\n{min(len(text) % 10, 9)}"


def test_every_response_has_its_own_grade_in_order():
    with fake.fake_endpoint(of_length) as server:
        scorer = EndpointScorer(Endpoint(server.base, "judge-1", None))
        together = scorer.scores(ASKED)
        assert together == [scorer.score("Where?", text) for _, text in ASKED]
    assert len(server.asked) == 6
    assert "Over there" in "".join(body["messages"][-1]["content"] for body in server.asked)


@pytest.mark.parametrize("reply", ["It is good.", "11", "", "8 or 9", "nan"])
def test_a_reply_without_a_grade_is_refused_in_a_sentence(reply):
    with fake.fake_endpoint(lambda body: reply) as server:
        scorer = EndpointScorer(Endpoint(server.base, "judge-1", None))
        with pytest.raises(ConfigError, match="its last line must be a number from 0 to 10"):
            scorer.scores(ASKED)


@pytest.mark.parametrize(
    ("reply", "grade"), [("7", 7), ("<think>3</think>\n**8/10**", 8), ("10", 10), ("Fine.\n9.5.", 9.5), ("-3", None)]
)
def test_grades_are_read_from_the_last_line(reply, grade):
    assert read_grade(reply) == grade
