"""What several processes cannot share of a run is refused, before anything is computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penchant import ranks
from penchant.errors import ConfigError
from penchant.training.config import RunConfig

__all__ = ["require_prompts", "require_shareable"]


def require_shareable(config: RunConfig, processes: int) -> None:
    """Raise ConfigError for settings that so many processes cannot share."""
    if processes > config.optimiser.batch_size:
        raise ConfigError(
            f"optimiser.batch_size: {processes} processes cannot share a batch of {config.optimiser.batch_size}; "
            "start fewer, or take larger batches"
        )


def require_prompts(groups: NDArray[np.int64]) -> None:
    """Raise ConfigError where there are fewer prompts, of which each item has the number, than processes."""
    if ranks.size() > (num := int(groups.max(initial=-1)) + 1):
        raise ConfigError(
            f"{ranks.size()} processes cannot share {num} prompt{'s' * (num != 1)}, each of which is run in one; "
            "start fewer, or give more data"
        )
