"""Use an annotation project as data: write its current answers to a snapshot file that never changes.

Facts about the votes are written beside it, see `penchant.data.authors.votes_file`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from penchant.data.authors import authors_of, is_project, votes_behind, votes_file
from penchant.data.parts import Part
from penchant.errors import ConfigError, DataError, OutputError
from penchant.feedback.training import How, training_pairs
from penchant.files import put_in_place, write_atomically

if TYPE_CHECKING:
    from penchant.feedback.exports import Format
    from penchant.feedback.storing import Store

__all__ = ["in_words", "resolve_projects"]


def resolve_projects(
    files: Sequence[str],
    to: str,
    *,
    labels: str | None = None,
    begun_with: Sequence[str] = (),
    say: Callable[[str], None],
) -> tuple[str, ...]:
    """Return the files, with each project folder replaced by a snapshot of its answers as `to` (pairs, kto or sft).

    A snapshot is named by its content and its facts, so that a run's settings and ledger identify exactly what was
    trained on, and a resumed run uses the same answers although people have continued voting.

    Args:
        files: paths of data, and of folders with a project.yaml.
        labels: how to combine several votes into one pair, majority (the default) or soft.
        begun_with: the files of the run to resume.
        say: receives the facts about each project's votes.

    Raises:
        ConfigError: labels if no file is a project, if `to` has none, or if the run began with others.
        DataError: there are no answers. OutputError: no snapshot can be written.
    """
    parts = list(map(Part.of, files))
    projects = [is_project(Path(part.path)) for part in parts]
    if labels is not None and not any(projects):
        raise ConfigError(
            f'`labels="{labels}"`: says how the votes of a project become pairs, but none of the files is a '
            "project; leave it out"
        )
    resolved = []
    for part, named_project in zip(parts, projects, strict=True):
        if named_project:
            file = _resolved(Path(part.path), to, labels, [Part.of(begun).path for begun in begun_with])
            if votes := votes_behind(Path(file)):
                say(in_words(votes))
            resolved.append(str(replace(part, path=file)))
        else:
            resolved.append(str(part))
    return tuple(resolved)


def _resolved(folder: Path, to: str, labels: str | None, begun_with: Sequence[str]) -> str:
    return _begun(folder, labels, begun_with) or _snapshot(folder, cast("Format", to), cast(How, labels or "majority"))


def in_words(votes: Mapping[str, Any]) -> str:
    """The facts about the votes, in one sentence."""
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


def _begun(folder: Path, how: str | None, begun_with: Sequence[str]) -> str | None:
    exports = (folder / "exports").resolve()
    file = next((file for file in begun_with if Path(file).resolve().parent == exports), None)
    began_as = (votes_behind(Path(file)) or {}).get("labels", "majority") if file else None
    if file and how not in (None, began_as):
        raise ConfigError(
            f'`labels="{how}"`: the run was begun with {began_as}; continue with that, or begin another run'
        )
    return file


def _snapshot(folder: Path, to: Format, how: How) -> str:
    from penchant.feedback import Store

    exports = folder / "exports"
    with Store.of(folder) as store:
        try:
            exports.mkdir(exist_ok=True)
            return str(_write(store, exports, to, how))
        except OSError as error:
            reason = f"cannot be written ({error.strerror}); free some space or fix its permissions"
            raise OutputError(f"{exports}: {reason}") from error


def _write(store: Store, exports: Path, to: Format, how: How) -> Path:
    from penchant.feedback.exports import export

    scratch = exports / f".{os.getpid()}.jsonl"
    try:
        num_rows = export(store, to, scratch, how=how)
        votes = _votes(store, to, how) | {"rows": num_rows}
        if not num_rows:
            raise DataError(_nothing(store.project.path, to, votes))
        facts = json.dumps(votes, indent=2, ensure_ascii=False) + "\n"
        name = hashlib.sha256(scratch.read_bytes() + facts.encode()).hexdigest()[:12]
        target = exports / f"{to}-{name}.jsonl"
        write_atomically(votes_file(target), facts)
        put_in_place(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)
    return target


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
    return (
        f"{folder}: no answer in it can be written as {to} yet{found}; collect some with `penchant annotate {folder}`"
    )
