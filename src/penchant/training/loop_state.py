"""Save and restore the state of the loop in a checkpoint, besides weights, moments and the task's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from penchant import ranks

__all__ = ["state_of", "take_up"]

KEPT = ("bad_in_a_row", "owes_evaluation", "num_tokens", "seconds", "num_steps", "stopped_early")


def state_of(loop: Any) -> dict[str, Any]:
    """The state as JSON values."""
    return {
        **{name: getattr(loop, name) for name in KEPT},
        "token_budget": loop.token_budget.now,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "alarms": loop.alarms.state(),
    }


def take_up(loop: Any, state: Mapping[str, Any]) -> None:
    """Restore the state; entries that an older version did not save are left unchanged."""
    loop.step = state["step"]
    for name in KEPT:
        setattr(loop, name, state.get(name, getattr(loop, name)))
    loop.token_budget.now = min(loop.token_budget.now, state.get("token_budget", loop.token_budget.now))
    torch.set_float32_matmul_precision(state["matmul_precision"])  # remeasuring might change the last bit
    with ranks.first_goes_ahead():
        loop.record.keep_until(loop.step, loop.reporter.say, evaluated=not loop.owes_evaluation)
    loop.alarms.resume(loop.record, state.get("alarms", {}))
