"""Read the instructions of a judge behind an endpoint from a file."""

from __future__ import annotations

import os

from penchant.errors import ConfigError
from penchant.reading import read_given

__all__ = ["read_instructions"]


def read_instructions(path: str | os.PathLike[str] | None) -> str | None:
    """The text of the file; None if none is given. Raises ConfigError if it is unreadable or empty."""
    text = read_given(path, "instructions", "a text file")
    if text is not None and not text.strip():
        raise ConfigError(
            f"{path}: the file of `instructions=...` is empty; write what the judge should weigh, or leave it out"
        )
    return text
