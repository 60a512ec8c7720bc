"""TDPO: where it is dpo, and through which of the sequential KLs a gradient flows."""

from dataclasses import replace

import pytest
import torch

from penchant.objectives import Objective, bind


def slopes(name, batch, **parameters):
    """Derivatives of the summed loss in the KLs of chosen and rejected."""
    sides = [side.clone().requires_grad_() for side in batch.sequential_kl]
    loss_B = bind(name, **parameters)(replace(batch, kl_chosen_B=sides[0], kl_rejected_B=sides[1]))
    return torch.autograd.grad(loss_B.sum(), sides, materialize_grads=True)


def differences(name, batch, **parameters):
    """The same by central differences, pair by pair, as if nothing were held back."""
    step, found = 1e-5, []
    for field in ("kl_chosen_B", "kl_rejected_B"):
        up, down = (
            bind(name, **parameters)(replace(batch, **{field: getattr(batch, field) + sign * step})) for sign in (1, -1)
        )
        found.append((up - down) / (2 * step))
    return found


@pytest.fixture
def batch(pairs):
    return pairs([0.4, -3.0, 6.0], margin=[0.0, 0.5, -0.3])


def test_tdpo1_moves_both_kls(batch):
    torch.testing.assert_close(slopes("tdpo1", batch), tuple(differences("tdpo1", batch)))


def test_tdpo2_moves_the_kl_of_what_lost_alone(batch):
    of_chosen, of_rejected = slopes("tdpo2", batch, alpha=0.7)
    torch.testing.assert_close(of_rejected, differences("tdpo2", batch, alpha=0.7)[1])
    assert bool((of_rejected > 0).all()), "a step down makes the KL of what lost smaller"
    assert torch.equal(of_chosen, torch.zeros(3, dtype=torch.float64))
    assert not torch.equal(differences("tdpo2", batch, alpha=0.7)[0], of_chosen), "it is read all the same"


def test_under_a_soft_label_the_gradient_is_that_expected_over_which_side_won(batch):
    p_B = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)
    one, other = slopes("tdpo2", replace(batch, probability_B=p_B))
    won, lost = (slopes("tdpo2", replace(batch, probability_B=torch.full_like(p_B, p))) for p in (1.0, 0.0))
    torch.testing.assert_close(other, p_B * won[1])
    torch.testing.assert_close(one, (1 - p_B) * lost[0])


def test_without_a_weight_on_the_kls_it_is_dpo(batch):
    torch.testing.assert_close(bind("tdpo2", alpha=0.0)(batch), bind("dpo")(batch), rtol=0, atol=0)


def test_a_row_that_reads_a_kl_needs_a_reference():
    with pytest.raises(ValueError, match="reads the KL from a reference, so it needs one"):
        Objective("own", lambda batch: batch.delta_B, "", None, "", reads={"kl"}, needs_reference=False)


def test_the_kl_of_one_side_alone_is_refused(batch):
    with pytest.raises(ValueError, match="only one side of the pairs has a sequential KL"):
        replace(batch, kl_rejected_B=None)
