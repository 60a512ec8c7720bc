"""Cache tokens between runs: the cache key, and who creates an entry, when.

The key is a digest of the data, of the settings that decide which rows are read and how they are cut, of the tokenizer,
the chat template, and the Penchant files that read and encode. So tokens of another tokenizer are never used; damaged
entries are rebuilt.
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
"""The most bytes of all stores in the cache folder; the least recently used ones are removed."""

Found = TypeVar("Found")


def tokens_folder(run: RunConfig) -> Path | None:
    """The folder in which a run caches tokens; None for a run that writes nothing."""
    return cache_folder() / "tokens" if run.output else None


def key_of(sources: Sequence[Source], encoder: ChatEncoder, limits: Limits, read_as: str) -> str | None:
    """The cache key of these data; None if what they depend on is unknown.

    read_as: everything else that decides what is read of them and how it is processed.
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
    """Return what `read` finds at `place`; if it is missing or damaged, `make` writes it first, in one process.

    Raises OSError if the folder is not writable.
    """
    lock = place.with_name(f".{place.name}.lock")
    place.parent.mkdir(parents=True, exist_ok=True)
    while (found := _opened(place, read, say)) is None:
        with ExitStack() as stack:
            try:
                stack.enter_context(exclusive(lock, "another run writes these tokens"))
            except OutputError:
                say("another run is tokenising the same data; waiting for it")
                _wait_while(lock)
                continue
            if _opened(place, read, lambda _: None) is None:
                make(place)
    _remove_oldest(place.parent, keep=place)
    return found


def _opened(place: Path, read: Callable[[Path], Found], say: Callable[[str], None]) -> Found | None:
    """The cached entry; None if it is missing or damaged."""
    try:
        found = read(place)
        os.utime(place)
    except FileNotFoundError:
        return None
    except (DamagedStore, ValueError, KeyError) as error:
        say(f"{place}: the stored tokens are damaged ({error}); the data are tokenised again")
        return None
    return found


def _wait_while(lock: Path) -> None:
    while lock.exists():
        with suppress(OutputError, OSError), exclusive(lock, "held"):
            return
        time.sleep(0.2)


def _remove_oldest(folder: Path, keep: Path) -> None:
    """Remove the oldest stores until the rest is within MOST_BYTES; open ones stay readable."""
    stores = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    total = 0
    with suppress(OSError):
        for path in sorted(stores, key=lambda path: (path != keep, -path.stat().st_mtime)):
            total += sum(file.stat().st_size for file in path.iterdir())
            if total > MOST_BYTES and path != keep:
                shutil.rmtree(path, ignore_errors=True)


@cache
def _code() -> str:
    """The sha256 of the files that read and encode, and the versions of their dependencies."""
    digest = hashlib.sha256("".join(version(name) for name in ("transformers", "tokenizers", "jinja2")).encode())
    for room in (penchant.data, penchant.tokens):
        for file in sorted(Path(str(room.__file__)).parent.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
