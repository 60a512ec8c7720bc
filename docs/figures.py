"""Write the figures of docs/theory.md: what experiments of the lab measured, as SVG.

Run `python docs/figures.py` after changing an experiment. The same numbers give the same bytes.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FOLDER = Path(__file__).parent / "figures"


def draw(folder: Path = FOLDER) -> list[Path]:
    """Write every figure to `folder` and return their paths."""
    from penchant.report.lecture import draw_figure

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with TemporaryDirectory() as scratch:
        for name, figure in FIGURES.items():
            svg, _ = draw_figure(figure(), Path(scratch) / name)
            written.append(Path(shutil.copy(svg, folder / svg.name)))
    return written


@cache
def _experiment(name: str) -> list[dict[str, Any]]:
    from penchant.lab import EXPERIMENTS

    figures: list[dict[str, Any]] = EXPERIMENTS[name]().as_dict()["figures"]
    return figures


def _measured(experiment: str, number: int) -> Mapping[str, Any]:
    """One of an experiment's figures, counted from 1 as `penchant lab --output` counts them."""
    return _experiment(experiment)[number - 1]


def _small_tree() -> Mapping[str, Any]:
    """The tree of the example in section 3: two tokens beside the end token 0, and paths of at most two tokens."""
    import torch

    from penchant.lab import TreeFigure, grow, layout

    weights = {(): (2.0, 5.0, 3.0), (1,): (6.0, 1.0, 3.0), (2,): (1.0, 1.0, 2.0)}
    root = grow(lambda path: torch.tensor(weights[path]).log(), depth=2, width=3, end_ids=(0,))
    drawn = layout(root, lambda path: "end" if path[-1] == 0 else str(path[-1]))
    title = "The probability of a path is the product along it"
    return vars(TreeFigure(title, tuple(drawn["nodes"]), tuple(drawn["edges"])))


FIGURES = {
    "temperature": partial(_measured, "temperature", 1),
    "temperature-entropy": partial(_measured, "temperature", 2),
    "elo-order": partial(_measured, "elo", 2),
    "elo-step": partial(_measured, "elo", 3),
    "tree": _small_tree,
    "frontier": partial(_measured, "frontier", 1),
    "optimum": partial(_measured, "optimum", 1),
    "cycles-predictions": partial(_measured, "cycles", 1),
    "cycles-error": partial(_measured, "cycles", 2),
    "overfitting-certainty": partial(_measured, "overfitting", 1),
    "overfitting-training": partial(_measured, "overfitting", 2),
    "finite-data-ratio": partial(_measured, "finite_data", 1),
    "finite-data-objective": partial(_measured, "finite_data", 2),
    "finite-data-certain": partial(_measured, "finite_data", 3),
    "displacement-chosen": partial(_measured, "displacement", 1),
    "displacement-shares": partial(_measured, "displacement", 2),
}
"""File name without .svg, and what returns the figure."""


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
