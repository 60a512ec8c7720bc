"""The rows of the tables: an objective, its parameters, and its source."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from torch import Tensor

__all__ = ["BETA", "WRONG_LABELS", "LabelledObjective", "Memory", "Objective", "Paper", "Parameter"]


class Paper(NamedTuple):
    """The source of a formula: title, arXiv number (or address if there is none), equation."""

    title: str
    arxiv: str
    equation: str


@dataclass(frozen=True)
class Parameter:
    """A numeric parameter of an objective; settings, checks and docs are derived from it.

    Args:
        default: the value if none is given; the paper's, if it names one.
        meaning: what it does, in one line.
        above: the range; the bounds `above` and `below` are exclusive. Without bounds, any finite number is valid.

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
        """The same parameter with another default."""
        return replace(self, default=default)

    def allows(self, value: object) -> bool:
        """Whether this value is valid; a truth value is no number (`beta: yes` in YAML is true)."""
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
    """The statistics an objective keeps of batches: (PairBatch) -> (S,) of one batch, and their initial values."""

    measure: Callable[..., Tensor]
    start: Sequence[float]


BETA = Parameter(0.1, "strength of the KL penalty that keeps the policy close to the reference", above=0)
"""A parameter that most objectives share."""
WRONG_LABELS = Parameter(0.1, "share of the labels taken to be wrong", at_least=0, below=0.5)


@dataclass(frozen=True)
class Objective:
    """One row of the table.

    Args:
        name: what users write.
        function: (PairBatch, *, parameters) -> losses of shape (B,).
        needs_reference: whether it reads the reference log-probs.
        normalisation: "sum" if log-probs are summed over tokens, "mean" if they are divided by the response's length.
        batch_coupled: whether a pair's loss depends on the other pairs, so that micro-batches change it.
        reads: which of the optional fields "probability", "margin" and "kl" it reads; for "kl" the reference is run
            together with the policy in every step.
        parameters: its parameters by name.
        formula: in plain text.
        paper: the source; None if there is none.
        when: when to use it, in one line.
        token_weights: (tokens of a response, of the other response, *, parameters) -> weights of its tokens; None
            if all have weight 1. The log-probs passed to the function are then sums with these weights.
        memory: the statistics it keeps of earlier batches; its function is then (PairBatch, the same without a
            gradient, the memory, *, parameters). None for an objective that depends only on the current batch.
        retired: former parameters, and what to write instead: an old file is refused rather than misread.

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
            raise ValueError(
                f"{self.name} reads the KL from a reference, so it needs one; leave out needs_reference=False"
            )

    @property
    def defaults(self) -> dict[str, float]:
        """Default parameter values, by name."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    @property
    def token_parameters(self) -> frozenset[str]:
        """The parameters that the token weights take."""
        if self.token_weights is None:
            return frozenset()
        return frozenset(inspect.signature(self.token_weights).parameters) & self.parameters.keys()


@dataclass(frozen=True)
class LabelledObjective(Objective):
    """One row of the table of objectives that read single labelled responses instead of pairs.

    Args:
        baseline: (rewards of shape (R,), labels of shape (R,)) -> the zero point of rewards, a scalar.
        mismatched: whether those rewards are of mismatched prompts and responses, or of the batch itself.

    Example:
        >>> from penchant.objectives import LABELLED_OBJECTIVES
        >>> LABELLED_OBJECTIVES["kto"].mismatched
        True
    """

    baseline: Callable[[Tensor, Tensor], Tensor] = field(kw_only=True)
    mismatched: bool = field(kw_only=True)
