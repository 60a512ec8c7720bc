"""The command `penchant`, also as `python -m penchant`: Ctrl-C ends it without a traceback from the first moment."""

import signal
import sys

__all__ = ["main"]

INTERRUPTED = 130


def main() -> None:
    """Entry point; the exit codes are those of `penchant.cli.main.main`."""
    try:
        from penchant.cli.main import main as shell  # reading its modules takes half a second

        shell()
    except KeyboardInterrupt:
        print("penchant: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends cleanup at once


if __name__ == "__main__":
    main()
