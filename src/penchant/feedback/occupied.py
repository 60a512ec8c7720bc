"""Whether a database already holds the votes of a project: a second one would ask and count the same pairs."""

from contextlib import closing

from sqlalchemy import func, inspect, select

from penchant.feedback.database import Database
from penchant.feedback.schema import annotators, answers, tasks

__all__ = ["held"]


def held(url: str) -> str:
    """What is in the database, such as "12 pairs, 3 people, 40 answers"; "" where no project has used it.

    Raises ConfigError for a database that cannot be reached.
    """
    with closing(Database(url)) as database, database.read() as connection:
        there = inspect(connection).get_table_names()
        if not {table.name for table in (tasks, annotators, answers)} <= set(there):
            return ""
        pairs, people, given = (
            connection.scalar(select(func.count()).select_from(table)) for table in (tasks, annotators, answers)
        )
    return f"{pairs} pairs, {people} people, {given} answers" if pairs or people or given else ""
