"""A model whose weights are not finite is never written: it would answer nothing, and load without a word."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from penchant.errors import TrainingError

__all__ = ["require_finite"]


def require_finite(parameters: Mapping[str, torch.nn.Parameter]) -> None:
    """Raise TrainingError where a trained parameter holds an infinity or what is no number.

    A step whose gradient is not finite is skipped, but a step that is too long can still leave the range of numbers.
    """
    bad = [name for name, parameter in parameters.items() if not torch.isfinite(parameter.detach()).all()]
    if bad:
        raise TrainingError(
            f"the trained weights are not finite ({bad[0]}, one of {len(bad)} of {len(parameters)} parameters), so no "
            "model was written; begin again in another `output=...` with a lower optimiser.learning_rate"
        )
