"""Training curves as inline SVG with the page's colours and font, light or dark.

Lines are drawn in placeholder colours, which become CSS variables in the SVG text, and words stay text. The same
numbers give the same bytes: no date, fixed identifiers.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penchant.report.languages import Words
from penchant.report.series import LogProbChange, Rows, Series, log_prob_change, series, smooth, thin

__all__ = ["Figure", "Line", "curves", "draw", "figures", "number", "svg_of"]

STYLES = {
    **{"#010203": "ink", "#020304": "muted", "#030405": "grid", "#040506": "first", "#050607": "second"},
    **{"#060708": "third", "#070809": "fourth", "#08090a": "fifth", "#090a0b": "sixth"},
}
"""What the page calls each placeholder colour: its CSS class, and with -- before it the variable of its colour."""
INK, MUTED, GRID, FIRST, SECOND, *_ = STYLES


@dataclass(frozen=True)
class Line:
    """One series of a figure: its label and colour, and how it is drawn.

    `marked` puts a dot on every point; `noisy` adds a running mean to a long series; `dashed` dashes it.
    """

    label: str
    series: Series
    colour: str
    marked: bool = False
    noisy: bool = True
    dashed: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawn figure: `legend` holds (label, last value, CSS class) and `svg` is safe to embed as it is."""

    title: str
    note: str
    svg: str
    legend: tuple[tuple[str, str, str], ...]
    small: bool = False


def number(value: float) -> str:
    """A value in four significant digits at most, with thousands separated: 0.6931, 12.35, 1,204, 5e-07."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 0.001 else f"{value:.4g}"


def figures(run: Mapping[str, Any], metrics: Rows, _: Words = str) -> list[Figure]:
    """All figures that the metric rows have data for, the large ones first."""
    lower = _("Lower is better.")
    if len(series(metrics, "rewards/margins")):
        lower = _("Lower is better. DPO starts at ln 2 = 0.693.")
    drawn = [
        curves(_("Loss"), _train_and_held_out(metrics, "loss", _), lower, _),
        curves(
            _("Reward accuracy"),
            _train_and_held_out(metrics, "rewards/accuracies", _),
            _("Share of pairs whose chosen response has the higher reward. The dashed line is chance."),
            _,
            level=0.5,
            limits=(0.0, 1.02),
        ),
        curves(
            _("Reward margin"),
            _train_and_held_out(metrics, "rewards/margins", _),
            _(
                "Reward of the chosen minus reward of the rejected response; reward is beta times the change in "
                "log-prob."
            ),
            _,
            level=0.0,
        ),
        _log_prob_figure(log_prob_change(run, metrics), _),
        curves(
            _("Judge's score"),
            _train_and_held_out(metrics, "reward", _),
            _("Mean score of the model's own responses. It is what training raises: look at what it costs."),
            _,
        ),
        curves(
            _("KL from the reference"),
            _train_and_held_out(metrics, "kl", _),
            _("Nats a response: how far the model went for its score."),
            _,
            level=0.0,
        ),
        *(
            curves(title, [Line(label, series(metrics, key), FIRST, noisy=noisy)], note, _, small=True)
            for title, key, label, noisy, note in (
                (_("Learning rate"), "learning_rate", _("rate"), False, _("How large a step the optimiser takes.")),
                (
                    _("Gradient norm"),
                    "grad_norm",
                    _("norm"),
                    True,
                    _("Before clipping; a spike is a batch worth looking at."),
                ),
                (
                    _("Response length"),
                    "completions/mean_length",
                    _("tokens"),
                    True,
                    _("Of the responses that were scored."),
                ),
                (
                    _("Entropy"),
                    "entropy",
                    _("nats"),
                    True,
                    _("Of a token; near 0 the model writes the same again and again."),
                ),
                (
                    _("Speed"),
                    "tokens_per_second",
                    _("tokens/s"),
                    True,
                    _("Unique tokens a second; shared prompts count once."),
                ),
            )
        ),
    ]
    return [figure for figure in drawn if figure is not None]


def curves(
    title: str,
    lines: Sequence[Line],
    note: str,
    _: Words = str,
    *,
    level: float | None = None,
    limits: tuple[float, float] | None = None,
    small: bool = False,
) -> Figure | None:
    """One figure over steps, or None where no line has a point."""
    lines = [line for line in lines if len(line.series)]
    if not lines:
        return None
    legend = tuple(
        (
            line.label,
            number(line.series.values[-1]),
            STYLES[line.colour] + (" dashed" if line.dashed else ""),
        )
        for line in lines
    )
    windows = [smooth(line.series)[1] for line in lines if line.noisy]
    if max(windows, default=1) > 1:
        thick = _("Thin: every step. Thick: mean of {num} steps.").format(num=max(windows))
        note = f"{note} {thick}".strip()
    return Figure(title, note, draw(title, lines, level, limits, small, _), legend, small)


def draw(
    title: str,
    lines: Sequence[Line],
    level: float | None = None,
    limits: tuple[float, float] | None = None,
    small: bool = False,
    _: Words = str,
) -> str:
    """The SVG element of one figure."""

    def paint(axes: Any) -> None:
        _frame(axes, lines, level, limits)
        for line in lines:
            _plot(axes, line)
        if limits:
            axes.set_ylim(*limits)

    svg = svg_of(title, paint, (4.3, 1.7) if small else (5.6, 3.1), _spoken(title, lines, _))
    return svg.replace(">step</text>", f">{_('step')}</text>")  # so that the drawing font need not have the glyphs


def svg_of(title: str, paint: Callable[[Any], None], size: tuple[float, float], spoken: str) -> str:
    """The SVG element of what is painted on axes in the placeholder colours. spoken: text for screen readers."""
    import matplotlib  # slow to import, and only a report needs it
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    style = {"svg.hashsalt": f"penchant {title}", "svg.fonttype": "none", "font.size": 10, "path.simplify": False}
    with matplotlib.rc_context(style):
        canvas = Canvas(figsize=size, layout="constrained")
        axes = canvas.add_subplot()
        canvas.patch.set_visible(False)
        axes.patch.set_visible(False)
        paint(axes)
        buffer = io.StringIO()
        FigureCanvasSVG(canvas).print_svg(
            buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    return _embeddable(buffer.getvalue(), spoken)


def _train_and_held_out(metrics: Rows, key: str, _: Words) -> list[Line]:
    return [
        Line(_("training"), series(metrics, key), FIRST),
        Line(_("held-out"), series(metrics, f"eval_{key}"), SECOND, marked=True, noisy=False),
    ]


def _log_prob_figure(change: LogProbChange | None, _: Words) -> Figure | None:
    if change is None:
        return None
    measured = {
        "held-out": _("Nats per held-out response, against the first point."),
        "reference": _("Nats per training response, against the reference."),
        "batches": _("Nats per response, against the first batch, whose pairs were others: read the trend only."),
    }[change.source]
    marked = change.source == "held-out"
    both = _(
        "DPO only widens the gap between the two lines, so both can sink together (likelihood displacement): the "
        "chosen responses then become less likely too."
    )
    return curves(
        _("Change of log-probability"),
        [
            Line(_("chosen"), change.chosen, FIRST, marked, noisy=not marked),
            Line(_("rejected"), change.rejected, SECOND, marked, noisy=not marked, dashed=True),
        ],
        f"{measured} {both}",
        _,
        level=0.0,
    )


def _frame(axes: Any, lines: Sequence[Line], level: float | None, limits: tuple[float, float] | None) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, length=0, pad=5)
    axes.set_xlabel("step", color=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    values = [value for line in lines for value in line.series.values]
    if limits is None and min(values) > 0 and max(values) > 30 * sorted(values)[len(values) // 2]:
        axes.set_yscale("log")  # one spike would press everything else flat
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, position: number(round(value, 12))))
    if level is not None:
        axes.axhline(level, color=MUTED, linewidth=1, dashes=(4, 3))


def _plot(axes: Any, line: Line) -> None:
    main, window = smooth(line.series) if line.noisy else (line.series, 1)
    main = thin(main)
    if window > 1:
        raw = thin(line.series)
        axes.plot(raw.steps, raw.values, color=line.colour, linewidth=0.8, alpha=0.35)
    dashes = {"dashes": (3, 1.5)} if line.dashed else {"solid_capstyle": "round"}
    axes.plot(main.steps, main.values, color=line.colour, linewidth=2, **dashes)
    dots = slice(None) if line.marked and len(main) <= 40 else slice(-1, None)
    style = {"marker": "o", "linestyle": "none", "color": line.colour, "markersize": 5, "clip_on": False}
    axes.plot(main.steps[dots], main.values[dots], **style)


def _spoken(title: str, lines: Sequence[Line], _: Words) -> str:
    end = _("{line} ends at {value}")
    ends = "; ".join(end.format(line=line.label, value=number(line.series.values[-1])) for line in lines)
    return _("{title} over steps: {ends}").format(title=title, ends=ends)


def _embeddable(svg: str, label: str) -> str:
    """The bare element, free of prologue, page-wide style, fonts and size; with theme colours and a spoken name."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' transform="rotate\(-?0 [^"]*"| id="(?:\w+_\d+|matplotlib\.axis_\d)"', "", svg)
    svg = re.sub(r'font(?:-size|-family)?: [^;"]*;? ?', "", svg)
    for placeholder, style in STYLES.items():
        svg = svg.replace(placeholder, f"var(--{style})")
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None
    opening = f'<svg {box.group()} role="img" aria-label="{label}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(r"<svg[^>]*>", lambda match: opening, svg, count=1, flags=re.DOTALL).strip()
