"""PairBatch refuses what would broadcast, and swaps without changing what it says."""

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from penchant.objectives import PairBatch


def test_log_ratios_and_delta_are_policy_minus_reference():
    batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.5], [5.0], [4.0]]))
    assert batch.log_ratio_chosen_B.tolist() == [1.0]
    assert batch.log_ratio_rejected_B.tolist() == [-0.5]
    assert batch.delta_B.tolist() == [1.5]


def test_hard_pairs_have_weight_1_probability_1_and_no_margin():
    batch = PairBatch.hard(*torch.zeros(6, 2))
    assert batch.weight_B.tolist() == [1.0, 1.0]
    assert batch.probability_B.tolist() == [1.0, 1.0]
    assert batch.margin_B.tolist() == [0.0, 0.0]


def test_swap_exchanges_every_side_and_restates_label_and_margin(pairs):
    batch = replace(pairs([3.0], probability=[0.75], margin=[0.5]), weight_B=torch.tensor([2.0]))
    swapped = batch.swap()
    for name in ("policy", "reference", "length"):
        assert torch.equal(getattr(swapped, f"{name}_chosen_B"), getattr(batch, f"{name}_rejected_B"))
        assert torch.equal(getattr(swapped, f"{name}_rejected_B"), getattr(batch, f"{name}_chosen_B"))
    assert swapped.probability_B.tolist() == [0.25]
    assert swapped.margin_B.tolist() == [-0.5]
    assert swapped.weight_B.tolist() == [2.0]
    assert torch.equal(swapped.delta_B, -batch.delta_B)


def test_pairs_without_a_reference_swap_but_have_no_log_ratio(pairs):
    batch = replace(pairs([3.0]), reference_chosen_B=None, reference_rejected_B=None)
    assert torch.equal(batch.swap().policy_chosen_B, batch.policy_rejected_B)
    for name in ("log_ratio_chosen_B", "log_ratio_rejected_B", "delta_B"):
        with pytest.raises(ValueError, match=r"pairs have none; run the reference model first$"):
            getattr(batch, name)


def test_a_reference_on_one_side_only_is_refused(pairs):
    with pytest.raises(ValueError, match=r"^only one side of the pairs has reference log-probs; give both or neither$"):
        replace(pairs([3.0]), reference_chosen_B=None)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 1), torch.zeros(1), torch.zeros(())], ids=["(B, 1)", "(1,)", "()"])
def test_a_field_that_would_broadcast_is_refused_by_name(pairs, wrong):
    with pytest.raises(
        ValueError,
        match=r"margin_B has shape .* has \(2,\); give every field one number a pair, shape \(B,\)$",
    ):
        replace(pairs([3.0, 4.0]), margin_B=wrong)


def test_pairs_in_a_matrix_are_refused():
    with pytest.raises(ValueError, match=r"policy_chosen_B has shape \(2, 2\)"):
        PairBatch.hard(*torch.zeros(6, 2, 2))


def test_a_batch_cannot_be_altered(pairs):
    with pytest.raises(FrozenInstanceError):
        pairs([1.0]).margin_B = torch.ones(1)
