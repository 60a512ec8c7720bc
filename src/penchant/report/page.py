"""One run as one HTML file that needs no network and runs no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from penchant.errors import OutputError
from penchant.files.whole import write_atomically
from penchant.report.advice import advise
from penchant.report.calibration_figure import calibration_figure
from penchant.report.figures import figures
from penchant.report.languages import words_in
from penchant.report.measures import measures
from penchant.report.verdict import verdict
from penchant.report.view import (
    how_pairs_are_ordered,
    ledger,
    pairs,
    row_counts,
    subtitle,
    tiles,
    training_samples,
    what_was_done,
)

__all__ = ["About", "filled", "render_report", "write_report"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class About:
    """Facts not in the ledger. formula: that of the loss. lineage: a tree in lines. repeat: Python code."""

    formula: str = ""
    lineage: tuple[str, ...] = ()
    repeat: str = ""


def write_report(
    run: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    samples: Sequence[Mapping[str, Any]],
    comparison: Mapping[str, Any] | None,
    path: str | Path,
    about: About | None = None,
    language: str = "en",
) -> None:
    """Write the report of one run to `path`, atomically.

    The page is written to a temporary file in the same folder and renamed, so an older report stays until the new one
    is complete. Everything except `run` may be empty; absent parts are left out.

    Args:
        run: the ledger. Read by name: command, model, started_at, finished_at, peak_memory_bytes,
            unique_tokens_per_second, num_train_pairs, num_held_out_pairs (or those of prompts, responses, texts), rows,
            reference_digest, config; every other field is listed as it is.
        metrics: one row a step, under TRL's names ("loss", "rewards/margins", ...); evaluations start with "eval_".
        samples: {"step", "prompt", "response"}: the same prompts answered at several steps.
        comparison: {"judge", "num_prompts", "mean_before", "mean_after", "win_rate": {"rate", "low", "high", "wins",
            "losses", "ties"}, "kl": {"mean", "low", "high"} in nats per response, "pairs": [{"prompt", "before",
            "after", "score_before", "score_after"}]}, or None. num_answered: prompts of the win rate, where not all.
        path: the HTML file; its folder is made where it is missing.
        about: the formula, the model's origin, and how to repeat the run, as far as known.
        language: "en" or "zh"; settings and ledger fields keep their names.

    Raises:
        OutputError: the file cannot be written.
    """
    target = Path(path)
    page = render_report(run, metrics, samples, comparison, about, language)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, page)
    except OSError as error:
        raise OutputError(
            f"The report {target} cannot be written ({error.strerror}); choose a folder that takes files."
        ) from error


def render_report(
    run: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    samples: Sequence[Mapping[str, Any]] = (),
    comparison: Mapping[str, Any] | None = None,
    about: About | None = None,
    language: str = "en",
) -> str:
    """The page as a string: the same arguments give the same text. Every value is escaped; only figures are markup."""
    from markupsafe import Markup

    _ = words_in(language)
    drawn = calibration_figure(comparison, _)
    return filled(
        "template.html",
        language,
        title=_("{name} report").format(name=_name(run.get("command"))),
        subtitle=subtitle(run, _),
        verdict=verdict(run, metrics, comparison, _) if metrics else None,
        about=about or About(),
        done=what_was_done(run, _),
        measures=measures(run, metrics, samples, comparison, _),
        tiles=tiles(run, metrics, comparison, _),
        advice=advise(run, metrics, comparison, _),
        figures=[(figure, Markup(figure.svg)) for figure in figures(run, metrics, _)],
        calibration=drawn and (drawn, Markup(drawn.svg)),
        judge=comparison.get("judge") if comparison else None,
        explained=how_pairs_are_ordered(_),
        pairs=pairs(comparison, _),
        samples=training_samples(samples, _),
        rows=row_counts(run, _),
        ledger=ledger(run, _),
    )


def filled(name: str, language: str, **parts: Any) -> str:
    """A page of this room: every value is escaped, unknown names in the template are errors, nothing is downloaded."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_read)
    )
    page: str = environment.get_template(name).render(
        _=words_in(language), language=language, policy=POLICY, style=Markup(_read("style.css")), **parts
    )
    return page


def _read(name: str) -> str:
    """A file of this room."""
    return files("penchant.report").joinpath(name).read_text(encoding="utf-8")


def _name(command: object) -> str:
    """The command as a heading: initials in capitals, words with one."""
    name = str(command or "training")
    return name.upper() if name in {"dpo", "sft", "rlhf"} else name.capitalize()
