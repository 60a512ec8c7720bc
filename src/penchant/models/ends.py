"""The tokens that end an answer, from a model's generation config and its config."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from penchant.errors import ModelError
from penchant.models.config_types import require_types
from penchant.models.digests import GENERATION_CONFIG
from penchant.models.network import read_json

__all__ = ["end_ids", "end_ids_in", "generation_folder"]


def generation_folder(path: Path, base: Path) -> Path:
    """The folder with the generation config: an adapter's, if it has one, else its base's."""
    return path if (path / GENERATION_CONFIG).is_file() else base


def end_ids(folder: Path, network: Any) -> tuple[int, ...]:
    """The tokens that end a turn, from generation config and model config. Raises ModelError for an invalid token."""
    ends: list[int] = []
    of_generation = getattr(network, "generation_config", None)
    if of_generation is None and (folder / GENERATION_CONFIG).is_file():  # classifiers load none
        of_generation = SimpleNamespace(**read_json(folder / GENERATION_CONFIG))
    for config in (of_generation, network.config):
        value = getattr(config, "eos_token_id", None)
        ends += [] if value is None else value if isinstance(value, list) else [value]
    rows = len(network.get_input_embeddings().weight)
    if strange := [end for end in ends if not isinstance(end, int) or not 0 <= end < rows]:
        raise ModelError(
            f"{folder}: eos_token_id is {strange[0]!r}, and the model's tokens go from 0 to {rows - 1}; correct it in "
            "config.json and generation_config.json"
        )
    return tuple(dict.fromkeys(ends))


def end_ids_in(folder: Path, config: dict[str, object]) -> list[int]:
    """The same from the folder and a model's config, without loading a network.

    Raises ModelError for an invalid token.
    """
    generation = folder / GENERATION_CONFIG
    of_generation = read_json(generation) if generation.is_file() else {}
    require_types(generation, of_generation)
    ends: list[int] = []
    for source in (of_generation, config):
        value = source.get("eos_token_id")
        ends += [value] if isinstance(value, int) else value if isinstance(value, list) else []
    return list(dict.fromkeys(ends))
