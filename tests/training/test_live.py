"""The reference beside the policy in every step: TDPO against plain transformers, and what cannot be compared."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM

from penchant.errors import ConfigError
from penchant.models import adapters
from penchant.models.live_reference import LiveReference
from penchant.objectives import bind
from penchant.training.live import live_beside
from penchant.training.loop import accumulate
from penchant.training.moving_reference import MovingReference
from penchant.training.preferences import PreferenceTask
from penchant.training.reference import reference_logprobs

BETA, ALPHA = 0.3, 0.7


def moved(weights, scale=0.01):
    """The same weights a little further, each in a direction of its own."""
    generator = torch.Generator().manual_seed(0)
    return {n: w.detach() + scale * torch.randn(w.shape, generator=generator).to(w) for n, w in weights.items()}


def dense_loss(policy, reference, pairs):
    """The mean loss of TDPO2, every response by itself, of whole distributions."""

    def measured(sequence):
        ids, scored = torch.from_numpy(sequence.ids).long(), torch.from_numpy(sequence.scored)[1:]
        log_p = policy(input_ids=ids[None]).logits[0, :-1].log_softmax(-1)[scored]
        with torch.no_grad():
            log_q = reference(input_ids=ids[None]).logits[0, :-1].log_softmax(-1)[scored]
        target = ids[1:][scored][:, None]
        return (log_p - log_q).gather(1, target).sum(), (log_q.exp() * (log_q - log_p)).sum()

    losses = []
    for pair in pairs:
        (ratio_w, kl_w), (ratio_l, kl_l) = map(measured, pair.sequences)
        z = BETA * (ratio_w - ratio_l - ALPHA * (kl_l - kl_w.detach())) - pair.margin
        losses.append(-pair.weight * F.logsigmoid(z))
    return torch.stack(losses).mean()


def gradient_of(model, task, items, budget):
    parameters = [p for p in model.network.parameters() if p.requires_grad]
    model.network.zero_grad(set_to_none=True)
    result = accumulate(model, task, items, parameters, token_budget=budget, max_grad_norm=1e9)
    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]), result


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("shares", [True, False])
def test_loss_and_gradient_are_those_of_dense_distributions_in_plain_transformers(
    model, pairs, stories260k, shares, monkeypatch
):
    monkeypatch.setattr("penchant.models.logprobs.CHUNK_BYTES", 4 * 512 * 7)
    model.network.double()
    if not shares:
        model.stop_sharing("compared")
    items = [replace(pair, weight=0.5 + i, margin=0.1 * i) for i, pair in enumerate(pairs[:4])]
    sequences = [s for pair in items for s in pair.sequences]
    task = PreferenceTask(
        bind("tdpo2", beta=BETA, alpha=ALPHA),
        BETA,
        reference_logprobs(model, sequences, None, token_budget=500),
        live=LiveReference.of(model),
    )
    policy, reference = (
        AutoModelForCausalLM.from_pretrained(stories260k, dtype=torch.float64, attn_implementation="eager")
        for _ in range(2)
    )
    weights = moved(dict(model.network.named_parameters()))
    for name, parameter in [*model.network.named_parameters(), *policy.named_parameters()]:
        parameter.data = weights[name].detach().clone()
    ours, result = gradient_of(model, task, items, 60)
    loss = dense_loss(policy, reference, items)
    loss.backward()
    theirs = torch.cat([p.grad.flatten() for p in policy.parameters()])
    # the model's own norms are computed in float32, whatever its weights are in
    assert result.means["loss"] == pytest.approx(loss.item(), abs=2e-6)
    assert float((ours - theirs).norm() / theirs.norm()) < 3e-6
    assert result.means["kl/rejected"] > 0.1


@pytest.mark.slow(threads=1)
def test_beside_an_adapter_the_reference_is_the_model_with_the_adapter_as_it_began(model, pairs):
    adapters.attach(model, 4, 8.0, (), seed=0)
    adapter = {name: p for name, p in model.network.named_parameters() if p.requires_grad}
    for name, weight in moved(adapter, 0.05).items():
        adapter[name].data = weight  # as one that was trained before, and is trained on
    start = {name: p.detach().clone() for name, p in adapter.items()}
    reference = reference_logprobs(model, [s for pair in pairs[:4] for s in pair.sequences], None, token_budget=500)
    live = live_beside(model, None)
    assert live.start.keys() == adapter.keys(), "the base is not held twice"
    task = PreferenceTask(bind("tdpo1", beta=BETA), BETA, reference, live=live)
    with torch.no_grad():
        for name, p in adapter.items():
            p.copy_(moved(start, 0.05)[name])
        batch = task.batch_of(model, pairs[:4])
        model.stop_sharing("compared")
        for side, kl_B in zip(("chosen", "rejected"), batch.sequential_kl, strict=True):
            for pair, kl in zip(pairs, kl_B.tolist(), strict=False):
                sequence = getattr(pair, side)
                ids, scored = torch.from_numpy(sequence.ids).long()[None], torch.from_numpy(sequence.scored)[1:]
                log_p = model.network(input_ids=ids).logits[0, :-1].log_softmax(-1)[scored]
                with model.with_weights(start):
                    log_q = model.network(input_ids=ids).logits[0, :-1].log_softmax(-1)[scored]
                assert kl == pytest.approx(float((log_q.exp() * (log_q - log_p)).sum()), rel=1e-4)
                assert kl > 0.01
    gradient, result = gradient_of(model, task, pairs[:4], 10_000)
    assert gradient.norm() > 0
    assert result.finite


def test_a_response_that_is_cut_or_shared_by_pairs_counts_its_own_tokens(model, pairs):
    live = LiveReference.of(model)
    for name, p in model.network.named_parameters():
        p.data = moved(live.start)[name]
    task = PreferenceTask(
        bind("tdpo2"), BETA, dict.fromkeys([s.key for p in pairs for s in p.sequences], 0.0), live=live
    )
    one, other = pairs[0], replace(pairs[1], chosen=pairs[0].chosen)
    with torch.no_grad():
        alone = [task.batch_of(model, [pair]) for pair in (one, other)]
        together = task.batch_of(model, [one, other, *pairs[2:6]])
    for i, batch in enumerate(alone):
        for mine, theirs in zip(batch.sequential_kl, together.sequential_kl, strict=True):
            torch.testing.assert_close(mine[0], theirs[i], rtol=1e-4, atol=1e-5)


def test_at_the_start_the_kl_is_zero_to_the_last_digits_and_the_loss_that_of_dpo(model, pairs):
    sequences = [s for pair in pairs for s in pair.sequences]
    reference = reference_logprobs(model, sequences, None, token_budget=500)
    task = PreferenceTask(bind("tdpo2"), 0.1, reference, live=live_beside(model, None))
    _, result = gradient_of(model, task, pairs, 300)
    assert result.means["loss"] == pytest.approx(0.693147, abs=1e-5)
    assert max(abs(result.means["kl/chosen"]), abs(result.means["kl/rejected"])) < 1e-5


def test_a_reference_that_has_moved_is_the_one_whose_kl_is_read(model, pairs):
    start = {name: p.detach().clone() for name, p in model.network.named_parameters()}
    task = PreferenceTask(bind("tdpo2"), BETA, {}, live=LiveReference(start=start))
    moving = MovingReference(task, start, every=1, mixup=1.0)
    for name, p in model.network.named_parameters():
        p.data = moved(start)[name]
    with torch.no_grad():
        assert float(task.live.start["model.norm.weight"].sum()) == float(start["model.norm.weight"].sum())
        moving.after_step(model, 1)
        metrics = moving.for_batch(model, [pairs[:2]]).losses(model, pairs[:2])[1]
        assert float(metrics["kl/rejected"][0].abs().max()) < 1e-5, "it is the policy"


@pytest.mark.slow(threads=1)
def test_a_run_with_another_reference_reads_its_kl_and_measures_what_is_held_out(dpo, stories260k, tmp_path):
    other = tmp_path / "other"
    network = AutoModelForCausalLM.from_pretrained(stories260k)
    shutil.copytree(stories260k, other)
    for name, weight in moved(dict(network.named_parameters())).items():
        network.get_parameter(name).data = weight
    network.save_pretrained(other)
    record = dpo(dpo={"objective": "tdpo2"}, model={"reference": str(other)}, optimiser={"epochs": 1})
    rows = [json.loads(line) for line in (record.path / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["kl/chosen"] > 0.1, "it is not where the policy begins"
    assert [row["eval_kl/rejected"] > 0.1 for row in rows if "eval_kl/rejected" in row] == [True]


def test_a_reference_whose_distributions_cannot_be_compared_is_refused(model):
    smaller = model.copy()
    smaller.network.resize_token_embeddings(500)
    with pytest.raises(ConfigError, match=r"predicts 500 tokens and .* 512, so their distributions cannot be compared"):
        live_beside(model, LiveReference(smaller))
    apart = model.copy()
    apart.stop_sharing("told to")
    with pytest.raises(ConfigError, match=r"set model\.share_prefixes to false"):
        live_beside(model, LiveReference(apart))
