"""Have people answer the comparisons of a round, as tasks of an annotation project.

A task is called NAME/round-N-DIGEST/ID, or NAME/round-N-DIGEST/held-out/ID. NAME is in the round's plan, so that a
folder that is moved keeps it; DIGEST is that of the comparisons, so that a restarted round with other questions does
not match its old tasks.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penchant.data import Comparison
from penchant.errors import OutputError
from penchant.evaluation.judges import PeopleJudge
from penchant.evaluation.judges.lines import answered

if TYPE_CHECKING:
    from penchant.rounds.plan import Round

__all__ = ["ask_people", "check_project", "name_of_tasks", "prefix_of_tasks"]


def name_of_tasks(folder: Path) -> str:
    """The task name of a folder of rounds, unique even among folders of the same name."""
    return f"{folder.name}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"


def prefix_of_tasks(this: Round, asked: Path, *, is_held_out: bool) -> str:
    """The prefix of a round's task names. asked: the file of comparisons."""
    name, number = this.plan.tasks, f"round-{this.number}"
    if name is None:  # an older version's plan, whose tasks may exist
        prefix = f"{this.path.parent.name}/{number}"
    else:
        prefix = f"{name}/{number}-{hashlib.sha256(asked.read_bytes()).hexdigest()[:8]}"
    return f"{prefix}/held-out" if is_held_out else prefix


def check_project(project: Path) -> None:
    """Raise UserError for a project that cannot be opened or made; makes none."""
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
    """The answered comparisons, and how many more answers the round needs.

    See `PeopleJudge`; `prefix` is that of the task names. min_votes: the number that suffices; None: all.
    """
    judge = PeopleJudge(project, prefix)
    found = dict(judge.answers(comparisons))
    asked = [place for place, one in enumerate(comparisons) if judge.can_answer(one)]
    needed = min(min_votes or len(asked), len(asked))
    num_answered = sum(place in found for place in asked)
    votes = [answered(comparisons[place], found[place], judge.name) for place in sorted(found)]
    return votes, max(needed - num_answered, 0)
