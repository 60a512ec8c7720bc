"""Evaluate held-out items, measured as in training but without a gradient."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from penchant import ranks
from penchant.models.language_model import LanguageModel
from penchant.ranking.winrate import paired_means, win_rate_of
from penchant.statistics import accuracy_by_length, calibration_error
from penchant.tokens.order import in_token_order, order_key
from penchant.tokens.packing import pack_ordered
from penchant.training.on_policy import OnPolicyKL
from penchant.training.task import Tally, Task

__all__ = ["evaluate_held_out", "evaluate_task"]

ACCURACY, MARGIN = "rewards/accuracies", "rewards/margins"
MEANS = (MARGIN, "reward", "kl")
"""The other means over items that are shown with an interval."""


def evaluate_held_out(
    model: LanguageModel, task: Task[Any], held_out: Sequence[Any], token_budget: int, kl: OnPolicyKL | None
) -> dict[str, float]:
    """`evaluate_task` on what the task makes of the held-out items, and the KL if it has a budget; {} without items."""
    if not held_out:
        return {}
    items = task.measured(model, held_out)
    found = {f"eval_{name}": value for name, value in task.seen().items()}
    if not len(items):
        return found
    found |= evaluate_task(model, task, items, token_budget)
    if kl is not None:  # measured on answers of its own, so another KL's interval is not this one's
        found = {name: value for name, value in found.items() if not name.startswith("eval_kl_")}
        found["eval_kl"] = kl.measure(model)
    return found


def evaluate_task(model: LanguageModel, task: Task[Any], items: Sequence[Any], token_budget: int) -> dict[str, float]:
    """Mean loss and metrics over all items, each under its training name with the prefix `eval_`.

    For a batch-coupled objective, all items form one batch. The accuracy also has the limits of its 95% interval, as
    `eval_rewards/accuracies_low` and `_high`, clustered by prompt. So do the margin, and score and KL in reinforcement
    learning, unless there is one prompt or all values are equal. The accuracy is also split by which response is
    longer, as `eval_rewards/accuracies/chosen_longer`, `_as_long` and `_shorter`, with `_num` pairs.
    `eval_rewards/ece` is the expected calibration error of sigmoid(margin), with its limits. Ranks share the
    micro-batches.
    """
    tally = Tally()
    each: dict[str, list[Any]] = {name: [] for name in ("right", "prompts", "lengths", *MEANS)}
    micro_batches: Sequence[Sequence[Any]] = _MicroBatches.of(items, token_budget, share=model.shares)
    if task.knows_items:
        micro_batches = list(micro_batches)
    with torch.no_grad():
        task = task.for_batch(model, micro_batches)
        for batch in micro_batches:
            loss, metrics = task.losses(model, batch)
            tally.add(loss, sum(map(task.count, batch)), metrics)
            known = [name for name in MEANS if name in metrics and metrics[name][0].shape == (len(batch),)]
            for name in known:
                each[name] += metrics[name][0].tolist()
            if ACCURACY in metrics:
                each["right"] += metrics[ACCURACY][0].tolist()
                each["lengths"] += [[int(side.scored.sum()) for side in item.sequences] for item in batch]
            if known or ACCURACY in metrics:
                each["prompts"] += [_prompt_of(item) for item in batch]
    own: dict[str, Any] = {"tally": tally.as_dict(), **each}
    every = ranks.gather(own)
    tally = Tally.together(one["tally"] for one in every)
    means = {f"eval_{name}": value for name, value in tally.means().items()}
    whole = {name: [x for one in every for x in one[name]] for name in each}
    for name in MEANS:
        means |= _limits_of(name, whole[name], whole["prompts"])
    if whole["right"]:
        means |= _of_pairs(whole["right"], whole["prompts"], whole[MARGIN], whole["lengths"])
    return means


def _limits_of(name: str, values: Sequence[float], prompts: Sequence[str]) -> dict[str, float]:
    """The limits of a mean over items, clustered by prompt; empty if it has none."""
    if len(values) != len(prompts) or not np.isfinite(np.array(values)).all() or len(set(values)) < 2:
        return {}
    are_shares = set(values) == {0.0, 1.0}
    found = win_rate_of(values, prompts) if are_shares else paired_means([0.0] * len(values), values, prompts)
    if found.low is None or found.high is None:
        return {}
    return {f"eval_{name}_low": found.low, f"eval_{name}_high": found.high}


def _of_pairs(
    right: Sequence[float], prompts: Sequence[str], margins: Sequence[float], lengths: Sequence[Sequence[int]]
) -> dict[str, float]:
    """The accuracy's limits, the accuracy by which response is longer with its limits, and the calibration."""
    rate = win_rate_of(right, prompts)
    found: dict[str, float] = {f"eval_{ACCURACY}_low": rate.low, f"eval_{ACCURACY}_high": rate.high}
    for name, share in accuracy_by_length(right, [(a, b) for a, b in lengths], prompts).items():
        key = f"eval_{ACCURACY}/chosen_{name.replace(' ', '_')}"
        found |= {key: share.rate, f"{key}_low": share.low, f"{key}_high": share.high, f"{key}_num": float(share.num)}
    finite_N = np.array(margins, dtype=np.float64)
    if np.isfinite(finite_N).all():
        error = calibration_error(expit(finite_N), prompts)
        found["eval_rewards/ece"] = error.value
        if error.low is not None and error.high is not None:
            found |= {"eval_rewards/ece_low": error.low, "eval_rewards/ece_high": error.high}
    return found


def _prompt_of(item: Any) -> str:
    return hashlib.blake2b(item.sequences[0].context, digest_size=16).hexdigest()


def _first_tokens(item: Any) -> bytes:
    return order_key(item.sequences[0].ids)


@dataclass(frozen=True)
class _MicroBatches(Sequence[list[Any]]):
    """The micro-batches of this rank, each assembled on access."""

    items: Sequence[Any]
    packed: Sequence[Sequence[int]]

    @classmethod
    def of(cls, items: Sequence[Any], token_budget: int, *, share: bool) -> _MicroBatches:
        order: Iterable[int] = in_token_order(items, _first_tokens) if share else range(len(items))
        packed = list(pack_ordered(((i, items[i].sequences) for i in order), token_budget, share=share))
        return cls(items, ranks.dealt(packed))

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: Any) -> Any:
        return [self.items[i] for i in self.packed[index]]
