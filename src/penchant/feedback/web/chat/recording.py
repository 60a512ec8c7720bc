"""Store a choice made in the chat as a comparison with its answer."""

from __future__ import annotations

from collections.abc import Sequence

from penchant.data.records import Candidate, Comparison, Message, Outcome, Source
from penchant.errors import OutputError
from penchant.feedback.details import ANSWER_FIELD
from penchant.feedback.project import ProjectConfig
from penchant.feedback.records import Annotator
from penchant.feedback.storing import CHAT, Store
from penchant.feedback.web.chat.conversation import Turn

__all__ = ["record_choice"]


def record_choice(
    store: Store,
    config: ProjectConfig,
    person: Annotator,
    messages: Sequence[Message],
    turn: Turn,
    source: Source,
    *,
    outcome: Outcome,
    seconds: float,
    key: str,
) -> None:
    """Store the task and its answer in one transaction; when this returns, both are on the disk.

    The task counts as drawn with certainty, as no other task could have been. The same choice stored twice counts once.
    Raises OutputError if the store refuses it.
    """
    details = {
        "key": key,
        "kind": "main",
        "chosen_by": "random",
        "probability": 1.0,
        "seconds": seconds,
        "flags": ["too_fast"] if seconds < config.too_fast_seconds else [],
    }
    comparison = Comparison(
        id=turn.id,
        prompt=tuple(messages),
        a=Candidate(text=turn.texts[0], source=source),
        b=Candidate(text=turn.texts[1], source=source),
        outcome=outcome,
        annotator=person.name,
        shown_first=turn.shown_first,
        meta={ANSWER_FIELD: details},
    )
    added = store.add_tasks([comparison], origin=CHAT)
    if added.refused:
        raise OutputError(f"the choice was not stored: {added.refused[0]}")
