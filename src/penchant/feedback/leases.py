"""Assignments: who is given which pair, kept for a while, and given back."""

import random
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from penchant.feedback.assign import Choice, choose
from penchant.feedback.batch import Batch
from penchant.feedback.board import Given
from penchant.feedback.project import ProjectConfig
from penchant.feedback.records import Refused
from penchant.feedback.rows import MAX_ID, select_assignment
from penchant.feedback.schema import assignments

__all__ = ["find", "lease_again", "next_assignment", "release"]


def next_assignment(
    batch: Batch, config: ProjectConfig, annotator_id: int, *, rng: random.Random, now: datetime, ahead: int
) -> Given | None:
    """The open assignment number `ahead` of this person, else a new one.

    Leases of others that ran out go back first; that of this assignment, and of those before it, begins anew.
    """
    batch.state.require(annotator_id)
    board = batch.board
    for expired in board.expired(now - timedelta(minutes=config.lease_minutes), annotator_id):
        release(batch, expired, now)
    mine = board.open_of(annotator_id)
    for given in mine[: ahead + 1]:
        if now - given.began > timedelta(minutes=config.lease_minutes) / 10:  # asking again and again need not write
            lease_again(batch, given, now)
    if len(mine) > ahead:
        given = mine[ahead]
    else:
        choice = choose(
            board.pool(annotator_id),
            board.gold_for(annotator_id) if config.gold_share else [],
            board.repeats_for(annotator_id) if config.repeat_share else [],
            random_share=config.random_share,
            gold_share=config.gold_share,
            repeat_share=config.repeat_share,
            rng=rng,
        )
        if choice is None:
            return None
        given = _give(batch, annotator_id, choice, now)
    batch.will_show(given)
    return given


def find(connection: Connection, assignment_id: int, annotator_id: int) -> Any:
    """The row of a person's own assignment, or None."""
    if not 0 < assignment_id <= MAX_ID:
        return None
    query = select_assignment().where(assignments.c.id == assignment_id, assignments.c.annotator_id == annotator_id)
    return connection.execute(query.where(assignments.c.kind != "adjudication")).first()


def lease_again(batch: Batch, given: Given, now: datetime) -> None:
    """Begin the lease of an assignment anew; raises Refused where others have its slots, or its person has it anew."""
    slot, is_taken = given.slot, False
    if given.released_at is not None:
        is_taken = batch.board.was_given_again(given)
        if given.kind == "main":
            slot = batch.board.free_slot(given.task_id)
            is_taken = is_taken or slot is None
    if is_taken:
        raise Refused("taken", "this pair was given out again in the meantime; go on with the next one")
    batch.lease(given._replace(slot=slot, renewed_at=now, released_at=None))


def release(batch: Batch, given: Given, now: datetime) -> None:
    """Give back what a person had."""
    if given.released_at is None:
        batch.lease(given._replace(released_at=now))


def _give(batch: Batch, annotator_id: int, choice: Choice, now: datetime) -> Given:
    given = Given(
        id=0,
        task_id=choice.task_id,
        annotator_id=annotator_id,
        kind=choice.kind,
        slot=batch.board.free_slot(choice.task_id) if choice.kind == "main" else None,
        shown_first=choice.shown_first,
        created_at=now,
        renewed_at=None,
        released_at=None,
    )
    return batch.give(given, choice.chosen_by, choice.probability)
