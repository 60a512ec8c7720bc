"""What was measured, as figures worth reading: medians, ratios, agreement of losses, share of the machine's rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from common import machine_line, number, table
from sharing import as_table as sharing_table

TOLERANCE = 1e-3
NUM_STEPS_COMPARED = 8
SHIPPED, BEST, TUNED = "TRL, as shipped", "TRL, at its best", "TRL, at its best, Penchant's matmul setting"


def summarise(result: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of the main table and of the losses, by mode ("full", "lora")."""
    work, num_pairs = result["prepared"]["work"], result["settings"]["num_pairs"]
    summary: dict[str, Any] = {"rows": {}, "losses": {}}
    for mode in dict.fromkeys(run["mode"] for run in result["runs"]):
        runs = [run for run in result["runs"] if run["mode"] == mode]
        names = list(dict.fromkeys(run["name"] for run in sorted(runs, key=lambda run: run["repeat"])))
        rows = {name: _row([r for r in runs if r["name"] == name], mode, work, num_pairs) for name in names}
        rates = next((r["gemm_rates"] for r in runs if "gemm_rates" in r), None)
        for row in rows.values():
            _put_in_proportion(row, rows, rates)
        summary["rows"][mode] = rows
        if comparison := _losses(runs):
            summary["losses"][mode] = comparison
    summary["losses_agree"] = all(c["largest_difference"] <= TOLERANCE for c in summary["losses"].values())
    return summary


def useful_operations(mode: str, work: Mapping[str, float], *, reference: bool) -> float:
    """Floating-point operations a run cannot avoid without keeping logits; what is computed again does not count.

    With F a forward pass of the body over the unique tokens and H one product with the head at the scored ones: full
    fine-tuning 3 F + 4 H, LoRA 2 F + 3 H, the reference pass F + H more.
    """
    body, head = {"full": (3, 4), "lora": (2, 3)}[mode]
    return (body + reference) * work["forward"] + (head + reference) * work["head"]


def _row(runs: list[Mapping[str, Any]], mode: str, work: Mapping[str, float], num_pairs: int) -> dict[str, Any]:
    done = [run for run in runs if "failed" not in run]
    if not done:
        return {"failed": runs[0]["failed"]}
    rate = median(run["pairs_per_second"] for run in done)
    seconds = num_pairs / rate
    reference = not runs[0]["name"].endswith("warm")
    return {
        "pairs_per_second": rate,
        "unique_tokens_per_second": work["unique_tokens"] / seconds,
        "reference_seconds": median(run["reference_seconds"] for run in done),
        "training_seconds": median(run["training_seconds"] for run in done),
        "load_seconds": median(run["load_seconds"] for run in done),
        "peak_gb": median(run["peak_bytes"] for run in done) / 1e9,
        "useful_flops": useful_operations(mode, work, reference=reference) / seconds,
        "num_failed": len(runs) - len(done),
    }


def _put_in_proportion(row: dict[str, Any], rows: Mapping[str, Any], rates: Mapping[str, Any] | None) -> None:
    """Ratios to TRL's rows, and the share of the fastest matrix product seen in Penchant's process."""
    if "failed" in row:
        return
    for key, name in (("vs_shipped", SHIPPED), ("vs_best", BEST), ("vs_tuned", TUNED)):
        base = rows.get(name, {}).get("pairs_per_second")
        row[key] = base and row["pairs_per_second"] / base
    if rates:
        row["of_blas"] = row["useful_flops"] / max(rates["highest"].values())
        row["of_fastest"] = row["useful_flops"] / max(max(shapes.values()) for shapes in rates.values())


def _losses(runs: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Losses of Penchant and of TRL as shipped, whose batches are the same; TRL at its best has an order of its own."""
    first = {run["name"]: run for run in runs if run["repeat"] == 0 and "failed" not in run}
    if "Penchant, cold" not in first or SHIPPED not in first:
        return None
    ours, theirs = first["Penchant, cold"], first[SHIPPED]
    gaps = [abs(a - b) for a, b in zip(ours["losses"], theirs["losses"], strict=True)]
    relative = [gap / abs(b) for gap, b in zip(gaps, theirs["losses"], strict=True)]
    logps = [
        abs(a - b) / abs(b)
        for pair, other in zip(ours["logps"], theirs["logps"], strict=True)
        for a, b in zip(pair, other, strict=True)
    ]
    moved = max(abs(loss - math.log(2)) for loss in theirs["losses"])
    return {
        "penchant": ours["losses"],
        "trl": theirs["losses"],
        "relative": relative,
        "largest_difference": max(relative[:NUM_STEPS_COMPARED]),
        "largest_difference_of_logps": max(logps),
        "largest_distance_from_ln2": moved,
        "largest_difference_over_distance": max(gaps) / moved if moved else None,
    }


def markdown(result: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """The whole comparison as a page."""
    prepared, settings, work = result["prepared"], result["settings"], result["prepared"]["work"]
    sides = [
        next((r["versions"] for r in result["runs"] if r["side"] == s and "versions" in r), {})
        for s in ("penchant", "trl")
    ]
    threads = sorted({r["threads"] for r in result["runs"] if "threads" in r})
    parts = [
        "# DPO throughput: Penchant and TRL",
        f"Machine: {machine_line(result['machine'], threads[0] if threads else None, *sides)}.",
        f"Model {settings['model']}, fp32 on the CPU; {settings['num_pairs']} pairs, batch {settings['batch_size']}, "
        f"one epoch; prompts of {work['mean_prompt_tokens']:.0f} tokens and responses of "
        f"{work['mean_response_tokens']:.0f} on average, {work['unique_tokens']:,} unique tokens of "
        f"{work['tokens_unshared']:,}; AdamW, no weight decay, clipping at 1.0, beta {settings['beta']}, constant "
        f"learning rate {settings['learning_rate']['full']:g} (LoRA {settings['learning_rate']['lora']:g}); "
        f"LoRA rank {settings['lora']['r']}, alpha {settings['lora']['lora_alpha']}, every linear layer but the head; "
        f"median of {settings['repeats']}.",
    ]
    if len(threads) > 1:
        parts.append(f"WARNING: the sides ran with different numbers of threads: {threads}.")
    if prepared["why_unshared"]:
        parts.append(f"WARNING: Penchant did not share prefixes: {prepared['why_unshared']}.")
    for mode, rows in summary["rows"].items():
        parts += [
            f"## {'Full fine-tuning' if mode == 'full' else 'LoRA'}",
            _speed_table(rows),
            _best_settings(result, mode),
        ]
        if comparison := summary["losses"].get(mode):
            parts += _loss_part(comparison)
    parts += _machine_part(result)
    if "sharing" in result:
        shared = result["sharing"]
        parts += ["## Sharing prefixes", _SHARING, shared.get("failed") or sharing_table(shared["experiments"])]
    return "\n\n".join([*filter(None, parts), f"Made by `{result['command']}`."]) + "\n"


_SPEED_NOTE = """\
End to end: the reference pass and all training steps, without importing and loading. Ratios are of pairs/s. \
Useful FLOP/s count each shared prefix once and nothing that is computed again."""

_SHARING = """\
The same pairs through the same attention, with and without shared prefixes; forward, backward and optimiser step, the \
same token budget a micro-batch. Differences are relative: the largest of the summed log-probs, and the norm of the \
gradients' difference over the gradient's norm."""


def _speed_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    headers = (
        "",
        "pairs/s",
        "x TRL shipped",
        "x TRL best",
        "x TRL best, same matmul",
        "unique tokens/s",
        "reference s",
        "training s",
        "load s",
        "peak GB",
        "useful GFLOP/s",
        "of BLAS rate",
        "of fastest rate",
    )
    lines = []
    for name, row in rows.items():
        if "failed" in row:
            lines.append((name, "failed", *["-"] * (len(headers) - 2)))
            continue
        lines.append(
            (
                name,
                number(row["pairs_per_second"]),
                *(number(row[key]) for key in ("vs_shipped", "vs_best", "vs_tuned")),
                number(row["unique_tokens_per_second"]),
                *(number(row[key]) for key in ("reference_seconds", "training_seconds", "load_seconds", "peak_gb")),
                number(row["useful_flops"] / 1e9),
                *("-" if key not in row else f"{row[key]:.0%}" for key in ("of_blas", "of_fastest")),
            )
        )
    failures = [f"{name} failed: {row['failed']}." for name, row in rows.items() if "failed" in row]
    told = [i for i in range(len(headers)) if i == 0 or any(line[i] != "-" for line in lines)]
    shown = table([headers[i] for i in told], [[line[i] for i in told] for line in lines])
    return "\n\n".join([shown, *failures, _SPEED_NOTE])


def _best_settings(result: Mapping[str, Any], mode: str) -> str:
    """What "at its best" was."""
    best = next((r for r in result["runs"] if r["mode"] == mode and r["name"] == BEST), None)
    if best is None:
        return ""
    text = "TRL at its best: " + ", ".join(f"{k}={v}" for k, v in best["settings"].items())
    if tried := result.get("trl_layouts_tried", {}).get(mode):
        text += f"; chosen by one step with each layout ({'; '.join(map(_layout, tried))})"
    return text + ". TRL as shipped: its defaults, but fp32 and the rows in the order given."


def _layout(trial: Mapping[str, Any]) -> str:
    checkpointing = "with checkpointing" if trial["layout"]["gradient_checkpointing"] else "without checkpointing"
    outcome = f"{number(trial['seconds'])} s" if trial["seconds"] else trial["failed"]
    return f"{trial['layout']['attention']} {checkpointing} {outcome}"


def _loss_part(comparison: Mapping[str, Any]) -> list[str]:
    verdict = "PASS" if comparison["largest_difference"] <= TOLERANCE else "FAIL"
    rows = [
        (str(step + 1), f"{a:.7f}", f"{b:.7f}", number(gap, 2))
        for step, (a, b, gap) in enumerate(
            zip(comparison["penchant"], comparison["trl"], comparison["relative"], strict=True)
        )
    ]
    of_distance = comparison["largest_difference_over_distance"]
    return [
        "Loss of every step, Penchant (cold) and TRL (as shipped: the same pairs in the same batches). Largest "
        f"relative difference over the first {NUM_STEPS_COMPARED} steps "
        f"{number(comparison['largest_difference'], 2)}: {verdict} (limit {TOLERANCE:g}). Of the distance "
        f"the loss went from ln 2 ({number(comparison['largest_distance_from_ln2'], 2)}) the largest difference is "
        f"{'-' if of_distance is None else f'{of_distance:.2%}'}; mean log-probs of the responses differ by at most "
        f"{number(comparison['largest_difference_of_logps'], 2)}, relatively.",
        table(("step", "Penchant", "TRL", "relative difference"), rows),
    ]


def _machine_part(result: Mapping[str, Any]) -> list[str]:
    run = next((r for r in result["runs"] if "gemm_rates" in r), None)
    if run is None:
        return []
    rates, chosen = run["gemm_rates"], run["matmul_precision"]
    rows = [(shape, *(number(rates[setting][shape] / 1e9) for setting in rates)) for shape in rates["highest"]]
    return [
        "## What the machine gives",
        f"fp32 matrix products, GFLOP/s, in the process that trained; Penchant ran with '{chosen}' "
        "(`torch.set_float32_matmul_precision`), chosen by measurement among settings that keep fp32 accuracy. "
        "'highest' is BLAS, PyTorch's default. The shares above are of the fastest shape.",
        table(("rows x inner x columns", *(f"'{s}'" for s in rates)), rows),
    ]
