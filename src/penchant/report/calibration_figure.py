"""The calibration curve as inline SVG: a model's confidence in preferences against its accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

from penchant.report.figures import FIRST, GRID, MUTED, STYLES, Figure, number, svg_of
from penchant.report.languages import Words

__all__ = ["calibration_figure"]

SURE, RIGHT = "how sure the model is", "share right"


def calibration_figure(comparison: Mapping[str, Any] | None, _: Words = str, of: str = "") -> Figure | None:
    """The figure of an evaluation on held-out preferences, or None. of: the model's name, among several."""
    calibration = ((comparison or {}).get("accuracy") or {}).get("calibration") or {}
    bins: Sequence[Mapping[str, Any]] = calibration.get("curve") or ()
    if not bins:
        return None
    title = f"{_('Calibration')}: {of}" if of else _("Calibration")
    svg = svg_of(title, lambda axes: _paint(axes, bins), (5.6, 3.1), _spoken(bins, _))
    for words in (SURE, RIGHT):
        svg = svg.replace(f">{words}</text>", f">{_(words)}</text>")
    note = _(
        "Pairs by how sure the model is, max(p, 1 - p) of p = sigmoid(margin): a dot is the share that it ranks right, "
        "with its 95% interval and the number of pairs below. On the dashed line it is as sure as right, below it too "
        "sure."
    )
    legend = ((_("calibration error (ECE)"), number(calibration["ece"]["value"]), STYLES[FIRST]),)
    return Figure(title, note, svg, legend)


def _paint(axes: Any, bins: Sequence[Mapping[str, Any]]) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, length=0, pad=5)
    axes.set(xlim=(0.49, 1.01), ylim=(-0.12, 1.02), yticks=(0, 0.25, 0.5, 0.75, 1))
    axes.set_xlabel(SURE, color=MUTED)
    axes.set_ylabel(RIGHT, color=MUTED)
    axes.plot((0.5, 1), (0.5, 1), color=MUTED, linewidth=1, dashes=(4, 3))
    sure, shares = [one["mean"] for one in bins], [one["share"] for one in bins]
    right = [share["rate"] for share in shares]
    below = [max(0.0, share["rate"] - share["low"]) for share in shares]
    above = [max(0.0, share["high"] - share["rate"]) for share in shares]
    axes.errorbar(sure, right, (below, above), fmt="none", ecolor=FIRST, elinewidth=1.5, alpha=0.5)
    axes.plot(sure, right, color=FIRST, linewidth=2, marker="o", markersize=5, solid_capstyle="round")
    for place, share in zip(sure, shares, strict=True):
        axes.text(place, -0.1, f"{share['num']:,}", color=MUTED, ha="center", fontsize=9)


def _spoken(bins: Sequence[Mapping[str, Any]], _: Words) -> str:
    point = _("{right} right of {num} pairs where it is {sure} sure")
    return f"{_('Calibration')}: " + "; ".join(
        point.format(right=f"{one['share']['rate']:.0%}", num=one["share"]["num"], sure=f"{one['mean']:.0%}")
        for one in bins
    )
