"""What gpu.py works out from what it measured: arithmetic of a step, share of a card's peak, ceiling of sharing.

Pure functions, tested against numbers worked out by hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from common import number, table

WARMING_UP = 2
"""First steps that are left out, as kernels are compiled and memory is laid out in them; of a very short run, fewer."""


def training_flops(work: Mapping[str, float]) -> float:
    """Floating-point operations of training on a batch, forward and backward, each shared token once.

    work: of `penchant_side.work`. A forward takes 2 for each weight of the body and unique token, 4 L N D for each
    token and token that it sees (two products, L layers, N heads of width D), and 2 V H for each scored token; the way
    back twice as much. So 6 a weight and unique token, plus attention, plus the head. What is computed again does not
    count, nor what a run without shared prefixes would compute twice.
    """
    return 3 * (work["forward"] + work["head"])


def ceiling_of_sharing(work: Mapping[str, float]) -> float:
    """How many times the tokens are run without sharing: (2p + 2) / (p + 2), p prompts being as long as a response.

    A pair is two times a prompt and a response, (2p + 2) responses long; shared, the prompt is run once, p + 2. It is
    the largest gain where time goes with the number of tokens.
    """
    p = work["mean_prompt_tokens"] / work["mean_response_tokens"]
    return (2 * p + 2) / (p + 2)


def seconds_a_step(steps: Sequence[float]) -> float:
    """Mean of the steps after those that warm up."""
    steady = steps[min(WARMING_UP, max(0, len(steps) - 1)) :]
    return sum(steady) / len(steady)


def peak_flops(card: str, memory: float) -> tuple[float, str] | None:
    """FLOPs a second in bf16 of a card of this name and so many bytes, and the source; None for one without figures.

    From the table of `penchant plan`, which is of SXM cards: slower ones of the same name are left out.
    """
    from penchant.models.devices import DEVICES, REACHED

    name = "".join(c for c in card.lower() if c.isalnum())
    if "pcie" in name or "nvl" in name:
        return None
    fits = (d for d in DEVICES.values() if d.name.partition("-")[0] in name and 0.8 < memory / d.memory < 1.25)
    device = next(fits, None)
    return None if device is None else (device.products / REACHED[0], device.source)


def training_row(steps: Sequence[float], work: Mapping[str, float], pairs: int, peak: float | None) -> dict[str, Any]:
    """Pairs, unique tokens and useful FLOPs a second of an epoch whose steps took so long; share of the peak."""
    num_steps = math.ceil(pairs / work["batch_size"])
    seconds = seconds_a_step(steps) * num_steps
    flops = training_flops(work) / seconds
    return {
        "pairs_per_second": pairs / seconds,
        "unique_tokens_per_second": work["unique_tokens"] / seconds,
        "flops_per_second": flops,
        "mfu": peak and flops / peak,
    }


def page(result: Mapping[str, Any]) -> str:
    """Everything as Markdown; a part that failed is one sentence, and the others stand."""
    parts = [f"# {result['card']}", result["machine"]]
    for name, write in SECTIONS.items():
        found = result[name]
        parts += [f"## {name.capitalize()}", f"not measured: {found['failed']}" if "failed" in found else write(found)]
    return "\n\n".join(parts) + "\n"


def _exactness(found: Mapping[str, Any]) -> str:
    headers = ("difference", "log-probs max", "rms", "of", "gradient max", "rms", "of")
    rows = [
        (name, *(number(gap[what][key], 2) for what in ("logps", "gradient") for key in ("max", "rms", "of")))
        for name, gap in found["differences"].items()
    ]
    told = (
        f"{found['num_pairs']} pairs. Log-probs are summed over a response, in nats; `of` is the root mean square of "
        "what is compared. In bf16 shared and unshared differ by rounding; the last rows say how much of it there is."
    )
    return f"{told}\n\n{table(headers, rows)}"


def _training(found: Mapping[str, Any]) -> str:
    headers = ("", "pairs/s", "unique tokens/s", "TFLOP/s", "MFU", "reference s", "peak GB")
    rows = [
        (name, "failed", row["failed"][:60], "", "", "", "")
        if "failed" in row
        else (
            name,
            number(row["pairs_per_second"]),
            number(row["unique_tokens_per_second"]),
            number(row["flops_per_second"] / 1e12),
            "-" if row["mfu"] is None else f"{row['mfu']:.1%}",
            number(row["reference_seconds"]),
            number(row["peak_bytes"] / 1e9),
        )
        for name, row in found["rows"].items()
    ]
    work = found["work"]
    told = (
        f"{found['num_pairs']} made pairs, {work['batch_size']} a step, prompts of {work['mean_prompt_tokens']:.0f} "
        f"tokens and responses of {work['mean_response_tokens']:.0f}; {work['unique_tokens']:,} unique tokens of "
        f"{work['tokens_unshared']:,}. Model: {work['parameters_body']:,} weights in the body. Steps alone, without "
        f"the first {WARMING_UP}; the reference pass is listed. MFU counts 6 operations a weight and unique token, "
        f"attention, and the head at scored tokens, against {found['peak_source']}."
    )
    return f"{told}\n\n{table(headers, rows)}"


def _sharing(found: Mapping[str, Any]) -> str:
    shared, unshared = (number(found["pairs_per_second"][side]) for side in ("shared", "unshared"))
    return (
        f"The same batches through the same attention, forward and backward: {shared} pairs/s with shared prefixes, "
        f"{unshared} without, {found['ratio']:.2f} times. The ceiling is (2p+2)/(p+2) = {found['ceiling']:.2f} with "
        f"p = {found['p']:.2f}, a prompt's length in responses; {found['share_of_ceiling']:.0%} of it was reached. "
        "Above 100% attention, which grows with the square of a length, was saved too; below, what does not go with "
        "the number of tokens takes its part."
    )


def _flex(found: Mapping[str, Any]) -> str:
    first, usual = number(found["compile_seconds"]), number(found["call_seconds"] * 1e3)
    return (
        f"A forward of {found['num_layers']} layers built {found['masks_per_forward']} mask(s) for "
        f"{found['attention_calls']} calls of attention. {found['num_lengths']} forests of {found['shortest']} to "
        f"{found['longest']} tokens made torch compile {found['num_graphs']} graph(s): {first} s for the first call, "
        f"{usual} ms for a usual one. A mask of {found['tokens_of_mask']:,} tokens took "
        f"{number(found['mask_seconds'] * 1e3)} ms from intervals, {_dense_mask(found)} by create_block_mask."
    )


def _dense_mask(found: Mapping[str, Any]) -> str:
    seconds = found["dense_mask_seconds"]
    return f"none ({found['dense_mask_failed']})" if seconds is None else f"{number(seconds * 1e3)} ms"


def _sampling(found: Mapping[str, Any]) -> str:
    rows = [
        (name, number(row["tokens_per_second"]) if "failed" not in row else f"not measured: {row['failed']}"[:90])
        for name, row in found["rows"].items()
    ]
    return f"{found['num_prompts']} prompts, two responses of at most {found['max_new_tokens']} tokens.\n\n" + table(
        ("", "tokens/s"), rows
    )


SECTIONS = {
    "exactness": _exactness,
    "training": _training,
    "sharing": _sharing,
    "flex": _flex,
    "sampling": _sampling,
}
