"""Write each tutorial as a notebook beside it: the same words and the same code, to be run cell by cell.

Run `make docs` after changing a tutorial; a test compares the notebooks with the pages. A block of Python is a cell, a
block of commands is a cell of shell lines, and one that is marked as not run stays text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TUTORIALS = Path(__file__).parent / "tutorials"
BLOCK = re.compile(r"(<!-- not run: [^\n]* -->\n)?```(python|console)\n(.*?)```\n", flags=re.S)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The parts of a page in order: ("text", Markdown), ("python", code) or ("console", commands)."""
    end = 0
    for found in BLOCK.finditer(text):
        if found[1] is not None:
            continue  # stays in the text before the next block
        yield "text", text[end : found.start()]
        yield found[2], found[3]
        end = found.end()
    yield "text", text[end:]


def notebook(text: str) -> dict[str, Any]:
    """The page as a notebook in the format of Jupyter (nbformat 4.5)."""
    cells: list[dict[str, Any]] = []
    for kind, part in blocks(text):
        if not part.strip():
            continue
        cell: dict[str, Any] = {"id": f"cell-{len(cells)}", "metadata": {}}
        if kind == "text":
            cell |= {"cell_type": "markdown", "source": _lines(part.strip())}
        else:
            code = part if kind == "python" else "".join(f"!{line}\n" for line in part.splitlines())
            cell |= {"cell_type": "code", "execution_count": None, "outputs": [], "source": _lines(code.rstrip("\n"))}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def written(page: Path) -> str:
    """What the notebook of a page holds."""
    return json.dumps(notebook(page.read_text(encoding="utf-8")), ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    """Write the notebooks."""
    for page in sorted(TUTORIALS.glob("*.md")):
        page.with_suffix(".ipynb").write_text(written(page), encoding="utf-8")


if __name__ == "__main__":
    main()
