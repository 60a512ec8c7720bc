"""A project of people's answers named as data: its answers as they are now, in a file that stays what it is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from penchant.errors import DataError, OutputError

__all__ = ["resolve_projects"]


def resolve_projects(files: Sequence[str], to: str, begun_with: Sequence[str] = ()) -> tuple[str, ...]:
    """The files, with every project folder replaced by a snapshot of its answers as `to` (pairs, kto or sft).

    A snapshot is named by its content, so that a run's settings and its ledger say exactly what was trained on, and a
    stopped run goes on with the same answers although people have gone on voting. begun_with: the files of that run.
    Raises ConfigError, DataError where nobody has answered, and OutputError.
    """
    return tuple(
        _snapshot_of_run(Path(file), begun_with) or _snapshot(Path(file), to) if _is_project(file) else file
        for file in files
    )


def _snapshot_of_run(folder: Path, begun_with: Sequence[str]) -> str | None:
    exports = (folder / "exports").resolve()
    return next((file for file in begun_with if Path(file).resolve().parent == exports), None)


def _is_project(file: str) -> bool:
    return Path(file).is_dir() and (Path(file) / "project.yaml").is_file()


def _snapshot(folder: Path, to: str) -> str:
    from penchant.feedback.exports import export
    from penchant.feedback.project import Project
    from penchant.feedback.store import Store

    project = Project.open(folder)
    project.require_answers()
    exports = folder / "exports"
    scratch = exports / f".{os.getpid()}.jsonl"
    try:
        exports.mkdir(exist_ok=True)
        with Store.open(project) as store:
            num_rows = export(store, to, scratch)  # type: ignore[arg-type]  # the callers' words are the room's
        if not num_rows:
            scratch.unlink()
            raise DataError(f"{folder}: no answer there makes {to} yet; collect some with `penchant annotate {folder}`")
        target = exports / f"{to}-{hashlib.sha256(scratch.read_bytes()).hexdigest()[:12]}.jsonl"
        scratch.replace(target)
    except OSError as error:
        raise OutputError(f"{exports}: cannot be written ({error.strerror}); make room or mend its rights") from error
    return str(target)
