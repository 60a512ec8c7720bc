"""Look up an objective by its name, set its parameters, and refuse data that it would not read."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.objective import Objective
from penchant.objectives.outside import as_objective
from penchant.objectives.parameters import settled_parameters, suggestion
from penchant.objectives.remembering import Remembering
from penchant.objectives.table import LABELLED_OBJECTIVES, OBJECTIVES, row_in_table
from penchant.plugins import added_names, find_added, import_object, is_import_path

__all__ = ["bind", "bind_token_weights", "get_objective", "refuse_unread", "resolve_objective"]

GROUP = "penchant.objectives"
"""The entry-point group by which a package adds objectives."""


def get_objective(name: str) -> Objective:
    """Look up an objective by its name, or by TRL's name if TRL's definition is the same.

    A name of the form `module:name` is imported, and a name that an installed package adds (entry points of the group
    `penchant.objectives`) is loaded, which RUNS THAT CODE; see `as_objective` for what it may be.

    Raises:
        ValueError: there is no objective of that name; the message suggests the nearest and lists all.
        ConfigError: the import fails, or gives no objective.

    Example:
        >>> from penchant.objectives import get_objective
        >>> get_objective("ipo_mean").normalisation
        'mean'
        >>> get_objective("sigmoid_norm").name
        'dpo_norm'
    """
    if (row := row_in_table(name)) is not None:
        return row
    if is_import_path(name):
        return as_objective(import_object(name, "objective", "my_losses:focal"), name)
    if (added := find_added(GROUP, name)) is not None:
        return as_objective(added, name)
    names = (*OBJECTIVES, *LABELLED_OBJECTIVES, *added_names(GROUP))
    raise ValueError(f"there is no objective {name!r}{suggestion(name, names)}; choose from {', '.join(names)}")


def resolve_objective(objective: str | Objective | Callable[..., Tensor]) -> Objective:
    """The Objective given by name, as an Objective, or as a function of pairs.

    Raises:
        ValueError: there is no objective of that name.
        ConfigError: it is not an objective; see `as_objective`.

    Example:
        >>> import torch
        >>> from penchant.objectives import resolve_objective
        >>> def exponential(batch, beta=0.5):
        ...     return torch.exp(-beta * batch.delta_B)
        >>> resolve_objective(exponential).defaults
        {'beta': 0.5}
    """
    return get_objective(objective) if isinstance(objective, str) else as_objective(objective)


def bind(objective: str | Objective | Callable[..., Tensor], /, **parameters: float) -> Callable[[Any], Tensor]:
    """Set an objective's parameters, with defaults for those not given.

    Args:
        objective: a name in the table, your own Objective, or a function of pairs.
        parameters: values by name.

    Returns:
        A function from B pairs to a loss of shape (B,), or from R labelled responses to one of shape (R,); a
        `Remembering` if the objective has a memory.

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
    function = partial(row.function, **{key: x for key, x in settled.items() if key not in row.token_parameters})
    return function if row.memory is None else Remembering(function, *row.memory)


def bind_token_weights(
    objective: str | Objective | Callable[..., Tensor], /, **parameters: float
) -> Callable[[int, int], Tensor] | None:
    """Set the parameters of an objective's token weights; parameters and errors as for `bind`.

    Returns:
        A function from the number of completion tokens of a response and of its partner to weights (n,); None for
        an objective without token weights.

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


def _settle(
    objective: str | Objective | Callable[..., Tensor], parameters: Mapping[str, float]
) -> tuple[Objective, dict[str, float]]:
    """The row, and its parameters with defaults for those not given."""
    row = resolve_objective(objective)
    if objective == "sigmoid" and "label_smoothing" in parameters:
        raise ValueError(
            "TRL's sigmoid takes label_smoothing and ignores it; use cdpo (conservative) or robust (unbiased) for what "
            "it should do, or leave label_smoothing out"
        )
    return row, settled_parameters(row.name, row.parameters, parameters, row.retired)


def refuse_unread(objective: Objective, batch: PairBatch) -> None:
    """Refuse soft labels or margins that the objective would ignore.

    Call it once on the data, not at every step: on an accelerator the comparison synchronises with the device. In a
    mixture, pass the term that carries the preference; `sft` reads only the chosen response.

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
