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
    _summarise(reporter, folder.ledger, read_rows_written(folder.metrics))
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


def _summarise(reporter: Reporter, ledger: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> None:
    from penchant.report.advice import advise

    last = next((row for row in reversed(metrics) if "eval_loss" in row), None)
    if last is not None:
        reporter.say(_held_out_in_words(last, ledger))
    for remark in advise(ledger, metrics):
        reporter.say(f"{remark.level}: {remark.title}. {remark.text}")
    speed, peak = ledger["unique_tokens_per_second"], ledger["peak_memory_bytes"] / 1e9
    reporter.say(f"{ledger['training_seconds']:.0f} s of training, {speed:.0f} unique tokens/s, {peak:.1f} GB at most")


def _held_out_in_words(last: Mapping[str, Any], ledger: Mapping[str, Any]) -> str:
    num, loss = ledger["num_held_out_pairs"], _shown(last["eval_loss"], ".4f")
    if last.get("eval_rewards/accuracies_low") is None:
        return f"held out ({num}): loss {loss}"
    accuracy, low, high = (last[f"eval_rewards/accuracies{end}"] for end in ("", "_low", "_high"))
    sure = "which may be chance" if low <= 0.5 <= high else "which is more than chance"
    if high < 0.5:
        sure = "which is less than chance"
    pairs = "1 held-out pair" if num == 1 else f"{num:,} held-out pairs"
    longer = ledger.get("held_out_longer")
    beside = "" if longer is None else f" (the longer response was chosen in {longer:.1%})"
    return (
        f"on {pairs} the model prefers the chosen response in {accuracy:.1%} (95% interval {low:.1%} to {high:.1%}), "
        f"{sure}{beside}; loss {loss}, mean margin {_shown(last['eval_rewards/margins'], '+.4f')}"
    )


def _shown(value: float | None, form: str) -> str:
    """metrics.jsonl holds null for a number that is not finite."""
    return "not finite" if value is None else format(value, form)
