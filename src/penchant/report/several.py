"""Several runs on one page: their settings, measures, and overlaid curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penchant.report.figures import STYLES, Figure, Line, curves
from penchant.report.languages import Words, words_in
from penchant.report.measure import Measure
from penchant.report.measures import measures
from penchant.report.page import filled
from penchant.report.series import series
from penchant.report.verdict import verdict
from penchant.report.view import what_was_done

__all__ = ["MOST_DRAWN", "RunData", "in_columns", "render_runs"]

MOST_DRAWN = 6
"""The most runs with curves; more lines would be indistinguishable."""


@dataclass(frozen=True)
class RunData:
    """One run: its name, and its dicts as for `write_report`."""

    name: str
    run: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    samples: Sequence[Mapping[str, Any]] = ()
    comparison: Mapping[str, Any] | None = None


def render_runs(runs: Sequence[RunData], language: str = "en") -> str:
    """The page as a string; rows are settings and results, columns are runs."""
    from markupsafe import Markup

    _ = words_in(language)
    done = [dict(what_was_done(one.run, _)) for one in runs]
    found = [measures(one.run, one.metrics, one.samples, one.comparison, _) for one in runs]
    rows = [(name, [one.get(name, "") for one in done]) for name in _names(done)]
    results = in_columns(found, _)
    alarms = [", ".join(str(a["name"]) for a in one.run.get("alarms") or ()) or _("none") for one in runs]
    return filled(
        "several.html",
        language,
        title=_("Runs compared"),
        samples=(),
        names=[one.name for one in runs],
        verdicts=[verdict(one.run, one.metrics, one.comparison, _) for one in runs],
        parts=[(_("What was done"), rows), (_("What changed"), [*results, (_("alarms"), alarms)])],
        figures=[(figure, Markup(figure.svg)) for figure in _figures(runs[:MOST_DRAWN], _)],
    )


def in_columns(found: Sequence[Sequence[Measure]], _: Words) -> list[tuple[str, list[str]]]:
    """One row per measure of any run, with one cell per run."""
    columns = [{measure.name: measure for measure in one} for one in found]
    return [(name, [_cell(one.get(name), _) for one in columns]) for name in _names(columns)]


def _names(of: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for one in of for name in one))


def _cell(measure: Measure | None, _: Words) -> str:
    if measure is None:
        return ""
    before = f"{measure.before} → " if measure.before else ""
    of = _("of {num}").format(num=measure.num) if measure.num else ""
    return "; ".join(part for part in (f"{before}{measure.after}", measure.change, of, measure.beware) if part)


def _figures(runs: Sequence[RunData], _: Words) -> list[Figure]:
    colours = [colour for colour, style in STYLES.items() if style not in ("ink", "muted", "grid")]
    shown = (
        (_("Held-out loss"), "eval_loss", _("Lower is better, where objective and pairs are the same.")),
        (_("Held-out accuracy"), "eval_rewards/accuracies", _("Share of held-out pairs ranked as people did.")),
        (_("Held-out margin"), "eval_rewards/margins", _("Reward of the chosen minus that of the rejected response.")),
        (_("Training loss"), "loss", _("Thin: every step.")),
    )
    drawn = [
        curves(
            title,
            [
                Line(one.name, series(one.metrics, key), colour, marked=key != "loss", noisy=key == "loss")
                for one, colour in zip(runs, colours, strict=False)
            ],
            note,
            _,
            limits=(0.0, 1.02) if "accuracies" in key else None,
        )
        for title, key, note in shown
    ]
    return [figure for figure in drawn if figure is not None]
