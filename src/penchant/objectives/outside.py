"""Objectives from outside Penchant: a function of pairs becomes a row; trial calls show what it reads.

Shapes: B pairs.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from penchant.errors import ConfigError
from penchant.objectives.batch import PairBatch
from penchant.objectives.objective import Objective
from penchant.objectives.parameters import parameters_of
from penchant.wording import kind_and_reason_of

__all__ = ["as_objective"]


def as_objective(given: object, name: str | None = None) -> Objective:
    """Make an Objective from a function of a PairBatch that returns losses (B,); an Objective is returned unchanged.

    Its further arguments are parameters and need a number as default; `beta` must be above 0. The function is called on
    a few pairs to find out whether it reads soft labels, margins, the sequential KL and the reference, and whether the
    loss of a pair depends on the other pairs. If that is not enough (two settings of one function, a formula to show),
    write an `Objective`.

    Args:
        given: an Objective, or the function.
        name: what users write; by default the function's name.

    Raises:
        ConfigError: it is neither, the call fails, or it does not return one loss per pair.

    Example:
        >>> import torch
        >>> from penchant.objectives import as_objective
        >>> def focal(batch, *, beta=0.1, power=2.0):
        ...     chance_B = torch.sigmoid(beta * batch.delta_B)
        ...     return -((1 - chance_B) ** power) * torch.log(chance_B)
        >>> row = as_objective(focal, "my_losses:focal")
        >>> row.defaults, row.needs_reference, row.batch_coupled, sorted(row.reads)
        ({'beta': 0.1, 'power': 2.0}, True, False, [])
    """
    if isinstance(given, Objective):
        return given if name is None else replace(given, name=name)
    if not callable(given):
        raise ConfigError(
            f"The objective {name or given!r} is of type {type(given).__name__}; give a function of a PairBatch that "
            "returns losses of shape (B,), or an Objective."
        )
    name = name or f"{given.__module__}:{getattr(given, '__qualname__', type(given).__qualname__)}"
    parameters = parameters_of(given, "objective", name, data=("the pairs",))
    function: Callable[..., Tensor] = given
    trial = _Trial(lambda batch: function(batch, **{key: one.default for key, one in parameters.items()}), name)
    return Objective(
        name,
        function,
        formula=(inspect.getdoc(given) or "").partition("\n")[0] or "see its code",
        paper=None,
        when="",
        parameters=parameters,
        reads=trial.reads(),
        needs_reference=trial.needs_reference() or "kl" in trial.reads(),
        batch_coupled=trial.is_coupled(),
    )


class _Trial:
    """Trial calls of a function on six different pairs, which show what changes its losses."""

    def __init__(self, function: Callable[[PairBatch], Tensor], name: str) -> None:
        self._function, self._name = function, name
        self._pairs = _six_pairs()
        self._loss_B = self._losses(self._pairs)

    def reads(self) -> frozenset[str]:
        """Which of the optional fields it reads."""
        chosen_B, rejected_B = self._pairs.sequential_kl
        others = {
            "probability": {"probability_B": self._pairs.probability_B.flip(0)},
            "margin": {"margin_B": self._pairs.margin_B + 0.7},
            "kl": {"kl_chosen_B": chosen_B.flip(0), "kl_rejected_B": rejected_B + 0.7},
        }
        return frozenset(name for name, other in others.items() if self._changes(replace(self._pairs, **other)))

    def needs_reference(self) -> bool:
        """Whether the losses change, or fail, without a reference."""
        try:
            return self._changes(replace(self._pairs, reference_chosen_B=None, reference_rejected_B=None))
        except ConfigError:
            return True

    def is_coupled(self) -> bool:
        """Whether a pair's loss changes when it is alone in the batch."""
        alone = [
            self._losses(PairBatch(**{key: x[i : i + 1] for key, x in vars(self._pairs).items()})) for i in range(6)
        ]
        return not torch.allclose(torch.cat(alone), self._loss_B, rtol=1e-9, atol=1e-12, equal_nan=True)

    def _changes(self, pairs: PairBatch) -> bool:
        return not torch.equal(self._losses(pairs), self._loss_B)

    def _losses(self, pairs: PairBatch) -> Tensor:
        size = len(pairs.policy_chosen_B)
        try:
            loss_B = self._function(pairs)
        except Exception as error:  # third-party code may fail in any way
            raise ConfigError(
                f"The objective {self._name!r} failed on a batch of {size} pairs ({kind_and_reason_of(error)}); "
                "it is called with a PairBatch."
            ) from error
        if not isinstance(loss_B, Tensor) or loss_B.shape != (size,):
            got = f"a tensor of shape {tuple(loss_B.shape)}" if isinstance(loss_B, Tensor) else type(loss_B).__name__
            raise ConfigError(
                f"The objective {self._name!r} returned {got} for a batch of {size} pairs; return one loss a pair, "
                f"shape ({size},), and leave the mean to the caller."
            )
        return loss_B.detach()


def _six_pairs() -> PairBatch:
    def column(*values: float) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    return PairBatch(
        policy_chosen_B=column(-20.0, -31.5, -8.25, -60.0, -12.0, -45.5),
        policy_rejected_B=column(-22.5, -27.0, -9.0, -58.0, -30.0, -44.0),
        reference_chosen_B=column(-20.5, -30.0, -9.5, -75.0, -12.5, -39.0),
        reference_rejected_B=column(-21.0, -29.0, -8.5, -52.0, -26.0, -49.0),
        length_chosen_B=column(5.0, 9.0, 2.0, 14.0, 3.0, 11.0),
        length_rejected_B=column(4.0, 6.0, 3.0, 15.0, 8.0, 10.0),
        weight_B=column(1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
        probability_B=column(1.0, 0.7, 0.2, 0.9, 0.55, 0.35),
        margin_B=column(0.0, 0.5, -0.3, 1.0, 0.25, -0.5),
        kl_chosen_B=column(0.0, 1.5, 0.25, 4.0, 0.5, 2.25),
        kl_rejected_B=column(0.75, 3.0, 0.5, 2.5, 1.25, 0.125),
    )
