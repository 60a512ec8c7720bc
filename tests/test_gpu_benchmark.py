"""benchmarks/gpu.py without a GPU: its arithmetic against numbers worked out by hand, its refusals, its rehearsal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu_figures

    return gpu_figures


def run(*arguments, **environment):
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), *map(str, arguments)]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PENCHANT_")}
    return subprocess.run(command, capture_output=True, text=True, env=own | environment, timeout=300, check=False)


def test_operations_and_their_share_of_the_peak_are_those_worked_out_by_hand(figures):
    # 10 weights, 5 tokens of which 3 are scored, 12 pairs of them that see each other; 2 layers, 2 heads of 4, V H = 50
    work = {"forward": 2 * 10 * 5 + 4 * 12 * 2 * 2 * 4, "head": 2 * 50 * 3, "unique_tokens": 5, "batch_size": 2}
    assert figures.training_flops(work) == 6 * 10 * 5 + 12 * 12 * 2 * 2 * 4 + 6 * 50 * 3 == 3504
    steps = [9.0, 9.0, 0.1, 0.3]  # the first two warm up, so a step takes 0.2 s and the two of these four pairs 0.4 s
    row = figures.training_row(steps, work, pairs=4, peak=87600.0)
    assert row["pairs_per_second"] == pytest.approx(10.0)
    assert row["unique_tokens_per_second"] == pytest.approx(12.5)
    assert row["mfu"] == pytest.approx(0.1)  # 3504 / 0.4 s = 8760 a second
    assert figures.training_row(steps, work, pairs=4, peak=None)["mfu"] is None


def test_work_counts_each_shared_token_once(monkeypatch, figures):
    from transformers import LlamaConfig, LlamaForCausalLM

    import penchant_side
    from penchant.tokens import EncodedPair, TokenSequence

    sizes = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1}
    network = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=1))
    model = type("Model", (), {"causal_lm": network, "body": network.model, "head": network.lm_head})
    prompt = list(range(8))
    chosen, rejected = (TokenSequence.of(prompt, response) for response in ([9, 10], [11]))
    work = penchant_side.work(model, [[EncodedPair(chosen, rejected, 1.0, 1.0, 0.0, None)]])
    weights = 8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 16  # queries, keys and values, output; gate, up, down
    seen = sum(range(1, 9)) + (9 + 10) + 9  # by each token of the prompt, of chosen, of rejected
    assert work["forward"] == 2 * weights * 11 + 4 * seen * 8
    assert work["head"] == 2 * 20 * 8 * 3
    assert figures.ceiling_of_sharing(work) == pytest.approx((2 * 8 + 3) / (8 + 3))  # unshared tokens over unique ones


@pytest.mark.parametrize(
    ("card", "gib", "tflops"),
    [
        ("NVIDIA H100 80GB HBM3", 79.2, 989),
        ("NVIDIA A100-SXM4-40GB", 39.4, 312),
        ("NVIDIA GeForce RTX 4090", 23.5, 165),
        ("NVIDIA L40S", 44.4, 362),
        ("NVIDIA L40", 44.4, None),
        ("NVIDIA H100 PCIe", 79.2, None),
    ],
)
def test_the_peak_is_that_of_the_data_sheet_or_not_known(figures, card, gib, tflops):
    found = figures.peak_flops(card, gib * 2**30)
    assert (found and found[0]) == (tflops and pytest.approx(tflops * 1e12))


@pytest.mark.slow(threads=1)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, so nothing is refused")
def test_without_a_gpu_it_is_refused_in_one_sentence():
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "benchmark: PyTorch sees no GPU here; run it where there is one, or rehearse it with --device cpu --tiny\n"
    )


@pytest.mark.slow(threads=1)
def test_the_rehearsal_measures_everything_and_what_it_says_makes_sense(tmp_path):
    done = run("--device", "cpu", "--tiny", "--peak-tflops", 1, "--output", tmp_path / "found.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert [line for line in done.stdout.splitlines() if line.startswith("## ")] == [
        "## Exactness", "## Training", "## Sharing", "## Flex", "## Sampling",
    ]  # fmt: skip
    for name, gap in found["exactness"]["differences"].items():
        bound = 1e-5 if name.startswith("float32") else 2e-2
        assert gap["logps"]["rms"] < bound * gap["logps"]["of"], name
        assert gap["gradient"]["rms"] < bound * gap["gradient"]["of"], name
    assert len(found["exactness"]["differences"]) == 6
    work, row = found["training"]["work"], found["training"]["rows"]["Penchant"]
    assert row["mfu"] == pytest.approx(row["flops_per_second"] / 1e12)
    assert row["unique_tokens_per_second"] / row["pairs_per_second"] == pytest.approx(work["unique_tokens"] / 12)
    assert row["peak_bytes"] > 0
    assert 1 < found["sharing"]["ceiling"] < 2
    assert found["sharing"]["share_of_ceiling"] == pytest.approx(
        found["sharing"]["ratio"] / found["sharing"]["ceiling"]
    )
    flex = found["flex"]
    assert (flex["masks_per_forward"], flex["attention_calls"], flex["num_graphs"]) == (1, flex["num_layers"], 1)
    assert {name for name, row in found["sampling"]["rows"].items() if row["tokens_per_second"] > 0} == {
        "Penchant", "transformers",
    }  # fmt: skip
