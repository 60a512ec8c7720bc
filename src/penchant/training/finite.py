"""Check numbers during training: zero rewards before the first step, finite gradients and weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from penchant.errors import ConfigError, TrainingError
from penchant.models.sharded import own_slice
from penchant.training.task import StepResult

__all__ = ["require_finite", "require_gradient", "require_rewards_of_zero", "say_not_finite"]


def require_finite(parameters: Mapping[str, torch.nn.Parameter]) -> None:
    """Raise TrainingError if a trained parameter is infinite or NaN.

    A step with a non-finite gradient is skipped, but too large a step can still overflow.
    """
    bad = [name for name, parameter in parameters.items() if not torch.isfinite(own_slice(parameter.detach())).all()]
    if bad:
        raise TrainingError(
            f"the trained weights are not finite ({bad[0]}, one of {len(bad)} of {len(parameters)} parameters), so no "
            "model was written; begin again in another `output=...` with a lower optimiser.learning_rate"
        )


def require_gradient(loss: Tensor) -> None:
    """Raise ConfigError if the loss has no gradient."""
    if not loss.requires_grad:
        raise ConfigError(
            "the loss does not depend on the model, so there is nothing to learn; do not detach its log-probs"
        )


def require_rewards_of_zero(result: StepResult[Any]) -> None:
    """Check that rewards are zero and the loss is that of a coin toss while the policy equals its reference."""
    worst, size = (
        [abs(result.means.get(f"{of}/{side}", 0.0)) for side in ("chosen", "rejected")] for of in ("rewards", "logps")
    )
    if not max(worst) <= 1e-3 * max(1.0, sum(size)):
        raise TrainingError(
            f"before the first step all rewards must be 0, as the policy is still its reference; got {max(worst):.3g} "
            f"and a loss of {result.means['loss']:.4f} (ln 2 = {math.log(2):.4f} is expected of DPO); nothing was "
            "trained"
        )


def say_not_finite(
    step: int, result: StepResult[Any], num_in_a_row: int, most: int, say: Callable[[str], None]
) -> None:
    """Report a non-finite gradient, which never reaches the weights; TrainingError after `most` in a row.

    step: the number of steps taken before.
    """
    rows = ", ".join(str(item.origin) for item in result.bad_items[:8])
    what = f"step {step + 1}: loss or gradient is not finite in a batch with {rows}"
    if num_in_a_row >= most:
        raise TrainingError(
            f"{what}; {num_in_a_row} steps in a row, so training stopped; lower optimiser.learning_rate, or look at "
            "these rows"
        )
    say(f"{what}; the step was skipped")
