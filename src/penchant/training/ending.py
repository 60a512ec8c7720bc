"""The end of training: write the model, and record what it took in the ledger."""

from __future__ import annotations

from typing import Any

from penchant.models.numerics import process_peak_bytes
from penchant.training.drawn import drawn_in_all, require_decided
from penchant.training.finite import require_finite
from penchant.training.loop import Loop
from penchant.training.optimiser import release

__all__ = ["finish"]


def finish(loop: Loop[Any], num_trained: int) -> None:
    """Write the model of a finished loop, the best one if an alarm requested it. num_trained: trained parameters."""
    rows = loop.record.metrics_rows()
    require_decided(rows, str(loop.record.ledger.get("judge")))
    kept = loop.alarms.take_best(loop)
    require_finite(loop.parameters)
    release(loop.model, loop.parameters, loop.optimiser)
    loop.record.finish(
        model_files=loop.record.write_model(loop.model),
        num_parameters_trained=num_trained,
        num_steps=loop.num_steps,
        num_tokens=loop.num_tokens,
        training_seconds=round(loop.seconds, 2),
        unique_tokens_per_second=round(loop.num_tokens / max(loop.seconds, 1e-9), 1),
        peak_memory_bytes=process_peak_bytes(),
        why_unshared=loop.model.why_unshared,
        numerics=loop.model.numerics.mode,
        **({"stopped_early": loop.stopped_early} if loop.stopped_early else {}),
        **drawn_in_all(rows),
        **kept,
    )
