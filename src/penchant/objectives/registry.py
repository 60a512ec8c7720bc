"""The few functions that read the tables of objectives."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.objective import LabelledObjective, Objective
from penchant.objectives.table import LABELLED_ROWS, ROWS, TRL_NAMES
from penchant.wording import nearest

__all__ = ["LABELLED_OBJECTIVES", "OBJECTIVES", "bind", "bind_token_weights", "get_objective", "refuse_unread"]

OBJECTIVES: Mapping[str, Objective] = MappingProxyType({row.name: row for row in ROWS})
"""Those of pairs, by name."""
LABELLED_OBJECTIVES: Mapping[str, LabelledObjective] = MappingProxyType({row.name: row for row in LABELLED_ROWS})
"""Those of single responses labelled good or bad, by name."""

_AT_LEAST_0: tuple[Callable[[float], bool], str] = (lambda value: value >= 0, "at least 0")

# A parameter's range is kept by name, or by objective and name where it differs; one not listed need only be finite.
_RANGES: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "beta": (lambda value: value > 0, "greater than 0"),
    "label_smoothing": (lambda value: 0 <= value < 0.5, "at least 0 and less than 0.5"),
    "exo_pair.label_smoothing": (lambda value: 0 < value < 0.5, "greater than 0 and less than 0.5"),
    "tau": (lambda value: 0 < value < 1, "greater than 0 and less than 1"),
    "d2po.gamma": (lambda value: 0 < value <= 1, "greater than 0 and at most 1"),
    "ld_alpha": (lambda value: 0 <= value <= 1, "at least 0 and at most 1"),
    "divergence_alpha": (lambda value: 0 <= value <= 1, "at least 0 and at most 1"),
    **dict.fromkeys(("alpha", "gamma", "odds_weight", "penalty", "nll_weight"), _AT_LEAST_0),
    **dict.fromkeys(("desirable_weight", "undesirable_weight"), _AT_LEAST_0),
}


def get_objective(name: str) -> Objective:
    """Look an objective up by its name, or by TRL's name where TRL defines it the same.

    Raises:
        ValueError: there is none of that name; the message offers the nearest and lists all.

    Example:
        >>> from penchant.objectives import get_objective
        >>> get_objective("ipo_mean").normalisation
        'mean'
        >>> get_objective("sigmoid_norm").name
        'dpo_norm'
    """
    known = {**OBJECTIVES, **LABELLED_OBJECTIVES}
    own = TRL_NAMES.get(name, name)
    if own not in known:
        raise ValueError(f"there is no objective {name!r}{_suggest(name, known)}; choose from {', '.join(known)}")
    return known[own]


def bind(objective: str | Objective, /, **parameters: float) -> Callable[[Any], Tensor]:
    """Settle an objective's parameters, taking defaults for those not given.

    Args:
        objective: a name in the table, or a row of your own.
        parameters: values by name.

    Returns:
        A function from B pairs to a loss of shape (B,), or from R labelled responses to one of shape (R,).

    Raises:
        ValueError: no such objective, a parameter it does not have, or a value out of range.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("ipo_sum", beta=0.25)(batch)
        tensor([0.])
    """
    row, settled = _settle(objective, parameters)
    return partial(row.function, **{key: value for key, value in settled.items() if key not in row.token_parameters})


def bind_token_weights(objective: str | Objective, /, **parameters: float) -> Callable[[int, int], Tensor] | None:
    """Settle the parameters of an objective's token weights; parameters and errors as for `bind`.

    Returns:
        A function from the completion tokens of a response and of the one beside it to weights of shape (n,); None for
        an objective whose tokens all count 1.

    Example:
        >>> from penchant.objectives import bind_token_weights
        >>> bind_token_weights("d2po", gamma=0.5)(3, 3)
        tensor([1.0000, 0.5000, 0.2500])
        >>> bind_token_weights("dpo") is None
        True
    """
    row, settled = _settle(objective, parameters)
    if row.token_weights is None:
        return None
    return partial(row.token_weights, **{key: settled[key] for key in row.token_parameters})


def _settle(objective: str | Objective, parameters: Mapping[str, float]) -> tuple[Objective, dict[str, float]]:
    """The row, and its parameters with defaults for those not given."""
    row = get_objective(objective) if isinstance(objective, str) else objective
    if objective == "sigmoid" and "label_smoothing" in parameters:
        raise ValueError(
            "TRL's sigmoid takes label_smoothing and ignores it; use cdpo (conservative) or robust (unbiased) for what "
            "it should do, or leave label_smoothing out"
        )
    for key, value in parameters.items():
        if key in row.retired:
            raise ValueError(f"{row.name} has no parameter {key!r} any more: {row.retired[key]}")
        if key not in row.defaults:
            known = ", ".join(row.defaults) or "none"
            raise ValueError(f"{row.name} has no parameter {key!r}{_suggest(key, row.defaults)}; it has {known}")
        _refuse_out_of_range(row.name, key, value)
    return row, {**row.defaults, **parameters}


def refuse_unread(objective: Objective, batch: PairBatch) -> None:
    """Refuse soft labels or margins that the objective would ignore.

    Call it on the data once, not at every step: on an accelerator the comparison waits for the device. In a mixture,
    call it with the term that carries the preference; `sft` beside it looks at the chosen response alone.

    Raises:
        ValueError: some p is not 1, or some margin not 0, and the objective does not read it.

    Example:
        >>> import dataclasses, torch
        >>> from penchant.objectives import PairBatch, get_objective, refuse_unread
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> refuse_unread(  # doctest: +ELLIPSIS
        ...     get_objective("ipo_sum"), dataclasses.replace(batch, margin_B=torch.tensor([0.5]))
        ... )
        Traceback (most recent call last):
        ...
        ValueError: ipo_sum does not read margins but 1 of 1 pairs has one; remove them or use one of dpo, ...
    """
    set_by_user = {
        "probability": ("soft labels", batch.probability_B != 1),
        "margin": ("margins", batch.margin_B != 0),
    }
    for field, (words, given_B) in set_by_user.items():
        count = int(given_B.sum())
        if count and field not in objective.reads:
            readers = ", ".join(row.name for row in OBJECTIVES.values() if field in row.reads)
            raise ValueError(
                f"{objective.name} does not read {words} but {count} of {len(given_B)} pairs "
                f"{'has' if count == 1 else 'have'} one; remove them or use one of {readers}"
            )


def _refuse_out_of_range(name: str, key: str, value: float) -> None:
    within, words = _RANGES.get(f"{name}.{key}") or _RANGES.get(key, (lambda _: True, "a finite number"))
    # bool is an int in Python, and `beta: yes` in YAML is True.
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not (is_number and within(value)):
        raise ValueError(f"{key} of {name} must be {words}, got {value!r}")


def _suggest(word: str, known: Mapping[str, object]) -> str:
    near = nearest(word, known)
    return f"; did you mean {near!r}?" if near else ""
