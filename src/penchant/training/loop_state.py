"""What a checkpoint keeps of the loop beside weights, moments and what the task remembers, and how it is taken up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from penchant import ranks

__all__ = ["state_of", "take_up"]

KEPT = ("bad_in_a_row", "owes_evaluation", "num_tokens", "seconds", "num_steps", "stopped_early")


def state_of(loop: Any) -> dict[str, Any]:
    """As JSON holds it."""
    return {
        **{name: getattr(loop, name) for name in KEPT},
        "token_budget": loop.token_budget.now,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "alarms": loop.alarms.state(),
    }


def take_up(loop: Any, state: Mapping[str, Any]) -> None:
    """Go on from there; what an older version did not keep stays as it is."""
    loop.step = state["step"]
    for name in KEPT:
        setattr(loop, name, state.get(name, getattr(loop, name)))
    loop.token_budget.now = min(loop.token_budget.now, state.get("token_budget", loop.token_budget.now))
    torch.set_float32_matmul_precision(state["matmul_precision"])  # measured anew, it might differ in the last bit
    with ranks.first_goes_ahead():
        loop.record.keep_until(loop.step, loop.reporter.say, evaluated=not loop.owes_evaluation)
    loop.alarms.resume(loop.record, state.get("alarms", {}))
