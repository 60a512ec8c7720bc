"""The base of all settings sections: frozen, no unknown keys, booleans are not numbers; and types of values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from penchant.no_booleans import no_boolean

__all__ = ["Checked", "Place", "Positive", "Section", "Share"]

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Place = Annotated[str, AfterValidator(os.path.expanduser)]
"""A path; ~ is the home folder wherever it is written, not only where a shell reads it."""


class Checked(BaseModel):
    """Values given by a file or a caller, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_no_booleans(cls, value: object, info: ValidationInfo) -> object:
        return no_boolean(cls.model_fields[str(info.field_name)].annotation, value)


class Section(Checked):
    """A group of settings."""

    @classmethod
    def settings(cls, given: Mapping[str, Any]) -> dict[str, FieldInfo]:
        """Every setting it accepts, by name, where `given` holds the settings that were given."""
        return cls.model_fields
