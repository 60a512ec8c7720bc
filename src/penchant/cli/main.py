"""The command `penchant`: its verbs, and what happens when one fails."""

from __future__ import annotations

import errno
import io
import os
import platform
import re
import sys
import traceback
from typing import Annotated

import typer

from penchant.cli import (
    annotate,
    chat,
    check,
    demo,
    dpo,
    evaluate,
    export,
    judge,
    lab,
    lineage,
    models,
    objectives,
    rank,
    report,
    round,
    sample,
    score,
    sft,
    verify,
    votes,
)
from penchant.cli.hints import Command, as_typed
from penchant.errors import PenchantError, UserError
from penchant.reading import os_reason
from penchant.training.interrupt import stopping
from penchant.versions import installed_versions
from penchant.wording import SPELT_OUT, one_line, reason_of

__all__ = ["app", "main"]

app = typer.Typer(
    name="penchant",
    help="Turn what people prefer into a better language model.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(models.app, name="models")
app.add_typer(votes.app, name=votes.NAME)
INTERRUPTED = 130
"""The exit code after Ctrl-C."""
STOPPED = "interrupted; files that are complete are kept, and a command with --resume continues from them"
"""Where the command had no words of its own for it."""
OF_A_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM)
"""What the system says of a name that a user gave, wherever it was first looked at."""
OF_MEMORY = re.compile(r"out of memory|(?:can't|cannot|unable to) allocate", re.IGNORECASE)
"""What PyTorch and numpy say when there is none left, on any device."""
VERBS = (
    check,
    sample,
    annotate,
    judge,
    rank,
    sft,
    dpo,
    objectives,
    lab,
    score,
    evaluate,
    round,
    chat,
    export,
    report,
    verify,
    lineage,
    demo,
)
for verb in VERBS:
    app.command(name=verb.NAME, cls=Command)(verb.command)


def _show_version(asked: bool) -> None:
    if asked:
        rows = installed_versions() | {"platform": platform.platform()}
        typer.echo("\n".join(f"{name} {version}" for name, version in rows.items()))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            help="Show the versions, as a bug report needs them, and stop.",
            callback=_show_version,
        ),
    ] = False,
) -> None:
    """Turn what people prefer into a better language model."""


def main() -> None:
    """Entry point.

    Exit codes: 0 done, 1 our fault or a run that stopped itself, 2 the user's mistake, 130 Ctrl-C, 143 SIGTERM.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it has no bytes for is spelt out, and no fault of ours
            stream.reconfigure(errors=SPELT_OUT)
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        with stopping():
            app()
    except PenchantError as error:
        if debug:
            traceback.print_exc()
        _fail(as_typed(str(error), sys.argv), 2 if isinstance(error, UserError) else 1)
    except (KeyboardInterrupt, SystemExit) as leaving:
        if isinstance(leaving, SystemExit) and leaving.code != INTERRUPTED:  # which Typer makes of Ctrl-C
            raise
        _fail(STOPPED, INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except BaseException as error:
        if (code := getattr(error, "exit_code", None)) is not None:
            _fail(str(error) or STOPPED, code)
        if debug:
            raise
        if mendable := _of_the_machine(error):
            _fail(mendable, 2)
        _fail(f"{type(error).__name__}: {error} (this is a fault of Penchant; --debug shows where)", 1)


def _of_the_machine(error: BaseException) -> str | None:
    """What to say where the system or the memory refused, wherever that was; None for any other fault."""
    if isinstance(error, OSError) and error.errno in OF_A_NAME and error.filename:
        return f"{error.filename}: {os_reason(error)}; give another name"
    if isinstance(error, MemoryError) or OF_MEMORY.search(str(error)):
        return f"there is not enough memory ({reason_of(error)}); take a smaller model, limit or batch"
    return None


def _fail(message: str, code: int) -> None:
    from penchant.cli.console import sanitise

    print(f"penchant: {sanitise(one_line(message))}", file=sys.stderr)
    sys.exit(code)
