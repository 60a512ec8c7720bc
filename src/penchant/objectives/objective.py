"""What the tables hold for each objective."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor

__all__ = ["LabelledObjective", "Objective", "Paper"]


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
        token_weights: (tokens of a response, of the other response, *, parameters) -> weights of its tokens; None
            where all count 1. The log-probs the function gets are then sums with these weights.
        token_parameters: those of its parameters that belong to the token weights.
        retired: parameters it had once, and what to write instead: an old file is refused rather than read otherwise.

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
    token_weights: Callable[..., Tensor] | None = None
    token_parameters: frozenset[str] = frozenset()
    retired: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledObjective(Objective):
    """One row of the table of objectives that read single labelled responses instead of pairs.

    Args:
        baseline: (rewards of shape (R,), labels of shape (R,)) -> what rewards are measured from, a scalar.
        mismatched: whether those rewards are of responses put to another prompt, or of the batch itself.

    Example:
        >>> from penchant.objectives import LABELLED_OBJECTIVES
        >>> LABELLED_OBJECTIVES["kto"].mismatched
        True
    """

    baseline: Callable[[Tensor, Tensor], Tensor] = field(kw_only=True)
    mismatched: bool = field(kw_only=True)
