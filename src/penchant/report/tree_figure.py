"""A tree of completions: tokens and probabilities on the edges, the rest in grey, each path's product at its end.

A figure is a plain dict: nodes of column, row, probability (of the path) and kind ("inner", "leaf", "rest"), and edges
of start, end (indices of nodes), text and probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

__all__ = ["draw_tree", "drawable", "families"]

OTHER_SCRIPTS = ("Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "PingFang SC", "Microsoft YaHei")

INK, QUIET, LINE = "#222222", "#888888", "#0072b2"
COLUMN, ROW, END = 2.1, 0.42, 1.3  # inches: an edge at least, a row, the space of the product behind a leaf
LETTER = 0.11  # inches of a letter on an edge
BEND = 0.3  # share of an edge that leads to its row; the rest of it carries the text
THICKEST = 7.0  # points, of an edge of probability 1
FEWEST = 3  # rows and columns that a figure has room for


def draw_tree(figure: Mapping[str, Any]) -> Any:
    """The drawing, without its title."""
    from matplotlib.figure import Figure

    nodes, edges = figure["nodes"], figure["edges"]
    num_columns = max(FEWEST, *(node["column"] for node in nodes))
    num_rows = max(FEWEST, *(node["row"] + 1 for node in nodes))
    column = max(COLUMN, *(LETTER * len(_words(edge)) / (1 - BEND) for edge in edges))
    size = (column * num_columns + END, ROW * num_rows + 1.2)
    drawing = Figure(figsize=size, layout="constrained")
    axes = drawing.add_subplot()
    axes.set_axis_off()
    axes.set(xlim=(-0.05, num_columns + END / column), ylim=(num_rows - 0.3, -0.8))
    for edge in edges:
        _edge(axes, nodes[edge["start"]], nodes[edge["end"]], edge)
    for node in nodes:
        _node(axes, node)
    return drawing


def _edge(axes: Any, start: Mapping[str, Any], end: Mapping[str, Any], edge: Mapping[str, Any]) -> None:
    is_rest = end["kind"] == "rest"
    bend = start["column"] + BEND
    style = {"color": QUIET if is_rest else LINE, "alpha": 0.5, "solid_capstyle": "round", "solid_joinstyle": "round"}
    x, y = [start["column"], bend, end["column"]], [start["row"], end["row"], end["row"]]
    axes.plot(x, y, linewidth=max(THICKEST * edge["probability"], 0.8), linestyle="-", zorder=1, **style)
    colour, size = (QUIET, 10) if is_rest else (INK, 12)
    axes.text(bend + 0.03, end["row"] - 0.17, _words(edge), color=colour, fontsize=size, va="bottom", parse_math=False)


def _words(edge: Mapping[str, Any]) -> str:
    return f"{drawable(edge['text'])}  {share(edge['probability'])}"


def _node(axes: Any, node: Mapping[str, Any]) -> None:
    if node["kind"] == "rest":
        return
    axes.plot(node["column"], node["row"], marker="o", markersize=6, color=LINE, zorder=2)
    if node["kind"] == "leaf":
        words = f"= {share(node['probability'])}"
        axes.text(node["column"] + 0.06, node["row"], words, color=INK, va="center", parse_math=False)


def share(probability: float) -> str:
    """A probability in few digits: 0.62, 0.0041, 3e-07.

    Example:
        >>> share(0.123456), share(0.0000123)
        ('0.123', '1.2e-05')
    """
    return f"{probability:.3f}" if probability >= 0.01 else f"{probability:.2g}"


@cache
def families() -> tuple[str, ...]:
    """The figure's fonts: matplotlib's own, and for other scripts those of the usual ones that are installed.

    Example:
        >>> families()[0]
        'DejaVu Sans'
    """
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return "DejaVu Sans", *(name for name in OTHER_SCRIPTS if name in installed)


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(code for name in families() for code in get_font(findfont(name)).get_charmap())


def drawable(text: str) -> str:
    """Text in which what none of the figure's fonts has a glyph for is spelt as its code point.

    Example:
        >>> drawable("a star \\u2605, private \\ue123")
        'a star \u2605, private <U+E123>'
    """
    return "".join(c if ord(c) in _glyphs() or c == "\n" else f"<U+{ord(c):04X}>" for c in text)
