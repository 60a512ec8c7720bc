"""Check data before a run; open, verify and export run folders after it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from penchant.api.given import pairs_in
from penchant.data.given import Data
from penchant.data.pairing import PairingRule
from penchant.data.read_as import Columns
from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.models.numerics import computing
from penchant.progress import Reporter, reporter_of
from penchant.tokens import special_tokens_of
from penchant.training.arguments import Arguments
from penchant.training.checking import CheckReport, check_data
from penchant.training.config import DPOConfig, RunConfig
from penchant.training.configure import configure
from penchant.training.cost_of_run import Plan
from penchant.training.export import Exported
from penchant.training.export import export as export_to
from penchant.training.given import Given, ModelLike, loaded_of, name_of_model
from penchant.training.lineage import Origin
from penchant.training.lineage import lineage as lineage_of
from penchant.training.planning import SCHEMAS, plan_run
from penchant.training.propose_settings import Proposal, proposals
from penchant.training.run_report import page_of_runs
from penchant.training.trained import Report, Run
from penchant.training.verify import Finding, verify_run

__all__ = ["advise", "check", "compare_runs", "export", "lineage", "open_run", "plan", "verify"]


def check(
    data: Data,
    model: ModelLike = "smollm2-135m",
    *,
    max_length: int = 1024,
    max_prompt_length: int | None = None,
    chat_template: str | None = None,
    special_tokens: str | None = "refuse",
    columns: Columns | None = None,
    format: str | None = None,
    pairing: PairingRule | None = None,
    min_gap: float = 0.0,
    labels: str | None = None,
    num_examples: int = 0,
    ches: bool = False,
    progress: bool | Reporter = True,
) -> CheckReport:
    """Report what training would use of the data: kind, counts, every bad row, lengths. Reads only the tokenizer.

    Args:
        data: as for `penchant.dpo` or `penchant.sft`.
        model: a name or path, a run, or a loaded model.
        max_length, max_prompt_length: in tokens, see `penchant.dpo`; at most the model's context.
        chat_template, special_tokens: for a model given by name, see `penchant.load`.
        columns, format: see `penchant.data.load_pairs`.
        pairing, min_gap: which answers of a ranked or scored list become pairs, as in `penchant.dpo`.
        labels: how to combine several votes on one pair of a project, "majority" or "soft".
        num_examples: items to keep for inspection, at least 512 (`CheckReport.items`).
        ches: measure how similar both sides of the first pairs are to the model (arXiv 2410.08847), which reads its
            weights.
        progress: see `penchant.dpo`.

    Raises:
        UserError: the data cannot be read at all, the model has no tokenizer, or training would refuse the limits.
    """
    reporter = reporter_of(progress)
    return check_data(
        pairs_in(data, reporter, labels=labels),
        loaded_of(model) or str(name_of_model(model)),
        max_length=max_length,
        max_prompt_length=max_prompt_length,
        chat_template=chat_template,
        special_tokens=special_tokens_of(special_tokens),
        columns=columns,
        format=format,
        pairing=pairing,
        min_gap=min_gap,
        most_items=num_examples,
        ches=ches,
        reporter=reporter,
    )


def advise(
    model: ModelLike | None,
    data: Data | None,
    *,
    config: str | os.PathLike[str] | DPOConfig | None = None,
    progress: bool | Reporter = True,
    **arguments: Unpack[Arguments],
) -> list[Proposal]:
    """Suggest settings of `penchant.dpo` for this model and these pairs, each with its reason; nothing is trained.

    config: a YAML file of settings, or the checked configuration of a run; either may name model and data in place of
    the first arguments. progress and other arguments as for `penchant.dpo`. Raises UserError.
    """
    given = Given.of(model, data)
    config = configure(DPOConfig, config, (), {**Given.names(model, data, None), **arguments}, given)
    return proposals(config, reporter_of(progress), given)


def plan(
    model: str | os.PathLike[str] | None,
    data: Data | None,
    *,
    task: str = "dpo",
    config: str | os.PathLike[str] | RunConfig | None = None,
    processes: int = 1,
    watts: float | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    progress: bool | Reporter = True,
    **arguments: Unpack[Arguments],
) -> Plan:
    """Estimate the memory by part, tokens and time of a run from the model's config and the data; reads no weights.

    task: "dpo", "sft" or "reward". config: a YAML file of settings, or the checked configuration of a run; either may
    name model and data in place of the first arguments. device: None for this machine's GPU or, if it has none, its
    processor; "cpu"; or one of `penchant.models.devices.DEVICES`, as "h100". processes: one per device.
    watts: the power draw of a device, for the energy. settings, progress and other arguments as for `penchant.dpo`.
    Raises UserError.
    """
    if task not in SCHEMAS:
        raise ConfigError(f"task must be one of {', '.join(SCHEMAS)}, got {task!r}")
    device = arguments.pop("device", None)
    given = Given.of(model, data)
    config = configure(SCHEMAS[task], config, settings, {**Given.names(model, data, None), **arguments}, given)
    return plan_run(config, reporter_of(progress), given, device=device, processes=processes, watts=watts)


def compare_runs(*runs: str | os.PathLike[str] | Run, language: str = "en") -> Report:
    """Compare two or more runs on one page: settings, results of each measure, curves; `.save(path)` writes it.

    runs: folders or runs; runs in memory are named by their position. language: "en" or "zh". Raises UserError.
    """
    opened = [run if isinstance(run, Run) else Run.open(os.fspath(run)) for run in runs]
    return Report(page_of_runs([run.data(f"run {number}") for number, run in enumerate(opened, 1)], language))


def export(
    model: ModelLike,
    merged: str | os.PathLike[str] | None = None,
    *,
    dtype: str | None = None,
    gguf: str | os.PathLike[str] | None = None,
    gguf_type: str | None = None,
    ollama: bool = False,
    push: str | None = None,
    private: bool | None = None,
    chat_template: str | None = None,
    progress: bool | Reporter = True,
) -> list[Exported]:
    """Write a model for other tools: a plain folder, a GGUF file, or both; an adapter is merged into the weights.

    merged: the folder, with weights of `dtype`: "float32", "bfloat16" or "float16". gguf: the file, with weights of
    `gguf_type`: "f16", "f32" or "q8_0"; the first of each is the default. ollama: write a Modelfile beside it.
    push: "owner/name" of a repository on the Hub to upload the folder to; private: whether a repository created for it
    is private, True unless given. chat_template: for a model given by name, see `penchant.load`. progress: see
    `penchant.dpo`.

    Raises UserError, and WrittenError where the written weights differ from the model's; no file is kept then.
    """
    if isinstance(model, Run):
        model = model.path or model.model
    with computing():
        return export_to(
            model if isinstance(model, LanguageModel) else os.fspath(model),
            merged=None if merged is None else Path(merged),
            dtype=dtype,
            gguf=None if gguf is None else Path(gguf),
            gguf_type=gguf_type,
            ollama=ollama,
            push=push,
            private=private,
            chat_template=chat_template,
            reporter=reporter_of(progress),
        )


def open_run(folder: str | os.PathLike[str]) -> Run:
    """Open the run in a folder, finished or not. Raises OutputError where there is none."""
    return Run.open(os.fspath(folder))


def verify(run: Run | str | os.PathLike[str]) -> list[Finding]:
    """Check all files that a run folder holds or names against its digests. Raises OutputError."""
    return verify_run(_folder(run))


def lineage(run: Run | str | os.PathLike[str]) -> Origin:
    """Trace a run's model to its files, votes and parent runs; `print(...)` shows a tree.

    Raises OutputError where the folder holds no run.
    """
    return lineage_of(_folder(run))


def _folder(run: Run | str | os.PathLike[str]) -> Path:
    path = run.path if isinstance(run, Run) else Path(run)
    if path is None:
        raise ConfigError("this run is only in memory and has no folder to read; train it with `output=...`")
    return path
