"""One step: the same gradient however it is cut, ln 2 at the start, and nothing non-finite let through."""

import math

import pytest
import torch

from penchant.data import Demonstration, Document, Message
from penchant.models import adapters
from penchant.models.forward import score_sequences
from penchant.models.live_reference import LiveReference
from penchant.objectives import OBJECTIVES, bind, bind_token_weights, get_objective
from penchant.tokens import Limits, tokenise_demonstrations
from penchant.training.coupled import CoupledTask
from penchant.training.loop import accumulate
from penchant.training.next_token import NextTokenTask
from penchant.training.preferences import PreferenceTask
from penchant.training.reference import reference_logprobs
from penchant.training.task import StepResult, Tally

BETA = 0.3


@pytest.fixture
def task(model, pairs):
    reference = reference_logprobs(model, [s for pair in pairs for s in pair.sequences], None, token_budget=500)
    return PreferenceTask(bind(get_objective("dpo"), beta=BETA), BETA, reference)


def gradient(model, task, items, budget, clip=1e9):
    parameters = list(model.network.parameters())
    model.network.zero_grad(set_to_none=True)
    result = accumulate(model, task, items, parameters, token_budget=budget, max_grad_norm=clip)
    return torch.cat([p.grad.flatten() for p in parameters]), result


@pytest.mark.slow(threads=1)
def test_the_split_into_micro_batches_changes_neither_gradient_nor_metrics(model, task, pairs):
    whole, one = gradient(model, task, pairs, 10_000)
    cut, many = gradient(model, task, pairs, 50)
    assert float((whole - cut).norm() / whole.norm()) < 1e-5
    for metrics in (one.means, many.means):
        metrics.pop("rewards/accuracies")  # rewards are zero here, and rounding decides which is larger
    assert one.means == pytest.approx(many.means, rel=1e-4, abs=1e-4)
    assert one.num_tokens < many.num_tokens, "more is shared in a larger micro-batch"


@pytest.mark.slow(threads=1)
def test_sharing_changes_no_gradient(model, task, pairs):
    shared, _ = gradient(model, task, pairs, 300)
    model.stop_sharing("compared")
    apart, _ = gradient(model, task, pairs, 300)
    assert float((shared - apart).norm() / apart.norm()) < 1e-4


def test_a_response_of_several_pairs_is_scored_once_and_counts_in_each(model, pairs):
    both = [s for pair in pairs[:2] for s in pair.sequences]
    often = [both[i] for i in (0, 1, 2, 0, 3, 0)]
    weights = torch.arange(1.0, 7.0)
    parameter = next(model.network.parameters())
    (weights * score_sequences(model, often)).sum().backward()
    gradient_often, parameter.grad = parameter.grad, None
    before = model.num_tokens_run
    once = score_sequences(model, both)
    num_once = model.num_tokens_run - before
    (torch.tensor([1.0 + 4 + 6, 2, 3, 5]) * once).sum().backward()
    torch.testing.assert_close(gradient_often, parameter.grad, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(score_sequences(model, often), once[[0, 1, 2, 0, 3, 0]])
    assert model.num_tokens_run - before == 2 * num_once


IN_PASSING = {  # one of each way to a gradient; the formulas themselves are tested in tests/objectives
    "full": ("dpo", "ld_dpo", "d2po", "simpo", "aot", "tdpo2"),
    "lora": ("dpo", "tdpo2"),
}
EVERY_WAY = [
    pytest.param(row, kind == "lora", id=f"{name}-{kind}", marks=[] if name in passing else [pytest.mark.slow])
    for kind, passing in IN_PASSING.items()
    for name, row in OBJECTIVES.items()
]


def live_of(model):
    """A reference some way off."""
    random = torch.Generator().manual_seed(2)
    start = LiveReference.of(model).start
    return LiveReference(start={n: p + 0.03 * torch.randn(p.shape, generator=random) for n, p in start.items()})


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("row", "lora"), EVERY_WAY)
def test_every_objective_has_the_same_gradient_shared_cut_and_unshared(model, task, pairs, row, lora):
    if lora:
        adapters.attach(model, 4, 8.0, (), seed=0)
    items = pairs[:6]
    if weights := bind_token_weights(row):
        items = [pair.weigh_tokens(lambda *lengths: weights(*lengths).numpy()) for pair in items]
    scores = reference_logprobs(model, [s for pair in items for s in pair.sequences], None, token_budget=500)
    shifts = {key: 0.5 * (i % 3) + 0.07 * i - 0.3 for i, key in enumerate(sorted(scores))}  # no two alike, to be sorted
    reference = {key: scores[key] + shift for key, shift in shifts.items()}
    kind = CoupledTask if row.batch_coupled else PreferenceTask
    own = kind(bind(row), row.defaults.get("beta", 1.0), reference, live=live_of(model) if "kl" in row.reads else None)
    parameters = [p for p in model.network.parameters() if p.requires_grad]

    def gradient_of(budget):
        model.network.zero_grad(set_to_none=True)
        accumulate(model, own, items, parameters, token_budget=budget, max_grad_norm=1e9)
        return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])

    whole, cut = gradient_of(10_000), gradient_of(60)
    model.stop_sharing("compared")
    apart = gradient_of(10_000)
    assert whole.norm() > 0
    assert float((whole - cut).norm() / whole.norm()) < 1e-4
    assert float((whole - apart).norm() / whole.norm()) < 1e-3


def test_before_the_first_step_the_loss_is_ln_2_and_rewards_are_zero(model, task, pairs):
    _, result = gradient(model, task, pairs, 300)
    assert result.means["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert result.means["rewards/chosen"] == pytest.approx(0, abs=1e-4)
    assert result.means["rewards/rejected"] == pytest.approx(0, abs=1e-4)
    assert result.finite


def test_metrics_are_those_computed_pair_by_pair(model, task, pairs):
    shifted = {key: value - (i % 5) - 0.01 * i for i, (key, value) in enumerate(task.reference.items())}
    moved = PreferenceTask(task.objective, BETA, shifted)
    _, result = gradient(model, moved, pairs[:5], 100)
    rows = []
    with torch.no_grad():
        for pair in pairs[:5]:
            chosen, rejected = (float(x) for x in score_sequences(model, pair.sequences))
            rewards = [
                BETA * (score - shifted[s.key]) for score, s in zip((chosen, rejected), pair.sequences, strict=True)
            ]
            rows.append((*rewards, chosen, rejected))
    count = len(rows)
    expected = {
        "rewards/chosen": sum(r[0] for r in rows) / count,
        "rewards/rejected": sum(r[1] for r in rows) / count,
        "rewards/margins": sum(r[0] - r[1] for r in rows) / count,
        "rewards/accuracies": sum((r[0] > r[1]) + 0.5 * (r[0] == r[1]) for r in rows) / count,
        "rewards/both_fell": sum(max(r[:2]) < -0.01 * BETA for r in rows) / count,
        "logps/chosen": sum(r[2] for r in rows) / count,
        "logps/rejected": sum(r[3] for r in rows) / count,
        "loss": sum(math.log1p(math.exp(r[1] - r[0])) for r in rows) / count,
    }
    assert result.means == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.slow(threads=1)
def test_the_gradient_is_clipped_to_its_norm_and_the_norm_before_is_reported(model, task, pairs):
    free, before = gradient(model, task, pairs, 300)
    clipped, result = gradient(model, task, pairs, 300, clip=0.5 * before.grad_norm)
    assert result.grad_norm == pytest.approx(before.grad_norm, rel=1e-5)
    torch.testing.assert_close(clipped, 0.5 * free, rtol=1e-3, atol=1e-6)


def test_weights_of_pairs_scale_their_part_of_the_gradient(model, task, pairs):
    from dataclasses import replace

    doubled = [replace(pair, weight=2.0) for pair in pairs[:4]]
    plain, _ = gradient(model, task, pairs[:4], 300)
    heavy, _ = gradient(model, task, doubled, 300)
    torch.testing.assert_close(heavy, 2 * plain, rtol=1e-3, atol=1e-6)


@pytest.mark.slow(threads=1)
def test_a_non_finite_loss_is_not_finite_and_names_the_rows_of_its_micro_batch(model, task, pairs):
    model.stop_sharing("so that a budget of one token is one pair")
    poisoned = dict(task.reference)
    poisoned[pairs[3].chosen.key] = float("nan")
    _, result = gradient(model, PreferenceTask(task.objective, BETA, poisoned), pairs, 1)
    assert not result.finite
    assert result.bad_items == (pairs[3],)


def test_an_infinite_loss_of_several_pairs_names_them_all(model, task, pairs):
    endless = PreferenceTask(lambda batch: batch.policy_chosen_B * 0 + float("inf"), BETA, task.reference)
    _, result = gradient(model, endless, pairs[:3], 10_000)
    assert not result.finite
    assert sorted(map(id, result.bad_items)) == sorted(map(id, pairs[:3])), "in whatever order they were packed"


def test_a_non_finite_gradient_behind_a_finite_loss_is_caught(model, task, pairs):
    class Sharp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * float("inf")

    sharp = PreferenceTask(lambda batch: Sharp.apply(task.objective(batch)), BETA, task.reference)
    _, result = gradient(model, sharp, pairs[:2], 300)
    assert math.isfinite(result.means["loss"])
    assert not result.finite
    assert result.bad_items == tuple(pairs[:2])


LIMITS = Limits(200, 199)


@pytest.mark.parametrize("weights", [(1, 1), (0.25, 2), (0, 1)])
def test_next_token_loss_is_transformers_own_on_the_assistants_turns_by_their_weights(model, weights):
    turns = ("Once upon a time", " there was a dog.", " The dog ran", " and ran to the park.")
    messages = tuple(
        Message(role=("user", "assistant")[i % 2], content=text, weight=weights[i // 2]) for i, text in enumerate(turns)
    )
    items = tokenise_demonstrations(model.encoder, [Demonstration(messages=messages)], LIMITS).items
    loss, _ = NextTokenTask().losses(model, items)
    model.stop_sharing("compared")
    total = count = 0.0
    for turn, weight in zip((1, 3), weights, strict=True):
        prompt = model.encoder.encode_prompt(messages[:turn])
        answer = model.encoder.encode_response(messages[:turn], messages[turn].content)
        labels = torch.tensor([[*([-100] * len(prompt)), *answer]])
        with torch.no_grad():
            mean = model.network(torch.tensor([[*prompt, *answer]]), labels=labels).loss
        total += weight * len(answer) * float(mean)
        count += weight * len(answer)
    assert NextTokenTask().count(items[0]) == count
    assert float(loss.detach()) / count == pytest.approx(total / count, rel=1e-4)


def test_next_token_loss_of_a_document_counts_every_token_but_the_first(model):
    items = tokenise_demonstrations(model.encoder, [Document(text="Tom likes his big dog.")], LIMITS).items
    loss, _ = NextTokenTask().losses(model, items)
    ids = torch.from_numpy(items[0].sequences[0].ids)[None]
    model.stop_sharing("compared")
    theirs = model.network(ids, labels=ids).loss
    assert NextTokenTask().count(items[0]) == ids.shape[1] - 1
    assert float(loss.detach()) / (ids.shape[1] - 1) == pytest.approx(float(theirs.detach()), rel=1e-4)


def test_the_mean_of_next_token_training_is_over_tokens_not_texts(model):
    texts = [Document(text="Hi."), Document(text="Once upon a time there was a little girl who liked to play.")]
    items = tokenise_demonstrations(model.encoder, texts, LIMITS).items
    _, result = gradient(model, NextTokenTask(), items, 1)
    with torch.no_grad():
        scores = score_sequences(model, [item.sequences[0] for item in items])
    total = sum(int(item.sequences[0].scored.sum()) for item in items)
    assert result.means["loss"] == pytest.approx(-float(scores.sum()) / total, rel=1e-5)


@pytest.mark.parametrize("budget", [1, 10_000])
def test_the_gradient_of_next_token_training_is_that_of_transformers_own_mean_over_tokens(model, budget):
    texts = [Document(text="Hi."), Document(text="Once upon a time there was a little girl who liked to play.")]
    items = tokenise_demonstrations(model.encoder, texts, LIMITS).items
    found, result = gradient(model, NextTokenTask(), items, budget)
    model.stop_sharing("compared")
    model.network.zero_grad(set_to_none=True)
    ids = [torch.from_numpy(item.sequences[0].ids)[None] for item in items]
    counts = [one.shape[1] - 1 for one in ids]
    losses = [model.network(one, labels=one).loss * count for one, count in zip(ids, counts, strict=True)]
    (sum(losses) / sum(counts)).backward()
    expected = torch.cat([p.grad.flatten() for p in model.network.parameters()])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    assert result.grad_norm == pytest.approx(float(expected.norm()), rel=1e-4)


@pytest.mark.slow(threads=1)
def test_the_gradient_of_pairs_is_that_of_their_mean_loss(model, task, pairs):
    found, _ = gradient(model, task, pairs[:5], 60)
    model.stop_sharing("compared")
    model.network.zero_grad(set_to_none=True)
    losses = []
    for pair in pairs[:5]:
        scores = [score_sequences(model, [side])[0] - task.reference[side.key] for side in pair.sequences]
        losses.append(-torch.nn.functional.logsigmoid(BETA * (scores[0] - scores[1])))
    torch.stack(losses).mean().backward()
    expected = torch.cat([p.grad.flatten() for p in model.network.parameters()])
    assert float((found - expected).norm() / expected.norm()) < 1e-3


def test_equal_rewards_are_not_accurate(model, task, pairs):
    """As in TRL: the chosen response has to have more. With beta 0 every reward is 0."""
    _, result = gradient(model, PreferenceTask(task.objective, 0.0, task.reference), pairs[:3], 300)
    assert (result.means["rewards/margins"], result.means["rewards/accuracies"]) == (0.0, 0.5)


def test_tokens_run_are_those_of_this_step_alone(model, task, pairs):
    _, first = gradient(model, task, pairs[:4], 300)
    _, second = gradient(model, task, pairs[:4], 300)
    assert first.num_tokens == second.num_tokens > 0


def test_a_micro_batch_holds_what_fits_with_shared_tokens_counted_once(model, task, pairs):
    def num_micro_batches(budget):
        called, parameters = [], list(model.network.parameters())
        options = {"max_grad_norm": 1.0, "before_micro_batch": lambda: called.append(1)}
        accumulate(model, task, pairs[:4], parameters, token_budget=budget, **options)
        return len(called)

    _, whole = gradient(model, task, pairs[:4], 10_000)
    assert num_micro_batches(whole.num_tokens) == 1
    assert num_micro_batches(whole.num_tokens // 2) > 1
    model.stop_sharing("compared")
    assert num_micro_batches(whole.num_tokens) > 1, "a prompt is run for each response"


def test_the_callback_is_called_before_each_micro_batch(model, task, pairs):
    model.stop_sharing("so that a budget of one token is one pair")
    called = []
    accumulate(
        model,
        task,
        pairs[:3],
        list(model.network.parameters()),
        token_budget=1,
        max_grad_norm=1.0,
        before_micro_batch=lambda: called.append(model.num_tokens_run),
    )
    assert len(called) == 3
    assert called == sorted(set(called)), "before, not after"


def test_a_mean_is_over_the_items_of_all_parts():
    values = [[1.0, 2.0, 6.0], [5.0], [3.0, 4.0]]
    parts = []
    for part in values:
        tally = Tally()
        tally.add(torch.tensor(part), len(part), {"margin": (torch.tensor(part) * 10, len(part))})
        parts.append(tally.as_dict())
    assert Tally.together(parts).means() == {"loss": 3.5, "margin": 35.0}


def test_several_updates_of_a_step_keep_the_margins_and_bad_items_of_all():
    first = StepResult({"loss": 1.0, "clipped": 0.5}, 2.0, 10, True, (), (("a:1", 0.5),))
    second = StepResult({"loss": 3.0}, 4.0, 5, False, ("bad",), (("a:2", -1.0), ("a:3", 0.0)))
    both = StepResult.together([first, second])
    assert both.means == {"loss": 2.0, "clipped": 0.5}
    assert both.grad_norm == 3.0
    assert both.num_tokens == 15
    assert not both.finite
    assert both.bad_items == ("bad",)
    assert both.margins == (("a:1", 0.5), ("a:2", -1.0), ("a:3", 0.0))
    assert StepResult.together([first, first]).finite is True
