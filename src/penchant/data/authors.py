"""Find who answered the comparisons in a file, which models wrote them, and where a snapshot of votes came from."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from penchant.data.files import scan_rows
from penchant.data.verdicts import BadRow
from penchant.errors import DataError
from penchant.strict_json import LACKING, Count, Fields, Text, object_in

__all__ = ["STAND_IN", "VotesFacts", "authors_of", "authors_of_file", "is_project", "votes_behind", "votes_file"]

STAND_IN = "stand-in:"
"""The prefix of an annotator's name that marks a judge rather than a person."""
UNNAMED = "people without a name"
NO_MODEL = "no model"


class VotesFacts(Fields):
    """What a run's lineage records about the votes of a project."""

    project: Text
    answers: Count
    answered: Count
    pairs: Count
    labels: Text
    answered_by: dict[Text, Count] = LACKING
    written_by: dict[Text, Count] = LACKING


def is_project(folder: Path) -> bool:
    """Whether this is a project of people's answers."""
    return folder.is_dir() and (folder / "project.yaml").is_file()


def votes_file(snapshot: Path) -> Path:
    """The path of the facts recorded beside a snapshot of a project's votes."""
    return snapshot.with_suffix(".votes.json")


def votes_behind(file: Path) -> dict[str, Any] | None:
    """The facts about the votes in a snapshot of a project; None for any other file."""
    try:
        return object_in(votes_file(file).read_text(encoding="utf-8"), VotesFacts)
    except (OSError, ValueError):
        return None


def authors_of_file(file: Path) -> dict[str, dict[str, int]]:
    """`authors_of` the comparisons in a file; empty if its rows are something else."""
    try:
        rows = (row for _, row in scan_rows(file) if not isinstance(row, BadRow))
        head = list(islice(rows, 1))
        if not head or not {"a", "b", "outcome"} <= head[0].keys():
            return {}
        return authors_of([*head, *rows])
    except DataError:
        return {}


def authors_of(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """answered_by and written_by of comparisons, as counts by name, largest first; unanswered rows are not counted.

    Judges and models are named. People are only counted, because a run may be shared.
    """
    judges: Counter[str] = Counter()
    people: Counter[str] = Counter()
    written: Counter[str] = Counter()
    for row in rows:
        if row.get("outcome"):
            name = str(row.get("annotator") or UNNAMED)
            (judges if name.startswith(STAND_IN) else people)[name] += 1
            written.update(map(_model, (row.get("a"), row.get("b"))))
    answered = judges + Counter({UNNAMED: people.pop(UNNAMED, 0)})  # + leaves zeros out
    if people:
        answered["1 person" if len(people) == 1 else f"{len(people)} people"] = people.total()
    return {"answered_by": dict(answered.most_common()), "written_by": dict(written.most_common())}


def _model(candidate: object) -> str:
    source = candidate.get("source") if isinstance(candidate, dict) else None
    return str(source.get("model")) if isinstance(source, dict) else NO_MODEL
