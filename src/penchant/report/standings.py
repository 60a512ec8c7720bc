"""Ratings with their intervals, best first, as SVG and PNG: as readable with three items as with a hundred.

Drawn from the plain dict of a ranking: `level`, and `groups` of `standings` with rank, item, rating, low, high and
by_prior. Groups have an axis each, since no vote relates them. The same numbers give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from warnings import catch_warnings, filterwarnings

from penchant.errors import OutputError
from penchant.files import write_atomically

__all__ = ["draw_standings", "write_ranking"]

INK, MUTED, GRID, MARK = "#222222", "#666666", "#e4e4e4", "#0072b2"
LONGEST_NAME = 44
MOST_ROWS, MOST_GROUPS = 300, 10
MANY = 30
"""With more items rows are set closer and the scale is repeated at the top."""

Rows = Sequence[Mapping[str, Any]]


def write_ranking(ranking: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write rank.json and the figure of a ranking to a folder; returns the paths. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(ranking, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(folder / "rank.json", text)
        return [folder / "rank.json", *draw_standings(ranking, folder / "ratings")]
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another `output=...`") from error


def draw_standings(ranking: Mapping[str, Any], stem: Path) -> tuple[Path, Path]:
    """Write `stem`.svg and `stem`.png and return their paths.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> tea = {"rank": 1, "item": "tea", "rating": 1050.0, "low": 1010.0, "high": 1090.0, "by_prior": False}
        >>> with TemporaryDirectory() as folder:
        ...     paths = draw_standings({"level": 0.95, "groups": [{"standings": [tea]}]}, Path(folder) / "ratings")
        >>> [path.name for path in paths]
        ['ratings.svg', 'ratings.png']
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    groups, cut = _shown([group["standings"] for group in ranking["groups"]])
    style = {"svg.hashsalt": "penchant", "svg.fonttype": "none", "font.size": 10, "text.parse_math": False}
    with rc_context(style):
        heights = [_height(rows) for rows in groups]
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
        drawing = Figure(figsize=(8.6, sum(heights) + 0.35), layout=layout)
        panels = drawing.subplots(len(groups), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        title = f"Ratings with {100 * ranking['level']:g}% intervals{cut}"
        drawing.suptitle(title, x=0.014, ha="left", color=INK, fontsize=13)
        for number, (axes, rows) in enumerate(zip(panels, groups, strict=True), start=1):
            _panel(axes, rows)
            if len(ranking["groups"]) > 1:
                axes.set_title(f"group {number}, {len(rows)} items", loc="left", fontsize=10, color=MUTED)
        svg, png = stem.with_name(stem.name + ".svg"), stem.with_name(stem.name + ".png")
        with catch_warnings():
            filterwarnings("ignore", message="Glyph .* missing")  # a box in the PNG; the SVG keeps the text
            drawing.savefig(svg, metadata={"Date": None})
            drawing.savefig(png, dpi=150, metadata={"Software": None})
    return svg, png


def _shown(groups: Sequence[Rows]) -> tuple[list[Rows], str]:
    """The groups and rows that a figure has room for, and what the title says of the others."""
    kept: list[Rows] = []
    for rows in groups:
        room = MOST_ROWS - sum(map(len, kept))
        if rows and room and len(kept) < MOST_GROUPS:
            kept.append(rows[:room])
    num, num_shown = sum(map(len, groups)), sum(map(len, kept))
    return kept, "" if num == num_shown else f", {num_shown} of {num:,} items"


def _height(rows: Rows) -> float:
    """Inches: what frames the rows, and the rows."""
    return 0.95 + len(rows) * (0.19 if len(rows) > MANY else 0.28)


def _panel(axes: Any, rows: Rows) -> None:
    size = 8 if len(rows) > MANY else 10
    places = range(len(rows))
    axes.axvline(1000, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1)
    axes.hlines(places, [r["low"] for r in rows], [r["high"] for r in rows], color=MARK, linewidth=1.6, alpha=0.6)
    for by_prior in (False, True):
        shown = [(r["rating"], place) for place, r in zip(places, rows, strict=True) if r["by_prior"] == by_prior]
        face = "white" if by_prior else MARK
        if shown:
            axes.plot(*zip(*shown, strict=True), "o", color=MARK, markerfacecolor=face, markersize=5)
    axes.set_yticks(places, [f"{_short(r['item'])}  {r['rank']:>3}" for r in rows], fontsize=size, color=INK)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    beside = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "ha": "right"}
    for place, r in zip(places, rows, strict=True):
        words = {"xytext": (36, 0), "va": "center_baseline", "fontsize": size, "color": INK}
        axes.annotate(f"{r['rating']:.0f}", (1, place), **beside, **words)
    _frame(axes, many=len(rows) > MANY)
    note = "Elo scale: 400 points are odds of 10 to 1; 1000 is the average item"
    if any(r["by_prior"] for r in rows):
        note += "\nhollow: no finite rating by votes alone, phantom votes or a prior keep it in place"
    axes.set_xlabel(note, fontsize=9, color=MUTED)


def _frame(axes: Any, *, many: bool) -> None:
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.tick_params(axis="x", colors=MUTED, labelsize=9, labeltop=many)


def _short(name: str) -> str:
    """On one line and not too long; both ends are kept, as they tell versions apart."""
    name = " ".join(name.split())
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"
