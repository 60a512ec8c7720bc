"""What `penchant frontier` and `penchant sweep` show, and how they are gone on with."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penchant.studies import Frontier, Sweep

__all__ = ["show"]


def show(study: Callable[..., Frontier | Sweep], file: Path, output: Path, judge: str | None) -> None:
    """Run it, and print its tables and where its figures are."""
    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts
    from penchant.training.interrupt import Interrupted

    words = "stopped; measurements so far are kept; run the same command again to continue"
    with Reporter() as reporter:
        try:
            found = study(file, output, judge=judge, progress=reporter)
        except KeyboardInterrupt:  # while no training listens for it
            raise Interrupted(signal.SIGINT, words) from None
        except Interrupted as stop:
            raise Interrupted(stop.exit_code - 128, words, at_once=stop.at_once) from None
    print_parts([*found.parts(), *map(str, found.files)])
