"""Read back the store: comparisons, progress, disagreements, counts."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Select, func, inspect, select

from penchant.data.records import Comparison, Message, Outcome
from penchant.feedback.details import ANSWER_FIELD, UNKNOWN
from penchant.feedback.project import ProjectConfig
from penchant.feedback.records import RECENT, Answer, Kind, Progress, Record, pace, texts_of
from penchant.feedback.storing.database import Database
from penchant.feedback.storing.schema import (
    CHAT,
    DECIDED,
    annotators,
    answers,
    assignments,
    has_answer,
    read_answer,
    select_current,
    tasks,
)

__all__ = ["Counts", "Disagreement", "comparisons", "counts", "disagreements", "held", "progress"]

PAGE = 500


class Disagreement(Record):
    """A task whose current main answers differ: each with its annotator's name, and the verdict if there is one."""

    task_id: str
    prompt: tuple[Message, ...]
    a: str
    b: str
    answers: tuple[tuple[str, Answer], ...]
    adjudication: Answer | None = None


class Counts(Record):
    """The content of the store. tasks excludes gold; answered counts current answers of every kind except skips.

    open: assignments without an answer. by_outcome and by_annotator split `answered`.
    """

    tasks: int
    gold: int
    answered: int
    open: int
    skipped: int
    by_outcome: dict[Outcome, int]
    by_annotator: dict[str, int]
    by_kind: dict[Kind, int]
    flags: dict[str, int]


def comparisons(database: Database, *, current: bool) -> Iterator[Comparison]:
    """Yield answers as comparisons, in order of arrival, without skips and withdrawn answers.

    They are read in pages, so that a slow reader blocks nobody; answers that arrive meanwhile are left out.
    """
    with database.read() as connection:
        last = connection.scalar(select(func.max(answers.c.id))) or 0
    later = answers.alias("superseding")
    superseded = select(later.c.supersedes).where(later.c.supersedes.is_not(None), later.c.id <= last)
    query = _with_everything().where(answers.c.id <= last, answers.c.outcome.in_(DECIDED))
    if current:
        query = query.where(answers.c.id.not_in(superseded))
    after = 0
    while True:
        with database.read() as connection:
            page = connection.execute(query.where(answers.c.id > after).limit(PAGE)).mappings().all()
        yield from map(_comparison, page)
        if len(page) < PAGE:
            return
        after = page[-1]["answer_id"]


def _with_everything() -> Select[Any]:
    said = ("key", "outcome", "strength", "reasons", "comment", "shown_first", "seconds", "flags", "created_at")
    return (
        select(
            answers.c.id.label("answer_id"),
            *(answers.c[name] for name in said),
            *(assignments.c[name] for name in ("kind", "chosen_by", "probability")),
            *(tasks.c[name] for name in ("prompt", "a", "b", "gold", "meta")),
            tasks.c.id.label("task_id"),
            annotators.c.name,
        )
        .join(assignments, assignments.c.id == answers.c.assignment_id)
        .join(tasks, tasks.c.id == answers.c.task_id)
        .join(annotators, annotators.c.id == answers.c.annotator_id)
        .order_by(answers.c.id)
    )


def _comparison(row: Any) -> Comparison:
    details = {name: row[name] for name in ("key", "kind", "chosen_by", "probability", "seconds", "flags", "reasons")}
    details["comment"] = row["comment"]
    if row["gold"] is not None:
        details["gold"] = row["gold"]
    return Comparison(
        id=row["task_id"],
        annotator=None if row["name"] == UNKNOWN else row["name"],
        meta=row["meta"] | {ANSWER_FIELD: details},
        **{name: row[name] for name in ("prompt", "a", "b", "outcome", "strength", "shown_first", "created_at")},
    )


def progress(connection: Connection, config: ProjectConfig) -> Progress:
    """The progress of the project: main answers, out of `overlap` per task.

    With an overlap of 1, chat tasks are asked of nobody else: they count only if answered.
    """
    query = select_current().where(answers.c.outcome != "skip")
    query = query.where(answers.c.assignment_id.in_(select(assignments.c.id).where(assignments.c.kind == "main")))
    counted = query.with_only_columns(answers.c.task_id, func.count().label("num"))
    num_of = counted.group_by(answers.c.task_id).subquery()
    # imported answers may be more than `overlap`
    surplus = select(func.sum(num_of.c.num - config.overlap)).where(num_of.c.num > config.overlap)
    asked = select(tasks.c.id).where(tasks.c.gold.is_(None))
    if config.overlap == 1:
        asked = asked.where((tasks.c.origin != CHAT) | tasks.c.id.in_(select(num_of.c.task_id)))
    num_tasks = _count(connection, asked)
    total = num_tasks * config.overlap + int(connection.scalar(surplus) or 0)
    recent = query.with_only_columns(answers.c.assignment_id, answers.c.annotator_id, answers.c.created_at)
    rows = connection.execute(recent.order_by(answers.c.id.desc()).limit(RECENT)).all()
    times = defaultdict(list)
    for row in rows:
        times[row.annotator_id].append(row.created_at)
    first = select(answers.c.seconds).where(answers.c.supersedes.is_(None), answers.c.outcome != "skip")
    first = first.where(answers.c.assignment_id.in_([row.assignment_id for row in rows]))
    speed = pace(times.values(), connection.scalars(first))
    return Progress(answered=_count(connection, query), total=total, **speed)


def disagreements(connection: Connection) -> list[Disagreement]:
    """Tasks with differing current main answers, in task order."""
    split = (
        _decided("main")
        .with_only_columns(answers.c.task_id)
        .group_by(answers.c.task_id)
        .having(func.count(answers.c.outcome.distinct()) > 1)
    )
    wanted = connection.execute(select(tasks).where(tasks.c.id.in_(split)).order_by(tasks.c.position)).all()
    votes = defaultdict(list)
    named = _decided("main").join(annotators, annotators.c.id == answers.c.annotator_id)
    named = named.where(answers.c.task_id.in_(split)).add_columns(annotators.c.name)
    for row in connection.execute(named.order_by(answers.c.id)):
        votes[row.task_id].append((row.name, read_answer(row)))
    verdicts = {row.task_id: read_answer(row) for row in connection.execute(_decided("adjudication"))}
    return [
        Disagreement(task_id=row.id, answers=tuple(votes[row.id]), adjudication=verdicts.get(row.id), **texts_of(row))
        for row in wanted
    ]


def counts(connection: Connection) -> Counts:
    """Count everything."""
    query = (
        select_current()
        .with_only_columns(answers.c.outcome, answers.c.flags, assignments.c.kind, annotators.c.name)
        .join(assignments, assignments.c.id == answers.c.assignment_id)
        .join(annotators, annotators.c.id == answers.c.annotator_id)
    )
    rows = connection.execute(query).all()
    decided = [row for row in rows if row.outcome != "skip"]
    return Counts(
        tasks=_count(connection, select(tasks.c.id).where(tasks.c.gold.is_(None))),
        gold=_count(connection, select(tasks.c.id).where(tasks.c.gold.is_not(None))),
        answered=len(decided),
        open=_count(connection, _open()),
        skipped=len(rows) - len(decided),
        by_outcome=dict.fromkeys(DECIDED, 0) | Counter(row.outcome for row in decided),
        by_annotator=Counter(row.name for row in decided),
        by_kind=Counter(row.kind for row in decided),
        flags=Counter(flag for row in decided for flag in row.flags),
    )


def _decided(kind: str) -> Select[Any]:
    query = select_current().join(assignments, assignments.c.id == answers.c.assignment_id)
    return query.where(assignments.c.kind == kind, answers.c.outcome != "skip")


def _open() -> Select[Any]:
    waiting = select(assignments.c.id).where(assignments.c.kind != "adjudication")
    return waiting.where(assignments.c.released_at.is_(None), ~has_answer())


def _count(connection: Connection, query: Select[Any]) -> int:
    return int(connection.scalar(select(func.count()).select_from(query.subquery())) or 0)


def held(url: str) -> str:
    """What is in a database, such as "12 pairs, 3 people, 40 answers"; "" if no project has used it.

    A second project there would ask and count the same pairs. Raises ConfigError if it cannot be reached.
    """
    with closing(Database(url)) as database, database.read() as connection:
        there = inspect(connection).get_table_names()
        if not {table.name for table in (tasks, annotators, answers)} <= set(there):
            return ""
        pairs, people, given = (_count(connection, select(table)) for table in (tasks, annotators, answers))
    return f"{pairs} pairs, {people} people, {given} answers" if pairs or people or given else ""
