"""People answer the comparisons of a round: these become tasks of an annotation project, and answers come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penchant.errors import ConfigError, DataError

if TYPE_CHECKING:
    from penchant.data import Comparison

__all__ = ["ask_people"]

PEOPLE_FIELD = "people"
"""The field of a comparison's meta that counts what people answered."""


def ask_people(
    comparisons: Sequence[Comparison], project: Path, prefix: str, min_votes: int | None
) -> tuple[list[Comparison], int]:
    """The comparisons that have their answers, and how many more must have before the round goes on.

    Each is a task `prefix/ID` of the project, which is made where there is none; asking twice changes nothing. One is
    answered when it has as many answers as the project wants of each (`overlap`), or an adjudicator's; most votes
    decide, and where two outcomes have as many it is a tie. Identical responses tie unasked; an empty response cannot
    be asked. min_votes: go on with so many; None: all.

    Raises ConfigError or DataError for a project that cannot be used, or holds other tasks under these names.
    """
    try:
        from penchant.feedback import Project, Store
        from penchant.feedback.training import verdict, votes_by_task
    except ImportError as error:
        raise ConfigError(
            f"--people: asking people needs packages that are not installed ({error.name}): run pip install "
            "'penchant[annotate]'"
        ) from error

    tasks = {f"{prefix}/{one.id}": one for one in comparisons if _can_be_asked(one)}
    with Store.open(Project.open(project, create=True)) as store:
        asked = [one.model_copy(update={"id": name, "outcome": None}) for name, one in tasks.items()]
        refused = store.add_tasks(asked, origin=prefix).refused
        if refused:
            raise DataError(f"--people {project}: cannot ask {refused[0]} ({len(refused)} such); use another project")
        votes, _ = votes_by_task(store.comparisons())
        overlap = store.project.config.overlap
    settled = {
        one.id: one.model_copy(update={"outcome": "tie"})
        for one in comparisons
        if one.a.text.strip() == one.b.text.strip()
    }
    for name, one in tasks.items():
        given = votes.get(name, [])
        is_adjudicated = any(_kind(vote) == "adjudication" for vote in given)
        if len(given) >= overlap or is_adjudicated:
            said = verdict(given)
            settled[one.id] = _settled(one, "tie" if said == "tied" else said, given)
    num_answered = sum(one.id in settled for one in tasks.values())
    needed = min(min_votes or len(tasks), len(tasks))
    return [settled[one.id] for one in comparisons if one.id in settled], max(needed - num_answered, 0)


def _can_be_asked(comparison: Comparison) -> bool:
    a, b = comparison.a.text.strip(), comparison.b.text.strip()
    return bool(a) and bool(b) and a != b


def _kind(vote: Comparison) -> object:
    from penchant.feedback.training import detail

    return detail(vote, "kind")


def _settled(comparison: Comparison, outcome: str, votes: Sequence[Comparison]) -> Comparison:
    counts = Counter(str(vote.outcome) for vote in votes)
    names = sorted({vote.annotator or "somebody" for vote in votes})
    meta = comparison.meta | {PEOPLE_FIELD: {name: counts[name] for name in sorted(counts)}}
    return comparison.model_copy(update={"outcome": outcome, "annotator": ", ".join(names), "meta": meta})
