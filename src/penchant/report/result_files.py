"""The result of an experiment as files: its numbers as JSON, and every figure as SVG and PNG."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penchant.errors import OutputError
from penchant.files.whole import write_atomically
from penchant.report.lecture import draw_figure

__all__ = ["write_result"]


def write_result(result: Mapping[str, Any], folder: Path, name: str) -> list[Path]:
    """Write NAME.json and the figures NAME.svg and NAME.png to `folder`, numbered where there are several.

    result: `Result.as_dict()` of the lab. Returns the paths. Raises OutputError where nothing can be written there.
    """
    written = [folder / f"{name}.json"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(written[0], json.dumps(result, indent=1) + "\n")
        for number, figure in enumerate(result["figures"], 1):
            written += draw_figure(figure, folder / (name if len(result["figures"]) == 1 else f"{name}-{number}"))
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another `output=...`") from error
    return written
