"""What the system or the memory refused, in words, wherever in the work that was."""

from __future__ import annotations

import errno
import re

from penchant.reading import os_reason
from penchant.wording import reason_of

__all__ = ["is_out_of_memory", "refused_by_the_machine"]

OF_A_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM)
"""What the system says of a name that a user gave."""
OF_MEMORY = re.compile(r"out of memory|(?:can't|cannot|unable to) allocate", re.IGNORECASE)
"""What PyTorch and numpy say when there is none left, on any device."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that there is no memory left, on any device."""
    return isinstance(error, MemoryError) or OF_MEMORY.search(str(error)) is not None


def refused_by_the_machine(error: BaseException) -> str | None:
    """What to say of an error that a user can mend though nobody foresaw it; None for any other."""
    if isinstance(error, OSError) and error.errno in OF_A_NAME and error.filename:
        return f"{error.filename}: {os_reason(error)}; give another name"
    if is_out_of_memory(error):
        return f"there is not enough memory ({reason_of(error)}); take a smaller model, limit or batch"
    return None
