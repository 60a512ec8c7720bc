"""Files into tasks and answers: our own comparisons, Chatbot Arena's battles, and every format of preference pairs."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from penchant.data import load_pairs
from penchant.data.files import Row, scan_rows
from penchant.data.importers.base import last_response, messages_field
from penchant.data.records import Candidate, Comparison, Message, Origin, PreferencePair, Source, prompt_key
from penchant.data.verdicts import BadRow, bad_row_from_validation
from penchant.errors import DataError
from penchant.feedback.formats import FLIPPED, HUMAN, WINNERS
from penchant.feedback.records import TasksAdded
from penchant.feedback.store import Store
from penchant.feedback.tasks import ANSWER_FIELD, fault

__all__ = ["import_file", "read_comparisons", "require_rows"]

OUTCOMES = {winner: outcome for outcome, winner in WINNERS.items()}


def import_file(
    store: Store, path: str | os.PathLike[str], *, gold: bool = False, unanswered: bool = False
) -> TasksAdded:
    """Add the rows of a file to the project; rows that cannot be taken are in `refused`, with file and line.

    gold: the outcomes are right answers, to check annotators against. unanswered: take the pairs and leave what was
    answered, so that people here are asked. Importing a file twice changes nothing.

    Raises DataError for a file that cannot be read or whose format nobody knows.
    """
    comparisons, refused = read_comparisons(path, gold=gold)
    if unanswered:
        comparisons = [comparison.model_copy(update=_nobody(comparison)) for comparison in comparisons]
    added = store.add_tasks(comparisons, origin=os.fspath(path), gold=gold)
    return added.model_copy(update={"refused": (*refused, *added.refused)})


def require_rows(path: str | os.PathLike[str], *, gold: bool = False) -> None:
    """Raises DataError for a file of which nothing can be taken; looks at it alone, before there is a project."""
    comparisons, refused = read_comparisons(path, gold=gold)
    if not comparisons:
        what = f"none of its {len(refused)} rows can be taken; the first: {refused[0]}" if refused else "holds no row"
        raise DataError(f"{Path(path)}: {what}")


def read_comparisons(path: str | os.PathLike[str], *, gold: bool = False) -> tuple[list[Comparison], list[str]]:
    """The rows of a file as comparisons, and why the others are none; the first row that can be read tells the format.

    Votes on the same two responses to the same prompt are votes on one task; ids of comparisons are kept.
    """
    first = next((row for _, row in scan_rows(path) if not isinstance(row, BadRow)), None)
    if first is None:
        raise DataError(f"{Path(path)}: no row can be read; see that each line is a JSON object")
    if {"prompt", "a", "b"} <= first.keys():
        return _read_rows(path, Comparison.model_validate, gold)
    if {"conversation_a", "conversation_b"} <= first.keys():
        return _read_rows(path, _battle, gold)
    loaded = load_pairs(path, on_bad_row="drop")
    problems = [str(problem) for problem in loaded.problems if problem.severity == "error"]
    return list(map(_from_pair, loaded.pairs)), problems


def _read_rows(
    path: str | os.PathLike[str], convert: Callable[[Row], Comparison], gold: bool
) -> tuple[list[Comparison], list[str]]:
    comparisons, refused = [], []
    for line, row in scan_rows(path):
        origin = Origin(file=os.fspath(path), line=line)
        try:
            if isinstance(row, BadRow):
                raise row
            comparison = convert(row)
        except ValidationError as error:
            refused.append(str(bad_row_from_validation(error).at(origin)))
        except BadRow as bad:
            refused.append(str(bad.at(origin)))
        else:
            if reason := fault(comparison, gold=gold):
                refused.append(f"{origin}: {reason}")
            else:
                comparisons.append(comparison)
    return comparisons, refused


def _battle(row: Row) -> Comparison:
    """A battle of Chatbot Arena: two conversations that are the same but for their last message; a was on the left."""
    left, right = (messages_field(row, name) for name in ("conversation_a", "conversation_b"))
    if left[:-1] != right[:-1]:
        raise BadRow("prompts_differ", "the conversations differ before their last message", "split them by turn")
    winner = row.get("winner")
    if winner is not None and winner not in OUTCOMES:
        raise BadRow("bad_type", f"the winner is '{winner}'", f"write one of {', '.join(OUTCOMES)}")
    sides = [
        Candidate(text=last_response(messages, f"conversation_{side}"), source=_source(row.get(f"model_{side}")))
        for side, messages in (("a", left), ("b", right))
    ]
    return _oriented(
        left[:-1],
        *sides,
        outcome=None if winner is None else OUTCOMES[winner],
        annotator=row.get("judge"),
        shown_first="a",
        created_at=row.get("tstamp"),
        meta={} if row.get("question_id") is None else {"question_id": row["question_id"]},
    )


def _source(name: Any) -> Source | None:
    return None if name is None or name == HUMAN else Source(model=str(name))


def _from_pair(pair: PreferencePair) -> Comparison:
    """A pair as an answer of nobody in particular; a soft label below one half is a preference for the other side."""
    if pair.probability < 0.5:
        pair = pair.swap().model_copy(update={"probability": 1 - pair.probability})
    numbers = {"probability": pair.probability, "weight": pair.weight, "margin": pair.margin}
    chosen, rejected = Candidate(text=pair.chosen), Candidate(text=pair.rejected)
    outcome = "tie" if pair.probability == 0.5 else "a"
    defaults = {name: field.default for name, field in PreferencePair.model_fields.items()}
    meta = {name: value for name, value in numbers.items() if value != defaults[name]}
    return _oriented(pair.prompt, chosen, rejected, outcome=outcome, meta=meta)


def _oriented(prompt: tuple[Message, ...], first: Candidate, second: Candidate, **fields: Any) -> Comparison:
    """A comparison whose id and sides come from its content alone.

    The same two responses are one task whichever came first, and neither side tells which was preferred.
    """
    contents = [candidate.model_dump_json() for candidate in (first, second)]
    digest = hashlib.sha256("\x1e".join((prompt_key(prompt), *sorted(contents))).encode()).hexdigest()[:24]
    comparison = Comparison(id=digest, prompt=prompt, a=first, b=second, **fields)
    if contents[0] < contents[1]:
        return comparison
    flipped = {name: FLIPPED.get(value, value) for name, value in fields.items() if name in ("outcome", "shown_first")}
    return comparison.model_copy(update={"a": second, "b": first, **flipped})


def _nobody(comparison: Comparison) -> dict[str, Any]:
    return {
        "outcome": None,
        "strength": None,
        "annotator": None,
        "meta": {name: value for name, value in comparison.meta.items() if name != ANSWER_FIELD},
    }
