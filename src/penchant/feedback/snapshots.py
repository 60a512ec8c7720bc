"""A project of people's answers named as data: its answers as they are now, in a file that stays what it is.

Beside the file stands what became of the votes, see `penchant.data.authors.votes_file`.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.data.authors import authors_of, is_project, votes_behind, votes_file
from penchant.errors import ConfigError, DataError, OutputError
from penchant.feedback.exports import Format, export
from penchant.feedback.project import Project
from penchant.feedback.storing import Store
from penchant.feedback.training import How, training_pairs

__all__ = ["in_words", "snapshots"]


def snapshots(files: Sequence[str], to: Format, how: How | None = None, begun_with: Sequence[str] = ()) -> list[str]:
    """The files, with every project folder replaced by a snapshot of its answers as `to` (pairs, kto or sft).

    A snapshot is named by its content and by what became of the votes, so that a run's settings and its ledger say
    exactly what was trained on, and a stopped run goes on with the same answers although people have gone on voting.
    how: several votes into one pair, None for majority. begun_with: the files of the run that goes on.

    Raises ConfigError for a `how` that `to` does not know or that a run did not begin with, DataError where nobody has
    answered, and OutputError.
    """
    return [
        file if not is_project(Path(file)) else _begun(Path(file), how, begun_with) or _snapshot(Path(file), to, how)
        for file in files
    ]


def in_words(votes: Mapping[str, Any]) -> str:
    """What became of the votes, in one sentence."""
    lost = [("tie", "ties"), ("both_bad", "both bad"), ("tied", "in which no answer has most votes")]
    without = ", ".join(f"{votes[key]} {words}" for key, words in lost if votes[key])
    unused = [("gold", "to gold tasks"), ("repeat", "repeats")]
    unread = ", ".join(f"{votes[key]} {words}" for key, words in unused if votes[key])
    parts = [
        f"{votes['project']}: {votes['answered']} of {votes['tasks']} tasks answered, {votes['answers']} answers"
        + (f" ({unread}, not used again)" if unread else ""),
        f"{votes['pairs']} pairs by {votes['labels']}" + (f"; no pair from {without}" if without else ""),
        f"{votes['skipped']} skipped" if votes["skipped"] else "",
        f"{votes['rows']} rows of {votes['to']}" if votes["rows"] != votes["pairs"] else "",
    ]
    return "; ".join(filter(None, parts))


def _begun(folder: Path, how: How | None, begun_with: Sequence[str]) -> str | None:
    exports = (folder / "exports").resolve()
    file = next((file for file in begun_with if Path(file).resolve().parent == exports), None)
    began_as = (votes_behind(Path(file)) or {}).get("labels", "majority") if file else None
    if file and how not in (None, began_as):
        raise ConfigError(f"--labels {how}: the run was begun with {began_as}; go on with that, or begin another run")
    return file


def _snapshot(folder: Path, to: Format, how: How | None) -> str:
    project = Project.open(folder)
    project.require_answers()
    exports = folder / "exports"
    scratch = exports / f".{os.getpid()}.jsonl"
    try:
        exports.mkdir(exist_ok=True)
        try:
            with Store.open(project) as store:
                num_rows = export(store, to, scratch, how=how or "majority")
                votes = _votes(store, to, how or "majority") | {"rows": num_rows}
            if not num_rows:
                raise DataError(_nothing(folder, to, votes))
            facts = json.dumps(votes, indent=2, ensure_ascii=False) + "\n"
            name = hashlib.sha256(scratch.read_bytes() + facts.encode()).hexdigest()[:12]
            target = exports / f"{to}-{name}.jsonl"
            votes_file(target).write_text(facts, encoding="utf-8")
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{exports}: cannot be written ({error.strerror}); make room or mend its rights") from error
    return str(target)


def _votes(store: Store, to: Format, how: How) -> dict[str, Any]:
    comparisons, counts = list(store.comparisons()), store.counts()
    became = training_pairs(comparisons, how).counts
    return {
        "project": str(store.project.path.resolve()),
        "to": to,
        "labels": how,
        **became,
        "tasks": counts.tasks,
        "answered": became["tasks"],
        "skipped": counts.skipped,
        **authors_of(comparison.model_dump(mode="json") for comparison in comparisons),
    }


def _nothing(folder: Path, to: Format, votes: Mapping[str, Any]) -> str:
    found = f" ({in_words(votes)})" if votes["answers"] else ""
    return f"{folder}: no answer there makes {to} yet{found}; collect some with `penchant annotate {folder}`"
