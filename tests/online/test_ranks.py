"""What the policy writes is written, judged and learned from by several ranks as by one process."""

import pytest
import torch

from penchant.data import Prompt
from penchant.data.pairing import Pairing
from penchant.errors import ConfigError
from penchant.evaluation.judges import PreferenceFunctionJudge, open_scorer
from penchant.models.live_reference import LiveReference
from penchant.online.best_of_n import BestOfN
from penchant.online.choosing import chosen_of
from penchant.online.config import RLHFConfig
from penchant.online.policy_gradient import PolicyGradient, value_head
from penchant.online.writing import Writer
from penchant.tokens import Limits, tokenise_prompts
from penchant.training.loop import accumulate


@pytest.fixture
def step_of(model, prompts, brevity):
    """`step_of(method)`: the gradient and metrics of the first update of a step, on a rank or in one process."""

    def step_of(method):
        own = model.copy()  # each rank has one of its own
        config = RLHFConfig.model_validate(
            {"rlhf": {"method": method}, "sampling": {"max_new_tokens": 5, "num_responses": 3, "minibatches": 2}}
        )
        start = {name: p.detach().clone() - 1e-3 for name, p in own.network.named_parameters()}
        records = [Prompt(messages=({"role": "user", "content": one},), id=str(i)) for i, one in enumerate(prompts)]
        drawn = tokenise_prompts(own.encoder, records, Limits(100, 90)).items
        writer = Writer(config.sampling, open_scorer(brevity), 0)
        head = value_head(own) if method == "ppo" else None
        if head is not None:
            torch.nn.init.constant_(head.weight, 0.01)
        task = BestOfN(config, writer) if method == "best_of_n" else None
        task = task or PolicyGradient(config, writer, LiveReference(start=start), head)
        parameters = [p for p in own.network.parameters() if p.requires_grad] + list(task.parameters().values())
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        items = next(iter(task.updates(own, drawn, 0)))
        result = accumulate(own, task, items, parameters, token_budget=100, max_grad_norm=1e9)
        return torch.cat([p.grad.flatten() for p in parameters]), result.means

    return step_of


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("method", ["rloo", "grpo", "ppo", "best_of_n"])
def test_a_step_of_several_ranks_is_that_of_one_process(in_ranks, step_of, method):
    expected, means = step_of(method)
    assert expected.norm() > 0
    for of_rank in in_ranks(3, lambda _: step_of(method)):
        assert isinstance(of_rank, tuple), of_rank
        assert float((of_rank[0] - expected).norm() / expected.norm()) < 1e-4
        assert of_rank[1] == pytest.approx(means, rel=1e-4, abs=1e-5)


def test_each_prompt_is_written_to_and_judged_on_one_rank(in_ranks, model, prompts):
    asked = []

    def judge(prompt, response):
        asked.append(response)
        return len(response)

    records = [Prompt(messages=({"role": "user", "content": one},), id=str(i)) for i, one in enumerate(prompts)]
    drawn = tokenise_prompts(model.encoder, records, Limits(100, 90)).items
    config = RLHFConfig.model_validate({"sampling": {"max_new_tokens": 5, "num_responses": 2}}).sampling
    writer = Writer(config, open_scorer(judge), 0)
    alone = writer.write(model, drawn, "x")
    asked.clear()
    for written in in_ranks(2, lambda _: writer.write(model.copy(), drawn, "x")):
        assert [(one.group, one.text, one.score) for one in written] == [(o.group, o.text, o.score) for o in alone]
    assert len(asked) == len(alone)

    pairs = chosen_of(PreferenceFunctionJudge("first", lambda prompt, a, b: "a" if a < b else "b"), alone, Pairing())
    preferring = PreferenceFunctionJudge("first", lambda prompt, a, b: asked.append(a) or ("a" if a < b else "b"))
    asked.clear()
    for found in in_ranks(3, lambda _: chosen_of(preferring, alone, Pairing())):
        assert found == pairs
    assert len(asked) == 2 * len(pairs) > 0
    assert not chosen_of(PreferenceFunctionJudge("place", lambda prompt, a, b: "a"), alone, Pairing())


def test_a_judge_that_fails_on_one_rank_ends_all_with_its_sentence(in_ranks, model, prompts):
    def judge(prompt, response):
        if "Tom" in prompt:
            raise ValueError("no Toms")
        return 1.0

    records = [Prompt(messages=({"role": "user", "content": one},), id=str(i)) for i, one in enumerate(prompts)]
    drawn = tokenise_prompts(model.encoder, records, Limits(100, 90)).items
    config = RLHFConfig.model_validate({"sampling": {"max_new_tokens": 3, "num_responses": 2}}).sampling
    ended = in_ranks(2, lambda _: Writer(config, open_scorer(judge), 0).write(model.copy(), drawn, "x"))
    assert [type(error) for error in ended] == [ConfigError] * 2
    assert "no Toms" in str(ended[0])
    assert str(ended[0]) == str(ended[1])
