"""Tokens kept in the cache folder from one run to the next: the name they are found by, and who makes them, when.

The name is a digest of the data, of the settings that decide which rows are read and how they are cut, of the
tokenizer, the chat template, and the files of Penchant that read and encode. So tokens of another tokenizer are never
taken; those that are damaged are made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import penchant.data
import penchant.tokens
from penchant.data.given import FileSource, Source, digest_of
from penchant.data.importers.added import GROUP
from penchant.data.read_as import ReadAs
from penchant.errors import OutputError
from penchant.files import exclusive
from penchant.models.cache import cache_folder
from penchant.plugins import added_names
from penchant.tokens import ChatEncoder, Limits
from penchant.tokens.columns import DamagedStore
from penchant.training.config import RunConfig

__all__ = ["MOST_BYTES", "found_or_made", "key_of", "tokens_folder"]

MOST_BYTES = 20 * 1000**3
"""What all stores of the cache folder may take; those used longest ago are removed beyond it."""

Found = TypeVar("Found")


def tokens_folder(run: RunConfig) -> Path | None:
    """Where a run keeps tokens; None for one that writes nothing."""
    return cache_folder() / "tokens" if run.output else None


def key_of(sources: Sequence[Source], encoder: ChatEncoder, limits: Limits, read_as: str) -> str | None:
    """The name of the tokens of these data; None where what they depend on cannot be told.

    read_as: all else that decides what is read of them, and what becomes of it.
    """
    encoder_is = encoder.fingerprint()
    files = [one.source if isinstance(one, ReadAs) else one for one in sources]
    found_again = all(isinstance(one, FileSource) and not one.is_piped for one in files)
    if encoder_is is None or not found_again or added_names(GROUP):
        return None
    rest = limits.max_length, limits.max_prompt_length, limits.context_length, read_as
    parts = [digest_of(sources), [repr(one) for one in sources], encoder_is, rest, _code()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def found_or_made(
    place: Path, read: Callable[[Path], Found], make: Callable[[Path], object], say: Callable[[str], None]
) -> Found:
    """What `read` finds at `place`; where there is nothing, or what is damaged, `make` writes it first, in one run.

    Raises OSError where the folder takes no files.
    """
    lock = place.with_name(f".{place.name}.lock")
    place.parent.mkdir(parents=True, exist_ok=True)
    while (found := _opened(place, read, say)) is None:
        with ExitStack() as stack:
            try:
                stack.enter_context(exclusive(lock, "another run writes these tokens"))
            except OutputError:
                say("another run is making the tokens of these data; waiting for it")
                _wait_while(lock)
                continue
            if _opened(place, read, lambda _: None) is None:
                make(place)
    _remove_oldest(place.parent, keep=place)
    return found


def _opened(place: Path, read: Callable[[Path], Found], say: Callable[[str], None]) -> Found | None:
    """What is kept there; None for nothing, and for what is damaged."""
    try:
        found = read(place)
        os.utime(place)
    except FileNotFoundError:
        return None
    except (DamagedStore, ValueError, KeyError) as error:
        say(f"{place}: the kept tokens are damaged ({error}); they are made again")
        return None
    return found


def _wait_while(lock: Path) -> None:
    while lock.exists():
        with suppress(OutputError, OSError), exclusive(lock, "held"):
            return
        time.sleep(0.2)


def _remove_oldest(folder: Path, keep: Path) -> None:
    """Until the rest is within MOST_BYTES; a store that another process has open stays readable to it."""
    stores = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    total = 0
    with suppress(OSError):
        for path in sorted(stores, key=lambda path: (path != keep, -path.stat().st_mtime)):
            total += sum(file.stat().st_size for file in path.iterdir())
            if total > MOST_BYTES and path != keep:
                shutil.rmtree(path, ignore_errors=True)


@cache
def _code() -> str:
    """sha256 of the files that read and encode, and the versions of what they use."""
    digest = hashlib.sha256("".join(version(name) for name in ("transformers", "tokenizers", "jinja2")).encode())
    for room in (penchant.data, penchant.tokens):
        for file in sorted(Path(str(room.__file__)).parent.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
