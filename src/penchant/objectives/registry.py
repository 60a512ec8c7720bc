"""The table of objectives: one row each, and the few functions that read it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Literal, NamedTuple

from torch import Tensor

from penchant.objectives.auxiliary import sft
from penchant.objectives.batch import PairBatch, PairFunction
from penchant.objectives.pairwise import cdpo, dpo, ipo_mean, ipo_sum

__all__ = ["OBJECTIVES", "Objective", "Paper", "bind", "get_objective", "refuse_unread"]


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
    needs_reference: bool
    normalisation: Literal["sum", "mean"]
    batch_coupled: bool
    reads: frozenset[str]
    defaults: Mapping[str, float]
    formula: str
    paper: Paper
    when: str


_IPO_TITLE = "A General Theoretical Paradigm to Understand Learning from Human Preferences"

_ROWS = (
    Objective(
        name="dpo",
        function=dpo,
        needs_reference=True,
        normalisation="sum",
        batch_coupled=False,
        reads=frozenset({"probability", "margin"}),
        defaults={"beta": 0.1},
        formula="-p logsigmoid(z) - (1-p) logsigmoid(-z), z = beta D - m",
        paper=Paper("Direct Preference Optimization", "2305.18290", "eq. 7"),
        when="The place to start: clean labels, or soft labels you trust.",
    ),
    Objective(
        name="cdpo",
        function=cdpo,
        needs_reference=True,
        normalisation="sum",
        batch_coupled=False,
        reads=frozenset({"probability", "margin"}),
        defaults={"beta": 0.1, "label_smoothing": 0.1},
        formula="dpo with p replaced by p (1-e) + (1-p) e, e = label_smoothing",
        paper=Paper("A note on DPO with noisy preferences", "https://ericmitchell.ai/cdpo.pdf", "cDPO loss"),
        when="Annotators err at a known rate, or margins of dpo grow without end.",
    ),
    Objective(
        name="ipo_sum",
        function=ipo_sum,
        needs_reference=True,
        normalisation="sum",
        batch_coupled=False,
        reads=frozenset({"probability"}),
        defaults={"beta": 0.1},
        formula="p (D - 1/(2 beta))^2 + (1-p) (D + 1/(2 beta))^2",
        paper=Paper(_IPO_TITLE, "2310.12036", "eq. 17"),
        when="Few, near-certain labels that dpo overfits; the paper as printed, responses of similar length.",
    ),
    Objective(
        name="ipo_mean",
        function=ipo_mean,
        needs_reference=True,
        normalisation="mean",
        batch_coupled=False,
        reads=frozenset({"probability"}),
        defaults={"beta": 0.1},
        formula="ipo_sum with D replaced by log_ratio_w / len_w - log_ratio_l / len_l",
        paper=Paper(_IPO_TITLE, "2310.12036", "eq. 17, averaged over tokens"),
        when="As ipo_sum, but lengths differ; the IPO of TRL.",
    ),
    Objective(
        name="sft",
        function=sft,
        needs_reference=False,
        normalisation="mean",
        batch_coupled=False,
        reads=frozenset(),
        defaults={},
        formula="-log pi(chosen) / len_w",
        paper=Paper("Iterative Reasoning Preference Optimization", "2404.19733", "eq. 1, NLL term"),
        when="Added to another objective where the chosen log-prob falls.",
    ),
)

OBJECTIVES: Mapping[str, Objective] = MappingProxyType({row.name: row for row in _ROWS})

# A parameter means the same in every objective, so its range is kept by name; one not listed need only be finite.
_RANGES: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "beta": (lambda value: value > 0, "greater than 0"),
    "label_smoothing": (lambda value: 0 <= value < 0.5, "at least 0 and less than 0.5"),
}


def get_objective(name: str) -> Objective:
    """Look an objective up by name.

    Raises:
        ValueError: there is none of that name; the message offers the nearest and lists all.

    Example:
        >>> from penchant.objectives import get_objective
        >>> get_objective("ipo_mean").normalisation
        'mean'
    """
    if name not in OBJECTIVES:
        raise ValueError(
            f"there is no objective {name!r}{_suggest(name, OBJECTIVES)}; choose from {', '.join(OBJECTIVES)}"
        )
    return OBJECTIVES[name]


def bind(objective: str | Objective, /, **parameters: float) -> PairFunction:
    """Settle an objective's parameters, taking defaults for those not given.

    Args:
        objective: a name in the table, or a row of your own.
        parameters: values by name.

    Returns:
        A function from B pairs to a loss of shape (B,).

    Raises:
        ValueError: no such objective, a parameter it does not have, or a value out of range.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("ipo_sum", beta=0.25)(batch)
        tensor([0.])
    """
    row = get_objective(objective) if isinstance(objective, str) else objective
    for key, value in parameters.items():
        if key not in row.defaults:
            known = ", ".join(row.defaults) or "none"
            raise ValueError(f"{row.name} has no parameter {key!r}{_suggest(key, row.defaults)}; it has {known}")
        _refuse_out_of_range(row.name, key, value)
    return partial(row.function, **{**row.defaults, **parameters})


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
        >>> refuse_unread(get_objective("ipo_sum"), dataclasses.replace(batch, margin_B=torch.tensor([0.5])))
        Traceback (most recent call last):
        ...
        ValueError: ipo_sum does not read margins but 1 of 1 pairs has one; remove them or use one of dpo, cdpo
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
    within, words = _RANGES.get(key, (lambda _: True, "a finite number"))
    # bool is an int in Python, and `beta: yes` in YAML is True.
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not (is_number and within(value)):
        raise ValueError(f"{key} of {name} must be {words}, got {value!r}")


def _suggest(word: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
