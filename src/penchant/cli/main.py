"""The command `penchant` and its verbs."""

import importlib
import io
import os
import sys

import typer

from penchant.cli import models, votes
from penchant.cli.added import Verbs
from penchant.cli.declaring import declared, option
from penchant.cli.failures import one_sentence
from penchant.cli.hints import Command
from penchant.cli.processes import one_of_several
from penchant.process import own_process
from penchant.progress import announce_torch
from penchant.versions import versions_in_words
from penchant.wording import SPELT_OUT

__all__ = ["app", "main"]

app = typer.Typer(
    name="penchant",
    cls=Verbs,
    help="Turn what people prefer into a better language model.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(models.app, name="models")
app.add_typer(votes.app, name="votes")
VERBS = (
    *("check", "convert", "sample", "annotate", "judge", "pair", "rank", "plan", "sft", "dpo", "reward", "rlhf"),
    *("objectives", "lab", "score"),
    *("eval", "frontier", "sweep", "round", "chat", "serve", "export", "report", "verify", "lineage", "demo"),
)
"""Files of this folder, each named as its command and with the function `command`, in the order of the help."""
for verb in VERBS:
    app.command(name=verb, cls=Command)(declared(importlib.import_module(f"penchant.cli.{verb}").command))


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(versions_in_words())
        raise typer.Exit


@app.callback()
def _options(
    version: bool = option(
        "Show the versions, as a bug report needs them, and exit.",
        "--version",
        default=False,
        is_eager=True,
        callback=_show_version,
    ),
) -> None:
    """Turn what people prefer into a better language model."""


def main() -> None:
    """Entry point.

    Exit codes: 0 done, 1 our fault or a run that stopped itself, 2 the user's mistake, 130 Ctrl-C, 143 SIGTERM.
    """
    own_process()
    announce_torch()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it has no bytes for is spelt out, and no fault of ours
            stream.reconfigure(errors=SPELT_OUT)
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    with one_sentence(debug), one_of_several():
        app()
