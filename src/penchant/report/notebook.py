"""The display of a run in a notebook: its curves, and the first and last answers to the fixed prompts."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from penchant.report.figures import figures
from penchant.report.series import Rows
from penchant.report.view import training_samples

__all__ = ["curves_as_html", "samples_as_html"]

COLOURS = "; ".join(
    f"--{name}: {colour}"
    for name, colour in {
        "ink": "#1b1f23",
        "muted": "#626a72",
        "grid": "#e5e7e9",
        "first": "#1f6feb",
        "second": "#c4570b",
    }.items()
)
"""Those of the report on a light page; a figure's colours are CSS variables."""
CARD = f"{COLOURS}; background: #ffffff; color: #1b1f23; padding: 8px; font: 12px/1.4 system-ui, sans-serif"


def curves_as_html(ledger: Mapping[str, Any], metrics: Rows) -> str:
    """The figures of the report that these rows have data for, side by side."""
    drawn = "".join(
        f'<figure style="margin: 0; width: {"15em" if figure.small else "26em"}"><figcaption><b>{escape(figure.title)}'
        f"</b> {_legend(figure.legend)}</figcaption>{_unclipped(figure.svg)}</figure>"
        for figure in figures(ledger, metrics)
    )
    return f'<div style="{CARD}; display: flex; flex-wrap: wrap; gap: 1em 2em">{drawn}</div>' if drawn else ""


def samples_as_html(samples: Sequence[Mapping[str, Any]]) -> str:
    """A table of the prompts that were answered at two steps or more, first answer and last."""
    pairs = training_samples(samples)
    if not pairs:
        return ""
    rows = "".join(
        f"<tr>{''.join(_cell(text) for text in (pair.prompt, pair.before, pair.after))}</tr>" for pair in pairs
    )
    heads = "".join(f"<th>{escape(head)}</th>" for head in ("prompt", pairs[0].label_before, pairs[0].label_after))
    return f'<table style="{CARD}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _legend(entries: Sequence[tuple[str, str, str]]) -> str:
    return " ".join(
        f'<span style="color: var(--{kind.partition(" ")[0]})">{escape(label)} {escape(value)}</span>'
        for label, value, kind in entries
    )


def _unclipped(svg: str) -> str:
    """The labels of an axis may be wider than the room that the report's smaller font leaves them."""
    return svg.replace("<svg ", '<svg style="overflow: visible" ', 1)


def _cell(text: str) -> str:
    return f'<td dir="auto" style="text-align: start; vertical-align: top; white-space: pre-wrap">{escape(text)}</td>'
