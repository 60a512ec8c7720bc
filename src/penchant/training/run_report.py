"""The report of a run, made of what its folder holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penchant.report import write_report
from penchant.training.records import read_rows_written
from penchant.training.run_folder import read_ledger

__all__ = ["write_run_report"]


def write_run_report(run: Path, say: Callable[[str], None] = lambda _: None) -> Path:
    """Write `report.html` into a run folder and return its path; says what it could not read. Raises UserError."""

    def rows(name: str) -> list[dict[str, Any]]:
        return read_rows_written(run / name, say) if (run / name).is_file() else []

    comparison = run / "comparison.json"
    found = json.loads(comparison.read_text(encoding="utf-8")) if comparison.is_file() else None
    write_report(read_ledger(run), rows("metrics.jsonl"), rows("samples.jsonl"), found, run / "report.html")
    return run / "report.html"
