"""Evaluations on one page: what `penchant eval` found of several models, or of two files of answers, without a run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.errors import DataError
from penchant.report.calibration_figure import calibration_figure
from penchant.report.compared_measures import compared_measures
from penchant.report.comparison import Comparison
from penchant.report.languages import words_in
from penchant.report.page import filled
from penchant.report.several import in_columns
from penchant.report.verdict import verdict
from penchant.report.view import how_pairs_are_ordered, pairs
from penchant.strict_json import fault_in

__all__ = ["read_evaluations", "render_evaluations"]


def read_evaluations(path: Path) -> list[dict[str, Any]]:
    """The evaluations in a JSON file, a list as `penchant eval` writes or one alone. Raises DataError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); name a file that `penchant eval` wrote") from error
    every = found if isinstance(found, list) else [found]
    if not every or not all(isinstance(one, dict) and "win_rate" in one for one in every):
        raise DataError(f"{path}: holds no evaluations; name a file that `penchant eval` wrote, or a run folder")
    for number, one in enumerate(every, 1):
        if fault := fault_in(one, Comparison):
            raise DataError(f"{path}: damaged (evaluation {number}: {fault}); run `penchant eval` again")
    return every


def render_evaluations(found: Sequence[Mapping[str, Any]], language: str = "en") -> str:
    """The page as a string. found: as `Evaluation.as_dict` has them; rows are measures, columns are models."""
    from markupsafe import Markup

    _ = words_in(language)
    names = [str(one.get("policy", "")) for one in found]
    measured = in_columns([list(compared_measures(one, _)) for one in found], _)
    held_to = (_("compared with"), [str(one.get("reference", "")) for one in found])
    return filled(
        "several.html",
        language,
        title=_("Models compared"),
        names=names,
        verdicts=[verdict({}, (), one, _) for one in found],
        parts=[(_("What changed"), [held_to, *measured])],
        figures=[
            (drawn, Markup(drawn.svg))
            for name, one in zip(names, found, strict=True)
            if (drawn := calibration_figure(one, _, name)) is not None
        ],
        explained=how_pairs_are_ordered(_),
        samples=[(name, pairs(one, _)) for name, one in zip(names, found, strict=True)],
    )
