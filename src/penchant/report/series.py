"""Metric rows turned into series: what the figures draw and the advice reads."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

__all__ = [
    "LogProbChange",
    "Series",
    "accuracy_limits",
    "find_beta",
    "limits_of",
    "log_prob_change",
    "series",
    "smooth",
    "thin",
]

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Series:
    """One metric over training: steps (N,) and finite values (N,), in the order of the rows."""

    steps: tuple[float, ...]
    values: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.values)

    def mean_of_last(self, share: float = 0.1) -> float:
        """Mean of the last `share` of the values, at least one: what a noisy series says at its end."""
        num = max(1, round(len(self) * share))
        return math.fsum(self.values[-num:]) / num

    def mean_of_first(self, share: float = 0.1) -> float:
        """Mean of the first `share` of the values, at least one."""
        num = max(1, round(len(self) * share))
        return math.fsum(self.values[:num]) / num


@dataclass(frozen=True)
class LogProbChange:
    """Change of the summed log-prob of chosen and rejected responses against the start, in nats per response.

    `source` says how it was measured: "held-out" (the same pairs every time), "reference" (each training pair against
    the reference, reward / beta), or "batches" (training batches against the first one, whose pairs differ). `since`:
    whether the first point is the model before training, or the first evaluation.
    """

    chosen: Series
    rejected: Series
    source: Literal["held-out", "reference", "batches"]
    since: Literal["start", "first evaluation"] = "start"

    def total(self, line: Series) -> float:
        """Change over the whole run, in nats per response; the first quarter is the start where batches differ."""
        if self.source == "batches":
            return line.mean_of_last(0.25) - line.mean_of_first(0.25)
        return line.mean_of_last()

    def noise(self) -> float:
        """Two standard errors of `total(chosen)` where it compares different batches, else zero."""
        if self.source != "batches":
            return 0.0
        quarter = max(1, round(len(self.chosen) / 4))
        ends = self.chosen.values[:quarter], self.chosen.values[-quarter:]
        return 2 * math.sqrt(sum(statistics.pvariance(end) / quarter for end in ends))


def series(rows: Rows, key: str) -> Series:
    """The finite values of `key`; rows without it, and values that are not finite numbers, are left out."""
    steps, values = [], []
    for position, row in enumerate(rows):
        value = row.get(key)
        if isinstance(value, Real) and math.isfinite(value):  # Real: numpy's scalars too
            steps.append(float(row.get("step", position)))
            values.append(float(value))
    return Series(tuple(steps), tuple(values))


def accuracy_limits(rows: Rows) -> tuple[float, float] | None:
    """The 95% interval of the last held-out accuracy, where the rows hold one."""
    return limits_of(rows, "eval_rewards/accuracies")


def limits_of(rows: Rows, key: str) -> tuple[float, float] | None:
    """The 95% interval of the last `key`, recorded beside it as `_low` and `_high`; None if that one has none."""
    last = next(([row] for row in reversed(rows) if len(series([row], key))), [])
    low, high = (series(last, f"{key}_{end}").values for end in ("low", "high"))
    return (low[0], high[0]) if low and high else None


def smooth(line: Series) -> tuple[Series, int]:
    """Trailing mean over a twentieth of the series, and its window; window 1 (no change) below 40 values."""
    window = max(1, len(line) // 20) if len(line) >= 40 else 1
    if window == 1:
        return line, window
    sums = [0.0, *itertools.accumulate(line.values)]
    starts = [max(0, end - window) for end in range(1, len(sums))]
    means = ((sums[end] - sums[start]) / (end - start) for end, start in enumerate(starts, 1))
    return Series(line.steps, tuple(means)), window


def thin(line: Series, limit: int = 400) -> Series:
    """At most about `limit` points for drawing: the lowest and the highest of each stretch, so no spike is lost."""
    if len(line) <= limit:
        return line
    num_buckets = limit // 2
    keep = {0, len(line) - 1}
    for bucket in range(num_buckets):
        stretch = range(bucket * len(line) // num_buckets, (bucket + 1) * len(line) // num_buckets)
        keep.add(min(stretch, key=line.values.__getitem__))
        keep.add(max(stretch, key=line.values.__getitem__))
    order = sorted(keep)
    return Series(tuple(line.steps[i] for i in order), tuple(line.values[i] for i in order))


def find_beta(config: object) -> float | None:
    """The number under the first key "beta" anywhere in a nested config, if there is one above zero."""
    if not isinstance(config, Mapping):
        return None
    beta = config.get("beta")
    if isinstance(beta, int | float) and beta > 0:
        return float(beta)
    return next((found for found in map(find_beta, config.values()) if found is not None), None)


def log_prob_change(run: Mapping[str, Any], rows: Rows) -> LogProbChange | None:
    """The best measurement of the log-prob change that the rows allow, or None where they hold no log-probs."""
    beta = run.get("beta") or find_beta(run.get("config"))
    earned = series(rows, "eval_rewards/chosen"), series(rows, "eval_rewards/rejected")
    if min(map(len, earned)) >= 1 and beta and run.get("reference_digest", 0) == run.get("model_digest", 1):
        return LogProbChange(_from_zero(earned[0], beta), _from_zero(earned[1], beta), "held-out")
    held_out = series(rows, "eval_logps/chosen"), series(rows, "eval_logps/rejected")
    if min(map(len, held_out)) >= 2:
        return LogProbChange(_from_start(held_out[0]), _from_start(held_out[1]), "held-out", "first evaluation")
    rewards = series(rows, "rewards/chosen"), series(rows, "rewards/rejected")
    if min(map(len, rewards)) >= 1 and beta and run.get("reference_digest"):
        return LogProbChange(_divided(rewards[0], beta), _divided(rewards[1], beta), "reference")
    batches = series(rows, "logps/chosen"), series(rows, "logps/rejected")
    if min(map(len, batches)) >= 1:
        return LogProbChange(_from_start(batches[0]), _from_start(batches[1]), "batches")
    return None


def _from_zero(rewards: Series, beta: float) -> Series:
    """A policy that began as its own reference: reward / beta is its change since step 0, where it is zero."""
    return Series((0.0, *rewards.steps), (0.0, *(value / beta for value in rewards.values)))


def _from_start(line: Series) -> Series:
    return Series(line.steps, tuple(value - line.values[0] for value in line.values))


def _divided(line: Series, by: float) -> Series:
    return Series(line.steps, tuple(value / by for value in line.values))
