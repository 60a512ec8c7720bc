"""What is kept of a point: a KL that could not be exact, and the accuracy of its run's last evaluation."""

from types import SimpleNamespace

import pytest
import torch

from penchant.progress import Silent
from penchant.studies import measuring
from penchant.studies.settings import StudyConfig
from penchant.studies.train_point import held_out_accuracy


def test_where_the_exact_kl_cannot_be_computed_the_point_says_why(monkeypatch):
    prompt = SimpleNamespace(id="p", messages=())
    sequence = SimpleNamespace(scored=torch.ones(3))
    own = SimpleNamespace(
        answers=SimpleNamespace(texts={"p": ["a"]}), sequences=[sequence], logprobs=torch.tensor([-2.0]), predicted=None
    )
    monkeypatch.setattr(measuring, "answer_as_policy", lambda *given: own)
    monkeypatch.setattr(measuring, "sequence_logprobs", lambda *given: torch.tensor([-3.5]))
    monkeypatch.setattr(measuring, "scores_of", lambda judge, asked: [0.5] * len(asked))
    config = StudyConfig(model="m", prompts="p", measured_responses=1)
    ground = SimpleNamespace(config=config, held_out=[prompt], start=None, judge=None, learned=None)
    for kl, expected in (("no states", (1.5, "no states")), (torch.tensor([1.25]), (1.25, ""))):
        monkeypatch.setattr(measuring, "exact_kl_from", lambda *given, kl=kl: kl)
        found = measuring.measure("a", None, ground, Silent(), {}, {"accuracy": 0.7, "num_pairs": 9})
        assert (found.kl[0], found.why_no_exact_kl) == expected
        assert (found.accuracy, found.num_pairs) == (0.7, 9)


@pytest.mark.parametrize("evaluated", [True, False])
def test_the_accuracy_is_that_of_the_last_evaluation_with_its_limits(evaluated):
    name = "eval_rewards/accuracies"
    last = {name: 0.6, f"{name}_low": 0.5, f"{name}_high": 0.7}
    lengths = {f"{name}/chosen_longer_num": 20.0, f"{name}/chosen_shorter_num": 10.0}
    rows = [{"loss": 1.0}, *([{name: 0.4}, {**last, **lengths}] if evaluated else []), {"loss": 0.5}]
    expected = {"accuracy": 0.6, "accuracy_low": 0.5, "accuracy_high": 0.7, "num_pairs": 30} if evaluated else {}
    assert held_out_accuracy(SimpleNamespace(metrics=rows)) == expected
