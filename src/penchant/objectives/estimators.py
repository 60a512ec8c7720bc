"""Advantage estimators by name: built-in ones, those of installed packages, and functions `module:name`.

Shapes: R responses.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from penchant.errors import ConfigError
from penchant.objectives.advantages import grpo_advantages, rloo_advantages
from penchant.objectives.objective import Paper, Parameter
from penchant.objectives.parameters import parameters_of, settled_parameters, suggestion
from penchant.plugins import added_names, find_added, import_object, is_import_path
from penchant.wording import kind_and_reason_of

__all__ = ["ESTIMATORS", "Estimator", "as_estimator", "bind_estimator", "get_estimator"]

GROUP = "penchant.estimators"
"""The entry-point group by which a package adds estimators."""


@dataclass(frozen=True)
class Estimator:
    """One row: how rewards of responses become advantages.

    Args:
        name: what users write.
        function: (reward_R, group_R, *, parameters) -> advantages of shape (R,).
        formula: in plain text.
        paper: the source; None if there is none.
        when: when to use it, in one line.
        parameters: its parameters by name.

    Example:
        >>> from penchant.objectives import ESTIMATORS
        >>> list(ESTIMATORS), ESTIMATORS["grpo"].defaults
        (['rloo', 'grpo', 'dr_grpo'], {'epsilon': 0.0001})
    """

    name: str
    function: Callable[..., Tensor]
    formula: str
    paper: Paper | None
    when: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def defaults(self) -> dict[str, float]:
        """Default parameter values, by name."""
        return {name: parameter.default for name, parameter in self.parameters.items()}


ROWS = (
    Estimator(
        "rloo",
        rloo_advantages,
        formula="r_i - mean of r_j over the other responses j to the prompt",
        paper=Paper("Back to Basics: Revisiting REINFORCE Style Optimization", "2402.14740", "RLOO"),
        when="The default: the gradient is unbiased.",
    ),
    Estimator(
        "grpo",
        grpo_advantages,
        formula="(r_i - mean(r)) / (std(r) + epsilon) over the responses to the prompt",
        paper=Paper("DeepSeekMath", "2402.03300", "section 4.1.2"),
        when="When the spread of scores differs much between prompts; the gradient is biased.",
        parameters={"epsilon": Parameter(1e-4, "added to the standard deviation", above=0)},
    ),
    Estimator(
        "dr_grpo",
        partial(grpo_advantages, scale=False),
        formula="r_i - mean(r) over the responses to the prompt",
        paper=Paper("Understanding R1-Zero-Like Training", "2503.20783", "section 3"),
        when="Like rloo, up to a factor (G - 1) / G for G responses per prompt.",
    ),
)
ESTIMATORS: Mapping[str, Estimator] = MappingProxyType({row.name: row for row in ROWS})
"""Built-in estimators, by name."""


def get_estimator(name: str) -> Estimator:
    """Look up an estimator by its name.

    A name of the form `module:name` is imported, and a name that an installed package adds (entry points of the group
    `penchant.estimators`) is loaded, which RUNS THAT CODE; see `as_estimator` for what it may be.

    Raises:
        ValueError: there is no estimator of that name; the message suggests the nearest and lists all.
        ConfigError: the import fails, or gives no estimator.

    Example:
        >>> from penchant.objectives import get_estimator
        >>> get_estimator("rloo").formula
        'r_i - mean of r_j over the other responses j to the prompt'
    """
    if name in ESTIMATORS:
        return ESTIMATORS[name]
    if is_import_path(name):
        return as_estimator(import_object(name, "estimator", "my_estimators:median"), name)
    if (added := find_added(GROUP, name)) is not None:
        return as_estimator(added, name)
    names = (*ESTIMATORS, *added_names(GROUP))
    raise ValueError(f"there is no estimator {name!r}{suggestion(name, names)}; choose from {', '.join(names)}")


def as_estimator(given: object, name: str | None = None) -> Estimator:
    """Make an Estimator from a function (reward_R, group_R) -> advantages (R,); an Estimator is returned unchanged.

    Its further arguments are parameters and need a number as default. The function is called once, on six rewards of
    three prompts, as a check.

    Args:
        given: an Estimator, or the function.
        name: what users write; by default the function's name.

    Raises:
        ConfigError: it is neither, the call fails, or it does not return one finite number per response.

    Example:
        >>> from penchant.objectives import as_estimator
        >>> def from_batch(reward_R, group_R, *, share=1.0):
        ...     return reward_R - share * reward_R.mean()
        >>> as_estimator(from_batch, "from_batch").defaults
        {'share': 1.0}
    """
    if isinstance(given, Estimator):
        return given if name is None else replace(given, name=name)
    if not callable(given):
        raise ConfigError(
            f"The estimator {name or given!r} is of type {type(given).__name__}; give a function of rewards and groups "
            "that returns advantages of shape (R,), or an Estimator."
        )
    name = name or f"{given.__module__}:{getattr(given, '__qualname__', type(given).__qualname__)}"
    parameters = parameters_of(given, "estimator", name, data=("the rewards", "the groups"))
    row = Estimator(
        name,
        given,
        formula=(inspect.getdoc(given) or "").partition("\n")[0] or "see its code",
        paper=None,
        when="",
        parameters=parameters,
    )
    _try(row)
    return row


def bind_estimator(
    estimator: str | Estimator | Callable[..., Tensor], /, **parameters: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """Set an estimator's parameters, with defaults for those not given.

    Args:
        estimator: a name, your own Estimator, or a function of rewards and groups.
        parameters: values by name.

    Returns:
        A function from R rewards and the index of each prompt to advantages of shape (R,).

    Raises:
        ValueError: no such estimator, a parameter it does not have, or a value out of range.
        ConfigError: it is not an estimator; see `as_estimator`.

    Example:
        >>> import torch
        >>> from penchant.objectives import bind_estimator
        >>> bind_estimator("grpo", epsilon=1.0)(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 0]))
        tensor([-0.6667,  0.0000,  0.6667])
    """
    row = get_estimator(estimator) if isinstance(estimator, str) else as_estimator(estimator)
    return partial(row.function, **settled_parameters(row.name, row.parameters, parameters))


def _try(row: Estimator) -> None:
    reward_R = torch.tensor([1.0, 0.0, 2.5, -1.0, 0.5, 0.5], dtype=torch.float64)
    try:
        advantage_R = row.function(reward_R, torch.tensor([0, 1, 0, 1, 2, 2]), **row.defaults)
    except Exception as error:  # third-party code may fail in any way
        raise ConfigError(
            f"The estimator {row.name!r} failed on 6 rewards ({kind_and_reason_of(error)}); it is called with rewards "
            "of shape (R,) and the prompt of each, int64 of shape (R,)."
        ) from error
    if not isinstance(advantage_R, Tensor) or advantage_R.shape != (6,) or not advantage_R.isfinite().all():
        got = f"{advantage_R.tolist()}" if isinstance(advantage_R, Tensor) else type(advantage_R).__name__
        raise ConfigError(
            f"The estimator {row.name!r} returned {got} for 6 rewards; return one finite number a response, shape (6,)."
        )
