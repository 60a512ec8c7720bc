"""Write the report of a run, its model card, and pages of several runs or of evaluations, from files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from penchant.errors import ConfigError, UserError
from penchant.files.whole import disk_errors_explained, write_atomically
from penchant.models.ledger import read_ledger
from penchant.objectives import row_in_table
from penchant.report import write_report
from penchant.report.card import model_card
from penchant.report.comparison import read_comparison
from penchant.report.evaluations import read_evaluations, render_evaluations
from penchant.report.page import About
from penchant.report.several import RunData, render_runs
from penchant.training.lineage import lineage
from penchant.training.records import read_rows_written

__all__ = ["about_run", "page_of_runs", "write_page", "write_run_report", "write_runs_report"]

Say = Callable[[str], None]


def write_page(of: Sequence[Path], output: Path | None = None, say: Say = lambda _: None, language: str = "en") -> Path:
    """Write the page of a run folder, of several side by side, or of a file of evaluations. Raises UserError.

    output: the page; None: report.html in the run, runs-compared.html here, or beside the file under its name.
    """
    if len(of) > 1:
        return write_runs_report(of, output or Path("runs-compared.html"), say, language)
    if not of[0].is_file():
        return write_run_report(of[0], say, language, output)
    path = output or of[0].with_suffix(".html")
    return _written(path, render_evaluations(read_evaluations(of[0]), language))


def write_run_report(run: Path, say: Say = lambda _: None, language: str = "en", output: Path | None = None) -> Path:
    """Write `report.html` into a run folder, and the model's card; returns the report's path. Raises UserError.

    say: receives what could not be read. output: writes only this page instead.
    """
    found, about = _read(run, say), about_run(run)
    facts = (found.run, found.metrics, found.samples, found.comparison)
    write_report(*facts, output or run / "report.html", about, language)
    if output is not None:
        return output
    if (run / "model").is_dir():
        with disk_errors_explained(run):
            write_atomically(run / "model" / "README.md", model_card(*facts, repeat=about.repeat))
    return run / "report.html"


def write_runs_report(runs: Sequence[Path], path: Path, say: Say = lambda _: None, language: str = "en") -> Path:
    """Write several runs side by side as one page. Raises UserError."""
    return _written(path, page_of_runs([_read(run, say) for run in runs], language))


def page_of_runs(runs: Sequence[RunData], language: str = "en") -> str:
    """The page of several runs. Raises ConfigError for fewer than two."""
    if len(runs) < 2:
        raise ConfigError(f"a comparison of runs needs two or more, got {len(runs)}; name their folders")
    return render_runs(runs, language)


def about_run(run: Path) -> About:
    """Formula, lineage and the command that repeats a run, as far as its ledger records them."""
    ledger = read_ledger(run)
    row = row_in_table((ledger["config"].get("dpo") or {}).get("objective", ""))
    try:
        tree = str(lineage(run)).splitlines()
    except UserError:
        tree = []
    command = str(ledger.get("command", "dpo"))
    again = f"import penchant as pt\n\npt.{command}(config={str(run / 'config.yaml')!r}, output={f'{run}-again'!r})"
    return About(row.formula if row else "", tuple(tree), again)


def _written(path: Path, page: str) -> Path:
    with disk_errors_explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page)
    return path


def _read(run: Path, say: Say) -> RunData:
    def rows(name: str) -> list[dict[str, Any]]:
        return read_rows_written(run / name, say) if (run / name).is_file() else []

    return RunData(
        run.resolve().name, read_ledger(run), rows("metrics.jsonl"), rows("samples.jsonl"), read_comparison(run)
    )
