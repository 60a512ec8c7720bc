"""Save the loop in a checkpoint, also on an early end, and restore its own state, besides weights and moments."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from typing import Any

import torch

from penchant import ranks
from penchant.errors import OutputError

__all__ = ["save", "save_after", "save_early", "state_of", "take_up"]

KEPT = ("bad_in_a_row", "owes_evaluation", "num_tokens", "seconds", "num_steps", "stopped_early")


def state_of(loop: Any) -> dict[str, Any]:
    """The state as JSON values."""
    return {
        **{name: getattr(loop, name) for name in KEPT},
        "token_budget": loop.token_budget.now,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "alarms": loop.alarms.state(),
    }


def save(loop: Any) -> None:
    """Begin a checkpoint of the step. Raises OutputError, also for the previous one."""
    keep = loop.config.save.keep_checkpoints
    loop.record.save(loop.step, loop.parameters, loop.optimiser, state_of(loop), loop.task.state(), keep=keep)


def save_early(loop: Any) -> None:
    """Save a run that ends early, and wait for it. Raises OutputError.

    A failure of the checkpoint before is dropped, as this one replaces it; of a sharded model it is raised, as the
    ranks must stay together.
    """
    with suppress(Exception) if loop.model.sharded is None else nullcontext():
        loop.record.settle()
    save(loop)
    loop.record.settle()


def save_after(loop: Any, error: Exception) -> None:
    """Save a run that has failed with this error, and report whether it is saved; raises nothing in its place."""
    stopped = f"stopped after step {loop.step}"
    if loop.model.sharded is not None:
        loop.reporter.say(f"{stopped}; not saved, as all processes save together")
    elif loop.step and not isinstance(error, OutputError):
        try:
            save_early(loop)
        except Exception as lost:
            loop.reporter.say(f"{stopped} of {loop.num_steps}; not saved: {lost}")
        else:
            loop.reporter.say(f"{stopped} of {loop.num_steps}{loop.record.how_to_go_on}")


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
