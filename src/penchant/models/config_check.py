"""Check a model folder's configuration against its weight files before a network is built.

A configuration is untrusted: ten million layers would be built for hours, and zero layers would also be a model. The
headers of the weights tell the number of layers and all sizes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from penchant.errors import ModelError
from penchant.models.config_types import AdapterTypes, require_types

__all__ = ["Shapes", "layers_beyond", "read_shapes", "require_adapter_fits", "require_config_fits"]

Shapes = Mapping[str, tuple[int, ...]]
"""The shape of every tensor in the weight files, by name."""

LAYERS = re.compile(r"(num_|n_)?(hidden_|decoder_)?layers?")
SIZES = re.compile(r"(vocab|hidden|intermediate)_size|n_embd|d_model|(num_)?encoder_layers|\w+_(heads?|experts)")
IN_A_LIST = re.compile(r"\.(\d{1,9})(?=\.)")
MOST_LOOPS = 16
"""Some models run their layers several times, and count each run."""
LARGEST = 2**63 - 1
"""The largest integer of tensors and tokenizers."""


def read_shapes(path: Path) -> Shapes:
    """Names and shapes in the headers of the folder's weight files; raises ModelError for one that cannot be read."""
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(path.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                shapes |= {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{file}: cannot be read as weights ({error}); fetch or save it again") from error
    return shapes


def require_config_fits(file: Path, config: Mapping[str, Any], shapes: Shapes) -> None:
    """Raise ModelError for impossible values, types or sizes, and for more layers than the weights have."""
    num_layers = max((index + 1 for _, index in _listed(shapes)), default=len(shapes))
    for name, value in _numbers(config):
        part, _, key = name.rpartition(".")
        if math.isnan(value):
            raise ModelError(f"{file}: {name} is not a number (NaN); fetch the model again")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ModelError(f"{file}: {name} is a number of {_num_digits(value)} digits; fetch the model again")
        if LAYERS.fullmatch(key):
            least = int(part in ("", "text_config"))
            _require_within(file, name, value, least, MOST_LOOPS * num_layers, f"{num_layers} layers")
        elif SIZES.fullmatch(key):
            most = max(_largest(shapes), len(shapes))
            _require_within(file, name, value, 0, most, f"no size above {most}")
    require_types(file, config)


def require_adapter_fits(file: Path, config: Mapping[str, Any], shapes: Shapes) -> None:
    """The same for an adapter: no rank exceeds that in its file."""
    require_types(file, config, AdapterTypes)
    require_config_fits(file, {k: v for k, v in config.items() if not LAYERS.fullmatch(k)}, shapes)
    for name, value in _numbers({k: config.get(k) for k in ("r", "rank_pattern")}):
        most = _largest(shapes)
        _require_within(file, name, value, 1, most, f"no size above {most}")


def layers_beyond(unexpected: Iterable[str], used: Iterable[str]) -> list[str]:
    """Weights beyond the network's layers, in lists of layers of which it has the first ones."""
    lists = {prefix for prefix, _ in _listed(used)}
    return [name for name in unexpected if any(prefix in lists for prefix, _ in _listed([name]))]


def _require_within(file: Path, name: str, value: float, least: int, most: int, what: str) -> None:
    if not least <= value <= most:
        raise ModelError(
            f"{file}: {name} is {value}, which is not between {least} and {most}, as the weights beside it have "
            f"{what}; fetch the model again, or put back the configuration that belongs to them"
        )


def _largest(shapes: Shapes) -> int:
    return max((size for shape in shapes.values() for size in shape), default=0)


def _listed(names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The lists and indices in tensor names: "model.layers.7.mlp.weight" gives ("model.layers", 7)."""
    for name in names:
        for found in IN_A_LIST.finditer(name):
            yield name[: found.start()], int(found.group(1))


def _numbers(config: object, prefix: str = "") -> Iterator[tuple[str, int | float]]:
    """Every number in a configuration with its path, such as "text_config.vocab_size"."""
    if isinstance(config, int | float) and not isinstance(config, bool):
        yield prefix, config
    elif isinstance(config, dict):
        for key, value in config.items():
            yield from _numbers(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(config, list):
        for value in config:
            yield from _numbers(value, f"{prefix}[]")


def _num_digits(value: int) -> int:
    return int(abs(value).bit_length() * math.log10(2)) + 1
