"""Every judge that prefers one of two is asked in both orders, as an endpoint is; what scores is asked once."""

import importlib.util
import json
from contextlib import closing
from pathlib import Path

import pytest

from penchant.data import Candidate, Comparison, Message
from penchant.errors import ConfigError, OutputError
from penchant.evaluation.judges import FunctionJudge, Judgement, judge_comparisons, judge_to_file, open_judge, tally
from penchant.evaluation.judges.chat_completions import Endpoint
from penchant.evaluation.judges.endpoint import EndpointJudge
from penchant.evaluation.judges.judging import unfinished
from penchant.evaluation.judges.orders import in_both_orders

spec = importlib.util.spec_from_file_location("fake_endpoint", Path(__file__).with_name("fake_endpoint.py"))
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)


def row(number, a, b):
    question = (Message(role="user", content=f"Ask {number}"),)
    return Comparison(id=str(number), prompt=question, a=Candidate(text=a), b=Candidate(text=b))


TEXTS = [("x" * (1 + i * 5 % 7), "y" * (1 + i * 3 % 8)) for i in range(20)]
ROWS = [row(i, a, b) for i, (a, b) in enumerate(TEXTS)] + [row(20, "same", "same")]
WORDS = {"a": "FIRST", "b": "SECOND", "tie": "TIE", "both_bad": "NEITHER"}


def leans(prompt, a, b):
    """Prefers the clearly shorter response, else the first place; both are bad where both are long, however asked."""
    if min(len(a), len(b)) > 6:
        return "both_bad"
    return "b" if len(b) < len(a) - 1 else "a"


def test_a_function_is_asked_as_an_endpoint_of_the_same_opinion_is():
    with fake.fake_endpoint(lambda body: WORDS[leans("", *fake.shown(body))]) as server:
        of_endpoint = judge_comparisons(EndpointJudge(Endpoint(server.base, "m", None)), ROWS)
    of_function = judge_comparisons(open_judge(leans), ROWS)
    assert [(v.outcome, v.meta) for v in of_function] == [(v.outcome, v.meta) for v in of_endpoint]
    counts = tally(of_function)
    assert counts == tally(of_endpoint)
    close = [abs(len(a) - len(b)) <= 1 and min(len(a), len(b)) <= 6 for a, b in TEXTS]
    assert 0 < sum(close) < 20
    assert (counts.num_first, counts.num_in_both_orders) == (sum(close), 20)
    assert (counts.position_bias.rate, counts.num_identical) == (sum(close) / 20, 1)
    assert counts.outcomes["both_bad"] == sum(min(len(a), len(b)) > 6 for a, b in TEXTS) > 0


def test_what_both_orders_said_is_kept_where_a_later_call_fails_and_is_not_asked_again(tmp_path):
    asked = []

    def fails_once(prompt, a, b):
        asked.append(prompt)
        if len(asked) == 8:
            raise RuntimeError("the line is dead")
        return leans(prompt, a, b)

    judge, output = open_judge(fails_once), tmp_path / "votes.jsonl"
    with pytest.raises(ConfigError, match="the line is dead"):
        judge_to_file(judge, ROWS[:20], output)
    assert asked == [f"Ask {i // 2}" for i in range(8)]
    votes = judge_to_file(judge, ROWS[:20], output, resume=True)
    assert len(asked) == 8 + 40 - 6
    at_once = judge_comparisons(open_judge(leans), ROWS[:20])
    assert [vote.outcome for vote in votes] == [vote.outcome for vote in at_once]


def test_a_file_of_one_order_is_read_where_it_is_finished_and_refused_where_it_is_not(tmp_path):
    judge, output = open_judge(leans), tmp_path / "votes.jsonl"
    before = {"annotator": f"stand-in:{judge.name}", "outcome": "a", "meta": {"judge": {}}}
    lines = [json.dumps(one.model_dump(mode="json", exclude_none=True) | before) + "\n" for one in ROWS[:3]]
    output.write_text("".join(lines))
    votes = judge_to_file(judge, ROWS[:3], output, resume=True)
    assert ([vote.outcome for vote in votes], tally(votes).position_bias) == (["a"] * 3, None)
    unfinished(tmp_path / "other.jsonl").write_text("".join(lines[:2]))
    with pytest.raises(OutputError, match=r"other\.jsonl\.answering: holds answers .* in one order, .*remove the file"):
        judge_to_file(judge, ROWS[:3], tmp_path / "other.jsonl", resume=True)


class Own:
    """A judge of one's own, which answers from the last question to the first and says why."""

    name, price = "own", "nothing"

    def __init__(self):
        self.asked = []

    def answers(self, comparisons, *, has_answered=False):
        for place, one in reversed(list(enumerate(comparisons))):
            self.asked.append((one.id, one.a.text))
            yield place, Judgement(leans("", one.a.text, one.b.text), {"why": one.a.text})


def test_a_judge_object_is_asked_in_both_orders_whatever_the_order_of_its_answers_unless_one_question_settles_it():
    judge = Own()
    with closing(in_both_orders(judge, ROWS)) as judgements:
        assert next(judgements) == (20, Judgement("tie", {"identical": True}))
        found = dict(judgements)
    assert judge.asked == [(str(i), text) for i in range(19, -1, -1) for text in reversed(TEXTS[i])]
    expected = judge_comparisons(open_judge(leans), ROWS[:20])
    assert [found[i].outcome for i in range(20)] == [vote.outcome for vote in expected]
    assert found[3].details == {"why": TEXTS[3][0], "orders": expected[3].meta["judge"]["orders"]}
    settled = Own()
    settled.asks_once = True
    judge_comparisons(settled, ROWS)
    assert len(settled.asked) == len(ROWS)
    scoring = Own()
    scoring.score = lambda prompt, response: len(response)
    judge_comparisons(scoring, ROWS)
    assert len(scoring.asked) == len(ROWS), "whose scores do not depend on the place"


def test_a_judge_that_asks_in_both_orders_itself_must_say_so():
    """Else its answers, in which a place that decides is a tie, would agree in both orders: a bias of 0."""

    class Both(Own):
        def answers(self, comparisons, *, has_answered=False):
            for place, _ in enumerate(comparisons):
                yield place, Judgement("tie", {"orders": ["first", "first"]})

    with pytest.raises(ConfigError, match="'own' asks in both orders itself; set its `asks_once` to True"):
        judge_comparisons(Both(), ROWS)
    settled = Both()
    settled.asks_once = True
    assert tally(judge_comparisons(settled, ROWS[:20])).position_bias.rate == 1


def test_a_function_that_scores_is_asked_once_about_each_response():
    asked = []
    judge_comparisons(FunctionJudge("longer", lambda prompt, text: asked.append(text) or len(text)), ROWS[:20])
    assert asked == [text for both in TEXTS for text in both]
