"""A table: ruled on a terminal, aligned columns of plain text elsewhere, so that it can be cut and grepped."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from penchant.cli.hints import typed
from penchant.report.parts import Line, Part, Table
from penchant.wording import sanitise

__all__ = ["print_parts", "print_table"]

STYLES = {"heading": "bold", "fault": "red", "note": "yellow"}


def print_parts(parts: Iterable[Part], *, to_stderr: bool = False) -> None:
    """Print lines, arguments as options and foreign text made safe, and tables."""
    console = Console(stderr=to_stderr, highlight=False)
    for part in parts:
        if isinstance(part, Table):
            _print_table(console, *part)
            continue
        text, style = (part.text, STYLES[part.kind]) if isinstance(part, Line) else (part, "")
        console.print(Text(sanitise(typed(text)), style=style), soft_wrap=not console.is_terminal)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print `rows` under `columns`."""
    print_parts([Table(columns, rows)])


def _print_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Foreign text is made safe, numbers stand to the right."""
    safe = [[sanitise(cell).replace("\n", " ") for cell in row] for row in rows]
    right = [bool(safe) and all(_is_number(row[i]) for row in safe) for i in range(len(columns))]
    if console.is_terminal:
        table = RichTable()
        for name, is_number in zip(columns, right, strict=True):
            table.add_column(name, justify="right" if is_number else "left", overflow="fold")
        for cells in safe:
            table.add_row(*map(escape, cells))
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(columns, *safe, strict=True)]
    for row in (columns, *safe):
        cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)]
        console.out("  ".join(cells).rstrip(), highlight=False)


def _is_number(cell: str) -> bool:
    return bool(cell) and cell[-1].isdigit() and cell.strip("+-").replace(",", "").replace(".", "").isdigit()
