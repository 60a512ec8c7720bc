"""FlexAttention's mask of a forest: its blocks are those of the rule written out, and one kernel serves all sizes."""

import numpy as np
import pytest
import torch

from penchant.models import attention, flex
from penchant.models.attention import TreeLayout, layout_of
from penchant.models.flex import FlexLayout, block_mask, seen_blocks, subtree_ends
from penchant.models.forward import score_sequences
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.tokens import Forest, TokenSequence

CPU = torch.device("cpu")
TABLES = [
    f"{part}{side}_{what}" for part in ("", "full_") for side in ("kv", "q") for what in ("num_blocks", "indices")
]


def random_forest(seed, num_prompts, prompt=120, response=60):
    """Prompts behind one beginning, two responses each, of all lengths up to twice the usual ones."""
    random = np.random.default_rng(seed)
    some = lambda usual: random.integers(0, 9, random.integers(1, 2 * usual)).tolist()  # noqa: E731
    system = some(prompt)
    prompts = [system + some(prompt) for _ in range(num_prompts)]
    return Forest.plant([TokenSequence.of(p, some(response)) for p in prompts for _ in range(2)])


def inputs_of(forest, dtype=torch.float32, device=CPU, heads=(4, 2, 2), width=16):
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, num, forest.num_tokens, width) for num in heads]
    return [torch.randn(s, generator=generator).to(device, dtype).requires_grad_() for s in shapes]


@pytest.mark.parametrize("block", [1, 2, 7, 128])
@pytest.mark.parametrize("num_prompts", [1, 3, 7])
def test_blocks_are_those_of_the_rule_written_out(visible, num_prompts, block):
    forest = random_forest(num_prompts, num_prompts)
    size = -(-forest.num_tokens // block)
    seen = np.zeros((size * block, size * block), dtype=bool)
    seen[: forest.num_tokens, : forest.num_tokens] = visible(forest)
    cells = seen.reshape(size, block, size, block)
    some, whole = cells.any(axis=(1, 3)), cells.all(axis=(1, 3))
    np.testing.assert_array_equal(seen_blocks(subtree_ends(forest), block), [some & ~whole, whole])


def test_the_rule_given_to_flex_attention_is_the_forests_rule(visible):
    forest = random_forest(0, 3)
    index = torch.arange(forest.num_tokens)
    sees = flex._sees(torch.from_numpy(subtree_ends(forest)))
    np.testing.assert_array_equal(sees(0, 0, index[:, None], index[None, :]).numpy(), visible(forest))


def test_cuda_alone_computes_by_flex_attention(monkeypatch):
    forest = random_forest(0, 1)
    monkeypatch.setattr(attention, "FlexLayout", lambda _, device: device)
    assert layout_of(forest, torch.device("cuda")) == torch.device("cuda")
    assert isinstance(layout_of(forest, CPU), TreeLayout)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("num_prompts", [1, 4, 9])
def test_its_tables_are_those_that_flex_attention_finds_in_all_cells(num_prompts):
    from torch.nn.attention.flex_attention import create_block_mask

    forest = random_forest(num_prompts, num_prompts)
    ours = block_mask(forest, CPU)
    theirs = create_block_mask(ours.mask_mod, None, None, forest.num_tokens, forest.num_tokens, device=CPU)
    assert forest.num_tokens > flex.LEAST_BLOCKS * flex.BLOCK
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours.to_dense(), theirs.to_dense(), rtol=0, atol=0)
    for table in TABLES:
        torch.testing.assert_close(getattr(ours, table), getattr(theirs, table), rtol=0, atol=0)


@pytest.mark.slow(threads=1)
def test_one_kernel_serves_forests_of_all_sizes_and_computes_what_ours_does(monkeypatch):
    from torch._dynamo.utils import counters
    from torch.nn.attention.flex_attention import flex_attention

    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(flex, "_compiled", torch.compile(flex_attention, dynamic=True, backend="eager"))
    forests = [random_forest(seed, num, *usual) for seed, (num, *usual) in enumerate([(1, 9, 9), (1,), (3,)])]
    assert forests[0].num_tokens < flex.BLOCK  # two blocks by LEAST_BLOCKS, as many as there are key heads
    for forest in forests:
        query, key, value = (x.detach() for x in inputs_of(forest))
        out = FlexLayout(forest, CPU).attend(0, query, key, value, 0.3)
        torch.testing.assert_close(out, TreeLayout(forest, CPU).attend(0, query, key, value, 0.3), rtol=1e-5, atol=1e-5)
    assert counters["stats"]["unique_graphs"] == 1
    rotated = [x.detach() for x in inputs_of(forests[0])]
    rotated[2] = rotated[2].bfloat16()  # what autocast leaves of a layer: queries and keys are rotated in fp32
    assert FlexLayout(forests[0], CPU).attend(0, *rotated, 0.3).dtype is torch.bfloat16


@pytest.mark.cuda
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 3e-2)], ids=["fp32", "bf16"])
@pytest.mark.parametrize("num_prompts", [1, 4, 12])
def test_attention_and_its_gradient_on_cuda_are_those_of_the_cpu(num_prompts, dtype, tolerance):
    forest, cuda = random_forest(num_prompts, num_prompts), torch.device("cuda")
    ours, exact = inputs_of(forest, dtype, cuda), inputs_of(forest)
    out, expected = FlexLayout(forest, cuda).attend(0, *ours, 0.3), TreeLayout(forest, CPU).attend(0, *exact, 0.3)
    torch.testing.assert_close(out.float().cpu(), expected, rtol=tolerance, atol=tolerance)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad((out.float() * weights.to(cuda)).sum(), ours)
    for mine, theirs in zip(found, torch.autograd.grad((expected * weights).sum(), exact), strict=True):
        assert (mine.float().cpu() - theirs).norm() < tolerance * theirs.norm()


@pytest.mark.cuda
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 5e-2)])
def test_a_model_on_cuda_shares_and_scores_as_on_the_cpu(make_folder, sizes, family, dtype, tolerance):
    from transformers import LlamaConfig

    folder = str(make_folder(LlamaConfig(**{**sizes, "hidden_size": 64})))  # heads of 16, the least a GPU multiplies
    model = load_model(folder, choose_numerics("cuda", dtype))
    assert model.why_unshared == ""
    with torch.no_grad():
        expected = score_sequences(load_model(folder, choose_numerics("cpu", "float32")), family)
        torch.testing.assert_close(score_sequences(model, family).cpu(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.cuda
def test_lengths_that_vary_compile_no_kernel_anew_on_cuda():
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    flex._compiled = None
    for num in (1, 2, 3, 5, 8):
        forest = random_forest(num, num)
        inputs = inputs_of(forest, torch.bfloat16, torch.device("cuda"))
        FlexLayout(forest, torch.device("cuda")).attend(0, *inputs, 0.3).sum().backward()
    assert counters["stats"]["unique_graphs"] == 1
