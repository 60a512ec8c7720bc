"""The shell's words for those of the library and of other tools: options by their names, as they are typed."""

import re
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from penchant.errors import ConfigError
from penchant.training.arguments import ARGUMENTS_ELSEWHERE

__all__ = ["OPTIONS", "Command", "as_typed", "refuse_unread", "typed"]

ARGUMENT = re.compile(r"`([a-z][a-z_]*)=([^`]+)`")
UsageError: Any = typer.BadParameter.__base__
OPTIONS = {f"--{one.replace('_', '-')}": f"--{ours.replace('_', '-')}" for one, ours in ARGUMENTS_ELSEWHERE.items()}


class Command(TyperCommand):
    """A command that takes `-.csv` for a file, and whose complaint about a word that it does not know says its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, [*args])
        except UsageError as error:
            if "--" not in args and (piped := [one for one in args if one.startswith("-.")]):
                return super().parse_args(ctx, [*(one for one in args if one not in piped), "--", *piped])
            known = {name for param in self.params for name in param.opts}
            meant = OPTIONS.get(str(getattr(error, "option_name", "")).replace("_", "-"))
            if meant in known:
                error.possibilities = [meant]
            elif "--data" in known and "unexpected extra argument" in error.message:
                run = ", a run with --output FOLDER" if "--resume" in known else ""
                error.message = f"{error.message.rstrip('.')}; data is named with --data FILE{run}"
            raise


def as_typed(message: str, arguments: Sequence[str]) -> str:
    """The library's message with its arguments as options: `resume=True` is --resume, top_p is --top-p where typed so.

    The library writes an argument to give as Python would, between backticks: `reference=...`, `on_bad_row="drop"`.
    """
    message = ARGUMENT.sub(lambda found: _option(*found.groups()), message)
    for option in (argument.partition("=")[0] for argument in arguments if argument.startswith("--")):
        name = re.escape(option.removeprefix("--").replace("-", "_"))
        message = re.sub(rf"(?<![\w.'/-]){name}(?= (?:is|must) )", option.replace("\\", r"\\"), message)
    return message


def typed(message: str) -> str:
    """`as_typed` for the command that runs."""
    return as_typed(message, sys.argv)


def refuse_unread(ctx: typer.Context, read: Sequence[str], where: str) -> None:
    """Raise ConfigError for an option that was typed and is not among those that are read there."""
    for name in ctx.params:
        if name not in read and str(ctx.get_parameter_source(name)).endswith("COMMANDLINE"):
            raise ConfigError(f"`{name}=...` is not read {where}; leave it out")


def _option(name: str, value: str) -> str:
    option = f"--{name.replace('_', '-')}"
    return option if value in ("True", "...") else f"`{option} {value.strip(chr(34))}`"
