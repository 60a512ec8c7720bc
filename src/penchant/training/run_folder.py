"""The run folder: resolved configuration, ledger, metrics, samples, checkpoints, model, report.

config.yaml  run.json  metrics.jsonl  samples.jsonl  checkpoints/step-N/  model/  report.html
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from penchant import ranks
from penchant.errors import OutputError, UserError
from penchant.files import replacing_folder
from penchant.files.lock import LOCK
from penchant.files.place import require_place
from penchant.files.whole import disk_errors_explained, remove_scratch, write_atomically
from penchant.models import saving
from penchant.models.digests import digests_of_model, file_sha256
from penchant.models.language_model import LanguageModel
from penchant.models.ledger import read_ledger
from penchant.models.sharding import whole_on_first
from penchant.models.slices import read_slices, write_together
from penchant.training.checkpoint import Checkpoint, newest_checkpoint
from penchant.training.checkpoint_writer import CheckpointWriter, wait_for_writers
from penchant.training.config import RunConfig
from penchant.training.records import append_rows, keep_rows, read_rows_written, sync_rows
from penchant.training.run_record import RunRecord, facts_of_begin
from penchant.training.run_settings import require_same_settings, write_settings
from penchant.wording import bytes_in_words

__all__ = [
    "RunFolder",
    "clock_of_run",
    "found_from",
    "read_rows_written",
    "require_usable",
]


class RunFolder(RunRecord):
    """One run's folder. Ledger and metrics are written so that a crash loses nothing."""

    path: Path
    how_to_go_on = ", saved; continue with `resume=True`"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.writer = CheckpointWriter(self.checkpoints)
        self.model = path / "model"
        self.metrics = path / "metrics.jsonl"
        self.samples = path / "samples.jsonl"
        self.report = path / "report.html"
        self.settings = path / "config.yaml"
        self.began_here = self.made_here = False

    @classmethod
    def create(cls, config: RunConfig, command: str, *, resume: bool) -> RunFolder:
        """Start a run, or resume the existing one. Raises OutputError."""
        assert config.output is not None, "a run without an output is a RunRecord"
        folder = cls(Path(config.output))
        began = require_usable(folder.path, resume=resume)
        settings = config.model_dump(mode="json")
        with disk_errors_explained(folder.path):
            if began:
                folder._take_up(config)
                return folder
            if not folder.path.exists():
                require_place(folder.path)
                folder.path.mkdir()
                folder.made_here = True
            folder.note(**facts_of_begin(config, command))
            folder.began_here = True
            write_settings(folder.settings, settings)
        return folder

    @contextmanager
    def withdrawn_if_refused(self) -> Iterator[None]:
        """A context that removes the run if a UserError occurs before the first step of a run that began here.

        Otherwise the folder would block the corrected command. A full disk is an exception: the run can be resumed.
        """
        try:
            yield
        except UserError as error:
            disk_failed = isinstance(error, OutputError) and error.__cause__ is not None
            if self.began_here and not disk_failed and not self._has_steps():
                self._withdraw()
            raise

    def _has_steps(self) -> bool:
        return self.checkpoints.exists() or (self.metrics.is_file() and self.metrics.stat().st_size > 0)

    def _withdraw(self) -> None:
        for file in (self.metrics, self.samples, self.settings, self.path / "run.json"):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.path / "tensorboard", ignore_errors=True)
        if self.made_here and not any(self.path.iterdir()):
            self.path.rmdir()

    @property
    def is_finished(self) -> bool:
        return self.ledger.get("status") == "finished"

    @classmethod
    def lacking_its_report(cls, config: RunConfig) -> RunFolder | None:
        """The run in the output if only its report is missing; otherwise None.

        Raises OutputError if it was started with other settings.
        """
        assert config.output is not None, "a run without an output has no report to lack"
        folder = cls(Path(config.output))
        if (folder.path / "run.json").is_file():
            folder.ledger = read_ledger(folder.path)
        if not folder.is_finished or folder.report.exists():
            return None
        rate = config.optimiser.learning_rate or folder.learning_rate_of(config.output)
        require_same_settings(
            folder.settings, folder.ledger["config"], config if rate is None else config.with_learning_rate(rate)
        )
        return folder

    @classmethod
    def files_of(cls, path: str | None) -> Sequence[str]:
        """The data of the run in this folder; empty if there is no run."""
        if path is None or not (Path(path) / "run.json").is_file():
            return ()
        files: Sequence[str] = read_ledger(Path(path))["config"].get("data", {}).get("files", ())
        return files

    @classmethod
    def learning_rate_of(cls, path: str | None) -> float | None:
        """The peak learning rate of the run in this folder; None if there is no run."""
        if path is None or not (Path(path) / "run.json").is_file():
            return None
        rate: float | None = read_ledger(Path(path))["config"].get("optimiser", {}).get("learning_rate")
        return rate

    def remove_leftovers(self) -> None:
        """Remove partial files of a killed process; they are never used.

        Waits for a checkpoint that this process still writes here since a second Ctrl-C.
        """
        wait_for_writers(self.checkpoints)
        for where in (self.path, self.model, self.checkpoints):
            remove_scratch(where)
            for leftover in (*where.glob(".writing*"), *where.glob(".report.html.*.tmp")):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

    def note(self, **facts: Any) -> None:
        """Add facts to run.json, on disk before this returns."""
        self.ledger.update(facts)
        write_atomically(self.path / "run.json", json.dumps(self.ledger, indent=2, ensure_ascii=False) + "\n")

    def finish(self, **facts: Any) -> None:
        """Mark the run as finished, with the sha256 of its metrics and samples."""
        files = [file for file in (self.metrics, self.samples) if file.is_file()]
        super().finish(run_files={file.name: file_sha256(file) for file in files}, **facts)

    def note_written(self, name: str) -> None:
        """Record the sha256 of a file written after the run finished; no effect during the run."""
        self.ledger = read_ledger(self.path)
        if self.is_finished:
            self.note(run_files={**self.ledger.get("run_files", {}), name: file_sha256(self.path / name)})

    def record(self, metrics: Sequence[Mapping[str, Any]], samples: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to metrics.jsonl and samples.jsonl."""
        with disk_errors_explained(self.path):
            append_rows(self.metrics, metrics)
            append_rows(self.samples, samples)

    def metrics_rows(self) -> list[dict[str, Any]]:
        return read_rows_written(self.metrics) if self.metrics.is_file() else []

    def samples_rows(self) -> list[dict[str, Any]]:
        return read_rows_written(self.samples) if self.samples.is_file() else []

    def save(
        self,
        step: int,
        parameters: Mapping[str, torch.nn.Parameter],
        optimiser: torch.optim.Optimizer,
        state: Mapping[str, Any],
        task: Mapping[str, Tensor],
        *,
        keep: int,
    ) -> None:
        with disk_errors_explained(self.path):
            if ranks.is_first():
                sync_rows(self.metrics, self.samples)
            self.writer.begin(step, parameters, optimiser, state, task, keep=keep)

    def settle(self, *, wait: bool = True) -> None:
        with disk_errors_explained(self.path):
            self.writer.settle(wait=wait)

    @contextmanager
    def saving(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if not getattr(error, "at_once", False):
                self.writer.let_go()
            raise

    def newest_checkpoint(self, say: Callable[[str], None]) -> Checkpoint | None:
        self.settle()
        return newest_checkpoint(self.checkpoints, say)

    def keep_best(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        with disk_errors_explained(self.path), replacing_folder(self.path / "best") as scratch:
            write_together(scratch, {"weights": parameters})

    def take_best(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        read_slices(parameters, self.path / "best", "weights")

    def write_model(self, model: LanguageModel) -> dict[str, str]:
        model = whole_on_first(model)
        with disk_errors_explained(self.path):
            saving.save_model(model, self.model)
            return digests_of_model(self.model)

    def keep_until(self, step: int, say: Callable[[str], None] = lambda _: None, *, evaluated: bool = True) -> None:
        """Drop metrics and samples of steps after `step`, all for 0: a resumed run computes them again.

        evaluated: whether evaluations after that step are kept. Unreadable rows are reported.
        """
        for path in (self.metrics, self.samples):
            keep_rows(path, step, say, evaluated=evaluated)

    def require_space(self, num_bytes: int) -> None:
        """Raise OutputError if the disk has too little space."""
        free = shutil.disk_usage(self.path).free
        if free < num_bytes:
            raise OutputError(
                f"{self.path}: {bytes_in_words(free)} are free and the run needs about {bytes_in_words(num_bytes)} "
                "(the model and its checkpoints); free some, or choose another `output=...`"
            )

    def _take_up(self, config: RunConfig) -> None:
        self.ledger = read_ledger(self.path)
        if self.is_finished:
            raise OutputError(f"{self.path}: this run is finished; choose another `output=...` to train further")
        require_same_settings(self.settings, self.ledger["config"], config)


def require_usable(path: Path, *, resume: bool) -> bool:
    """Whether a run exists in this folder. Raises OutputError if one can neither start nor resume."""
    began = (path / "run.json").is_file()
    if began and not resume:
        raise OutputError(f"{path}: already holds a run; give `resume=True` to continue it, or another `output=...`")
    if resume and not began:
        raise OutputError(f"{path}: holds no run to resume; leave out `resume=True`, or correct `output=...`")
    if not began and path.exists() and not _is_fresh(path):
        raise OutputError(f"{path}: exists and is not an empty folder; choose another `output=...`")
    return began


def found_from(run: Path, ledger: Mapping[str, Any], name: str) -> str:
    """Resolve a path in a run's settings, which was relative to the working directory of the run.

    That directory is derived from the run's own place and its output setting, also if everything was moved. A name that
    is no path, and a path that is not found, are returned unchanged.
    """
    output = Path(ledger["config"].get("output") or "")
    place, path = run.resolve(), Path(name).expanduser()
    num = len(output.parts)
    if path.is_absolute() or output.is_absolute() or not num or place.parts[-num:] != output.parts:
        return name
    begun_in = place.parents[num - 1]
    return str(begun_in / path) if (begun_in / path).exists() else name


def clock_of_run(run: Path | None, *, resume: bool) -> datetime.datetime:
    """The time given to chat templates: the start of the run, also if it is resumed another day."""
    began = read_ledger(run).get("clock") if resume and run else None
    now = datetime.datetime.now().astimezone().replace(microsecond=0)
    clock = datetime.datetime.fromisoformat(began) if began else now
    told = ranks.first(clock.isoformat)
    return clock if ranks.is_first() else datetime.datetime.fromisoformat(told)


def _is_fresh(path: Path) -> bool:
    """Whether the folder is empty, except for a lock and leftovers of a run killed while starting."""
    leftovers = {".run.json.writing", LOCK}
    return path.is_dir() and all(p.name in leftovers for p in path.iterdir())
