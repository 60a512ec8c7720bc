"""Asking people: how pairs are assigned, where votes are stored, and what is exported from them. No torch.

project.py       a folder with project.yaml
records.py       the inputs and outputs of the store
asking/          who is asked what, decided in memory
storing/         the store of votes, and its database
web/             the pages on which people answer
service.py       a project on the web: opened, filled and served
imports.py       files into tasks and answers
training.py      votes into training pairs
exports.py       votes to files
snapshots.py     a project used as the data of a run
reliability.py   how reliable each annotator is
summary.py       all statistics for an admin
details.py       what is known about an answer besides its outcome

Names are imported on first use, because the database and web packages are optional.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from penchant.extras import needing

if TYPE_CHECKING:
    from penchant.feedback.exports import export_votes
    from penchant.feedback.imports import import_votes
    from penchant.feedback.project import Project, ProjectConfig
    from penchant.feedback.records import (
        Annotator,
        Answer,
        Assignment,
        Invitation,
        NewAnswer,
        Progress,
        Refused,
        Reply,
    )
    from penchant.feedback.service import invite, open_site
    from penchant.feedback.snapshots import resolve_projects
    from penchant.feedback.storing import Answered, Counts, Disagreement, Store, TasksAdded

__all__ = [
    "Annotator",
    "Answer",
    "Answered",
    "Assignment",
    "Counts",
    "Disagreement",
    "Invitation",
    "NewAnswer",
    "Progress",
    "Project",
    "ProjectConfig",
    "Refused",
    "Reply",
    "Store",
    "TasksAdded",
    "export_votes",
    "import_votes",
    "invite",
    "open_site",
    "resolve_projects",
]

ROOMS = {
    "exports": ("export_votes",),
    "imports": ("import_votes",),
    "project": ("Project", "ProjectConfig"),
    "records": ("Annotator", "Answer", "Assignment", "Invitation", "NewAnswer", "Progress", "Refused", "Reply"),
    "service": ("invite", "open_site"),
    "snapshots": ("resolve_projects",),
    "storing": ("Answered", "Counts", "Disagreement", "Store", "TasksAdded"),
}


def __getattr__(name: str) -> Any:
    for room, names in ROOMS.items():
        if name in names:
            with needing("annotate", "people's answers"):
                return getattr(import_module(f"penchant.feedback.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
