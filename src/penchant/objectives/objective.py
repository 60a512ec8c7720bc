"""What a row of the tables holds: an objective, its parameters and where it comes from."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from torch import Tensor

__all__ = ["BETA", "WRONG_LABELS", "LabelledObjective", "Memory", "Objective", "Paper", "Parameter"]


class Paper(NamedTuple):
    """Where a formula comes from: title, arXiv number (or address where there is none), equation."""

    title: str
    arxiv: str
    equation: str


@dataclass(frozen=True)
class Parameter:
    """A number that an objective has, all that is known of it: settings, checks and docs follow.

    Args:
        default: its value where none is given; that of the paper where it names one.
        meaning: what it does, in a line.
        above: its range; of the bounds, `above` and `below` are outside it. Without any, every finite number will do.

    Example:
        >>> from penchant.objectives import Parameter
        >>> tau = Parameter(0.05, "width of the change from one loss to the other", above=0, below=1)
        >>> tau.range, tau.allows(0.5), tau.allows(1.0), tau.at(0.1).default
        ('greater than 0 and less than 1', True, False, 0.1)
    """

    default: float
    meaning: str = ""
    above: float | None = field(default=None, kw_only=True)
    at_least: float | None = field(default=None, kw_only=True)
    below: float | None = field(default=None, kw_only=True)
    at_most: float | None = field(default=None, kw_only=True)

    def at(self, default: float) -> "Parameter":
        """The same with another default."""
        return replace(self, default=default)

    def allows(self, value: object) -> bool:
        """Whether it may have this value; a truth value is no number, though `beta: yes` in YAML looks like one."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return False
        return (
            (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )

    @property
    def range(self) -> str:
        """Its range in words."""
        bounds = {
            "greater than": self.above,
            "at least": self.at_least,
            "less than": self.below,
            "at most": self.at_most,
        }
        said = [f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None]
        return " and ".join(said) or "a finite number"


class Memory(NamedTuple):
    """What an objective remembers of the batches: numbers of one, (PairBatch) -> (S,), and where they start."""

    measure: Callable[..., Tensor]
    start: Sequence[float]


BETA = Parameter(0.1, "strength of the KL penalty that keeps the policy close to the reference", above=0)
"""What most objectives have in common."""
WRONG_LABELS = Parameter(0.1, "share of the labels taken to be wrong", at_least=0, below=0.5)


@dataclass(frozen=True)
class Objective:
    """One row of the table.

    Args:
        name: what users write.
        function: (PairBatch, *, parameters) -> losses of shape (B,).
        needs_reference: whether it reads the reference log-probs.
        normalisation: "sum" where log-probs count whole, "mean" where they are divided by the response's length.
        batch_coupled: whether a pair's loss depends on the other pairs, so that micro-batches change it.
        reads: which of the optional fields "probability", "margin" and "kl" it reads; for "kl" the reference runs
            beside the policy in every step.
        parameters: its parameters by name.
        formula: in plain text.
        paper: the source; None where there is none.
        when: when to use it, in a line.
        token_weights: (tokens of a response, of the other response, *, parameters) -> weights of its tokens; None
            where all count 1. The log-probs the function gets are then sums with these weights.
        memory: what it remembers of earlier batches; its function then is (PairBatch, the same without a gradient, the
            memory, *, parameters). None for an objective that knows only the batch it is given.
        retired: parameters it had once, and what to write instead: an old file is refused rather than read otherwise.

    Example:
        >>> from penchant.objectives import OBJECTIVES
        >>> dict(OBJECTIVES["cdpo"].defaults)
        {'beta': 0.1, 'label_smoothing': 0.1}
    """

    name: str
    function: Callable[..., Tensor]
    formula: str
    paper: Paper | None
    when: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    reads: Set[str] = frozenset()
    needs_reference: bool = True
    normalisation: Literal["sum", "mean"] = "sum"
    batch_coupled: bool = False
    token_weights: Callable[..., Tensor] | None = None
    memory: Memory | None = None
    retired: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "kl" in self.reads and not self.needs_reference:
            raise ValueError(f"{self.name} reads the KL from a reference, so it needs one; leave out needs_reference")

    @property
    def defaults(self) -> dict[str, float]:
        """The default values of its parameters, by name."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    @property
    def token_parameters(self) -> frozenset[str]:
        """Those of its parameters that the token weights take."""
        if self.token_weights is None:
            return frozenset()
        return frozenset(inspect.signature(self.token_weights).parameters) & self.parameters.keys()


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
