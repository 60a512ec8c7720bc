"""Record which stages of a round are finished, with the digests of their files, in .STAGE.done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from penchant.errors import OutputError
from penchant.files import write_atomically
from penchant.rounds.plan import Round

__all__ = ["has_note", "is_finished", "min_votes_of", "note_finished"]

LEDGER = "run/run.json"
"""A file that must exist but may change: an evaluation of the run, such as stage "compare", adds to it."""


def has_note(this: Round, stage: str) -> bool:
    """Whether the stage was finished; nothing is verified."""
    return _note(this, stage).is_file()


def is_finished(this: Round, stage: str) -> bool:
    """Whether the stage was finished. Raises OutputError if its files have changed since."""
    if not has_note(this, stage):
        return False
    content = _content(this, stage)
    for name, digest in content.get("files", content).items():  # older notes hold only the files
        file = this.path / name
        if not file.is_file() or (name != LEDGER and _digest(file) != digest):
            raise OutputError(
                f"{file}: is gone or was changed after the stage '{stage}' had finished; restore it, or remove "
                f"{this.path} to begin the round again"
            )
    return True


def note_finished(this: Round, stage: str, patterns: Iterable[str], **facts: Any) -> None:
    """Record that the stage is finished, with the files matching the patterns and these facts."""
    files = sorted(file for pattern in patterns for file in this.path.glob(pattern))
    digests = {file.relative_to(this.path).as_posix(): _digest(file) for file in files}
    write_atomically(_note(this, stage), json.dumps({"files": digests, **facts}, indent=2) + "\n")


def min_votes_of(this: Round) -> dict[str, int | None] | None:
    """The min_votes of each finished stage that records one; None means all answers, or a judge."""
    if this.plan.people is None:
        return None
    found = {stage: _content(this, stage) for stage in ("vote", "compare") if has_note(this, stage)}
    return {stage: content["min_votes"] for stage, content in found.items() if "min_votes" in content}


def _content(this: Round, stage: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_note(this, stage).read_text(encoding="utf-8"))
    return content


def _note(this: Round, stage: str) -> Path:
    return this.path / f".{stage}.done"


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
