"""The parts of gpu.py that Penchant's environment measures, each a function of a job; or one in a process of its own.

python gpu_side.py JOB RESULT
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from common import read_json, write_json
from gpu_job import load, now, pairs_of, reference_of, score

EXACT_PAIRS, TIMED_BATCHES = 8, 4


def main() -> None:
    from penchant.models.numerics import prepare_process
    from penchant.process import own_process

    own_process()
    prepare_process()
    job = read_json(Path(sys.argv[1]))
    write_json(Path(sys.argv[2]), ACTIONS[job["action"]](job))


def exactness(job: Mapping[str, Any]) -> dict[str, Any]:
    """Differences of log-probs and gradients: shared, unshared and transformers in fp32 and bf16, and bf16 to fp32."""
    import torch

    from sharing import three_ways

    batch = pairs_of(job)[:EXACT_PAIRS]
    reference: dict[bytes, float] = {}
    exact: Any = None
    differences = {}
    for dtype in ("float32", "bfloat16"):
        model = load(job, dtype)
        reference = reference or reference_of(model, batch)
        parameters = list(model.network.parameters())
        ways = three_ways(model, batch, reference, job["token_budget"], parameters)
        _, *shared = next(ways)
        for way, *other in ways:
            differences[f"{dtype}: shared, {way}"] = gaps(shared, other)
        if exact:
            differences["shared: bfloat16, float32"] = gaps(shared, exact[0])
            differences["transformers: bfloat16, float32"] = gaps(other, exact[1])
        exact = shared, other
        del model, parameters
    assert all(torch.isfinite(torch.tensor(list(gap["logps"].values()))).all() for gap in differences.values())
    return {"num_pairs": len(batch), "differences": differences}


def gaps(one: Sequence[Any], other: Sequence[Any]) -> dict[str, dict[str, float]]:
    """Largest and RMS difference of log-probs and of gradients, and the RMS of the other's own ("of")."""
    import torch

    def gap(pairs: list[tuple[Any, Any]]) -> dict[str, float]:
        count = sum(b.numel() for _, b in pairs)
        return {
            "max": max(float((a - b).abs().max()) for a, b in pairs),
            "rms": float(torch.stack([(a - b).square().sum().cpu() for a, b in pairs]).sum() / count) ** 0.5,
            "of": float(torch.stack([b.square().sum().cpu() for _, b in pairs]).sum() / count) ** 0.5,
        }

    (logps, grads), (other_logps, other_grads) = one, other
    return {"logps": gap([(logps, other_logps)]), "gradient": gap(list(zip(grads, other_grads, strict=True)))}


def sharing(job: Mapping[str, Any]) -> dict[str, Any]:
    """Pairs a second with and without shared prefixes through the same attention, the sides taking turns."""
    from sharing import backward

    model = load(job, job["dtype"])
    pairs, size = pairs_of(job), job["batch_size"]
    batches = [pairs[start : start + size] for start in range(0, len(pairs), size)][: TIMED_BATCHES + 1]
    reference = reference_of(model, [pair for batch in batches for pair in batch])
    seconds = {True: 0.0, False: 0.0}
    for number, batch in enumerate(batches):
        for share in (True, False) if number % 2 else (False, True):
            begin = now()
            backward(model, batch, reference, job["token_budget"], share=share)
            model.network.zero_grad(set_to_none=False)
            if number:  # the first batch warms up
                seconds[share] += now() - begin
    num = sum(map(len, batches[1:]))
    return {
        "pairs_per_second": {"shared": num / seconds[True], "unshared": num / seconds[False]},
        "ratio": seconds[False] / seconds[True],
        "num_pairs": num,
    }


def flex(job: Mapping[str, Any]) -> dict[str, Any]:
    """How many masks a forward builds, how many graphs torch compiles as lengths vary, and what a mask takes."""
    import torch
    from torch._dynamo.utils import counters

    from penchant.models import flex
    from penchant.tokens import Forest

    model = load(job, job["dtype"])
    device, on_gpu = model.numerics.device, model.numerics.device.type == "cuda"
    heads = model.text_config
    width = getattr(heads, "head_dim", None) or heads.hidden_size // heads.num_attention_heads
    with flex_everywhere(compiles=on_gpu):
        forest = Forest.plant([s for pair in pairs_of(job)[:4] for s in pair.sequences])
        with mock.patch.object(flex, "block_mask", wraps=flex.block_mask) as built, count_calls() as calls:
            score(model, forest)
        torch._dynamo.reset()
        counters.clear()
        seconds, lengths = [], []
        for forest in forests_of_all_lengths(job):
            shapes = [
                (1, n, forest.num_tokens, width) for n in (heads.num_attention_heads, *2 * [heads.num_key_value_heads])
            ]
            inputs = [torch.randn(shape, device=device, dtype=model.numerics.compute_dtype) for shape in shapes]
            layout, begin = flex.FlexLayout(forest, device), now()
            out = layout.attend(0, *[x.requires_grad_(on_gpu) for x in inputs], 0.1)
            if on_gpu:  # FlexAttention goes no way back on a CPU
                out.sum().backward()
            seconds.append(now() - begin)
            lengths.append(forest.num_tokens)
        num_graphs = counters["stats"]["unique_graphs"]
    return {
        "num_layers": heads.num_hidden_layers,
        "masks_per_forward": built.call_count,
        "attention_calls": len(calls),
        "num_lengths": len(lengths),
        "shortest": min(lengths),
        "longest": max(lengths),
        "num_graphs": num_graphs,
        "compile_seconds": seconds[0],
        "call_seconds": float(np.median(seconds[1:])),
        **time_of_masks(job, device),
    }


def time_of_masks(job: Mapping[str, Any], device: Any) -> dict[str, Any]:
    """Seconds of a mask of many tokens from intervals, and by evaluating all cells, or why there is none."""
    from torch.nn.attention.flex_attention import create_block_mask

    from penchant.models import flex
    from penchant.tokens import Forest, TokenSequence

    num = job["tokens_of_mask"]
    forest = Forest.plant([TokenSequence.of([i % 7, i // 7], [1] * 254) for i in range(num // 256)], share=False)
    mask, seconds = flex.block_mask(forest, device), {}
    ways: dict[str, Callable[[], Any]] = {
        "mask": lambda: flex.block_mask(forest, device),
        "dense_mask": lambda: create_block_mask(mask.mask_mod, None, None, num, num, device=device),
    }
    failed = ""
    for name, build in ways.items():
        try:
            build()
            begin = now()
            build()
            seconds[f"{name}_seconds"] = now() - begin
        except RuntimeError as error:  # no memory for all cells
            seconds[f"{name}_seconds"], failed = None, str(error).splitlines()[0][:80]
    return {"tokens_of_mask": num, **seconds, "dense_mask_failed": failed}


def sampling(job: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens a second of our generator and of transformers' `generate`, each at the better of two rounds."""
    from sampling_throughput import load_peer, penchant_side, transformers_side

    options = sampling_options(job)
    model = load(job, job["dtype"])
    prompts = requests_of(job)
    peer = load_peer(model).to(model.numerics.device, model.numerics.compute_dtype)
    sides = {
        "Penchant": penchant_side(model, prompts, options.rows, options),
        "transformers": transformers_side(peer, model, prompts, options.rows, options),
    }
    rows = {}
    for name, run in sides.items():
        rates = []
        for turn in range(2):
            begin = now()
            num_tokens = run(turn)
            rates.append(num_tokens / (now() - begin))
        rows[name] = {"tokens_per_second": max(rates)}
    return {"num_prompts": len(prompts), "max_new_tokens": options.max_new_tokens, "rows": rows}


def vllm(job: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens a second of vLLM on the same prompts; in a process of its own, as it takes the GPU for itself."""
    from vllm import LLM, SamplingParams  # nobody's dependency: measured where it is

    options = sampling_options(job)
    engine = LLM(model=job["model"], dtype=job["dtype"], max_model_len=job["max_length"] + options.max_new_tokens)
    params = SamplingParams(n=2, temperature=1.0, max_tokens=options.max_new_tokens, seed=0)
    prompts = [{"prompt_token_ids": list(request.prompt_ids)} for request in requests_of(job)]
    rates = []
    for _ in range(2):
        begin = now()
        done = engine.generate(prompts, params)
        rates.append(sum(len(out.token_ids) for one in done for out in one.outputs) / (now() - begin))
    return {"tokens_per_second": max(rates)}


def sampling_options(job: Mapping[str, Any]) -> Any:
    from argparse import Namespace

    return Namespace(temperature=1.0, max_new_tokens=job["max_new_tokens"], rows=2 * job["num_prompts"])


def requests_of(job: Mapping[str, Any]) -> list[Any]:
    from penchant.models.generate import Request

    rows = read_json(Path(job["ids"]))[: job["num_prompts"]]
    return [Request(tuple(row["prompt_ids"]), str(number)) for number, row in enumerate(rows)]


def forests_of_all_lengths(job: Mapping[str, Any]) -> Iterator[Any]:
    """From one pair to as many as fill the token budget, no two of one length."""
    from penchant.tokens import Forest

    pairs = pairs_of(job)
    for number in range(job["num_lengths"]):
        num = 1 + number * min(len(pairs) - 1, job["batch_size"]) // job["num_lengths"]
        yield Forest.plant([s for pair in pairs[number % 3 : number % 3 + num] for s in pair.sequences])


@contextmanager
def flex_everywhere(*, compiles: bool) -> Iterator[None]:
    """Inside, the CPU too computes by FlexAttention, which is traced there as on a GPU but not compiled."""
    import torch
    from torch.nn.attention.flex_attention import flex_attention

    from penchant.models import flex, forward

    traced = torch.compile(flex_attention, dynamic=True, backend="eager")
    kernel = flex._compiled if compiles else traced
    with mock.patch.object(flex, "_compiled", kernel), mock.patch.object(forward, "layout_of", flex.FlexLayout):
        yield


@contextmanager
def count_calls() -> Iterator[list[int]]:
    """The layers that called attention, in order."""
    from penchant.models.flex import FlexLayout

    layers: list[int] = []
    attend = FlexLayout.attend

    def counted(self: Any, layer: int, *args: Any) -> Any:
        layers.append(layer)
        return attend(self, layer, *args)

    with mock.patch.object(FlexLayout, "attend", counted):
        yield layers


ACTIONS = {f.__name__: f for f in (exactness, sharing, flex, sampling, vllm)}

if __name__ == "__main__":
    main()
