"""One figure of an experiment as SVG and PNG, large and plain enough for a lecture.

A figure is a plain dict: title, x_label, y_label, log_x, log_y, and series of label, x and y. Where x are names, bars
are drawn, else lines. The same numbers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["draw_figure"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333")
"""Okabe and Ito's, which readers who confuse red and green can tell apart."""
DASHES = ("-", "--", "-.", ":")


def draw_figure(figure: Mapping[str, Any], stem: Path) -> tuple[Path, Path]:
    """Write `stem`.svg and `stem`.png and return their paths."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {"svg.hashsalt": "penchant", "svg.fonttype": "none", "font.size": 13, "axes.titlesize": 15}
    with rc_context(style):
        drawing = Figure(figsize=(9, 5.5), layout="constrained")
        axes = drawing.add_subplot()
        axes.set(title=figure["title"], xlabel=figure["x_label"], ylabel=figure["y_label"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        series = figure["series"]
        if any(isinstance(x, str) for one in series for x in one["x"]):
            _bars(axes, series)
        else:
            _lines(axes, series)
        if figure.get("log_x"):
            axes.set_xscale("log")
        if figure.get("log_y"):
            axes.set_yscale("log")
        if len(series) > 1:
            axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
        svg, png = stem.with_name(stem.name + ".svg"), stem.with_name(stem.name + ".png")
        drawing.savefig(svg, metadata={"Date": None})
        drawing.savefig(png, dpi=160, metadata={"Software": None})
    return svg, png


def _lines(axes: Any, series: Sequence[Mapping[str, Any]]) -> None:
    for i, one in enumerate(series):
        axes.plot(
            one["x"],
            one["y"],
            label=one["label"],
            color=COLOURS[i % len(COLOURS)],
            linestyle=DASHES[i // len(COLOURS) % len(DASHES)],
            linewidth=2,
            marker="o" if len(one["x"]) <= 20 else None,
            markersize=4,
        )


def _bars(axes: Any, series: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(str(x) for one in series for x in one["x"]))
    width = 0.8 / len(series)
    for i, one in enumerate(series):
        places = [names.index(str(x)) + (i - (len(series) - 1) / 2) * width for x in one["x"]]
        axes.bar(places, one["y"], width, label=one["label"], color=COLOURS[i % len(COLOURS)])
    crowded = sum(map(len, names)) > 60
    axes.set_xticks(range(len(names)), names, rotation=30 if crowded else 0, ha="right" if crowded else "center")
