"""Assignments: who is given which pair, kept for a while, and given back."""

import random
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, func, or_, select, update

from penchant.feedback.assign import Choice, Eligible, choose, disagreement
from penchant.feedback.people import require
from penchant.feedback.project import ProjectConfig
from penchant.feedback.records import Assignment, Refused
from penchant.feedback.rows import MAX_ID, has_answer, insert_row, read_assignment, select_assignment, select_current
from penchant.feedback.schema import answers, assignments, is_current, tasks

__all__ = ["eligible_main", "find", "lease_again", "next_assignment", "open_of"]

ANSWERS_BEFORE_REPEAT = 10
MOST_OPEN = 2  # the pair on screen, and the one fetched ahead


def next_assignment(
    connection: Connection, config: ProjectConfig, annotator_id: int, *, rng: random.Random, now: datetime, ahead: int
) -> Assignment | None:
    """The open assignment number `ahead` of this person, else a new one; leases that ran out go back first."""
    require(connection, annotator_id)
    _release_expired(connection, config, annotator_id, now)
    mine = connection.execute(open_of(annotator_id)).all()
    if len(mine) > ahead:
        row = mine[ahead]
        _renew(connection, row.id, now)
        return read_assignment(connection, row)
    choice = choose(
        _scored(connection, config, annotator_id),
        _gold_for(connection, annotator_id) if config.gold_share else [],
        _repeats_for(connection, annotator_id) if config.repeat_share else [],
        random_share=config.random_share,
        gold_share=config.gold_share,
        repeat_share=config.repeat_share,
        rng=rng,
    )
    return None if choice is None else _give(connection, config, annotator_id, choice, now)


def find(connection: Connection, assignment_id: int, annotator_id: int) -> Any:
    """The row of a person's own assignment, or None."""
    if not 0 < assignment_id <= MAX_ID:
        return None
    query = select_assignment().where(assignments.c.id == assignment_id, assignments.c.annotator_id == annotator_id)
    return connection.execute(query.where(assignments.c.kind != "adjudication")).first()


def open_of(annotator_id: int) -> Select[Any]:
    """A person's open assignments, oldest first."""
    return (
        select_assignment()
        .where(assignments.c.annotator_id == annotator_id, assignments.c.kind != "adjudication")
        .where(assignments.c.released_at.is_(None), ~has_answer())
        .order_by(assignments.c.id)
    )


def lease_again(connection: Connection, config: ProjectConfig, row: Any, now: datetime) -> None:
    """Let a person keep, or have back, an assignment; raises Refused where others have its slots by now."""
    if row.released_at is None or row.kind != "main":
        _renew(connection, row.id, now)
        return
    live = select(assignments.c.slot, assignments.c.annotator_id).where(
        assignments.c.task_id == row.task_id, assignments.c.kind == "main", assignments.c.released_at.is_(None)
    )
    taken = connection.execute(live).all()
    free = _free_slot({other.slot for other in taken}, config.overlap)
    if free is None or row.annotator_id in {other.annotator_id for other in taken}:
        raise Refused("taken", "this pair was given out again in the meantime; go on with the next one")
    _renew(connection, row.id, now, slot=free)


def eligible_main(config: ProjectConfig, annotator_id: int) -> ColumnElement[bool]:
    """The condition on tasks: no gold, fewer than `overlap` live slots, and nothing of it given to this person.

    An assignment that ran out unanswered counts as not given; a skipped one counts as given.
    """
    mine, others = assignments.alias("mine"), assignments.alias("others")
    given = select(mine.c.task_id).where(mine.c.annotator_id == annotator_id, mine.c.kind == "main")
    given = given.where(or_(mine.c.released_at.is_(None), has_answer(mine)))
    full = select(others.c.task_id).where(others.c.kind == "main", others.c.released_at.is_(None))
    full = full.group_by(others.c.task_id).having(func.count() >= config.overlap)
    return tasks.c.gold.is_(None) & tasks.c.id.not_in(given) & tasks.c.id.not_in(full)


def _scored(connection: Connection, config: ProjectConfig, annotator_id: int) -> list[Eligible]:
    """Eligible tasks: the score is the uncertainty set for the task, else the disagreement of its answers so far."""
    condition = eligible_main(config, annotator_id)
    rows = connection.execute(select(tasks.c.id, tasks.c.uncertainty).where(condition).order_by(tasks.c.position)).all()
    outcomes = defaultdict(list)
    if config.overlap > 2:  # with fewer, a task that still takes answers has none that could disagree
        votes = select(answers.c.task_id, answers.c.outcome).join(
            assignments, assignments.c.id == answers.c.assignment_id
        )
        votes = votes.join(tasks, tasks.c.id == answers.c.task_id).where(condition, assignments.c.kind == "main")
        votes = votes.where(is_current(), answers.c.outcome.in_(("a", "b", "tie", "both_bad")))
        for task_id, outcome in connection.execute(votes):
            outcomes[task_id].append(outcome)
    differing = {task_id: disagreement(said) for task_id, said in outcomes.items()}
    return [
        Eligible(task_id, differing.get(task_id, 0.0) if uncertainty is None else uncertainty)
        for task_id, uncertainty in rows
    ]


def _gold_for(connection: Connection, annotator_id: int) -> list[str]:
    """Gold tasks this person has not been given, those whose lease ran out apart."""
    given = exists(
        select(1).where(
            assignments.c.task_id == tasks.c.id,
            assignments.c.annotator_id == annotator_id,
            or_(assignments.c.released_at.is_(None), has_answer()),
        )
    )
    return list(connection.scalars(select(tasks.c.id).where(tasks.c.gold.is_not(None), ~given)))


def _repeats_for(connection: Connection, annotator_id: int) -> list[str]:
    """Main tasks this person answered, with at least ten answers of theirs after it, and not repeated yet."""
    query = select_current().with_only_columns(answers.c.task_id, assignments.c.kind, answers.c.outcome)
    query = query.join(assignments, assignments.c.id == answers.c.assignment_id)
    query = query.where(answers.c.annotator_id == annotator_id, assignments.c.kind != "adjudication")
    earlier = connection.execute(query.order_by(answers.c.id)).all()[:-ANSWERS_BEFORE_REPEAT]
    given = select(assignments.c.task_id).where(
        assignments.c.annotator_id == annotator_id,
        assignments.c.kind == "repeat",
        or_(assignments.c.released_at.is_(None), has_answer()),
    )
    repeated = set(connection.scalars(given))
    return [
        row.task_id for row in earlier if row.kind == "main" and row.outcome != "skip" and row.task_id not in repeated
    ]


def _give(
    connection: Connection, config: ProjectConfig, annotator_id: int, choice: Choice, now: datetime
) -> Assignment:
    slot = None
    if choice.kind == "main":
        live = select(assignments.c.slot).where(
            assignments.c.task_id == choice.task_id, assignments.c.kind == "main", assignments.c.released_at.is_(None)
        )
        slot = _free_slot(set(connection.scalars(live)), config.overlap)
    values = {
        "task_id": choice.task_id,
        "annotator_id": annotator_id,
        "kind": choice.kind,
        "slot": slot,
        "shown_first": choice.shown_first,
        "chosen_by": choice.chosen_by,
        "probability": choice.probability,
        "created_at": now,
    }
    assignment_id = insert_row(connection, assignments, values)
    return read_assignment(connection, find(connection, assignment_id, annotator_id))


def _free_slot(taken: set[int], overlap: int) -> int | None:
    """The lowest slot nobody has; None once `overlap` are taken, whatever their numbers."""
    return next((slot for slot in range(overlap) if slot not in taken), None) if len(taken) < overlap else None


def _renew(connection: Connection, assignment_id: int, now: datetime, **values: Any) -> None:
    query = update(assignments).where(assignments.c.id == assignment_id)
    connection.execute(query.values(renewed_at=now, released_at=None, **values))


def _release_expired(connection: Connection, config: ProjectConfig, annotator_id: int, now: datetime) -> None:
    """Give back what others left open; a person's own open pair is shown again instead."""
    began = func.coalesce(assignments.c.renewed_at, assignments.c.created_at)
    connection.execute(
        update(assignments)
        .where(assignments.c.released_at.is_(None), assignments.c.annotator_id != annotator_id, ~has_answer())
        .where(assignments.c.kind != "adjudication", began < now - timedelta(minutes=config.lease_minutes))
        .values(released_at=now)
    )
