"""Asking people: how pairs are given out, where votes are kept, and what is made of them. No torch.

project.py       a folder with project.yaml
records.py       what the store gives and takes
asking/          who is asked what, decided in memory
storing/         the store of votes, and its database
web/             the pages on which people answer
service.py       a project on the web: opened, filled and served
imports.py       files into tasks and answers
training.py      votes into training pairs
exports.py       votes to files
snapshots.py     a project named as data of a run
reliability.py   how far each annotator can be relied on
summary.py       everything an admin wants to know
details.py       what is known of an answer besides what it says
"""

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
]
