"""What was perhaps meant by words that other tools know: options and settings by other names, data without --data."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

__all__ = ["Command", "setting_meant"]

UsageError: Any = typer.BadParameter.__base__
OPTIONS = {
    "--lr": "--learning-rate",
    "--num-epochs": "--epochs",
    "--num-train-epochs": "--epochs",
    "--per-device-train-batch-size": "--batch-size",
    "--output-dir": "--output",
    "--out": "--output",
    "--dataset": "--data",
    "--dataset-name": "--data",
    "--train-file": "--data",
    "--model-name-or-path": "--model",
    "--use-peft": "--lora",
    "--loss-type": "--objective",
    "--max-seq-length": "--max-length",
    "--max-samples": "--max-pairs",
    "--max-tokens": "--max-new-tokens",
    "--resume-from-checkpoint": "--resume",
}
PARTS = {
    "optimizer": "optimiser",
    "lr": "learning_rate",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "lr_scheduler_type": "schedule",
    "loss_type": "objective",
    "adam_beta1": "beta1",
    "adam_beta2": "beta2",
    "adam_epsilon": "epsilon",
    "max_seq_length": "max_length",
    "dataset": "data",
    "training": "optimiser",
}


def setting_meant(key: str) -> str:
    """A setting's name with every part that another tool calls otherwise as it is called here."""
    return ".".join(PARTS.get(part, part) for part in key.replace("-", "_").split("."))


class Command(TyperCommand):
    """A command whose complaint about a word that it does not know says which it has for it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            known = {name for param in self.params for name in param.opts}
            meant = OPTIONS.get(str(getattr(error, "option_name", "")).replace("_", "-"))
            if meant in known:
                error.possibilities = [meant]
            elif "--data" in known and "unexpected extra argument" in error.message:
                error.message = f"{error.message.rstrip('.')}; data is named with --data FILE"
            raise
