"""A command in several processes that torchrun started: once they have met, all but the first are silent."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from penchant.errors import ConfigError
from penchant.process import num_processes, process_rank

__all__ = ["one_of_several"]

TOGETHER = ("dpo", "sft", "reward", "rlhf", "sample", "score", "eval")
"""The commands whose processes share the work."""


@contextmanager
def one_of_several() -> Iterator[None]:
    """Inside, this process is one of those that torchrun started, if it did; what one fails with, the first says."""
    if num_processes() == 1:
        yield
        return
    nobody = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # until the process ends
    verb = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if process_rank() > 0 and (verb not in TOGETHER or os.environ.get("LOCAL_RANK", "0") != "0"):
        sys.stdout = sys.stderr = nobody
    if verb not in TOGETHER:
        raise ConfigError(
            f"`penchant {verb}` runs in one process, unlike {', '.join(TOGETHER)}; start it without torchrun"
        )
    from penchant import ranks

    with ranks.joined():
        if process_rank() > 0:
            sys.stdout = sys.stderr = nobody
        yield
