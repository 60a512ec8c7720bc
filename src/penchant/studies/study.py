"""`penchant.frontier` and `penchant.sweep`: a study from its settings to its figures, resumable."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from penchant.errors import ConfigError
from penchant.files import alone_in, disk_errors_explained, require_place, write_atomically
from penchant.models.numerics import computing, prepare_process
from penchant.progress import Reporter, reporter_of
from penchant.report.lecture import draw_figure
from penchant.report.parts import Part
from penchant.studies.curves import Place, curves_of
from penchant.studies.going import go_through
from penchant.studies.ground import AnyJudge, Ground, make_ground
from penchant.studies.matched import Matched, matched, matched_table
from penchant.studies.measuring import measure
from penchant.studies.picking import at_most, pick
from penchant.studies.points import START, Measured, Point, frontier_points, sweep_points
from penchant.studies.reading import read_study
from penchant.studies.settings import FrontierConfig, StudyConfig, SweepConfig
from penchant.studies.tables_and_figures import Curves, as_plain, facts_of_start, figures, in_words, places_table, sizes
from penchant.studies.train_point import check_points, held_out_accuracy, train_point

__all__ = ["Frontier", "Sweep", "frontier", "sweep"]

Settings = str | os.PathLike[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Frontier:
    """Reward against KL.

    judge: the name of the true reward. start: the model before training. curves: by method, one place per strength.
    matched: the methods at one KL. files: the numbers as JSON and the figures as SVG and PNG.
    """

    judge: str
    start: Measured
    curves: Mapping[str, Sequence[Place]]
    matched: Matched
    files: tuple[Path, ...]

    def parts(self) -> list[Part]:
        """The tables."""
        parts = [*places_table(self.curves, self.start), *matched_table(self.matched)]
        return [part for number, part in enumerate(parts) if part not in parts[:number]]


@dataclass(frozen=True)
class Sweep:
    """A grid of settings, trained and measured.

    judge: the name of the judge. start: the model before training. places: one for every point of the grid. kl_budget:
    in nats per response. picked: the place with the highest win rate reliably within the budget; None if there is none.
    files: as of a `Frontier`.
    """

    judge: str
    start: Measured
    places: tuple[Place, ...]
    kl_budget: float
    picked: Place | None
    files: tuple[Path, ...]

    def parts(self) -> list[Part]:
        """The table, and the picked place in words."""
        table = places_table({place.place: [place] for place in self.places}, self.start)
        if self.picked is None:
            nearest = min(self.places, key=lambda place: at_most(place.kl))
            return [
                *table,
                f"no run is surely within the budget of {self.kl_budget:g} nats: the nearest is {nearest.place} with "
                f"a KL of {in_words(nearest.kl)}, whose upper limit is above it; raise kl_budget, train less, or "
                "measure on more prompts",
            ]
        win = self.picked.win
        return [
            *table,
            f"picked {self.picked.place}: wins {win.rate:.1%} over the start (95% interval {win.low:.1%} to "
            f"{win.high:.1%}), {in_words(self.picked.kl)} nats away, whose upper limit is within {self.kl_budget:g}. "
            "It was picked on these prompts, so the figure is a little too high; measure it once more on others with "
            "`penchant eval`",
        ]


def frontier(
    settings: Settings,
    output: str | os.PathLike[str],
    *,
    judge: AnyJudge | None = None,
    progress: bool | Reporter = True,
) -> Frontier:
    """Train by several methods at several strengths from one start, and measure the true reward against the KL.

    Args:
        settings: a YAML file, or the same as a mapping; see docs/frontier.md.
        output: the folder of all runs; existing runs are kept, missing ones added.
        judge: the true reward, overriding the settings: as for `penchant.rlhf`.
        progress: see `penchant.dpo`.

    Raises:
        UserError: an error that the caller can fix; results so far are kept.
        TrainingError, Interrupted: see `penchant.dpo`.
    """
    config, name = read_study(FrontierConfig, settings)
    points = frontier_points(config)
    ground, start, measured = _go(config, name, points, Path(output), judge, reporter_of(progress))
    curves = curves_of(points, measured, start)
    found = matched(curves, start, config.matched_kl)
    facts = {
        **_of_start(curves, start),
        "curves": {label: list(map(as_plain, places)) for label, places in curves.items()},
        "matched": [{key: _plain(value) for key, value in row.items()} for row in found],
    }
    files = _write("frontier", config, ground, facts, figures(curves, start, ground.judge.name))
    return Frontier(ground.judge.name, start, curves, found, files)


def sweep(
    settings: Settings,
    output: str | os.PathLike[str],
    *,
    judge: AnyJudge | None = None,
    progress: bool | Reporter = True,
) -> Sweep:
    """Train one method on a grid of settings, and pick by the win rate on held-out prompts within a budget of KL.

    A place is within if the upper limit of its KL's 95% interval is, so that none beyond is picked by chance.

    Arguments and errors as for `frontier`.
    """
    config, name = read_study(SweepConfig, settings)
    points = sweep_points(config)
    ground, start, measured = _go(config, name, points, Path(output), judge, reporter_of(progress))
    [places] = curves_of(points, measured, start).values()
    picked = pick(places, config.kl_budget)
    by_place = {place.place: [place] for place in places}
    facts = {
        **_of_start(by_place, start),
        "places": list(map(as_plain, places)),
        "picked": picked and picked.place,
    }
    files = _write("sweep", config, ground, facts, figures(by_place, start, ground.judge.name)[:2])
    return Sweep(ground.judge.name, start, tuple(places), config.kl_budget, picked, files)


def _go(
    config: StudyConfig,
    name: str,
    points: Sequence[Point],
    output: Path,
    judge: AnyJudge | None,
    reporter: Reporter,
) -> tuple[Ground, Measured, list[Measured]]:
    """The ground, the measurements of the start, and every point."""
    if len({point.name for point in points}) < len(points):
        raise ConfigError(f"{name}: two runs would have the same name; give different curves, strengths and seeds")
    check_points(points, config, name)
    require_place(output)
    prepare_process()
    with computing(), alone_in(output, "a study", option="another `output=...`"):
        ground = make_ground(config, output, judge, reporter)

        def work(point: Point | _Start) -> Measured:
            if isinstance(point, _Start):
                return measure(point.name, ground.start, ground, reporter, _facts(point))
            reporter.say(f"training {point.name}")
            run = train_point(point, ground, reporter)
            return measure(point.name, run.model, ground, reporter, _facts(point), held_out_accuracy(run))

        def went_on(done: int, total: int) -> None:
            num_runs = max(done - 1, 0)  # the first one done is the start
            for point in [] if config.keep_models else points[:num_runs]:
                shutil.rmtree(output / point.name / "model", ignore_errors=True)
            reporter.progress("points", done, total, {})

        start, *measured = go_through(
            [_Start(), *points],
            _facts,
            work,
            output / "points.jsonl",
            went_on,
        )
    return ground, start, measured


@dataclass(frozen=True)
class _Start:
    """The point that needs no training."""

    name: str = START


def _facts(point: Point | _Start) -> dict[str, Any]:
    return {} if isinstance(point, _Start) else {**asdict(point), "settings": dict(point.settings)}


def _of_start(curves: Curves, start: Measured) -> dict[str, Any]:
    return {"measured_on": sizes(curves, start), START: {k: _plain(v) for k, v in facts_of_start(start).items()}}


def _plain(value: object) -> object:
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value  # type: ignore[call-overload]


def _write(
    kind: str, config: StudyConfig, ground: Ground, facts: Mapping[str, Any], drawn: Sequence[Mapping[str, Any]]
) -> tuple[Path, ...]:
    """KIND.json, and the figures beside it."""
    content = {"judge": ground.judge.name, "settings": config.model_dump(mode="json"), **facts}
    file = ground.folder / f"{kind}.json"
    with disk_errors_explained(file, again="run it again"):
        write_atomically(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        paths = [draw_figure(figure, ground.folder / f"{kind}-{number}") for number, figure in enumerate(drawn, 1)]
    return (file, *(path for both in paths for path in both))
