"""What happens when a command fails: one sentence, an exit code, and a traceback for those who ask for it."""

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from penchant.cli.hints import typed
from penchant.errors import PenchantError, UserError
from penchant.machine import refused_by_the_machine
from penchant.training.interrupt import Interrupted, stopping
from penchant.wording import one_line, sanitise

__all__ = ["one_sentence", "saying_when_stopped"]

INTERRUPTED = 130
"""The exit code after Ctrl-C."""
STOPPED = "interrupted; files that are complete are kept, and a command with --resume continues from them"
"""Where the command had no words of its own for it."""


@contextmanager
def one_sentence(debug: bool) -> Iterator[None]:
    """End the process with one sentence and its exit code where what is inside fails.

    1 for our fault or a run that stopped itself, 2 for the user's mistake, 130 after Ctrl-C, 143 after SIGTERM.
    """
    try:
        with stopping():
            yield
    except PenchantError as error:
        if debug:
            traceback.print_exc()
        _fail(str(error), 2 if isinstance(error, UserError) else 1)
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
        if mendable := refused_by_the_machine(error):
            _fail(mendable, 2)
        _fail(f"{type(error).__name__}: {error} (this is a fault of Penchant; --debug shows where)", 1)


@contextmanager
def saying_when_stopped(words: str) -> Iterator[None]:
    """What a command says instead of STOPPED where Ctrl-C or SIGTERM ends what is inside."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT, words) from None
    except Interrupted as leaving:
        raise Interrupted(leaving.exit_code - 128, str(leaving) or words) from None


def _fail(message: str, code: int) -> None:
    print(f"penchant: {sanitise(one_line(typed(message)))}", file=sys.stderr)
    sys.exit(code)
