"""What was perhaps meant by words that other tools know: options by other names, data without --data."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

__all__ = ["Command"]

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
