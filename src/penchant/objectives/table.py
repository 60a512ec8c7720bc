"""The tables of all objectives, collected from the modules that define the functions and rows."""

from collections.abc import Mapping
from types import MappingProxyType

from penchant.objectives import (
    auxiliary,
    coupled,
    divergences,
    ipo,
    labelled,
    lengths,
    margin,
    onesided,
    pairwise,
    referencefree,
    remembering,
    token_level,
    token_weights,
)
from penchant.objectives.objective import LabelledObjective, Objective

__all__ = ["LABELLED_OBJECTIVES", "OBJECTIVES", "TRL_NAMES", "row_in_table"]

KINDS = (
    pairwise,
    ipo,
    margin,
    onesided,
    lengths,
    token_weights,
    token_level,
    divergences,
    referencefree,
    coupled,
    remembering,
    auxiliary,
)

OBJECTIVES: Mapping[str, Objective] = MappingProxyType({row.name: row for kind in KINDS for row in kind.ROWS})
"""Objectives of pairs, by name."""
LABELLED_OBJECTIVES: Mapping[str, LabelledObjective] = MappingProxyType({row.name: row for row in labelled.ROWS})
"""Objectives of single responses labelled good or bad, by name."""

TRL_NAMES = MappingProxyType({"sigmoid": "dpo", "ipo": "ipo_mean", "sigmoid_norm": "dpo_norm"})
"""TRL's names for objectives that have another name here; its other names are the same."""


def row_in_table(name: object) -> Objective | None:
    """The row of this name, ours or TRL's; None if there is none. Runs no third-party code.

    Example:
        >>> from penchant.objectives import row_in_table
        >>> row_in_table("sigmoid").name, row_in_table("my_losses:focal")
        ('dpo', None)
    """
    if not isinstance(name, str):
        return None
    own = TRL_NAMES.get(name, name)
    return OBJECTIVES.get(own) or LABELLED_OBJECTIVES.get(own)
