"""The effect and cost of a run, in sentences."""

from collections.abc import Mapping
from typing import Any

from penchant.report.advice import advise
from penchant.report.counts import counts_of, num_held_out_pairs
from penchant.report.series import Rows
from penchant.wording import bytes_in_words

__all__ = ["summary"]

LENGTHS = ("longer", "as long", "shorter")

ENOUGH_FOR_PARTS = 20
"""Held-out pairs from which the terminal divides them by length; the report and the metrics have every count."""


def summary(ledger: Mapping[str, Any], metrics: Rows) -> list[str]:
    """Held-out results, remarks, time and memory of a finished run; one sentence each."""
    last = next((row for row in reversed(metrics) if {"eval_loss", "eval_reward"} & row.keys()), None)
    held_out = [] if last is None else [_held_out(last, ledger), *_by_length(last)]
    remarks = [f"{remark.level}: {remark.title}. {remark.text}" for remark in advise(ledger, metrics)]
    cost = "training_seconds", "unique_tokens_per_second", "peak_memory_bytes"
    if ledger.get("status") != "finished" or not ledger.keys() >= set(cost):
        return [*held_out, *remarks]
    seconds, speed, peak = (ledger[name] for name in cost)
    took = f"{seconds:.0f} s of training, {speed:.0f} unique tokens/s, {bytes_in_words(peak)} at most"
    return [*held_out, *remarks, took]


def _held_out(last: Mapping[str, Any], ledger: Mapping[str, Any]) -> str:
    if "eval_reward" in last:
        away = f", {_shown(last['eval_kl'], '.2f')} nats a response from the reference" if "eval_kl" in last else ""
        return f"held out: mean score {_shown(last['eval_reward'], '+.4f')}{away}"
    loss, counts = _shown(last["eval_loss"], ".4f"), counts_of(ledger)
    num = num_held_out_pairs(ledger, [last]) or counts.held_out
    accuracy, low, high = (last.get(f"eval_rewards/accuracies{end}") for end in ("", "_low", "_high"))
    if accuracy is None or low is None or high is None:
        return f"held out{'' if num is None else f' ({num})'}: loss {loss}"
    sure = "which may be chance" if low <= 0.5 <= high else "which is more than chance"
    if high < 0.5:
        sure = "which is less than chance"
    pairs = "1 held-out pair" if num == 1 else "held-out pairs" if num is None else f"{num:,} held-out pairs"
    longer = ledger.get("held_out_longer")
    beside = "" if longer is None else f" (the longer response was chosen in {longer:.1%})"
    return (
        f"on {pairs} the model prefers the chosen response in {accuracy:.1%} (95% interval {low:.1%} to {high:.1%}), "
        f"{sure}{beside}; loss {loss}, mean margin {_shown(last.get('eval_rewards/margins'), '+.4f')}"
    )


def _by_length(last: Mapping[str, Any]) -> list[str]:
    """The accuracy by which response is longer, and calibration, in a sentence; empty if few or not measured."""
    parts, num_pairs = [], 0.0
    for name in LENGTHS:
        key = f"eval_rewards/accuracies/chosen_{name.replace(' ', '_')}"
        rate, low, high, num = (last.get(f"{key}{end}") for end in ("", "_low", "_high", "_num"))
        if not (rate is None or low is None or high is None or num is None):
            parts.append(f"{rate:.1%} ({low:.1%} to {high:.1%}) of {num:,.0f} where chosen is {name}")
            num_pairs += num
    if last.get("eval_rewards/ece") is not None:
        parts.append(f"its certainty is off by {last['eval_rewards/ece']:.3f} on average (ECE)")
    return [f"by length: {', '.join(parts)}"] if num_pairs >= ENOUGH_FOR_PARTS else []


def _shown(value: float | None, form: str) -> str:
    """metrics.jsonl holds null for a number that is not finite."""
    return "not finite" if value is None else format(value, form)
