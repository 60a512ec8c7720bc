"""Map other names to settings: the arguments of functions and commands, and the names in other tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from penchant.errors import ConfigError
from penchant.wording import nearest

__all__ = ["ARGUMENTS_ELSEWHERE", "PARTS", "SETTING_OF", "Arguments", "dotted", "setting_meant"]


class Arguments(TypedDict, total=False):
    """Settings that `penchant.dpo`, `sft` and `reward` take as arguments; None, or omitted, means the default.

    learning_rate: peak learning rate. epochs: passes over the data. max_steps: the most optimiser steps. batch_size:
    pairs, or texts, per optimiser step. max_rows: the most records to use. subset: which ones, "head" or "random".
    max_length, max_prompt_length: in tokens. held_out: share of the prompts. lora: True, or LoraConfig's fields; False:
    no adapter, whatever `settings` and `config` say. on_bad_row: "drop" or "error". columns: {a column of the data: the
    name by which it is read}. format: the format to read rows by, if several fit. pairing, min_gap: which answers of a
    ranked or scored list become pairs.
    """

    learning_rate: float | None
    epochs: int | None
    max_steps: int | None
    batch_size: int | None
    max_rows: int | None
    subset: str | None
    max_length: int | None
    max_prompt_length: int | None
    pairing: str | None
    min_gap: float | None
    held_out: float | None
    lora: bool | Mapping[str, Any] | None
    seed: int | None
    device: str | None
    dtype: str | None
    chat_template: str | None
    special_tokens: str | None
    on_bad_row: str | None
    columns: Mapping[str, str] | str | None
    format: str | None
    eval_every: int | None


SETTING_OF = {
    "output": "output",
    "seed": "seed",
    "data": "data.files",
    "model": "model.name",
    "reference": "model.reference",
    "lora": "model.lora",
    "device": "model.device",
    "dtype": "model.dtype",
    "chat_template": "model.chat_template",
    "preset": "preset",
    "objective": "dpo.objective",
    "beta": "dpo.beta",
    "centring": "reward.centring",
    "learning_rate": "optimiser.learning_rate",
    "epochs": "optimiser.epochs",
    "max_steps": "optimiser.max_steps",
    "batch_size": "optimiser.batch_size",
    "eval_every": "save.eval_every",
    "on_bad_row": "data.on_bad_row",
    "columns": "data.columns",
    "format": "data.format",
    "pairing": "data.pairing",
    "min_gap": "data.min_gap",
    **{
        name: f"data.{name}"
        for name in ("max_rows", "subset", "max_length", "max_prompt_length", "held_out", "special_tokens")
    },
}
"""Arguments of commands and functions, with the settings they set."""
ELSEWHERE = {
    "lr": "learning_rate",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "loss_type": "objective",
    "max_seq_length": "max_length",
    "dataset": "data",
}
"""Arguments by their names in other tools, for functions, commands and settings files."""
ARGUMENTS_ELSEWHERE = ELSEWHERE | {
    "output_dir": "output",
    "out": "output",
    "dataset_name": "data",
    "train_file": "data",
    "model_name_or_path": "model",
    "use_peft": "lora",
    "max_samples": "max_pairs",
    "max_tokens": "max_new_tokens",
    "resume_from_checkpoint": "resume",
}
"""The same, for commands."""
PARTS = ELSEWHERE | {
    "optimizer": "optimiser",
    "lr_scheduler_type": "schedule",
    "quantization": "quantisation",
    "adam_beta1": "beta1",
    "adam_beta2": "beta2",
    "adam_epsilon": "epsilon",
    "training": "optimiser",
    "max_pairs": "max_rows",
    "max_prompts": "max_rows",
}
"""Parts of setting names by their names in other tools."""


def dotted(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Convert arguments to settings: {"epochs": 2} is {"optimiser.epochs": 2}. Raises ConfigError for unknown ones."""
    for name in arguments:
        if name not in SETTING_OF:
            meant = PARTS.get(name) or nearest(name, SETTING_OF)
            hint = f"did you mean `{meant}=...`?" if meant else f"choose from {', '.join(SETTING_OF)}."
            raise ConfigError(f"there is no argument {name!r}; {hint} Any setting can be given in `settings=...`")
    lora = arguments.get("lora")
    return {SETTING_OF[name]: value for name, value in arguments.items()} | {"model.lora": {} if lora is True else lora}


def setting_meant(key: str) -> str:
    """Translate the parts of a setting's name that other tools call differently."""
    return ".".join(PARTS.get(part, part) for part in key.replace("-", "_").split("."))
