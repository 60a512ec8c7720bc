"""Trackers by name: metrics, settings and samples of a run in TensorBoard, Weights & Biases, Trackio or MLflow.

Each library gets the metric names of TRL's runs, so that runs of both share charts, and is imported only if requested.
Its own environment variables determine where it writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from penchant.errors import ConfigError
from penchant.extras import needing
from penchant.plugins import added_names, find_added, import_object, is_import_path
from penchant.training.callbacks import Callback, Training
from penchant.wording import kind_and_reason_of

__all__ = ["TRACKERS", "MLflow", "TensorBoard", "Trackio", "WandB", "open_tracker"]

Rows = Sequence[Mapping[str, Any]]


def open_tracker(name: str) -> Callback:
    """Open the callback that a setting names: one of TRACKERS, of an installed package, or your own `module:name`.

    The name must refer to a Callback, or to a function without arguments that makes one. Raises ConfigError.
    """
    if name in TRACKERS:
        with needing(name, "save.trackers"):
            return TRACKERS[name]()
    if is_import_path(name):
        made = import_object(name, "tracker", "my_trackers:Csv")
    elif (made := find_added("penchant.trackers", name)) is None:
        there = ", ".join((*TRACKERS, *added_names("penchant.trackers")))
        raise ConfigError(
            f"save.trackers: there is no tracker {name!r}; choose from {there}, or name your own as module:name"
        )
    callback = made if isinstance(made, Callback) else made()
    if not isinstance(callback, Callback):
        raise ConfigError(
            f"save.trackers: {name} makes a {type(callback).__name__}, not a penchant.Callback; return a Callback"
        )
    return callback


class Tracker(Callback):
    """The base of all trackers: if a library fails at the start the run is refused, if later it is dropped.

    A subclass imports its library when constructed, and implements `begin`, `log`, `table` and `close`.
    """

    name: str
    begun = False

    def begin(self, title: str, settings: Mapping[str, Any], known_as: str | None, step: int) -> str | None:
        """Open the run, or resume it after `step`; returns the library's id of the run, for resuming.

        known_as: the id that `begin` returned at the start; None: a new run.
        """
        raise NotImplementedError

    def log(self, row: dict[str, float], step: int) -> None:
        raise NotImplementedError

    def table(self, rows: Rows, step: int) -> None:
        raise NotImplementedError

    def close(self, finished: bool) -> None:
        raise NotImplementedError

    def on_begin(self, training: Training) -> None:
        ledger = training.record.ledger
        title = ledger["config"]["output"] or f"{ledger['command']} {ledger['started_at']}"
        known: dict[str, str] = ledger.get("trackers", {})
        self.folder = training.record.path
        try:
            found = self.begin(title, ledger["config"], known.get(self.name), training.step)
        except Exception as error:  # a third-party library, and its network, may fail in any way
            raise ConfigError(
                f"save.trackers: {self.name} cannot begin ({kind_and_reason_of(error)}); fix that, or leave it out"
            ) from error
        self.begun = True
        if found:
            training.record.note(trackers={**known, self.name: found})

    def on_step(self, training: Training, row: Mapping[str, Any]) -> None:
        self._tell(training, self.log, numbers_of(row), row["step"])

    def on_evaluation(self, training: Training, row: Mapping[str, Any]) -> None:
        self._tell(training, self.log, numbers_of(row), row["step"])

    def on_samples(self, training: Training, rows: Rows) -> None:
        if rows:
            self._tell(training, self.table, rows, rows[0]["step"])

    def on_close(self, finished: bool) -> None:
        if self.begun:
            with suppress(Exception):  # the run has ended, and its results are safe
                self.close(finished)

    def _tell(self, training: Training, how: Callable[[Any, int], None], what: Any, step: int) -> None:
        if not self.begun:
            return
        try:
            how(what, step)
        except Exception as error:  # an unreachable server must not end hours of training
            self.begun = False
            training.reporter.say(
                f"{self.name} failed at step {step} ({kind_and_reason_of(error)}) and is switched off; "
                "training continues, and metrics.jsonl has everything"
            )


class TensorBoard(Tracker):
    """Events in the folder `tensorboard` of the run, samples as text; a resumed run hides what it recomputes."""

    name = "tensorboard"

    def __init__(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer_of = SummaryWriter

    def begin(self, title: str, settings: Mapping[str, Any], known_as: str | None, step: int) -> None:
        folder = None if self.folder is None else self.folder / "tensorboard"
        self.writer = self.writer_of(folder, purge_step=step + 1 if step else None)
        self.writer.add_text("config", f"```json\n{json.dumps(settings, indent=2)}\n```", step)

    def log(self, row: dict[str, float], step: int) -> None:
        for name, value in grouped(row).items():
            self.writer.add_scalar(name, value, step)

    def table(self, rows: Rows, step: int) -> None:
        lines = [list(rows[0]), ["---"] * len(rows[0]), *(row.values() for row in rows)]
        text = "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)
        self.writer.add_text("completions", text, step)

    def close(self, finished: bool) -> None:
        self.writer.close()


class WandB(Tracker):
    """A run of Weights & Biases, in the project of WANDB_PROJECT, or penchant; WANDB_MODE=offline sends nothing."""

    name = "wandb"

    def __init__(self) -> None:
        import wandb

        self.wandb = wandb

    def begin(self, title: str, settings: Mapping[str, Any], known_as: str | None, step: int) -> str:
        project = os.environ.get("WANDB_PROJECT", "penchant")
        self.run = self.wandb.init(
            project=project, name=title, config=dict(settings), id=known_as, resume="allow" if known_as else None
        )
        self.run.define_metric("train/global_step")
        self.run.define_metric("*", step_metric="train/global_step", step_sync=True)
        return str(self.run.id)

    def log(self, row: dict[str, float], step: int) -> None:
        self.run.log({**grouped(row), "train/global_step": step})

    def table(self, rows: Rows, step: int) -> None:
        table = self.wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows])
        self.run.log({"completions": table, "train/global_step": step})

    def close(self, finished: bool) -> None:
        self.run.finish(exit_code=0 if finished else 1)


class Trackio(Tracker):
    """A run of Trackio, on this machine unless its variables name a Space; project TRACKIO_PROJECT, or penchant."""

    name = "trackio"

    def __init__(self) -> None:
        import trackio

        self.trackio = trackio

    def begin(self, title: str, settings: Mapping[str, Any], known_as: str | None, step: int) -> str:
        project = os.environ.get("TRACKIO_PROJECT", "penchant")
        self.run = self.trackio.init(
            project=project, name=known_as or title, config=dict(settings), resume="allow" if known_as else "never"
        )
        return str(self.run.name)

    def log(self, row: dict[str, float], step: int) -> None:
        self.run.log(grouped(row), step=step)

    def table(self, rows: Rows, step: int) -> None:
        table = self.trackio.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows])
        self.run.log({"completions": table}, step=step)

    def close(self, finished: bool) -> None:
        self.run.finish()


class MLflow(Tracker):
    """A run of MLflow, in the experiment MLFLOW_EXPERIMENT_NAME or penchant; its metrics keep their plain names."""

    name = "mlflow"

    def __init__(self) -> None:
        import mlflow

        self.mlflow = mlflow

    def begin(self, title: str, settings: Mapping[str, Any], known_as: str | None, step: int) -> str:
        client = self.client = self.mlflow.MlflowClient()
        if known_as:
            client.update_run(known_as, status="RUNNING")
            self.run_id = known_as
            return known_as
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "penchant")
        there = client.get_experiment_by_name(name)
        experiment = there.experiment_id if there else client.create_experiment(name)
        self.run_id = client.create_run(experiment, run_name=title).info.run_id
        for key, value in flat(settings).items():
            client.log_param(self.run_id, key, value)
        return str(self.run_id)

    def log(self, row: dict[str, float], step: int) -> None:
        self.mlflow.log_metrics(row, step=step, run_id=self.run_id)

    def table(self, rows: Rows, step: int) -> None:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        self.client.log_table(self.run_id, columns, "completions.json")

    def close(self, finished: bool) -> None:
        self.client.set_terminated(self.run_id, "FINISHED" if finished else "KILLED")


TRACKERS: dict[str, Callable[[], Tracker]] = {made.name: made for made in (TensorBoard, WandB, Trackio, MLflow)}
"""Trackers by their name in settings; the extra of the same name installs the library."""


def numbers_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a row, without its step."""
    return {name: value for name, value in row.items() if isinstance(value, int | float) and name != "step"}


def grouped(row: Mapping[str, float]) -> dict[str, float]:
    """Metric names as in TRL's runs: `eval_loss` becomes eval/loss, and `loss` becomes train/loss."""
    return {
        f"eval/{name.removeprefix('eval_')}" if name.startswith("eval_") else f"train/{name}": value
        for name, value in row.items()
    }


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted names."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return found


def _cell(value: Any) -> str:
    """A cell of a table in Markdown, on one line."""
    return str(value).replace("|", "\\|").replace("\n", "<br>")
