"""The kinds of records: their formats and their inspectors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from penchant.data.importers import (
    CHOSEN_IMPORTERS,
    DEMONSTRATION_IMPORTERS,
    JUDGED_IMPORTERS,
    LABELLED_IMPORTERS,
    LIST_IMPORTERS,
    PROMPT_IMPORTERS,
    VOTE_IMPORTERS,
    Vote,
    pair_importers,
)
from penchant.data.importers.base import NUMBERS, Importer, OneOrMore
from penchant.data.importers.listed import comparisons_by
from penchant.data.importers.reward_bench import WITH_MODELS
from penchant.data.importers.values import says_nothing
from penchant.data.inspection import (
    Inspector,
    inspect_answers,
    inspect_demonstrations,
    inspect_labelled,
    inspect_pairs,
    inspect_prompts,
    inspect_votes,
)
from penchant.data.pairing import Pairing
from penchant.data.parts import Kind
from penchant.data.records import Comparison, Demonstration, Document, Labelled, PreferencePair, Prompt

__all__ = ["ANSWERS", "ANSWERS_WITH_MODELS", "DEMONSTRATIONS", "LABELLED", "PAIRS", "PROMPTS", "VOTES", "RecordKind"]

Record = TypeVar("Record")
Table = Callable[[Pairing], tuple[OneOrMore[Record], ...]]


@dataclass(frozen=True, slots=True)
class RecordKind(Generic[Record]):
    """One kind of record.

    importers: its formats, by the rule that makes pairs of answer lists. records: the record classes. inspect: makes
    an inspector. kind: the name of the kind in a source's options. unheeded: options of a source that have no effect
    for this kind, and what ignores them. none_left: the message if there is no record. droppable: whether every
    command that reads this kind can leave out bad rows.
    """

    importers: Table[Record]
    records: tuple[type, ...]
    inspect: Callable[[], Inspector[Record]]
    kind: Kind | None = None
    unheeded: tuple[tuple[str, ...], str] = (), ""
    none_left: str = "no row can be used"
    droppable: bool = True


def _answers(pairing: Pairing) -> tuple[OneOrMore[Any], ...]:
    return (*CHOSEN_IMPORTERS, *JUDGED_IMPORTERS, *(comparisons_by(one, pairing) for one in LIST_IMPORTERS))


def _plain(one: Importer[Comparison]) -> Importer[Comparison]:
    """The importer of rows without numeric fields, which a comparison cannot hold."""
    return replace(one, matches=lambda row: all(says_nothing(row.get(name)) for name in NUMBERS) and one.matches(row))


_PLAIN_WITH_MODELS = tuple(map(_plain, WITH_MODELS))

_LISTS = ("pairing", "min_gap")
PAIRS = RecordKind(pair_importers, (PreferencePair,), inspect_pairs, "pairs")
LABELLED = RecordKind(
    lambda _: LABELLED_IMPORTERS,
    (Labelled,),
    inspect_labelled,
    "labelled",
    (_LISTS, "labelled responses, which are not paired"),
)
DEMONSTRATIONS = RecordKind(
    lambda _: DEMONSTRATION_IMPORTERS,
    (Demonstration, Document),
    inspect_demonstrations,
    "demonstrations",
    (_LISTS, "demonstrations, which are not paired"),
)
ANSWERS: RecordKind[PreferencePair | Comparison] = RecordKind(
    _answers, (PreferencePair, Comparison), inspect_answers, "pairs"
)
"""Pairs, and comparisons with their ties."""
ANSWERS_WITH_MODELS = replace(ANSWERS, importers=lambda pairing: (*_PLAIN_WITH_MODELS, *_answers(pairing)))
"""The same, but a pair that names the models of its responses becomes a comparison, which can hold them."""
PROMPTS = RecordKind(
    lambda _: PROMPT_IMPORTERS,
    (Prompt,),
    inspect_prompts,
    unheeded=(("weight", "kind", *_LISTS), "prompts, on which nothing is trained"),
    droppable=False,
)
VOTES = RecordKind(
    lambda _: VOTE_IMPORTERS,
    (Vote,),
    inspect_votes,
    unheeded=(("weight", "max_rows", "kind", *_LISTS), "a ranking, in which every vote counts"),
    none_left="there is no vote to rank by",
)
