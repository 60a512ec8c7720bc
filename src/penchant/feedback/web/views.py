"""The data sent to an annotator's browser: only the rendered texts, left and right.

Sources, kinds (gold, repeat), others' answers and task ids stay here, and so does which side is `a`: files often
put the better response first, so the letter could reveal the answer. Browsers know only left and right.
"""

from __future__ import annotations

from typing import Any

from penchant.data.records import shown
from penchant.feedback.records import Answer, Assignment, Progress, place_of
from penchant.feedback.web.rendering import View, view

__all__ = ["answer_view", "assignment_view", "progress_view", "text_at", "text_view"]


def assignment_view(assignment: Assignment) -> dict[str, Any]:
    """The pair as a page shows it."""
    left, right = _sides(assignment)
    return {
        "id": assignment.id,
        "prompt": [{"role": message.role, **text_view(shown(message))} for message in assignment.prompt],
        "left": text_view(left),
        "right": text_view(right),
        "answer": answer_view(assignment.answer, assignment.shown_first) if assignment.answer else None,
    }


def text_view(text: str) -> dict[str, Any]:
    """html, raw (both truncated if the text is very long), length in characters, and whether it is cut."""
    shown: View = view(text)
    return {"html": shown.html, "raw": shown.raw, "length": shown.length, "cut": shown.is_cut}


def text_at(assignment: Assignment, place: str) -> str | None:
    """The full text at `left`, `right` or `prompt-N`, N counted from 0; None for any other position."""
    left, right = _sides(assignment)
    texts = {"left": left, "right": right}
    texts |= {f"prompt-{i}": shown(message) for i, message in enumerate(assignment.prompt)}
    return texts.get(place)


def progress_view(progress: Progress) -> dict[str, Any]:
    """One's own progress."""
    return progress.model_dump()


def answer_view(answer: Answer, shown_first: str) -> dict[str, Any]:
    """An answer as shown to its author only."""
    return {
        "outcome": place_of(answer.outcome, shown_first),
        "strength": answer.strength,
        "reasons": list(answer.reasons),
        "comment": answer.comment,
        "created_at": answer.created_at.isoformat(),
    }


def _sides(assignment: Assignment) -> tuple[str, str]:
    return (assignment.a, assignment.b) if assignment.shown_first == "a" else (assignment.b, assignment.a)
