"""Objects that a caller passes in memory, and what replaces them in the settings of the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from penchant.data.given import Data
from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.training.callbacks import Callback
from penchant.training.trained import Run

__all__ = ["Given", "ModelLike", "Online", "loaded_of", "name_of_model", "path_of"]

ModelLike = str | os.PathLike[str] | LanguageModel | Run
"""A name or path, a loaded model, or a run."""


class Online(Protocol):
    """Pairs built during training from the policy's samples; `penchant.Online` is one."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its settings, by dotted name."""

    def data(self, prompts: Any) -> Any:
        """The caller's prompts, as data."""

    def prepare(self, config: Any, given: Given) -> tuple[Any, Given]:
        """The recipe that makes the pairs, and its inputs."""


@dataclass(frozen=True)
class Given:
    """Objects in memory that replace names in settings: model, reference, data, objective and callbacks."""

    model: LanguageModel | None = None
    reference: LanguageModel | None = None
    data: Data | None = None
    objective: Callable[[Any], Tensor] | None = None
    callbacks: Sequence[Callback] = ()

    @classmethod
    def of(
        cls,
        model: ModelLike | None,
        data: Data | None,
        *,
        reference: ModelLike | None = None,
        objective: str | Callable[[Any], Tensor] | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Given:
        """Collect the arguments that are in memory. Raises ConfigError for invalid callbacks."""
        own = objective if callable(objective) else None
        if isinstance(callbacks, Callback) or not all(isinstance(one, Callback) for one in callbacks):
            raise ConfigError("callbacks must be a list of penchant.Callback objects; give [MyCallback()]")
        return cls(loaded_of(model), loaded_of(reference), None if _are_paths(data) else data, own, callbacks)

    @staticmethod
    def names(
        model: ModelLike | None,
        data: Data | None,
        output: str | os.PathLike[str] | None,
        *,
        reference: ModelLike | None = None,
        objective: str | Callable[[Any], Tensor] | None = None,
    ) -> dict[str, Any]:
        """The arguments as settings: names and paths, none for data in memory. Raises ConfigError."""
        return {
            "model": name_of_model(model),
            "reference": name_of_model(reference),
            "data": _paths(data) if _are_paths(data) else None,
            "output": path_of(output, "output"),
            "objective": _name_of_function(objective) if callable(objective) else objective,
        }


def loaded_of(model: ModelLike | None) -> LanguageModel | None:
    """The model if it is in memory and has no folder, or was loaded by the caller."""
    if isinstance(model, Run):
        return model.model if model.path is None else None
    return model if isinstance(model, LanguageModel) else None


def name_of_model(model: ModelLike | None) -> str | None:
    """Its name for loading and in records."""
    if isinstance(model, Run):
        return model.model.name if model.path is None else str(model.path)
    if isinstance(model, LanguageModel):
        return model.name
    return path_of(model, "model", "what `penchant.load` returned, or the name or path of a model")


def path_of(value: str | os.PathLike[str] | None, argument: str, words: str = "a path") -> str | None:
    """A path as text, None for None. Raises ConfigError for anything else; `words` names the expected value."""
    if value is None or isinstance(value, str | os.PathLike):
        return None if value is None else os.fspath(value)
    raise ConfigError(f"{argument} is of type {type(value).__name__}; give {words}")


def _are_paths(data: Any) -> bool:
    """Whether this is a path, or a list or tuple of paths."""
    if isinstance(data, list | tuple):
        return bool(data) and all(isinstance(one, str | os.PathLike) for one in data)
    return data is None or isinstance(data, str | os.PathLike)


def _paths(data: Any) -> list[str] | None:
    if data is None:
        return None
    return list(map(os.fspath, [data] if isinstance(data, str | os.PathLike) else data))


def _name_of_function(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', None) or type(function).__module__}:{name}"
