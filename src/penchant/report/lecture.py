"""One figure of an experiment as SVG and PNG, large and plain enough for a lecture.

A figure is a plain dict: kind, title and what that kind needs. "curves" has x_label, y_label, x_scale, y_scale, y_range
and series of label, x, y, low, high, colour, dash and points, with x_low and x_high where x is uncertain too; where x
are names, bars are drawn. "tree" is drawn by tree_figure.py. The same numbers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from math import ceil, floor, log10
from pathlib import Path
from textwrap import fill, wrap
from typing import Any

from penchant.report.tree_figure import draw_tree, drawable, families

__all__ = ["COLOURS", "draw_figure"]

COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333"),
    *("#882255", "#999933", "#332288", "#44aa99", "#663300", "#aa4499"),
)
"""Okabe and Ito's, which readers who confuse red and green can tell apart, then darker ones, most of them Tol's."""
MEANING = {
    "dpo": "#0072b2",
    "rlhf": "#d55e00",
    "ipo": "#009e73",
    "reference": "#999999",
    "people": "#333333",
    "random": "#bbbbbb",
}
"""What has the same colour in every figure."""
DASHES = ("-", "--", ":", "-.")
HATCHES = ("", "///", "--", "xxx")  # lines: dots make an SVG of half a megabyte
WIDTH, HEIGHT, PAD = 9.0, 5.5, 0.12  # inches
TITLE_WIDTH = 9.2  # characters an inch
LEGEND_WIDTH = 24  # longer labels go below the figure
LABEL_WIDTH = 44  # characters a line, of the label below lying bars
BAR_HEIGHT = 0.36  # inches of a bar that lies
SHORT = 1e-3  # numbers from here to a million are written out
FEW_DECADES = 300  # a logarithmic axis of less has ticks at 2 and 5 too
UPRIGHT_NAMES = 60  # characters of all names together that fit below standing bars


def draw_figure(figure: Mapping[str, Any], stem: Path) -> tuple[Path, Path]:
    """Write `stem`.svg and `stem`.png and return their paths."""
    from matplotlib import rc_context

    style = {
        "svg.hashsalt": "penchant",
        "svg.fonttype": "none",
        "font.family": list(families()),
        "font.size": 13,
        "figure.titlesize": 14,
        "hatch.linewidth": 0.8,
    }
    with rc_context(style):
        drawing = draw_tree(figure) if figure["kind"] == "tree" else _curves(figure)
        title = _balanced(drawable(figure["title"]), int(TITLE_WIDTH * drawing.get_figwidth()))
        drawing.suptitle(title, x=0.02, ha="left", parse_math=False)
        drawing.get_layout_engine().set(w_pad=PAD, h_pad=PAD)
        svg, png = stem.with_name(stem.name + ".svg"), stem.with_name(stem.name + ".png")
        drawing.savefig(svg, metadata={"Date": None})
        drawing.savefig(png, dpi=160, metadata={"Software": None})
    return svg, png


def _balanced(text: str, width: int) -> str:
    """Text in as few lines of at most `width` characters as it takes, none of them much shorter than the others."""
    fewest = len(wrap(text, width))
    return fill(text, next(narrow for narrow in range(1, width + 1) if len(wrap(text, narrow)) <= fewest))


def _curves(figure: Mapping[str, Any]) -> Any:
    from matplotlib.figure import Figure

    series = figure["series"]
    names = list(dict.fromkeys(x for one in series for x in one["x"] if isinstance(x, str)))
    lying = len("".join(names)) > UPRIGHT_NAMES
    height = max(HEIGHT, BAR_HEIGHT * sum(len(one["x"]) for one in series) + 1.5) if lying else HEIGHT
    drawing = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = drawing.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x" if lying else "y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    if lying:
        _lying_bars(axes, series, names)
        axes.set(xlabel=_balanced(figure["y_label"], LABEL_WIDTH))
        _divide(axes, "x", figure["y_scale"])
        if figure["y_range"] is not None:
            axes.set_xlim(*figure["y_range"])
    else:
        draw: Callable[..., None] = _bars if names else _lines
        draw(axes, series, names)
        axes.set(xlabel=figure["x_label"], ylabel=figure["y_label"])
        _divide(axes, "x", figure["x_scale"])
        _divide(axes, "y", figure["y_scale"])
        if figure["y_range"] is not None:
            axes.set_ylim(*figure["y_range"])
    if len(series) > 1:
        _legend(drawing, axes, series, bars=bool(names))
    return drawing


def _lines(axes: Any, series: Sequence[Mapping[str, Any]], _: Sequence[str]) -> None:
    for one, colour, dash in zip(series, _colours(series), _dashes(series), strict=True):
        few = len(one["x"]) <= 20
        axes.plot(
            one["x"],
            one["y"],
            label=one["label"],
            color=colour,
            linestyle="none" if one["points"] else DASHES[dash],
            linewidth=2,
            marker="o" if one["points"] or (few and len(one["x"]) > 2) else None,
            markersize=(7 if few else 4) if one["points"] else 4,
            alpha=0.6 if one["points"] and not few else 1,
        )
        if one.get("x_low"):
            style = {"fmt": "none", "ecolor": colour, "alpha": 0.45, "elinewidth": 1.5}
            axes.errorbar(one["x"], one["y"], _reach(one), _reach(one, "x"), **style)
        elif one["low"]:
            axes.fill_between(one["x"], one["low"], one["high"], color=colour, alpha=0.15, linewidth=0)


def _bars(axes: Any, series: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    width = 0.8 / len(series)
    for i, (one, colour, dash) in enumerate(zip(series, _colours(series), _dashes(series), strict=True)):
        places = [names.index(x) + (i - (len(series) - 1) / 2) * width for x in one["x"]]
        style = {"color": colour, "hatch": HATCHES[dash], "edgecolor": "white"}
        axes.bar(places, one["y"], width, label=one["label"], yerr=_reach(one), capsize=4, **style)
    axes.set_xticks(range(len(names)), names)


def _lying_bars(axes: Any, series: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    height = 0.8 / len(series)
    for i, (one, colour) in enumerate(zip(series, _colours(series), strict=True)):
        places = [names.index(x) + (i - (len(series) - 1) / 2) * height for x in one["x"]]
        axes.barh(places, one["y"], height, label=one["label"], xerr=_reach(one), color=colour)
    axes.set_yticks(range(len(names)), [fill(name, 60) for name in names], fontsize=10, parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _reach(one: Mapping[str, Any], of: str = "y") -> tuple[list[float], list[float]] | None:
    """How far the limits are from each y, or x, downwards and upwards."""
    lows, highs = ("x_low", "x_high") if of == "x" else ("low", "high")
    if not one[lows]:
        return None
    down = [value - low for value, low in zip(one[of], one[lows], strict=True)]
    return down, [high - value for value, high in zip(one[of], one[highs], strict=True)]


def _colours(series: Sequence[Mapping[str, Any]]) -> list[str]:
    """By key, or by label where there is none: the colour it has in every figure, or the next that is free."""
    keys = [one["colour"] or one["label"] for one in series]
    known = {key: MEANING[key] for key in keys if key in MEANING}
    free = cycle(colour for colour in COLOURS if colour not in known.values())
    for key in keys:
        if key not in known:
            known[key] = next(free)
    return [known[key] for key in keys]


def _dashes(series: Sequence[Mapping[str, Any]]) -> list[int]:
    """By key, numbered as they appear; a series without one is solid."""
    keys = dict.fromkeys(sorted((one["dash"] for one in series), key=bool))
    return [list(keys).index(one["dash"]) % len(DASHES) for one in series]


def _legend(drawing: Any, axes: Any, series: Sequence[Mapping[str, Any]], *, bars: bool) -> None:
    """Every series; or, where all have both keys, what the colours mean and then what the dashes mean."""
    handles, labels = axes.get_legend_handles_labels()
    if all(one["colour"] and one["dash"] for one in series):
        handles, labels = _keys(series, bars=bars)
    below = max(map(len, labels)) > LEGEND_WIDTH
    columns = max(1, 84 // (max(map(len, labels)) + 6)) if below else 1
    place = "outside lower center" if below else "outside right center"
    legend = drawing.legend(handles, labels, loc=place, ncols=columns, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _keys(series: Sequence[Mapping[str, Any]], *, bars: bool) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colours = dict(zip([one["colour"] for one in series], _colours(series), strict=True))
    dashes = dict(zip([one["dash"] for one in series], _dashes(series), strict=True))
    grey = "#777777"
    handles: list[Any] = [Patch(color=colour) for colour in colours.values()]
    for dash in dashes.values():
        patch = Patch(facecolor=grey, edgecolor="white", hatch=HATCHES[dash])
        handles.append(patch if bars else Line2D([], [], color=grey, linewidth=2, linestyle=DASHES[dash]))
    return handles, [*colours, *dashes]


def _divide(axes: Any, name: str, scale: str) -> None:
    """Set the scale of an axis, with ticks that are read as numbers where they are not too long.

    A logarithmic axis has no place for 0; where 0 is among the values, it is given one, and the axis is marked as
    broken between 0 and the least positive value. Where nothing drawn is positive, it has a place for nothing, and the
    axis is linear.
    """
    from matplotlib.ticker import (
        FixedLocator,
        FuncFormatter,
        LogFormatterMathtext,
        LogLocator,
        NullFormatter,
        NullLocator,
    )

    if scale == "linear":
        return
    axis = getattr(axes, f"{name}axis")
    drawn = {float(value) for line in axes.get_lines() for value in getattr(line, f"get_{name}data")()}
    positive = [value for value in drawn if value > 0]
    if scale == "log" and drawn and not positive:
        return
    broken_at = min(positive) if scale == "log" and 0 in drawn else None
    if broken_at is None:
        axes.set(**{f"{name}scale": scale})
    else:
        getattr(axes, f"set_{name}scale")("symlog", linthresh=broken_at, linscale=0.5)
        across = axes.get_xaxis_transform() if name == "x" else axes.get_yaxis_transform()
        place = (broken_at / 2, 0) if name == "x" else (0, broken_at / 2)
        axes.text(*place, "//", transform=across, ha="center", va="center", fontsize=10)
    axis.set_minor_formatter(NullFormatter())
    if scale == "logit":
        nines = [float("0." + "9" * n) for n in range(1, 8)]
        axis.set_major_locator(FixedLocator([10.0**-n for n in range(7, 0, -1)] + [0.5, *nines]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.7g}"))
        return
    low, high = broken_at or axis.get_view_interval()[0], axis.get_view_interval()[1]
    fine = (1, 2, 5) if low >= SHORT and high / low < FEW_DECADES else (1,)
    if broken_at is not None:
        powers = range(floor(log10(low)), ceil(log10(high)) + 1)
        ticks = [sub * 10.0**power for power in powers for sub in fine]
        axis.set_major_locator(FixedLocator([0.0, *(tick for tick in ticks if low <= tick <= high)]))
        axis.set_minor_locator(NullLocator())
    elif len(fine) > 1:
        axis.set_major_locator(LogLocator(subs=fine))
    power = LogFormatterMathtext()
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,g}" if value == 0 or SHORT <= value < 1e6 else power(value, None))
    )
