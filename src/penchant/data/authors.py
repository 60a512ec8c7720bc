"""Who answered the comparisons in a file, and which models wrote them; and what stands behind a snapshot of votes."""

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
"""How the name of an annotator begins that is a judge, and no person."""
UNNAMED = "people without a name"
NO_MODEL = "no model"


class VotesFacts(Fields):
    """What became of the votes of a project, as far as a run's lineage tells it."""

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
    """Where it is written what became of the votes from which a snapshot of a project was made."""
    return snapshot.with_suffix(".votes.json")


def votes_behind(file: Path) -> dict[str, Any] | None:
    """What became of the votes in a snapshot of a project; None for any other file."""
    try:
        return object_in(votes_file(file).read_text(encoding="utf-8"), VotesFacts)
    except (OSError, ValueError):
        return None


def authors_of_file(file: Path) -> dict[str, dict[str, int]]:
    """`authors_of` the comparisons in a file; nothing where its rows are something else."""
    try:
        rows = (row for _, row in scan_rows(file) if not isinstance(row, BadRow))
        head = list(islice(rows, 1))
        if not head or not {"a", "b", "outcome"} <= head[0].keys():
            return {}
        return authors_of([*head, *rows])
    except DataError:
        return {}


def authors_of(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """answered_by and written_by of comparisons, as numbers by name, most first; unanswered rows do not count.

    Judges and models stand with their names. People are counted, not named: a run may be given to others.
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
