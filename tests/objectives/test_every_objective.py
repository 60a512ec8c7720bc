"""What the table promises, checked on every row: a new row is tested by being there."""

import inspect
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penchant.objectives import OBJECTIVES, Objective, PairBatch, bind

POLICY = ("policy_chosen_B", "policy_rejected_B")
EVERY = pytest.mark.parametrize("row", OBJECTIVES.values(), ids=OBJECTIVES)


@pytest.fixture
def mixed(pairs) -> PairBatch:
    """Four unlike pairs, with soft labels, margins and weights."""
    batch = pairs([0.4, -3.0, 6.0, 1.1], probability=[1.0, 0.7, 0.2, 0.9], margin=[0.0, 0.5, -0.3, 1.0])
    return replace(
        batch,
        length_chosen_B=torch.tensor([1.0, 5.0, 9.0, 2.0], dtype=torch.float64),
        length_rejected_B=torch.tensor([4.0, 1.0, 3.0, 8.0], dtype=torch.float64),
        weight_B=torch.tensor([1.0, 0.0, 2.0, 0.5], dtype=torch.float64),
    )


def take(batch: PairBatch, rows: slice) -> PairBatch:
    tensors = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return PairBatch(**{name: None if tensor is None else tensor[rows] for name, tensor in tensors.items()})


def loss_of_policy(row: Objective, batch: PairBatch):
    """Of the two policy log-probs; what no gradient flows through is held where it is at this batch."""
    if row.memory is not None:
        memory_S = row.memory.measure(batch)
        return lambda chosen_B, rejected_B: row.function(
            replace(batch, policy_chosen_B=chosen_B, policy_rejected_B=rejected_B),
            batch,
            memory_S + 0.1,
            **row.defaults,
        )
    return lambda chosen_B, rejected_B: bind(row.name)(
        replace(batch, policy_chosen_B=chosen_B, policy_rejected_B=rejected_B)
    )


@EVERY
def test_the_gradient_is_right(row, mixed):
    inputs = tuple(getattr(mixed, name).clone().requires_grad_() for name in POLICY)
    assert torch.autograd.gradcheck(loss_of_policy(row, mixed), inputs)


@EVERY
def test_the_gradient_agrees_with_central_differences(row, mixed):
    loss = loss_of_policy(row, mixed)
    inputs = tuple(getattr(mixed, name).clone().requires_grad_() for name in POLICY)
    gradients = torch.autograd.grad(loss(*inputs).sum(), inputs, materialize_grads=True)
    step = 1e-5
    with torch.no_grad():
        for side, gradient_B in enumerate(gradients):
            for pair in range(len(gradient_B)):
                up, down = ([tensor.clone() for tensor in inputs] for _ in range(2))
                up[side][pair] += step
                down[side][pair] -= step
                slope = (loss(*up).sum() - loss(*down).sum()).item() / (2 * step)
                assert gradient_B[pair].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("probability", [1.0, 0.6, 0.0])
@pytest.mark.parametrize("length", [(1.0, 1.0), (5.0, 4.0)], ids=["one token", "some tokens"])
def test_extreme_pairs_give_finite_losses_and_gradients(row, pairs, dtype, probability, length):
    batch = pairs([-1e4, 0.0, 1e4], probability=[probability] * 3, length=length, dtype=dtype)
    inputs = tuple(getattr(batch, name).clone().requires_grad_() for name in POLICY)
    loss_B = loss_of_policy(row, batch)(*inputs)
    gradients = torch.autograd.grad(loss_B.sum(), inputs, materialize_grads=True)
    assert loss_B.dtype == dtype
    assert all(tensor.isfinite().all() for tensor in (loss_B, *gradients))


@EVERY
def test_an_empty_batch_gives_an_empty_loss_that_can_be_differentiated(row, mixed):
    empty = take(mixed, slice(0, 0))
    chosen_B = empty.policy_chosen_B.clone().requires_grad_()
    loss_B = bind(row.name)(replace(empty, policy_chosen_B=chosen_B))
    loss_B.sum().backward()
    assert loss_B.shape == chosen_B.grad.shape == (0,)


@EVERY
def test_a_pair_has_the_same_loss_alone_as_in_company_unless_the_row_says_coupled(row, mixed):
    alone = torch.cat([bind(row.name)(take(mixed, slice(pair, pair + 1))) for pair in range(4)])
    together = bind(row.name)(mixed)
    assert together.shape == (4,)
    assert torch.allclose(alone, together, rtol=1e-14) != row.batch_coupled


@EVERY
@pytest.mark.parametrize("field", ["probability_B", "margin_B", "kl_chosen_B", "kl_rejected_B"])
def test_an_optional_field_changes_the_loss_exactly_where_the_row_says_it_is_read(row, mixed, field):
    other_B = torch.tensor([0.4, 0.1, 0.9, 0.3], dtype=torch.float64)
    changed = bind(row.name)(replace(mixed, **{field: other_B}))
    assert torch.equal(changed, bind(row.name)(mixed)) == (field.split("_")[0] not in row.reads)


@EVERY
def test_a_soft_label_gives_the_loss_expected_over_which_side_won(row, mixed):
    if "probability" not in row.reads:
        return
    certain = replace(mixed, probability_B=torch.ones_like(mixed.probability_B))
    opposite = replace(certain.swap(), probability_B=certain.probability_B)
    p_B = mixed.probability_B
    expected = p_B * bind(row.name)(certain) + (1 - p_B) * bind(row.name)(opposite)
    torch.testing.assert_close(bind(row.name)(mixed), expected, rtol=1e-12, atol=1e-12)


@EVERY
def test_a_margin_asks_for_more_of_whom_the_label_prefers(row, pairs):
    if "margin" not in row.reads:
        return
    losses = [bind(row.name)(pairs([0.5, -2.0], probability=[1.0, 0.0], margin=[m, m])).tolist() for m in (0.0, 0.3)]
    (before, before_opposite), (after, after_opposite) = losses
    assert after > before
    assert after_opposite < before_opposite


@EVERY
def test_a_reference_is_required_exactly_where_the_row_says_so(row, mixed):
    without = replace(mixed, reference_chosen_B=None, reference_rejected_B=None)
    if row.needs_reference:
        with pytest.raises(ValueError, match="needs reference log-probs"):
            bind(row.name)(without)
    else:
        assert torch.equal(bind(row.name)(without), bind(row.name)(mixed))


@EVERY
def test_a_sequential_kl_is_required_exactly_where_the_row_says_it_is_read(row, mixed):
    without = replace(mixed, kl_chosen_B=None, kl_rejected_B=None)
    if "kl" in row.reads:
        with pytest.raises(ValueError, match="needs the sequential KL"):
            bind(row.name)(without)
    else:
        assert torch.equal(bind(row.name)(without), bind(row.name)(mixed))


@EVERY
def test_the_pair_weight_is_left_to_whoever_reduces_the_losses(row, mixed):
    heavy = replace(mixed, weight_B=mixed.weight_B + 10)
    assert torch.equal(bind(row.name)(heavy), bind(row.name)(mixed))


@EVERY
def test_mean_normalised_losses_do_not_change_when_every_response_is_repeated(row, mixed):
    names = [name for name in tensors_of_log_probs_and_lengths(mixed) if getattr(mixed, name) is not None]
    repeated = bind(row.name)(replace(mixed, **{name: 2 * getattr(mixed, name) for name in names}))
    assert torch.allclose(repeated, bind(row.name)(mixed), rtol=1e-13) == (row.normalisation == "mean")


def tensors_of_log_probs_and_lengths(batch: PairBatch) -> list[str]:
    return [field.name for field in fields(batch) if field.name.split("_")[0] in {"policy", "reference", "length"}]


@pytest.mark.slow(threads=1)
@EVERY
@given(data=st.data())
def test_exchanging_the_sides_together_with_the_label_changes_nothing(row, data):
    if "probability" not in row.reads:
        return  # without the label it cannot know which side is preferred
    number = st.floats(-100, 100)
    columns = [data.draw(st.tuples(number, number)) for _ in range(6)]
    chosen_B, rejected_B, reference_B, other_B, kl_B, other_kl_B = (
        torch.tensor(column, dtype=torch.float64) for column in columns
    )
    hard = PairBatch.hard(
        chosen_B, rejected_B, reference_B, other_B, torch.full_like(chosen_B, 3), torch.full_like(chosen_B, 7)
    )
    # Multiples of 1/64 keep 1 - p exact, so that swapping twice restores the label to the bit.
    probability = data.draw(st.tuples(*[st.integers(0, 64).map(lambda n: n / 64)] * 2))
    hard = replace(hard, kl_chosen_B=kl_B, kl_rejected_B=other_kl_B)
    batch = replace(hard, probability_B=torch.tensor(probability, dtype=torch.float64))
    if "margin" in row.reads:
        batch = replace(batch, margin_B=torch.tensor(data.draw(st.tuples(number, number)), dtype=torch.float64))
    assert torch.allclose(bind(row.name)(batch.swap()), bind(row.name)(batch), rtol=1e-12, atol=1e-12)
    twice = batch.swap().swap()
    assert all(torch.equal(getattr(twice, field.name), getattr(batch, field.name)) for field in fields(batch))


@EVERY
def test_the_parameters_of_the_function_are_those_of_the_row(row):
    parameters = inspect.signature(row.function).parameters.values()
    keywords = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    assert [p.name for p in keywords] == [name for name in row.defaults if name not in row.token_parameters]
    assert all(parameter.default is parameter.empty for parameter in keywords), "defaults live in the table alone"


@EVERY
def test_a_row_is_complete_and_its_defaults_are_in_range(row):
    assert OBJECTIVES[row.name] is row
    assert row.reads <= {"probability", "margin", "kl"}
    assert row.normalisation in {"sum", "mean"}
    assert all((row.formula, row.when, *row.paper))
    bind(row, **row.defaults)
