"""From the settings to the bound objective, and the refusal of labels that it would not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from penchant.errors import ConfigError
from penchant.objectives import PairBatch, PairFunction, bind, get_objective, mixture, refuse_unread, sft
from penchant.tokens import EncodedPair
from penchant.training.config import ObjectiveConfig

__all__ = ["ChosenObjective", "choose_objective", "refuse_unread_labels"]


class ChosenObjective(NamedTuple):
    """The function that is minimised, the beta that rewards are shown with, and whether a reference is scored."""

    function: PairFunction
    beta: float
    needs_reference: bool


def choose_objective(config: ObjectiveConfig) -> ChosenObjective:
    """The bound objective with its auxiliary term. Raises ConfigError for one that this trainer cannot run."""
    try:
        row = get_objective(config.objective)
        function = bind(row, **config.parameters)
        if config.sft_weight:
            function = mixture([(1.0, function), (config.sft_weight, sft)])
    except ValueError as error:
        raise ConfigError(f"dpo: {error}") from error
    if row.batch_coupled:
        raise ConfigError(
            f"dpo.objective: {row.name} compares all pairs of a batch with each other, and the trainer cuts a batch "
            "into micro-batches; choose an objective of single pairs"
        )
    return ChosenObjective(function, config.beta or row.defaults.get("beta", 1.0), row.needs_reference)


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
