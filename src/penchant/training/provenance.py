"""Write and read provenance.json in the folder of an exported model, which records the model's origin."""

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
from penchant.models.ledger import ExportFacts
from penchant.reading import os_reason
from penchant.strict_json import read_object

__all__ = ["provenance_writer", "read_provenance"]


def provenance_writer(of: Mapping[str, Any], dtype: str) -> Callable[[Path], None]:
    """Return a function that writes the file to a folder with the model of origin `of` (see `origin_of`) in `dtype`.

    The file has the time and Penchant's version, the dtype, the digest of the weights, the sha256 of every file that a
    loader reads, and the origin.
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
    """The provenance of an exported folder; None if it has none. Raises OutputError if it is damaged."""
    file = folder / PROVENANCE
    if not file.is_file():
        return None
    try:
        facts = read_object(file, ExportFacts, OutputError, "export the model again, or remove it")
    except OSError as error:
        raise OutputError(
            f"{file}: cannot be read ({os_reason(error)}); export the model again, or remove it"
        ) from error
    return {key: facts[key] for key in ExportFacts.model_fields}
