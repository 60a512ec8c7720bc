"""Reinforcement learning on a judge's scores: the score rises, a run that stops goes on, faults are sentences."""

import json
import math

import numpy as np
import pytest
import torch
import yaml

from penchant.data import Prompt
from penchant.errors import ConfigError, DataError, TrainingError, UserError
from penchant.evaluation.judges import open_scorer
from penchant.models.forward import score_sequences
from penchant.models.live_reference import LiveReference
from penchant.online.config import RLHFConfig
from penchant.online.policy_gradient import PolicyGradient
from penchant.online.rlhf import rlhf
from penchant.online.writing import Writer
from penchant.tokens import Limits, TokenSequence, tokenise_prompts
from penchant.training.loop import accumulate


def task_of(model, prompts, judge, rlhf):
    """A policy gradient task on these prompts, and the prompts."""
    config = RLHFConfig.model_validate({"rlhf": rlhf, "sampling": {"max_new_tokens": 5}})
    start = {name: p.detach().clone() for name, p in model.network.named_parameters()}
    records = [Prompt(messages=({"role": "user", "content": text},), id=str(i)) for i, text in enumerate(prompts)]
    drawn = tokenise_prompts(model.encoder, records, Limits(100, 90)).items
    return PolicyGradient(config, Writer(config.sampling, open_scorer(judge), 0), LiveReference(start=start)), drawn


def trained(model):
    return [p for p in model.network.parameters() if p.requires_grad]


def gradient_of(model, task, items):
    for parameter in trained(model):
        parameter.grad = None
    accumulate(model, task, items, trained(model), token_budget=200, max_grad_norm=1e9)
    return torch.cat([p.grad.flatten() for p in trained(model)])


SLOW = pytest.mark.slow


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("method", [pytest.param("rloo", marks=SLOW), pytest.param("grpo", marks=SLOW), "best_of_n"])
def test_the_score_rises(train, method):
    run = train(method=method, epochs=8, batch_size=8)
    reward = run.metrics.column("reward")
    assert sum(reward[-2:]) / 2 > reward[0] + 0.05, reward
    assert run.ledger["command"] == "rlhf"


def test_before_the_first_step_the_policy_is_its_own_reference(train):
    row = train(max_steps=1).metrics[0]
    assert row["kl"] == pytest.approx(0, abs=1e-4)
    assert row["clip_ratio/region_mean"] == 0


@pytest.mark.slow
def test_ppo_raises_the_score_too(train):
    settings = {"sampling.minibatches": 2, "sampling.passes": 2}
    run = train(method="ppo", epochs=12, batch_size=8, settings=settings, num_responses=8)
    reward, value = run.metrics.column("reward"), run.metrics.column("loss/value")
    assert sum(reward[-2:]) / 2 > reward[0] + 0.05, reward
    assert value[-1] < value[0]


@pytest.mark.slow
def test_a_high_price_of_kl_keeps_the_policy_near_its_reference(train):
    free, dear = (train(epochs=6, beta=beta).metrics.column("kl")[-1] for beta in (0.0, 1.0))
    assert abs(dear) < abs(free) / 2


@pytest.mark.slow(threads=1)
def test_an_adaptive_price_rises_while_the_kl_is_over_its_target(train):
    beta = train(epochs=5, beta=0.01, settings={"rlhf.kl_target": 0.01, "rlhf.kl_horizon": 40}).metrics.column("beta")
    assert beta[0] == pytest.approx(0.01), "at first the KL is 0"
    assert beta[-1] > beta[1]


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("kl", ["sequence", "token"])
def test_the_gradient_is_that_of_a_plain_loop_over_responses(model, prompts, brevity, kl):
    """RLOO by hand, one response at a time: the mean of -A log pi(y), and by token what is still to come."""
    beta = 0.1
    task, drawn = task_of(model, prompts[:2], brevity, {"beta": beta, "kl": kl})
    for weights in task.live.start.values():
        weights.mul_(0.9)  # the policy has moved
    items = next(iter(task.updates(model, drawn, 0)))
    gradient = gradient_of(model, task, items)
    loss = 0.0
    for item in items:
        others = [one for one in items if one.written.group == item.written.group and one is not item]
        costs = {id(one): beta * (one.written.logprobs - one.reference) for one in [item, *others]}
        totals = {id(one): one.written.score - costs[id(one)].sum() for one in [item, *others]}
        baseline = sum(totals[id(one)] for one in others) / len(others)
        sequence = item.written.sequence
        for k in range(len(item)):
            paid = costs[id(item)][:k].sum() if kl == "token" else 0.0
            scored = sequence.scored & (np.cumsum(sequence.scored) == k + 1)
            logp = score_sequences(model, [TokenSequence(sequence.ids, scored)])[0]
            loss = loss - (totals[id(item)] + paid - baseline) * logp / len(items)
    by_hand = torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained(model))])
    assert float((gradient - by_hand).norm() / by_hand.norm()) < 1e-3


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_an_estimator_of_somebody_elses_takes_the_place_of_the_methods_own(model, prompts, brevity, method):
    """That of rloo, named as if it came from outside, gives what rloo gives, which is not what grpo gives."""
    theirs = {"method": method, "advantages": "penchant.objectives:rloo_advantages"}
    found = {}
    for name, settings in {"rloo": {}, method: {"method": method}, "theirs": theirs}.items():
        task, drawn = task_of(model, prompts[:2], brevity, {"beta": 0.0, **settings})
        found[name] = np.concatenate([item.advantage for item in next(iter(task.updates(model, drawn, 0)))])
    assert np.allclose(found["theirs"], found["rloo"])
    assert np.allclose(found[method], found["rloo"]) == (method == "rloo")


@pytest.mark.slow(threads=1)
def test_responses_of_one_prompt_share_it_when_they_are_trained_on(train, model):
    shared = train(max_steps=1).metrics[0]["num_tokens"]
    model.stop_sharing("compared")
    assert train(max_steps=1).metrics[0]["num_tokens"] > 2 * shared


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("method", ["rloo", "grpo", "ppo", "best_of_n"])
def test_a_run_that_is_stopped_goes_on_bit_for_bit(tmp_path, stories260k, prompts, without_timings, method):
    class Stop(Exception):
        pass

    calls = []

    def judge(prompt, response):
        calls.append(response)
        if len(calls) == left[0]:
            raise Stop
        return -len(response) / 20

    how = {
        "judge": judge, "method": method, "max_new_tokens": 4, "num_responses": 2, "learning_rate": 1e-3, "epochs": 2,
        "chat_template": "plain", "device": "cpu", "dtype": "float32", "held_out": 0.25, "batch_size": 3,
        "progress": False,
    }  # fmt: skip
    charged = {} if method == "best_of_n" else {"rlhf.kl_target": 1.0}
    settings = {"save.num_samples": 0, "sampling.passes": 2, **charged}
    left = [-1]
    straight = rlhf(str(stories260k), prompts, output=tmp_path / "straight", settings=settings, **how)
    num, left = len(calls), [len(calls) // 2]
    calls.clear()
    with pytest.raises(ConfigError, match="failed"):
        rlhf(str(stories260k), prompts, output=tmp_path / "stopped", settings=settings, **how)
    left = [-1]
    assert 0 < json.loads(next((tmp_path / "stopped").glob("checkpoints/*/state.json")).read_text())["step"] < num
    resumed = rlhf(str(stories260k), prompts, output=tmp_path / "stopped", settings=settings, resume=True, **how)
    assert without_timings(resumed.metrics) == without_timings(straight.metrics)
    files = [(run.path / "model" / "model.safetensors").read_bytes() for run in (straight, resumed)]
    assert files[0] == files[1]
    assert (resumed.path / "report.html").is_file()


@pytest.mark.parametrize(
    ("said", "words"),
    [(math.nan, "returned nan"), ("good", "returned 'good'"), (None, "returned None"), ([], r"returned \[\]")],
)
def test_a_judge_that_gives_no_number_ends_the_run_in_a_sentence(train, said, words):
    with pytest.raises(ConfigError, match=f"{words} for the response .* must return a finite number"):
        train(judge=lambda prompt, response: said)


@pytest.mark.parametrize("method", ["rloo", pytest.param("ppo", marks=SLOW), pytest.param("best_of_n", marks=SLOW)])
def test_a_judge_that_never_tells_two_responses_apart_ends_the_run_in_words(train, method):
    with pytest.raises(TrainingError, match="judged all responses to a prompt as equally good"):
        train(method=method, judge=lambda prompt, response: 0.5, max_steps=1)


@pytest.mark.slow(threads=1)
def test_ppo_learns_of_prompts_whose_own_responses_are_alike(train):
    """It compares the responses of a whole step, so one that tells prompts apart is enough."""
    run = train(method="ppo", judge=lambda prompt, response: float("Lily" in prompt), max_steps=1)
    assert (run.metrics[0]["frac_reward_zero_std"], run.metrics[0]["frac_undecided"]) == (1.0, 0.0)


def test_a_judge_that_answers_for_fewer_responses_than_asked_is_refused(train):
    class Short:
        name = "short"

        def score(self, prompt, response):
            return 0.0

        def scores(self, asked):
            return [0.0] * (len(asked) - 1)

    with pytest.raises(ConfigError, match="'short' gave 31 scores for 32 responses"):
        train(judge=Short())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "best_of_n", "beta": 0.1}, "rlhf.beta is not read by best_of_n; leave it out"),
        ({"num_responses": 1}, "num_responses is 1, but rloo compares the responses"),
        ({"settings": {"rlhf.lam": 0.5}}, "rlhf.lam is not read by rloo"),
        ({"settings": {"rlhf.kl_in": "loss", "rlhf.kl": "sequence"}}, "rlhf.kl is only read where"),
        ({"max_new_tokens": 4096}, "sampling.max_new_tokens is 4096, which leaves no room"),
        ({"method": "rlo"}, "'rlhf.method' must be 'rloo', .* got 'rlo'"),
        ({"settings": {"rlhf.advantages": "rlo"}}, "rlhf.advantages: there is no estimator 'rlo'; did you mean 'rloo'"),
        ({"settings": {"rlhf.advantages": "os:nothing"}}, "estimator 'os:nothing' does not exist"),
        ({"method": "ppo", "settings": {"rlhf.advantages": "rloo"}}, "rlhf.advantages is not read by ppo"),
        (
            {"settings": {"rlhf.advantages": "rloo", "rlhf.kl": "token"}},
            "rlhf.kl is only read .* without rlhf.advantages",
        ),
        (
            {"method": "grpo", "settings": {"rlhf.advantages": "rloo", "rlhf.scale_rewards": False}},
            "rlhf.scale_rewards is not read where rlhf.advantages names an estimator",
        ),
        ({"judge": None}, "sampling.judge, which scores the responses, is missing"),
        ({"judge": "positivty"}, "did you mean 'positivity'"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(train, arguments, words):
    with pytest.raises(UserError, match=words):
        train(**arguments)


def test_prompts_of_which_none_is_left_are_refused(train):
    with pytest.raises(DataError, match="rows are bad"):
        train(asked=["word " * 2000])


def test_a_reference_of_another_vocabulary_is_refused(train, model):
    other = model.copy()
    other.tokenizer = type("Tokenizer", (), {"get_vocab": lambda self: {"a": 0}})()
    with pytest.raises(ConfigError, match=r"the tokenizer of .* is not that of"):
        train(reference=other)


@pytest.mark.parametrize(
    "named", [{"sampling": {"judge": "os:getcwd"}}, {"rlhf": {"advantages": "os:getcwd"}}], ids=["judge", "estimator"]
)
def test_what_is_code_is_not_run_for_a_file_of_settings(tmp_path, named):
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"model": {"name": "x"}, **named}))
    with pytest.raises(ConfigError, match="whose code would run"):
        rlhf(config=file)
