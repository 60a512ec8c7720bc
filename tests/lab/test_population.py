"""The population loss: an expectation over prompts, pairs and answers, whatever the objective."""

import math
from dataclasses import replace

import pytest
import torch

from penchant.lab import World, from_reference, objective_loss, ordered_pairs, population_loss
from penchant.objectives import OBJECTIVES, PairBatch, bind

UNCOUPLED = [name for name, row in OBJECTIVES.items() if not row.batch_coupled and "kl" not in row.reads]


def some_policy(world):
    generator = torch.Generator().manual_seed(3)
    return torch.log_softmax(torch.randn(world.reference_XY.shape, dtype=torch.float64, generator=generator), 1)


@pytest.mark.parametrize("soft_labels", [True, False])
def test_dpo_is_the_expectation_summed_by_hand(world, by_hand, soft_labels):
    beta, log_policy_XY = 0.4, some_policy(world)
    expected = 0.0
    for x in range(2):
        reference, preference = world.reference_XY[x].tolist(), world.preference_XYY[x].tolist()
        u = [beta * (log_policy_XY[x, y].item() - math.log(reference[y])) for y in range(3)]
        shown = {(i, j): reference[i] * reference[j] for i in range(3) for j in range(3) if i != j}
        for (i, j), weight in shown.items():
            loss = -math.log(by_hand.sigmoid(u[i] - u[j])) * preference[i][j]
            loss -= math.log(by_hand.sigmoid(u[j] - u[i])) * preference[j][i]
            expected += weight / sum(shown.values()) * loss / 2
    found = population_loss(bind("dpo", beta=beta), world, soft_labels=soft_labels)(log_policy_XY)
    assert found.item() == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("name", UNCOUPLED)
def test_every_objective_is_its_loss_of_single_pairs_weighted_by_answers(world, name):
    world = replace(world, length_XY=torch.tensor([[1.0, 2.0, 5.0], [3.0, 1.0, 2.0]], dtype=torch.float64))
    loss, log_policy_XY, expected = bind(name), some_policy(world), 0.0
    for x in range(2):
        total = sum((world.reference_XY[x, i] * world.reference_XY[x, j]).item() for i, j in PAIRS)
        for i, j in PAIRS:
            weight = 2 * (world.reference_XY[x, i] * world.reference_XY[x, j] * world.preference_XYY[x, i, j]).item()
            sides = (log_policy_XY, world.reference_XY.log(), world.length_XY)
            pair = PairBatch.hard(*(side[x, y].reshape(1) for side in sides for y in (i, j)))
            expected += weight / total / 2 * loss(pair).item()
    found = population_loss(loss, world, soft_labels=False)(log_policy_XY)
    assert found.item() == pytest.approx(expected, rel=1e-12)


PAIRS = [(i, j) for i in range(3) for j in range(3) if i != j]


@pytest.mark.parametrize("name", [name for name in UNCOUPLED if "probability" in OBJECTIVES[name].reads])
def test_a_label_and_a_weight_are_the_same_for_every_objective_that_reads_labels(world, name):
    sampling_XYY = torch.rand(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    soft, hard = (
        population_loss(bind(name), world, sampling_XYY=sampling_XYY, soft_labels=soft_labels)(some_policy(world))
        for soft_labels in (True, False)
    )
    assert soft.item() == pytest.approx(hard.item(), abs=1e-13)


def test_the_gradient_is_that_of_finite_differences(world):
    logits_XY = some_policy(world).requires_grad_()

    def loss(logits):
        return population_loss(bind("dpo", beta=0.4), world)(torch.log_softmax(logits, 1))

    assert torch.autograd.gradcheck(loss, logits_XY, eps=1e-6, atol=1e-9, rtol=1e-6)


def test_weights_sum_to_one_and_no_response_meets_itself(world):
    batch = ordered_pairs(world, some_policy(world))
    assert len(batch.weight_B) == 2 * 3 * 2
    assert batch.weight_B.sum().item() == pytest.approx(1, abs=1e-14)
    assert ordered_pairs(world, some_policy(world), soft_labels=False).weight_B.sum().item() == pytest.approx(1)
    assert (batch.policy_chosen_B != batch.policy_rejected_B).all()


def test_the_scale_of_the_sampling_does_not_matter_and_its_diagonal_counts_for_nothing(world):
    sampling_XYY = from_reference(world)
    plain = population_loss(bind("dpo"), world, sampling_XYY=sampling_XYY)
    other = population_loss(bind("dpo"), world, sampling_XYY=7 * sampling_XYY + torch.eye(3, dtype=torch.float64))
    assert other(some_policy(world)).item() == pytest.approx(plain(some_policy(world)).item(), abs=1e-14)


@pytest.mark.parametrize("entry", [0.0, -1.0])
def test_a_sampling_that_shows_nothing_or_less_is_refused(world, entry):
    with pytest.raises(ValueError, match="sampling_XYY must be at least 0"):
        ordered_pairs(world, some_policy(world), sampling_XYY=torch.full((2, 3, 3), entry))


def test_an_objective_that_couples_pairs_is_refused():
    with pytest.raises(ValueError, match="couples the pairs"):
        objective_loss(replace(OBJECTIVES["dpo"], name="coupled", batch_coupled=True))


def test_an_objective_that_reads_every_tokens_distribution_is_refused():
    with pytest.raises(ValueError, match="tdpo2 reads the distribution of every token"):
        objective_loss("tdpo2")


def test_an_objective_that_reads_no_label_is_given_answers_as_weights():
    assert objective_loss("dpo", beta=0.2)[1] is True
    assert objective_loss("sft")[1] is False


def test_sft_pulls_towards_the_responses_that_people_choose():
    world = World.from_preferences(torch.tensor([[0.5, 0.5]]), torch.tensor([[[0.5, 0.8], [0.2, 0.5]]]))
    loss, soft_labels = objective_loss("sft")
    total = population_loss(loss, world, soft_labels=soft_labels)
    chosen, even = (total(torch.tensor([policy], dtype=torch.float64).log()) for policy in ([0.8, 0.2], [0.5, 0.5]))
    assert chosen.item() == pytest.approx(-0.8 * math.log(0.8) - 0.2 * math.log(0.2), abs=1e-7)
    assert chosen < even
