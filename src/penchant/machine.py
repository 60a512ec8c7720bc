"""Explain errors of the operating system and of memory in words."""

from __future__ import annotations

import errno
import re

from penchant.reading import os_reason
from penchant.wording import reason_of

__all__ = ["is_out_of_memory", "refused_by_the_machine"]

OF_A_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM)
"""Error codes caused by a path that a user gave."""
OF_MEMORY = re.compile(r"out of memory|(?:can't|cannot|unable to) allocate", re.IGNORECASE)
"""Messages of PyTorch and numpy when memory runs out, on any device."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on any device."""
    return isinstance(error, MemoryError) or OF_MEMORY.search(str(error)) is not None


def refused_by_the_machine(error: BaseException) -> str | None:
    """The message for an unexpected error that a user can fix; None for any other."""
    if isinstance(error, OSError) and error.errno in OF_A_NAME and error.filename:
        return f"{error.filename}: {os_reason(error)}; give another name"
    if is_out_of_memory(error):
        return f"there is not enough memory ({reason_of(error)}); take a smaller model, limit or batch"
    return None
