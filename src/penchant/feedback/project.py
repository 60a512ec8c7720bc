"""A project is a folder: `project.yaml` has the settings, `penchant.db` the answers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from penchant.errors import ConfigError, DataError, OutputError
from penchant.files import create_private, keep_private
from penchant.strict_yaml import read_settings
from penchant.wording import nearest, shown

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["CONFIG_NAME", "DATABASE_NAME", "Project", "ProjectConfig"]

CONFIG_NAME = "project.yaml"
DATABASE_NAME = "penchant.db"

Share = Annotated[float, Field(ge=0, le=1)]


class ProjectConfig(BaseModel):
    """The settings of a project; frozen, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field("Which answer is better?", description="the question shown above each pair of answers")
    guidelines: str = Field("", description="Markdown text shown to annotators: how to decide")
    overlap: Annotated[int, Field(ge=1, le=1000)] = Field(1, description="how many people answer each pair")
    random_share: Share = Field(
        0.3, description="share of the pairs drawn at random; the others are those whose outcome is least certain"
    )
    gold_share: Share = Field(
        0.0, description="share of the questions that are pairs whose right answer is known, to check attention"
    )
    repeat_share: Share = Field(
        0.0, description="share of the questions that a person has answered before, to see whether they answer alike"
    )
    too_fast_seconds: Annotated[float, Field(ge=0)] = Field(
        1.5, description="an answer given in fewer seconds is marked as too fast"
    )
    strength: bool = Field(False, description="also ask how much better the answer is, in 4 levels")
    reasons: tuple[str, ...] = Field((), description="short reasons that a person may give, to choose from")
    lease_minutes: Annotated[float, Field(gt=0)] = Field(
        15, description="minutes for which a pair that a person has open is not given to anyone else"
    )
    database: str | None = Field(
        None, description="an SQLAlchemy URL of the database; left out: the SQLite file in the folder"
    )

    @field_validator("reasons")
    @classmethod
    def _reasons_differ(cls, reasons: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(reasons)) < len(reasons) or not all(reason.strip() for reason in reasons):
            raise ValueError("every reason must be a different text, and none may be blank")
        return reasons

    @model_validator(mode="after")
    def _shares_leave_room(self) -> Self:
        if self.gold_share + self.repeat_share > 1:
            raise ValueError("gold_share and repeat_share together must not be more than 1")
        return self


@dataclass(frozen=True)
class Project:
    """An opened project folder."""

    path: Path
    config: ProjectConfig

    @classmethod
    def open(cls, folder: str | os.PathLike[str], create: bool = False) -> Self:
        """Open the project in `folder`; with `create`, make one with the defaults if there is none.

        Raises ConfigError for a missing or invalid project.yaml, OutputError if none can be made.
        """
        path = Path(folder)
        file = path / CONFIG_NAME
        if create and not file.exists():
            return cls.create(path, {})
        if path.exists() and not path.is_dir():
            raise ConfigError(f"{path}: is a file, but a project is a folder; name one that `penchant annotate` made")
        if not file.is_file():
            raise ConfigError(
                f"{path}: is not a project, as it has no {CONFIG_NAME}; `penchant votes import {path} FILE` makes one"
            )
        keep_private(file)  # the URL of its database may contain a password
        return cls(path, _read(file))

    @classmethod
    def create(cls, folder: str | os.PathLike[str], settings: Mapping[str, Any]) -> Self:
        """Create a project with these settings and otherwise the defaults; nothing is made if one is invalid.

        Raises ConfigError for an invalid setting, OutputError if no project can be made.
        """
        path = Path(folder)
        try:
            config = ProjectConfig.model_validate(dict(settings))
        except ValidationError as error:
            raise ConfigError(f"{path}: {_explain(error)}") from None
        _write(path / CONFIG_NAME, config)
        return cls(path, _read(path / CONFIG_NAME))

    def require_answers(self) -> None:
        """Raise DataError if the file of answers is missing: creating an empty one would hide the loss."""
        if self.config.database is None and not (self.path / DATABASE_NAME).is_file():
            raise DataError(
                f"{self.path}: {DATABASE_NAME} is missing, and with it every answer; restore it from a copy"
            )

    @property
    def url(self) -> "str | URL":
        """The database URL for SQLAlchemy; it may contain a password."""
        from sqlalchemy.engine import URL

        return self.config.database or URL.create("sqlite", database=str((self.path / DATABASE_NAME).absolute()))


def _write(file: Path, config: ProjectConfig) -> None:
    lines = ["# How people are asked. Every line can be left out; what is not here is as by default.\n"]
    for name, field in ProjectConfig.model_fields.items():
        value = yaml.safe_dump({name: config.model_dump(mode="json")[name]}, allow_unicode=True).strip()
        lines += [f"# {field.description}\n", f"{value}\n"]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        create_private(file, "".join(lines))
    except FileExistsError:
        if not file.is_file():
            raise OutputError(f"{file.parent}: is not a folder; choose another place for the project") from None
    except OSError as error:
        raise OutputError(f"{file}: cannot be written ({error.strerror}); choose another folder") from error


def _read(file: Path) -> ProjectConfig:
    content = read_settings(file, expected="settings such as 'overlap: 2'", unreadable="check its permissions")
    try:
        return ProjectConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{file}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(map(str, problem["loc"]))
    message = str(problem["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if problem["type"] == "extra_forbidden":
        near = nearest(key, ProjectConfig.model_fields)
        hint = f"did you mean '{near}'?" if near else f"the settings are {', '.join(ProjectConfig.model_fields)}"
        return f"there is no setting '{key}'; {hint}"
    if not key:
        return f"{message}; change one of them"
    return f"'{key}' is {shown(problem.get('input'))}: {message}; correct it"
