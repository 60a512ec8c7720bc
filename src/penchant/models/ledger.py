"""The schema of run.json, the ledger of a run, and the function that reads it.

Fields that older versions did not write may be missing; fields that are never read may be anything.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, model_validator

from penchant.data.authors import VotesFacts
from penchant.errors import OutputError
from penchant.strict_json import LACKING, Count, Fields, Number, Text, read_object

__all__ = ["ExportFacts", "Ledger", "read_ledger"]


def _name(value: str) -> str:
    """A name that may be a path; testing whether it exists must not fail."""
    try:
        os.fsencode(value)
        Path(value).expanduser()
    except (UnicodeEncodeError, RuntimeError) as error:
        raise ValueError("the name of a file") from error
    if "\0" in value:
        raise ValueError("the name of a file")
    return value


def _place(value: str) -> str:
    if len(value) > 4000 or any(len(os.fsencode(part)) > 255 for part in Path(value).parts):
        raise ValueError("the path of a file")
    return value


def _moment(value: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError("a time in ISO 8601") from error
    return value


Name = Annotated[Text, AfterValidator(_name)]
Place = Annotated[Name, AfterValidator(_place)]
Moment = Annotated[Text, AfterValidator(_moment)]
Digests = dict[Text, Text]
"""sha256 of files, by name."""


class ModelSection(Fields):
    """Settings of the model."""

    name: Place
    reference: Place | None = LACKING
    device: Text = LACKING
    dtype: Text = LACKING
    lora: dict[Text, Any] | None = LACKING


class DataSection(Fields):
    """Settings of the data."""

    files: list[Name] = LACKING
    max_length: Count = LACKING
    special_tokens: Text = LACKING


class OptimiserSection(Fields):
    """Settings of the optimiser."""

    learning_rate: Number | None = LACKING
    epochs: Number = LACKING
    batch_size: Count = LACKING


class ObjectiveSection(Fields):
    """Settings of an objective on preferences."""

    objective: Text
    beta: Number | None = LACKING
    sft_weight: Number = LACKING


class Settings(Fields):
    """The settings of a run, as far as they are read from the ledger."""

    output: Place | None = LACKING
    seed: Count = LACKING
    model: ModelSection | None = LACKING
    data: DataSection = LACKING
    optimiser: OptimiserSection = LACKING
    dpo: ObjectiveSection | None = LACKING


class PlaceFacts(Fields):
    """A folder that weights were read from, and the run whose model it is. Without a path: a model in memory."""

    path: Place | None
    run: Place | None
    files: Digests


class FileFacts(Fields):
    """A file that was read."""

    path: Place
    sha256: Text


class DataFileFacts(FileFacts):
    """A data file that was read, with its annotators."""

    votes: VotesFacts = LACKING
    answered_by: dict[Text, Count] = LACKING
    written_by: dict[Text, Count] = LACKING


class OriginFacts(PlaceFacts):
    """A model that a run started with."""

    name: Place
    digest: Text
    base: PlaceFacts = LACKING
    gguf: FileFacts = LACKING
    exported: ExportFacts = LACKING


class ExportFacts(Fields):
    """The provenance of an exported model."""

    exported_at: Text
    dtype: Text
    digest: Text
    files: Digests
    of: OriginFacts


class AlarmFacts(Fields):
    """An alarm that was raised while training."""

    name: Text
    step: Count
    text: Text
    sentence: Text = LACKING
    facts: dict[Text, Any] = LACKING


class LikenessFacts(Fields):
    """The similarity of the sides of pairs before training."""

    num: Count
    median: Number
    highest: Number
    most_alike: list[Text]


class Ledger(Fields):
    """The inputs, settings and cost of a run."""

    config: Settings
    command: Text = LACKING
    status: Literal["running", "finished"] = LACKING
    versions: dict[Text, Any] = LACKING
    started_at: Moment = LACKING
    finished_at: Moment = LACKING
    clock: Moment = LACKING
    chat_template: Text | None = LACKING

    origins: dict[Literal["model", "reference"], OriginFacts] | None = LACKING
    model_digest: Text = LACKING
    reference_digest: Text | None = LACKING
    data_digest: Text = LACKING
    tokens_digest: Text = LACKING
    model_files: Digests | None = LACKING
    run_files: Digests = LACKING
    data: list[Name] = LACKING
    data_files: list[DataFileFacts] | None = LACKING
    rows: dict[Text, Count] = LACKING

    beta: Number | None = LACKING
    judge: Text = LACKING
    held_out_longer: Number | None = LACKING
    likeness: LikenessFacts | None = LACKING
    alarms: list[AlarmFacts] = LACKING
    trackers: dict[Text, Text] = LACKING
    num_train_pairs: Count = LACKING
    num_held_out_pairs: Count = LACKING
    num_train_prompts: Count = LACKING
    num_held_out_prompts: Count = LACKING
    num_train_responses: Count = LACKING
    num_held_out_responses: Count = LACKING
    num_train_texts: Count = LACKING
    num_held_out_texts: Count = LACKING

    num_parameters_trained: Count = LACKING
    num_steps: Count = LACKING
    num_tokens: Count = LACKING
    num_responses_written: Count = LACKING
    num_pairs_made: Count = LACKING
    training_seconds: Number = LACKING
    unique_tokens_per_second: Number = LACKING
    peak_memory_bytes: Number = LACKING
    stopped_early: Text = LACKING

    @model_validator(mode="after")
    def _names_what_it_was_trained_against(self) -> Self:
        if self.reference_digest and self.config.model is None:
            raise ValueError("'config.model' is missing, which names the reference")
        if self.reference_digest == "" and self.config.dpo is None:
            raise ValueError("'config.dpo' is missing, whose objective has no reference")
        return self


def read_ledger(run: Path) -> dict[str, Any]:
    """Read run.json of a run folder. Raises OutputError, also for a field whose type violates `Ledger`."""
    mend = "correct that, put the file back as the run wrote it, or begin another run"
    try:
        return read_object(run / "run.json", Ledger, OutputError, mend)
    except OSError as error:
        raise OutputError(f"{run}: holds no run.json, so it is not a run folder; give the folder of a run") from error
