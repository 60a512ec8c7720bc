"""provenance.json in the folder of an exported model: where it came from, so that the way back does not end there."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from penchant.errors import OutputError
from penchant.files.whole import write_atomically
from penchant.models.digests import PROVENANCE, digests_of_model, weights_digest
from penchant.wording import reason_of

__all__ = ["provenance_writer", "read_provenance"]


KEYS = ("exported_at", "dtype", "digest", "files", "of")


def provenance_writer(of: Mapping[str, Any], dtype: str) -> Callable[[Path], None]:
    """Writes the file into a folder that holds the model of origin `of` (see `origin_of`) in weights of `dtype`.

    It has when and by which Penchant it was written, the dtype, the digest of the weights, the sha256 of every file
    that a loader reads, and the origin.
    """

    def write(folder: Path) -> None:
        facts = {
            "penchant": version("penchant"),
            "exported_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "dtype": dtype,
            "digest": weights_digest(folder),
            "files": digests_of_model(folder),
            "of": dict(of),
        }
        write_atomically(folder / PROVENANCE, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")

    return write


def read_provenance(folder: Path) -> dict[str, Any] | None:
    """What an exported folder says of itself; None for one that says nothing. Raises OutputError for damage."""
    file = folder / PROVENANCE
    if not file.is_file():
        return None
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(facts, dict) or not (isinstance(facts["files"], dict) and isinstance(facts["of"], dict)):
            raise ValueError("it does not hold what an export writes")
        return {key: facts[key] for key in KEYS}
    except (OSError, ValueError, KeyError) as error:
        raise OutputError(f"{file}: damaged ({reason_of(error)}); export the model again, or remove it") from error
