"""Import files as tasks and answers: all formats of compared answers, of a chosen answer, or of rated answers."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from penchant.data.gathering import gathered
from penchant.data.given import Source, refuse_options, sources_of
from penchant.data.importers import CHOSEN_IMPORTERS, JUDGED_IMPORTERS, LIST_IMPORTERS
from penchant.data.importers.base import Importer, OneOrMore, converting
from penchant.data.importers.comparison import COMPARISON
from penchant.data.importers.judged import all_of
from penchant.data.importers.listed_tasks import tasks_by_score
from penchant.data.importers.reward_bench import WITH_MODELS
from penchant.data.records import Comparison, PreferencePair
from penchant.data.rows import Reader
from penchant.data.tasks import task_from_pair, task_of
from penchant.data.verdicts import BadRow
from penchant.errors import ConfigError, DataError
from penchant.feedback.details import ANSWER_FIELD
from penchant.feedback.storing import Store, TasksAdded, fault

__all__ = ["import_file", "import_votes", "read_comparisons", "require_rows"]


class Tasks(NamedTuple):
    """A file's content: comparisons, refused rows with reasons, and unread fields with counts."""

    comparisons: list[Comparison]
    refused: list[str]
    unread: list[str]


def import_file(
    store: Store, path: str | os.PathLike[str], *, gold: bool = False, unanswered: bool = False
) -> TasksAdded:
    """Add the rows of a file to the project; invalid rows are in `refused`, with file and line.

    gold: the outcomes are right answers, for checking annotators. unanswered: import the pairs without their answers,
    so that people here are asked. Importing a file twice changes nothing.

    Raises DataError for a file that cannot be read or has an unknown format.
    """
    comparisons, refused, unread = read_comparisons(path, gold=gold)
    if unanswered:
        comparisons = [comparison.model_copy(update=_nobody(comparison)) for comparison in comparisons]
    added = store.add_tasks(comparisons, origin=os.fspath(path), gold=gold)
    return added.model_copy(update={"refused": (*refused, *added.refused), "unread": tuple(unread)})


def import_votes(
    folder: str | os.PathLike[str], path: str | os.PathLike[str], *, gold: bool = False, unanswered: bool = False
) -> TasksAdded:
    """`import_file` into the project in a folder, which is created if missing, once the file is known to be valid.

    Raises DataError for a file without usable rows, and the errors of `Store.of`.
    """
    if gold and unanswered:
        raise ConfigError("`gold=True` needs the answers that `unanswered=True` leaves out; give one of the two")
    sources_of(path)
    require_rows(path, gold=gold)
    with Store.of(folder, create=True) as store:
        return import_file(store, path, gold=gold, unanswered=unanswered)


def require_rows(path: str | os.PathLike[str], *, gold: bool = False) -> None:
    """Raise DataError for a file without usable rows; needs no project."""
    comparisons, refused, _ = read_comparisons(path, gold=gold)
    if not comparisons:
        what = "holds no rows; give a file of pairs"
        if refused:
            what = f"none of its {len(refused)} rows can be used; the first: {refused[0]}"
        raise DataError(f"{Path(path)}: {what}")


def read_comparisons(path: str | os.PathLike[str], *, gold: bool = False) -> Tasks:
    """The rows of a file as comparisons, reasons for refused rows, and unread fields.

    Votes on the same two responses to the same prompt are votes on one task; ids of comparisons are kept.

    Raises DataError for a file that cannot be read or has an unknown format.
    """
    found = Tasks([], [], [])
    reader = Reader(TASK_IMPORTERS)
    sources = sources_of(path)
    refuse_options(sources, ["weight", "max_rows", "kind", "pairing", "min_gap"], "an import, which takes every row")
    for source in sources:
        _read_source(source, reader, found, gold=gold)
    found.unread.extend(map(str, reader.unread.listed()))
    return found


def _read_source(source: Source, reader: Reader[Comparison], found: Tasks, *, gold: bool) -> None:
    with reader.reading(source):
        for (number, *_), row in gathered(source.scan()):
            origin = source.origin(number)
            try:
                comparisons = reader.read(row, origin)
            except BadRow as bad:
                found.refused.append(str(bad.at(origin)))
                continue
            for comparison in comparisons:
                if reason := fault(comparison, gold=gold):
                    found.refused.append(f"{origin}: {reason}")
                else:
                    found.comparisons.append(comparison)
    if not reader.num_known:
        raise DataError(f"{source}: no row can be read; the first: {found.refused[0]}")


def _nobody(comparison: Comparison) -> dict[str, Any]:
    return {
        "outcome": None,
        "strength": None,
        "annotator": None,
        "meta": {name: value for name, value in comparison.meta.items() if name != ANSWER_FIELD},
    }


def _of_judged(one: OneOrMore[Comparison]) -> Importer[tuple[Comparison, ...]]:
    return converting(one, lambda row: tuple(map(task_of, all_of(one.convert(row)))))


def _of_pairs(one: OneOrMore[PreferencePair]) -> Importer[tuple[Comparison, ...]]:
    return converting(one, lambda row: tuple(map(task_from_pair, all_of(one.convert(row)))))


TASK_IMPORTERS: tuple[OneOrMore[Comparison], ...] = (
    COMPARISON,
    *(_of_judged(one) for one in (*WITH_MODELS, *JUDGED_IMPORTERS) if one is not COMPARISON),
    *map(_of_pairs, CHOSEN_IMPORTERS),
    *(_of_judged(tasks_by_score(one)) for one in LIST_IMPORTERS),
)
