"""The result of an experiment in words and tables, and as files: numbers as JSON, every figure as SVG and PNG."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penchant.errors import OutputError
from penchant.files.whole import write_atomically
from penchant.report.lecture import draw_figure
from penchant.report.parts import Line, Part, Table

__all__ = ["result_parts", "write_result"]


def result_parts(result: Mapping[str, Any]) -> Iterator[Part]:
    """The claim, whether each part of it held, and what was measured. result: `Result.as_dict()` of the lab."""
    yield Line(result["name"], "heading")
    yield result["claim"]
    for words, good in result["checks"].items():
        yield f"  held    {words}" if good else Line(f"  FAILED  {words}", "fault")
    if result["table"]:
        yield Table(list(result["table"][0]), [list(row.values()) for row in result["table"]])
    yield Table(("measured", "value"), [(name, f"{value:.6g}") for name, value in result["measured"].items()])
    yield Line("The claim held." if result["held"] else "The claim did NOT hold.", "heading")


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
