"""Asking people: a project, the store of their votes, and what is made of them. No torch.

project.py       a folder with project.yaml
store.py         the store, one transaction a call
records.py       what the store gives and takes
assign.py        which pair next, and with which probability
board.py, free.py   who has which pair and which are free, in memory; state.py keeps it in step with the database
remaining.py     how many pairs a person has left, told so that it gives nothing away
voting.py        what people do with their pairs; committing.py and batch.py store many votes in one transaction
training.py      votes into training pairs
exports.py, imports.py   votes to files and back
reliability.py   how far each annotator can be relied on
summary.py       everything an admin wants to know
schema.py, migrations/, database.py   the tables, for SQLite and PostgreSQL
people.py, tasks.py, details.py, leases.py, answers.py, overview.py, rows.py, pace.py   the parts of the store
"""

from penchant.feedback.project import Project, ProjectConfig
from penchant.feedback.records import (
    Annotator,
    Answer,
    Answered,
    Assignment,
    Counts,
    Disagreement,
    Invitation,
    NewAnswer,
    Progress,
    Refused,
    TasksAdded,
)
from penchant.feedback.store import Store

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
    "Store",
    "TasksAdded",
]
