"""Tasks beside plain pairs: labelled responses, whole batches, weighted tokens and pairs, a reference that moves."""

import math
from dataclasses import replace

import pytest
import torch

from penchant.data import Labelled, Message, labelled_from_pairs, load_pairs
from penchant.models.forward import score_pairs, score_sequences
from penchant.models.load import load_model
from penchant.models.numerics import Numerics
from penchant.objectives import LABELLED_OBJECTIVES, PairBatch, bind, bind_token_weights
from penchant.tokens import Limits, tokenise_labelled
from penchant.training.band import place_in_band
from penchant.training.coupled import CoupledTask
from penchant.training.loop import accumulate
from penchant.training.moving_reference import MovingReference
from penchant.training.preferences import PreferenceTask
from penchant.training.reference import reference_logprobs
from penchant.training.single_responses import LabelledTask

BETA = 0.3
CPU = Numerics(torch.device("cpu"), torch.float32)


def gradient(model, task, items, budget=10_000):
    parameters = list(model.network.parameters())
    model.network.zero_grad(set_to_none=True)
    result = accumulate(model, task, items, parameters, token_budget=budget, max_grad_norm=1e9)
    return torch.cat([p.grad.flatten() for p in parameters]), result.means


def reference_of(model, items, spread=0.0, lower=0.0):
    """Reference log-probs off the policy's own by random amounts, so that no reward is zero and no two are equal."""
    scores = reference_logprobs(model, [s for item in items for s in item.referenced], None, token_budget=500)
    shifts = torch.randn(len(scores), generator=torch.Generator().manual_seed(0))
    return {key: value + spread * float(x) - lower for (key, value), x in zip(scores.items(), shifts, strict=True)}


@pytest.fixture
def token_logps(stories260k):
    """Log-probs over the vocabulary at every position of a sequence, by transformers' own code, in float64."""
    other = load_model(str(stories260k), CPU, chat_template="plain")
    other.stop_sharing("an oracle")

    def of(sequence):
        with torch.no_grad():
            return torch.log_softmax(other.network(torch.from_numpy(sequence.ids)[None]).logits[0].double(), -1)

    return of


@pytest.fixture
def labelled(model, pairs_file):
    records = labelled_from_pairs(load_pairs(pairs_file).records)[:13]
    return tokenise_labelled(model.encoder, records, Limits(200, 199)).items


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", ["aot", "aot_unpaired", "alpha_dpo", "beta_dpo"])
def test_the_gradient_of_a_cut_batch_is_that_of_the_whole_batch_through_autograd(model, pairs, name):
    reference, objective = reference_of(model, pairs, 0.7), bind(name, beta=BETA)
    cut, means = gradient(model, CoupledTask(objective, BETA, reference), pairs, budget=60)
    model.network.zero_grad(set_to_none=True)
    whole = objective(score_pairs(model, pairs, torch.tensor([reference[s.key] for p in pairs for s in p.sequences])))
    whole.mean().backward()
    expected = torch.cat([p.grad.flatten() for p in model.network.parameters()])
    assert float((cut - expected).norm() / expected.norm()) < 1e-4
    assert means["loss"] == pytest.approx(float(whole.detach().mean()), rel=1e-5)


@pytest.mark.slow(threads=1)
def test_micro_batches_alone_would_have_another_gradient(model, pairs):
    """Otherwise the test above would hold for a task that ignores the coupling."""
    reference, objective = reference_of(model, pairs, 0.7), bind("aot", beta=BETA)
    coupled, _ = gradient(model, CoupledTask(objective, BETA, reference), pairs, budget=60)
    alone, _ = gradient(model, PreferenceTask(objective, BETA, reference), pairs, budget=60)
    assert float((coupled - alone).norm() / coupled.norm()) > 1e-2


@pytest.mark.slow(threads=1)
def test_what_an_objective_remembers_is_kept_by_steps_and_comes_back_from_a_checkpoint(model, pairs):
    """The running mean of D, 0.9 of it and 0.1 of each batch that was stepped on (arXiv 2407.08639)."""
    reference = reference_of(model, pairs, 3.0)

    def task():
        objective = bind("beta_dpo", beta=BETA)
        return CoupledTask(objective, BETA, reference, memory=objective)

    def mean_difference(batch):
        with torch.no_grad():
            scores = [[float(score_sequences(model, [s])) - reference[s.key] for s in pair.sequences] for pair in batch]
        return sum(chosen - rejected for chosen, rejected in scores) / len(batch)

    going, remembered = task(), 0.0
    assert going.state() == {}, "nothing yet"
    for step, batch in enumerate((pairs[:3], pairs[3:5]), 1):
        going.for_batch(model, [batch])
        going.for_batch(model, [batch])  # an evaluation, or a step that was skipped
        going.after_update(model, batch, [], step)
        place_in_band(model, going, batch[0], [*model.network.parameters()])  # as an alarm does
        going.for_batch(model, [pairs[5:8]])  # an evaluation before the next step, which may have no pairs
        going.after_step(model, step)
        remembered = 0.9 * remembered + 0.1 * mean_difference(batch)
        assert going.state()["memory"].tolist() == pytest.approx([remembered], rel=1e-4, abs=1e-5)
    again = task()
    again.restore(going.state())
    assert again.state()["memory"].tolist() == going.state()["memory"].tolist()
    _, means = gradient(model, going, pairs[5:8])
    assert gradient(model, again, pairs[5:8])[1] == means
    assert gradient(model, task(), pairs[5:8])[1]["loss"] != means["loss"], "it matters"

    forgetful = CoupledTask(bind("aot", beta=BETA), BETA, reference)
    forgetful.after_update(model, pairs[:1], [], 1)
    forgetful.restore({})
    again.restore({})  # of a checkpoint before the first step
    assert forgetful.state() == {}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", LABELLED_OBJECTIVES)
def test_labelled_responses_have_the_same_gradient_shared_cut_and_unshared(model, labelled, name):
    row = LABELLED_OBJECTIVES[name]
    task = LabelledTask(bind(name, beta=BETA), BETA, reference_of(model, labelled, 0.7, lower=0.5), row)
    whole, means = gradient(model, task, labelled)
    cut, means_cut = gradient(model, task, labelled, budget=50)
    model.stop_sharing("compared")
    apart, _ = gradient(model, task, labelled)
    assert means["baseline"] != 0, "or the coupling by the baseline would not be tested"
    assert means == pytest.approx(means_cut, rel=1e-4)
    assert float((whole - cut).norm() / whole.norm()) < 1e-4
    assert float((whole - apart).norm() / whole.norm()) < 1e-3


@pytest.mark.slow(threads=1)
def test_kto_measures_rewards_from_the_mean_of_mismatched_responses(model, labelled):
    reference = reference_of(model, labelled, 0.9, lower=0.5)
    task = LabelledTask(bind("kto", beta=BETA), BETA, reference, LABELLED_OBJECTIVES["kto"])
    _, means = gradient(model, task, labelled, budget=50)
    with torch.no_grad():
        scores = {s.key: float(score_sequences(model, [s])) for item in labelled for s in item.referenced}
    ratio = {key: score - reference[key] for key, score in scores.items()}
    baseline = BETA * max(0.0, sum(ratio[item.mismatch.key] for item in labelled) / len(labelled))
    losses, good, bad = [], [], []
    for item in labelled:
        reward = BETA * ratio[item.sequence.key]
        gain = reward - baseline if item.desirable else baseline - reward
        losses.append(1 - 1 / (1 + math.exp(-gain)))
        (good if item.desirable else bad).append(reward)
    assert baseline > 0
    assert means["baseline"] == pytest.approx(baseline, rel=1e-4)
    assert means["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert means["rewards/chosen"] == pytest.approx(sum(good) / len(good), rel=1e-4)
    assert means["rewards/rejected"] == pytest.approx(sum(bad) / len(bad), rel=1e-4)


def test_bco_measures_rewards_from_half_way_between_good_and_bad(model, labelled):
    reference = reference_of(model, labelled, 0.9)
    task = LabelledTask(bind("bco", beta=BETA), BETA, reference, LABELLED_OBJECTIVES["bco"])
    _, means = gradient(model, task, labelled, budget=50)
    assert means["baseline"] == pytest.approx((means["rewards/chosen"] + means["rewards/rejected"]) / 2, rel=1e-4)


def test_weights_of_labelled_responses_scale_their_part_of_the_gradient(model, labelled):
    task = LabelledTask(bind("kto"), BETA, reference_of(model, labelled, 0.5), LABELLED_OBJECTIVES["kto"])
    plain, _ = gradient(model, task, labelled)
    heavy, _ = gradient(model, task, [replace(item, weight=2.0) for item in labelled])
    torch.testing.assert_close(heavy, 2 * plain, rtol=1e-3, atol=1e-6)


def test_a_response_is_borrowed_from_another_prompt_and_lent_once(model, labelled):
    def parts(sequence):
        return sequence.ids[~sequence.scored].tobytes(), sequence.ids[sequence.scored].tobytes()

    own = {parts(item.sequence) for item in labelled}
    borrowed = [parts(item.mismatch) for item in labelled]
    assert not own & set(borrowed)
    assert [prompt for prompt, _ in borrowed] == [parts(item.sequence)[0] for item in labelled]
    lent = [parts(item.sequence)[1] for item in labelled]
    assert sorted(response for _, response in borrowed) == sorted(lent)


def test_one_prompt_alone_borrows_from_itself_rather_than_failing(model):
    prompt = (Message(role="user", content="Once upon a time"),)
    records = [Labelled(prompt=prompt, response=" there was a dog.", desirable=True)]
    (item,) = tokenise_labelled(model.encoder, records, Limits(50, 49)).items
    assert item.mismatch.key == item.sequence.key


@pytest.mark.parametrize(("name", "parameters"), [("ld_dpo", {"ld_alpha": 0.25}), ("d2po", {"gamma": 0.9})])
def test_token_weights_multiply_the_log_prob_of_each_token(model, token_logps, pairs, name, parameters):
    weights = bind_token_weights(name, **parameters)
    for pair in pairs[:4]:
        weighted = pair.weigh_tokens(lambda *lengths: weights(*lengths).numpy())
        lengths = [int(side.scored.sum()) for side in pair.sequences]
        for side, own, mine, other in zip(weighted.sequences, pair.sequences, lengths, lengths[::-1], strict=True):
            expected = 0.0
            logp = token_logps(own)
            start = len(own) - mine
            for t in range(mine):
                weight = 0.9**t if name == "d2po" else (1.0 if t < other else 0.25)
                expected += weight * float(logp[start + t - 1, own.ids[start + t]])
            with torch.no_grad():
                assert float(score_sequences(model, [side])) == pytest.approx(expected, rel=1e-4)


def test_weights_of_one_are_no_weights_and_others_have_their_own_cached_reference(pairs):
    keys = {
        name: pairs[0].weigh_tokens(lambda *n, w=weights: w(*n).numpy()).chosen.key
        for name, weights in {
            "one": bind_token_weights("d2po", gamma=1.0),
            "less": bind_token_weights("d2po", gamma=0.5),
        }.items()
    }
    assert keys["one"] == pairs[0].chosen.key
    assert keys["less"] != pairs[0].chosen.key


@pytest.mark.slow
@pytest.mark.parametrize("shares", [True, False], ids=["shared", "unshared"])
def test_wpo_weighs_a_pair_by_its_tokens_beside_what_the_policy_would_draw(model, token_logps, pairs, shares):
    if not shares:
        model.stop_sharing("compared")
    zeros = torch.zeros(2 * len(pairs))
    with torch.no_grad():
        plain, weighted = score_pairs(model, pairs, zeros), score_pairs(model, pairs, zeros, wpo=True)
        assert torch.equal(plain.policy_chosen_B, weighted.policy_chosen_B)
        for b, pair in enumerate(pairs):
            expected = 1.0
            for side in pair.sequences:
                logp = token_logps(side)[:-1]
                inside = torch.from_numpy(side.scored[1:])
                own = logp.gather(1, torch.from_numpy(side.ids[1:, None]))[:, 0]
                expected *= math.exp(float((own - torch.logsumexp(2 * logp, -1))[inside].mean()))
            assert float(weighted.weight_B[b]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow(threads=1)
def test_wpo_scales_the_loss_and_gets_no_gradient_of_its_own(model, pairs):
    task = PreferenceTask(bind("dpo"), 0.1, reference_of(model, pairs, 0.5), wpo=True)
    found, _ = gradient(model, task, pairs)
    with torch.no_grad():
        batch: PairBatch = score_pairs(model, pairs, task.reference_of(pairs), wpo=True)
    by_hand = [replace(pair, weight=float(w)) for pair, w in zip(pairs, batch.weight_B, strict=True)]
    expected, _ = gradient(model, replace(task, wpo=False), by_hand)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("mixup", [0.5, 0.2, 1.0])
def test_a_reference_moves_by_the_share_mixup_of_the_way_to_the_policy(model, pairs, mixup):
    start = {name: p.detach().clone() for name, p in model.network.named_parameters()}
    moving = MovingReference(PreferenceTask(bind("dpo"), 0.1, reference_of(model, pairs)), start, every=2, mixup=mixup)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)), alpha=0.01)
    policy = {name: p.detach().clone() for name, p in model.network.named_parameters()}
    moving.after_step(model, 1)
    assert moving.state() == {}
    moving.after_step(model, 2)
    for name, tensor in moving.state().items():
        torch.testing.assert_close(tensor, mixup * policy[name] + (1 - mixup) * start[name])
    task = moving.for_batch(model, [pairs[:3], pairs[3:6]])
    for name, p in model.network.named_parameters():
        assert torch.equal(p, policy[name]), "the policy is back in its place"
    with torch.no_grad():
        for name, p in model.network.named_parameters():
            p.copy_(mixup * policy[name] + (1 - mixup) * start[name])
        expected = score_sequences(model, pairs[0].sequences)
    found = torch.tensor([task.reference[s.key] for s in pairs[0].sequences])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_moved_reference_is_read_by_a_task_that_compares_whole_batches(model, pairs):
    random = torch.Generator().manual_seed(1)
    moved = {
        name: p.detach() + 0.02 * torch.randn(p.shape, generator=random) for name, p in model.network.named_parameters()
    }
    objective, items = bind("aot", beta=BETA), pairs[:5]
    with model.with_weights(moved):
        reference = reference_of(model, items)
    expected, means = gradient(model, CoupledTask(objective, BETA, reference), items, budget=60)
    moving = MovingReference(CoupledTask(objective, BETA, {}), {}, every=1, mixup=1.0, weights=moved)
    assert moving.knows_items
    found, found_means = gradient(model, moving, items, budget=60)
    assert abs(means["rewards/chosen"]) > 1e-2, "it has moved"
    assert float((found - expected).norm() / expected.norm()) < 1e-4
    assert found_means == pytest.approx(means, rel=1e-4, abs=1e-5)


def test_before_it_moves_a_moving_reference_is_the_task_it_holds(model, pairs):
    inner = PreferenceTask(bind("dpo"), 0.1, reference_of(model, pairs, 0.5))
    moving = MovingReference(inner, {}, every=2, mixup=0.5)
    found, means = gradient(model, moving, pairs[:3])
    expected, own_means = gradient(model, inner, pairs[:3])
    assert torch.equal(found, expected)
    assert means == own_means
    with torch.no_grad():
        loss, metrics = moving.losses(model, pairs[:3])
        own_loss, own_metrics = inner.losses(model, pairs[:3])
    assert torch.equal(loss, own_loss)
    assert metrics.keys() == own_metrics.keys()

    class Heavy:
        def count(self, item):
            return 2.0 * len(item.sequences)

    assert MovingReference(Heavy(), {}, every=2, mixup=0.5).count(pairs[0]) == 4.0


def test_a_reference_moves_on_from_where_it_is_and_comes_back_from_a_checkpoint(model, pairs):
    start = {"w": torch.tensor([0.0])}

    class Network:
        def named_parameters(self):
            return [("w", torch.tensor([8.0]))]

    class Policy:
        network = Network()

    moving = MovingReference(PreferenceTask(bind("dpo"), 0.1, {}), start, every=3, mixup=0.25)
    for step in range(1, 7):
        moving.after_step(Policy(), step)
    assert moving.state()["w"].item() == pytest.approx(2 + 0.25 * (8 - 2)), "a quarter of the way, twice"
    assert start["w"].item() == 0, "where it started is kept"
    again = MovingReference(PreferenceTask(bind("dpo"), 0.1, {}), start, every=3, mixup=0.25)
    again.restore(moving.state())
    again.after_step(Policy(), 9)
    assert again.state()["w"].item() == pytest.approx(3.5 + 0.25 * (8 - 3.5))


def test_the_policy_is_back_in_its_place_when_scoring_the_reference_fails(model, pairs, monkeypatch):
    start = {name: p.detach() + 1 for name, p in model.network.named_parameters()}
    moving = MovingReference(PreferenceTask(bind("dpo"), 0.1, {}), start, every=1, mixup=1.0, weights=start)
    before = {name: p.detach().clone() for name, p in model.network.named_parameters()}
    monkeypatch.setattr("penchant.training.moving_reference.score_sequences", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        moving.for_batch(model, [pairs[:1]])
    assert all(torch.equal(p, before[name]) for name, p in model.network.named_parameters())
