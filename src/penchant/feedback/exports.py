"""Answers to a file: whole or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from penchant.errors import ConfigError, OutputError
from penchant.feedback.formats import ROWS
from penchant.feedback.store import Store
from penchant.feedback.training import How
from penchant.wording import SPELT_OUT, nearest

__all__ = ["Format", "export", "export_rows"]

Format = Literal["pairs", "kto", "sft", "arena", "raw"]

NOT_SOFT = {
    "kto": "labels each response true or false",
    "arena": "holds every answer",
    "raw": "holds every answer",
}
"""Formats that know no soft labels, and why."""

os.umask(UMASK := os.umask(0o077))  # it can only be read by setting it, which once many threads run would tell another


def export(store: Store, to: Format, path: str | os.PathLike[str], *, how: How = "majority") -> int:
    """Write the current answers as JSON lines; returns how many rows there are, 0 for an empty file.

    `how` turns several votes on a task into one pair, for pairs and sft (see `training_pairs`); kto goes by majority,
    arena and raw hold every answer. The file appears, or is replaced, once it is complete.

    Raises ConfigError for an unknown format or `how`, OutputError where the file cannot be written.
    """
    rows, path = export_rows(store, to, how=how), Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another file") from error
    try:
        num_rows = 0
        with os.fdopen(handle, "w", encoding="utf-8", errors=SPELT_OUT) as stream:
            for row in rows:
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                num_rows += 1
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~UMASK)  # as any other file; a temporary one is the owner's alone
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another file") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return num_rows


def export_rows(store: Store, to: Format, *, how: How = "majority") -> Iterator[dict[str, Any]]:
    """The rows that `export` writes, one after the other; raises ConfigError for an unknown format or `how`."""
    if to not in ROWS:
        near = nearest(to, ROWS)
        hint = f"did you mean '{near}'?" if near else f"choose from {', '.join(ROWS)}"
        raise ConfigError(f"there is no export format '{to}'; {hint}")
    if how not in get_args(How):
        raise ConfigError(f"votes become pairs by majority or soft, got {how!r}; choose one")
    if how != "majority" and to in NOT_SOFT:
        raise ConfigError(f"the format {to} {NOT_SOFT[to]}, so {how} has nothing to say there; leave it out")
    return ROWS[to](store.comparisons(), how)
