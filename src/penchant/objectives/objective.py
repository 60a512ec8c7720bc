"""What the table holds for each objective."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor

__all__ = ["Objective", "Paper"]


class Paper(NamedTuple):
    """Where a formula comes from: title, arXiv number (or address where there is none), equation."""

    title: str
    arxiv: str
    equation: str


@dataclass(frozen=True)
class Objective:
    """One row of the table.

    Args:
        name: what users write.
        function: (PairBatch, *, parameters) -> losses of shape (B,).
        needs_reference: whether it reads the reference log-probs.
        normalisation: "sum" where log-probs count whole, "mean" where they are divided by the response's length.
        batch_coupled: whether a pair's loss depends on the other pairs, so that micro-batches change it.
        reads: which of the optional fields "probability" and "margin" it reads.
        defaults: its parameters and their default values.
        formula: in plain text.
        paper: the source.
        when: when to use it, in a line.

    Example:
        >>> from penchant.objectives import OBJECTIVES
        >>> dict(OBJECTIVES["cdpo"].defaults)
        {'beta': 0.1, 'label_smoothing': 0.1}
    """

    name: str
    function: Callable[..., Tensor]
    formula: str
    paper: Paper
    when: str
    defaults: Mapping[str, float] = field(default_factory=dict)
    reads: frozenset[str] = frozenset()
    needs_reference: bool = True
    normalisation: Literal["sum", "mean"] = "sum"
    batch_coupled: bool = False
