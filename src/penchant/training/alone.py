"""Allow one training command at a time in a run folder; if it is stopped, say how to resume."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penchant.files.lock import alone_in
from penchant.files.whole import disk_errors_explained
from penchant.models.ledger import read_ledger
from penchant.training.interrupt import Interrupted
from penchant.training.run_folder import RunFolder

__all__ = ["alone_in_run"]


@contextmanager
def alone_in_run(path: Path, command: str) -> Iterator[None]:
    """Hold the run folder, created if missing, and remove partial files of a killed command.

    Raises OutputError if another command holds it; adds a message to an Interrupted raised without one.
    """
    with alone_in(path, f"`penchant {command}`", option="another `output=...`"):
        if (path / "run.json").is_file():
            with disk_errors_explained(path):
                RunFolder(path).remove_leftovers()
        try:
            yield
        except (KeyboardInterrupt, Interrupted) as stop:
            if str(stop):
                raise
            asked = stop if isinstance(stop, Interrupted) else Interrupted(signal.SIGINT)
            words = f"stopped{' at once' * asked.at_once}; {_how_to_go_on(path)}"
            raise Interrupted(asked.exit_code - 128, words, at_once=asked.at_once) from None


def _how_to_go_on(path: Path) -> str:
    if not (path / "run.json").is_file():
        return "the run had not begun; give the same command again"
    if read_ledger(path).get("status") != "finished":
        return "continue with `resume=True`"
    is_whole = RunFolder(path).report.exists()
    return "the run is finished" if is_whole else "the run is finished; `resume=True` writes its report"
