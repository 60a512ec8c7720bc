"""Write a model folder for other tools, atomically: weights, tokenizer, chat template, generation config.

Before it gets its name it is read back and compared with the model in memory, see `penchant.models.written`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from penchant.errors import ConfigError, WrittenError
from penchant.files import replacing_folder
from penchant.models.adapters import quiet_peft
from penchant.models.building import without_bars
from penchant.models.language_model import LanguageModel
from penchant.models.quantised import is_quantised, write_record
from penchant.models.written import Run, require_same_adapter, require_same_model
from penchant.wording import reason_of

__all__ = ["rehearse", "require_written", "save_model"]

READABLE = 0o644


def save_model(
    model: LanguageModel,
    folder: Path,
    *,
    dtype: torch.dtype = torch.float32,
    sign: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write the model, or its adapter, with everything `from_pretrained` needs, its weights as `dtype`.

    The weights must already be representable in that dtype, see `merging.round_weights`. sign: writes further files
    into the temporary folder once the model was verified. Raises OSError, and WrittenError if the written model
    differs: no file is kept then, and `folder` is unchanged.
    """
    folder = folder.resolve()
    with replacing_folder(folder, last="config.json") as scratch:  # without it, nothing loads the folder as a model
        _write(model, scratch, dtype)
        require_written(model.network, scratch, folder, model.run)
        sign(scratch)


def rehearse(model: LanguageModel) -> None:
    """Write the new adapter and read it back, so that an adapter that cannot be saved is not trained.

    Raises ConfigError.
    """
    try:
        with tempfile.TemporaryDirectory() as scratch:
            _write(model, Path(scratch), torch.float32)
            require_same_adapter(model.network, Path(scratch), model.run)
    except OSError:  # an error of the temporary folder, not of the model
        pass
    except Exception as error:  # peft and custom networks may raise anything
        raise ConfigError(
            f"model.lora: an adapter on a {type(model.causal_lm).__name__} cannot be run, written and read back by "
            f"peft ({reason_of(error)}); name other model.lora.targets, or leave model.lora out and train all weights"
        ) from error
    finally:
        model.freeze_beyond_text()


def require_written(network: Any, scratch: Path, folder: Path, run: Run = lambda work: work()) -> None:
    """Compare the files in `scratch`, the future `folder`, with the network. Raises WrittenError.

    run: runs the network of an adapter, see `require_same_adapter`.
    """
    try:
        if hasattr(network, "peft_config"):
            require_same_adapter(network, scratch, run)
        else:
            require_same_model(network, scratch)
    except WrittenError as error:
        raise WrittenError(
            f"{folder}: the model that was written there differs from the one in memory ({error}), so it was not kept; "
            "check the disk, and write it again"
        ) from error


def _write(model: LanguageModel, scratch: Path, dtype: torch.dtype) -> None:
    _cast(model.network, dtype)
    try:
        with quiet_peft(), without_bars():
            model.network.save_pretrained(scratch)
    finally:
        _cast(model.network, torch.float32)
    if is_quantised(model.network):
        write_record(scratch)
    if model.encoder.template:
        model.tokenizer.chat_template = model.encoder.template
    model.tokenizer.save_pretrained(scratch)
    if not (scratch / "generation_config.json").exists() and (says := _generation_config(model)) is not None:
        says.save_pretrained(scratch)
    for file in scratch.iterdir():
        file.chmod(READABLE)  # safetensors writes files readable only by the owner; a server often runs as another user


def _generation_config(model: LanguageModel) -> Any:
    """Write the generation config also for adapters and reward models, as it names the end tokens."""
    return getattr(model.causal_lm, "generation_config", None)


def _cast(network: Any, dtype: torch.dtype) -> None:
    """Cast parameters only; buffers such as frequencies are not written."""
    for parameter in network.parameters():
        if parameter.dtype != dtype and parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
