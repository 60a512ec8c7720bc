"""From the settings to the bound objective, and the refusal of labels that it would not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from penchant.errors import ConfigError
from penchant.objectives import PairBatch, PairFunction, bind, get_objective, mixture, refuse_unread, sft
from penchant.tokens import EncodedPair
from penchant.training.config import ObjectiveConfig

__all__ = ["choose_objective", "refuse_unread_labels"]


def choose_objective(config: ObjectiveConfig) -> tuple[PairFunction, float]:
    """The bound objective with its auxiliary term, and the beta that rewards are shown with."""
    try:
        row = get_objective(config.objective)
        function = bind(row, **config.parameters)
        if config.sft_weight:
            function = mixture([(1.0, function), (config.sft_weight, sft)])
    except ValueError as error:
        raise ConfigError(f"dpo: {error}") from error
    return function, config.beta or row.defaults.get("beta", 1.0)


def refuse_unread_labels(name: str, pairs: Sequence[EncodedPair]) -> None:
    """Soft labels and margins that the objective would ignore are an error, never a silence. Raises ConfigError."""
    batch = replace(
        PairBatch.hard(*torch.zeros(6, len(pairs))),
        probability_B=torch.tensor([pair.probability for pair in pairs]),
        margin_B=torch.tensor([pair.margin for pair in pairs]),
    )
    try:
        refuse_unread(get_objective(name), batch)
    except ValueError as error:
        raise ConfigError(f"dpo.objective: {error}") from error
