"""What `penchant dpo` and `penchant sft` have in common: settings in, run, report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.cli.console import Reporter
from penchant.feedback.snapshots import resolve_projects
from penchant.files.place import require_place
from penchant.training.settings import build_config

__all__ = ["train"]


def train(
    schema: type[Any],
    flags: Mapping[str, Any],
    file: Path | None,
    settings: Sequence[str],
    *,
    resume: bool,
    labels: str | None = None,
) -> None:
    """Run a training command from its flags to its report. labels: how the votes of a project become pairs."""
    config = build_config(schema, file=file, settings=settings, flags=flags)
    require_place(Path(config.output))
    with Reporter() as reporter:
        reporter.say(f"loading {config.model.name}")  # before the libraries are: they take some seconds themselves
        from penchant.models.numerics import prepare_process
        from penchant.training.alone import alone_in_run
        from penchant.training.config import DPOConfig

        prepare_process()
        command = "dpo" if isinstance(config, DPOConfig) else "sft"
        with alone_in_run(Path(config.output), command):
            _train(config, reporter, resume=resume, labels=labels)


def _train(config: Any, reporter: Reporter, *, resume: bool, labels: str | None) -> None:
    from penchant.report.summary import summary
    from penchant.training.config import DPOConfig
    from penchant.training.run import run_dpo, run_sft
    from penchant.training.run_folder import RunFolder, read_rows_written
    from penchant.training.run_report import write_run_report

    output = Path(config.output)
    if resume and (finished := RunFolder.lacking_its_report(output)):
        report = write_run_report(output, reporter.say)
        reporter.say("the run was finished but for its report, which is written now")
        reporter.say(f"model   {finished.model}\nreport  {report}")
        return
    begun_with = _files_of(output) if resume else ()
    files = resolve_projects(
        config.data.files, _answers_as(config), labels=labels, begun_with=begun_with, say=reporter.say
    )
    config = config.model_copy(update={"data": config.data.model_copy(update={"files": files})})
    if isinstance(config, DPOConfig):
        folder = run_dpo(config, reporter, resume=resume)
    else:
        folder = run_sft(config, reporter, resume=resume)
    write_run_report(folder.path, reporter.say)
    for line in summary(folder.ledger, read_rows_written(folder.metrics)):
        reporter.say(line)
    reporter.say(f"model   {folder.model}\nreport  {folder.report}")


def _files_of(run: Path) -> Sequence[str]:
    """The data that the run in this folder began with; none where there is no run."""
    from penchant.training.run_folder import read_ledger

    if not (run / "run.json").is_file():
        return ()
    files: Sequence[str] = read_ledger(run)["config"]["data"]["files"]
    return files


def _answers_as(config: Any) -> str:
    """What a training command makes of people's answers."""
    from penchant.objectives import LABELLED_OBJECTIVES
    from penchant.training.config import DPOConfig

    if not isinstance(config, DPOConfig):
        return "sft"
    return "kto" if config.dpo.objective in LABELLED_OBJECTIVES else "pairs"
