"""A finished run in Python: its metrics, samples, report and model, on disk or in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from penchant import ranks
from penchant.errors import ConfigError
from penchant.files.whole import write_atomically
from penchant.models.digests import digest_of_network, weights_digest
from penchant.models.language_model import LanguageModel
from penchant.models.ledger import read_ledger
from penchant.models.load import load_model
from penchant.models.names import base_of
from penchant.models.numerics import choose_numerics, computing
from penchant.models.reward_folder import load_reward_model, names_reward_model
from penchant.progress import reporter_of
from penchant.report import curves_as_html, render_report, samples_as_html, summary
from penchant.report.comparison import read_comparison
from penchant.report.several import RunData
from penchant.training.run_folder import RunFolder
from penchant.training.run_record import RunRecord
from penchant.training.run_report import about_run, write_run_report

__all__ = ["Report", "Rows", "Run", "settle"]

Say = Callable[[str], None]


class Rows(list[dict[str, Any]]):
    """Rows of metrics or samples: a list of dicts that a notebook shows as a table."""

    def __init__(self, rows: Iterable[dict[str, Any]], show: Callable[[list[dict[str, Any]]], str]) -> None:
        super().__init__(rows)
        self._show = show

    def column(self, name: str) -> list[Any]:
        """The values of one column, in order, from the rows that have it."""
        return [row[name] for row in self if name in row]

    def _repr_html_(self) -> str:
        return self._show(list(self))


class Report(str):
    """A report as one HTML page that needs no network; a notebook shows it in a frame."""

    __slots__ = ()

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, atomically. Raises OSError."""
        write_atomically(Path(path), str(self))
        return Path(path)

    def __repr__(self) -> str:
        return f"Report({len(self):,} characters of HTML; .save(path) writes it)"

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{escape(self)}" sandbox style="width: 100%; height: 42em; border: 0"></iframe>'


class Run:
    """A finished run, as returned by `penchant.dpo` and `penchant.sft`, and by `Run.open` for a run folder.

    A notebook shows the curves, and the first and last answers to the fixed prompts.
    """

    def __init__(
        self,
        record: RunRecord,
        model: LanguageModel | None = None,
        *,
        began_as: LanguageModel | None = None,
        reference: LanguageModel | None = None,
    ) -> None:
        self._record, self._model = record, model
        self._in_memory = reference or began_as

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Open the run in a folder. Raises OutputError if there is none."""
        record = RunFolder(Path(folder).expanduser())
        record.ledger = read_ledger(record.path)
        return cls(record)

    @property
    def record(self) -> RunRecord:
        """Its record; a RunFolder if it has a folder."""
        return self._record

    @property
    def path(self) -> Path | None:
        """The run folder; None if the run is only in memory."""
        return self._record.path

    @property
    def ledger(self) -> dict[str, Any]:
        """The content of run.json: inputs, settings, and cost of the run."""
        return self._record.ledger

    @property
    def metrics(self) -> Rows:
        """One row per step, and one per evaluation with names in `eval_`; TRL's names (docs/from-trl.md)."""
        return Rows(self._record.metrics_rows(), lambda rows: curves_as_html(self.ledger, rows))

    @property
    def samples(self) -> Rows:
        """The answers to a few fixed held-out prompts at every evaluation: step, prompt, response."""
        return Rows(self._record.samples_rows(), samples_as_html)

    @property
    def report(self) -> Report:
        """The whole run as one page; `run.report.save("report.html")` writes it."""
        about = None if self.path is None else about_run(self.path)
        return Report(render_report(self.ledger, self.metrics, self.samples, self._comparison(), about))

    def data(self, name: str = "run") -> RunData:
        """The data of a report; a run in a folder has the folder's name."""
        called = self.path.resolve().name if self.path else name
        return RunData(called, self.ledger, self.metrics, self.samples, self._comparison())

    @property
    def model(self) -> LanguageModel:
        """The trained model; a folder's is loaded on first access. Raises ModelError."""
        if self._model is None:
            settings = self.ledger["config"].get("model") or {}
            with computing():
                numerics = choose_numerics(settings.get("device", "auto"), settings.get("dtype", "auto"))
                load = load_reward_model if names_reward_model(str(self.path)) else load_model
                self._model = load(str(self.path), numerics)
        return self._model

    @property
    def reference(self) -> str | LanguageModel | None:
        """The reference policy: the object if it was given in memory, else its name; None for a run without one."""
        if not self.ledger.get("reference_digest"):
            return None
        settings = self.ledger["config"]["model"]
        return self._in_memory or settings.get("reference") or settings["name"]

    @property
    def summary(self) -> list[str]:
        """The effect and cost of training, in sentences."""
        return summary(self.ledger, self.metrics)

    def in_words(self) -> list[str]:
        """The summary, with the paths of model and report."""
        if self.path is None:
            return self.summary
        return [*self.summary, f"model   {self.path / 'model'}", f"report  {self.path / 'report.html'}"]

    def export(self, output: str | Path, *, dtype: str = "float32", progress: bool = False) -> Path:
        """Write the model as one plain folder that transformers and others load, with any adapter merged in.

        dtype: "float32", "bfloat16" or "float16", of the written weights. Raises UserError, and WrittenError if the
        written model differs from the trained one; no file is kept then.
        """
        from penchant.training.export import export_model

        source = self.model if self.path is None else str(self.path)
        with computing():
            export_model(source, Path(output), dtype=dtype, reporter=reporter_of(progress))
        return Path(output)

    def with_report(self, say: Say = lambda _: None) -> Run:
        """Write report.html into the run's folder, by the first process once no other reads there; returns the run."""
        if self.path is None:
            raise ConfigError("the run is in memory and has no folder; `run.report.save(...)` writes its report")
        ranks.gather(None)
        if ranks.is_first():
            write_run_report(self.path, say)
        return self

    def _comparison(self) -> Mapping[str, Any] | None:
        return None if self.path is None else read_comparison(self.path)

    def __repr__(self) -> str:
        where = self.path or "in memory"
        return f"Run({self.ledger.get('command')}, {self.ledger.get('status')}, {where})"

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(line)}</p>" for line in self.summary)
        return said + self.metrics._repr_html_() + self.samples._repr_html_()


def settle(model: LanguageModel, record: RunRecord) -> None:
    """Set a trained model's identity: that of the run's folder, or none."""
    if isinstance(record, RunFolder):
        model.name, model.path = str(record.path), record.model
        model.digest = weights_digest(model.path, base_of(model.path))
    else:
        model.name, model.in_memory = f"{model.name} after {record.ledger['command']}", True
        model.digest = digest_of_network(model.network)
