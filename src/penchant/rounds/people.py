"""People answer the comparisons of a round: these become tasks of an annotation project, and answers come back.

A task is called NAME/round-N-DIGEST/ID, or NAME/round-N-DIGEST/held-out/ID. NAME is in the round's plan, so that a
folder that is moved keeps it; DIGEST is of the comparisons, so that a round that is begun again and asks something else
does not meet its old tasks.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penchant.errors import DataError, OutputError

if TYPE_CHECKING:
    from penchant.data import Comparison
    from penchant.rounds.plan import Round

__all__ = ["ask_people", "check_project", "name_of_tasks", "prefix_of_tasks"]

PEOPLE_FIELD = "people"
"""The field of a comparison's meta that counts what people answered."""


def name_of_tasks(folder: Path) -> str:
    """What the tasks of a folder of rounds are called: no other folder's are, whatever its name."""
    return f"{folder.name}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"


def prefix_of_tasks(this: Round, asked: Path, *, is_held_out: bool) -> str:
    """What the names of a round's tasks begin with. asked: the file of comparisons."""
    name, number = this.plan.tasks, f"round-{this.number}"
    if name is None:  # the plan is of an older Penchant, and so may be the tasks
        prefix = f"{this.path.parent.name}/{number}"
    else:
        prefix = f"{name}/{number}-{hashlib.sha256(asked.read_bytes()).hexdigest()[:8]}"
    return f"{prefix}/held-out" if is_held_out else prefix


def check_project(project: Path) -> None:
    """Refuse a project that cannot be opened, and a place where none can be made; makes none. Raises UserError."""
    from penchant.feedback import Project, Store
    from penchant.feedback.project import CONFIG_NAME

    if os.path.lexists(project / CONFIG_NAME):
        Store.open(Project.open(project)).close()
        return
    found = next(path for path in (project, *project.parents) if os.path.lexists(path))
    if not found.is_dir():
        raise OutputError(f"{project}: {found} is not a folder; choose another place for the project")
    if not os.access(found, os.W_OK | os.X_OK):
        raise OutputError(f"{project}: {found} cannot be written in; choose another place for the project")


def ask_people(
    comparisons: Sequence[Comparison], project: Path, prefix: str, min_votes: int | None
) -> tuple[list[Comparison], int]:
    """The comparisons that have their answers, and how many more must have before the round goes on.

    Each is a task `prefix/ID` of the project, which is made where there is none; asking twice changes nothing. One is
    answered when it has as many answers as the project wants of each (`overlap`), or an adjudicator's; most votes
    decide, and where two outcomes have as many it is a tie. Identical responses tie unasked; an empty response cannot
    be asked. min_votes: go on with so many; None: all.

    Raises ConfigError or DataError for a project that cannot be used, or holds another task under one of these names;
    then none is added.
    """
    from penchant.feedback import Store
    from penchant.feedback.training import verdict, votes_by_task

    tasks = {f"{prefix}/{one.id}": one for one in comparisons if _can_be_asked(one)}
    with Store.of(project, create=True) as store:
        asked = [one.model_copy(update={"id": name, "outcome": None}) for name, one in tasks.items()]
        if refused := store.add_tasks(asked, origin=prefix, all_or_none=True).refused:
            raise DataError(
                f"{project}: cannot ask {refused[0]} ({len(refused)} such), so none was added; mend that, or "
                "begin the round again"
            )
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
