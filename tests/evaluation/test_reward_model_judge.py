"""A reward model as a judge and a scorer: what it prefers, what it says of texts it cannot read, and who may use it."""

import json

import pytest
import torch

import penchant as pt
from penchant.data import Candidate, Comparison, Message
from penchant.errors import ConfigError, ModelError
from penchant.evaluation.judges import JudgeOptions, open_judge, open_scorer, scores_of
from penchant.evaluation.judges.function import FunctionJudge
from penchant.models.load import load_model
from penchant.models.numerics import Numerics
from penchant.models.reward_model import reward_model_of
from penchant.models.saving import save_model

CPU = Numerics(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def folder(stories260k, tmp_path_factory):
    model = reward_model_of(load_model(str(stories260k), CPU, chat_template="plain"))
    with torch.no_grad():
        model.head.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("reward") / "reward"
    save_model(model, path)
    return path


def asked(number, a, b, prompt="Once upon a time"):
    return Comparison(
        id=str(number), prompt=(Message(role="user", content=prompt),), a=Candidate(text=a), b=Candidate(text=b)
    )


def test_the_side_with_the_higher_reward_is_preferred_and_both_are_written_down(folder):
    judge = open_judge(f"reward:{folder}")
    texts = [f" there was a {name}." for name in ("dog", "cat", "bird", "tree")]
    comparisons = [asked(i, a, b) for i, (a, b) in enumerate((a, b) for a in texts for b in texts if a < b)]
    answered = pt.judge(comparisons, judge, progress=False)
    for one in answered:
        a, b = one.meta["judge"]["scores"]
        assert one.outcome == ("a" if a > b else "b")
        assert [a, b] == pytest.approx(
            [judge.score("Once upon a time", side.text) for side in (one.a, one.b)], abs=1e-4
        )
    assert {one.outcome for one in answered} == {"a", "b"}


def test_texts_that_are_the_same_or_cannot_be_read_are_ties_that_say_so(folder):
    answered = pt.judge(
        [asked(0, " a dog.", " a dog."), asked(1, " a dog.", " a cat.", "dog " * 600)],
        open_judge(f"reward:{folder}"),
        progress=False,
    )
    assert [one.outcome for one in answered] == ["tie", "tie"]
    assert [one.meta["judge"] for one in answered] == [{"identical": True}, {"unreadable": "prompt_too_long"}]


def test_many_answers_are_scored_as_each_by_itself_and_their_prompt_is_run_once(folder):
    judge = open_scorer(f"reward:{folder}")
    prompt = (Message(role="user", content="Once upon a time there was a little girl who had a red ball and"),)
    answers = [(prompt, f" she gave it to {name}.") for name in ("Tom", "Sue", "Ben")]
    before = judge.model.num_tokens_run
    together = scores_of(judge, answers)
    run = judge.model.num_tokens_run - before
    assert together == pytest.approx([scores_of(judge, [one])[0] for one in answers], abs=1e-4)
    assert run < 2 * (judge.model.num_tokens_run - before - run) / 3


def test_an_answer_that_stands_by_itself_and_cannot_be_read_is_one_sentence(folder):
    judge = open_scorer(f"reward:{folder}")
    with pytest.raises(ConfigError, match=r"cannot score the response ' a dog\.': the prompt has \d+ tokens"):
        judge.score("dog " * 600, " a dog.")


def test_a_reward_that_is_no_number_is_one_sentence(folder, tmp_path):
    judge = open_judge(f"reward:{folder}")
    with torch.no_grad():
        judge.model.head.weight[0, 0] = float("nan")
    with pytest.raises(ConfigError, match=r"gave the reward nan for the response ' a dog\.'; a reward is a finite"):
        pt.judge([asked(0, " a dog.", " a cat.")], judge, progress=False)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "good", None])
def test_a_judge_of_many_answers_that_gives_no_number_is_one_sentence(value):
    class Strange:
        name = "strange"

        def score(self, prompt, response):
            return value

        def scores(self, asked):
            return [value for _ in asked]

    with pytest.raises(
        ConfigError, match=r"'strange' returned .* for the response 'x'; it must return a finite number"
    ):
        scores_of(Strange(), [((Message(role="user", content="?"),), "x")])


def test_a_judge_that_answers_for_others_than_asked_is_one_sentence():
    class Short:
        name = "short"

        def score(self, prompt, response):
            return 1.0

        def scores(self, asked):
            return [1.0]

    answers = [((Message(role="user", content="?"),), "x")] * 2
    with pytest.raises(ConfigError, match="'short' gave 1 scores for 2 responses; it must give one for each"):
        scores_of(Short(), answers)


def test_a_function_is_given_the_last_message_of_each_conversation():
    judge = FunctionJudge("letters", lambda prompt, response: len(prompt) + len(response))
    assert scores_of(judge, [((Message(role="user", content="four"),), "abc")]) == [7.0]


def test_pairs_are_scored_by_it_without_a_reference(folder):
    rows = [{"prompt": f"{n} times", "chosen": f" there were {n} dogs.", "rejected": " no."} for n in range(6)]
    found = pt.score(str(folder), rows, progress=False)
    assert found.beta is None
    judge = open_scorer(f"reward:{folder}")
    for row, score in zip(rows, found.pairs, strict=True):
        assert score.reward_chosen == pytest.approx(judge.score(row["prompt"], row["chosen"]), abs=1e-4)
        assert score.margin == pytest.approx(score.reward_chosen - score.reward_rejected)
        assert score.policy_chosen is None
    assert found.summary.accuracy.low <= found.summary.accuracy.rate <= found.summary.accuracy.high
    assert json.loads(found.as_lines().splitlines()[0])["reference_chosen"] is None


@pytest.mark.parametrize("option", [{"reference": "smollm2-135m"}, {"beta": 0.5}])
def test_a_reference_or_a_beta_is_refused_as_it_has_neither(folder, option):
    with pytest.raises(ConfigError, match="is a reward model, which has no reference and no beta; leave them out"):
        pt.score(str(folder), [{"prompt": "a", "chosen": "b", "rejected": "c"}], progress=False, **option)


def test_what_it_does_not_read_and_what_is_no_reward_model_is_refused(folder, stories260k):
    with pytest.raises(ConfigError, match="judge_reference"):
        JudgeOptions(f"reward:{folder}", judge_reference="smollm2-135m").check()
    with pytest.raises(ModelError, match="is not a reward model"):
        open_judge(f"reward:{stories260k}")
