"""The store of votes: what people are asked and what they answered, in SQLite or PostgreSQL.

store.py                the store, one transaction per call
committing.py           many votes in one transaction, decided at a `Desk` in memory
database.py             the differences between SQLite and PostgreSQL
schema.py               the tables; migrations/ upgrades older ones
tasks.py                comparisons into the store
people.py               annotators and their tokens
verdicts_and_history.py verdicts, and a person's earlier answers
overview.py             reading back the store
"""

from penchant.feedback.storing.overview import Counts, Disagreement, held
from penchant.feedback.storing.people import OWNER_NAME
from penchant.feedback.storing.schema import CHAT
from penchant.feedback.storing.store import Store
from penchant.feedback.storing.tasks import TasksAdded, fault
from penchant.feedback.storing.verdicts_and_history import Answered

__all__ = ["CHAT", "OWNER_NAME", "Answered", "Counts", "Disagreement", "Store", "TasksAdded", "fault", "held"]
