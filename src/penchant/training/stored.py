"""The tokens of pairs, found again in the cache folder by all that they depend on, or made while the data are read.

A store is found by a digest of the data, of the settings that decide which rows are read and how they are cut, of the
tokenizer, the chat template, and the files of Penchant that read and encode. So a store of another tokenizer is never
taken; one that is damaged is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

import penchant.data
import penchant.tokens
from penchant.data import Loaded, Origin, PreferencePair, ReadOptions, Verdict, prompt_key
from penchant.data.given import FileSource, Source, digest_of, part_of
from penchant.data.importers.added import GROUP
from penchant.data.load import read_pairs
from penchant.data.read_as import ReadAs
from penchant.data.split import place_of
from penchant.errors import OutputError
from penchant.files import exclusive
from penchant.models.cache import cache_errors_explained
from penchant.plugins import added_names
from penchant.tokens import ChatEncoder, Limits
from penchant.tokens.pairs import encoded_pairs
from penchant.tokens.store import DamagedStore, PairStore, StoreWriter
from penchant.training.failures import FailuresSoFar

__all__ = ["MOST_BYTES", "ReadPairs", "stored_pairs"]

MOST_BYTES = 20 * 1000**3
"""What all stores of the cache folder may take; those used longest ago are removed beyond it."""
PAIRS_BETWEEN_LINES = 100_000

_LOADED: TypeAdapter[Loaded[Any]] = TypeAdapter(Loaded[Any])
_PROBLEMS: TypeAdapter[list[tuple[int, Verdict]]] = TypeAdapter(list[tuple[int, Verdict]])
_ORIGINS: TypeAdapter[list[Origin]] = TypeAdapter(list[Origin])


@dataclass(frozen=True)
class ReadPairs:
    """store: the pairs as tokens. loaded: how the rows were read, without the records.

    places: of every record, where its prompt stands for the split by this seed. problems: pairs that could not become
    tokens: of which record each is, and its verdict. in_part: rows of which others did. num_truncated: responses.
    """

    store: PairStore
    loaded: Loaded[Any]
    problems: tuple[tuple[int, Verdict], ...]
    in_part: frozenset[Origin]
    num_truncated: int
    places: NDArray[np.float64]


_Told: TypeAlias = tuple[Loaded[Any], tuple[tuple[int, Verdict], ...], frozenset[Origin], int]
"""What `ReadPairs` says beside the store."""


def stored_pairs(
    sources: Sequence[Source],
    encoder: ChatEncoder,
    limits: Limits,
    options: ReadOptions,
    *,
    folder: Path | None,
    say: Callable[[str], None],
) -> ReadPairs:
    """Every pair of the sources as tokens. folder: where stores are kept; None holds them in memory.

    Raises what `load_pairs` raises, and OutputError where the tokens cannot be written anywhere.
    """
    key = _key(sources, encoder, limits, options) if folder is not None else None
    make = _Making(sources, encoder, limits, options, say)
    if folder is None:
        return make.in_memory()
    if key is None:
        return make.for_now()
    place = folder / key
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        while (found := _opened(place, make, say)) is None:
            with ExitStack() as stack:
                try:
                    stack.enter_context(exclusive(place.with_name(f".{key}.lock"), "another run writes these tokens"))
                except OutputError:
                    say("another run is making the tokens of these data; waiting for it")
                    _wait_while(place.with_name(f".{key}.lock"))
                    continue
                if _opened(place, make, lambda _: None) is None:
                    make.into(place)
    except OSError as error:
        say(f"{folder}: the tokens cannot be kept ({error.strerror}), so the next run makes them again")
        return make.for_now()
    _remove_oldest(folder, keep=place)
    return found


@dataclass(frozen=True)
class _Making:
    """Reads and encodes, into one place or another."""

    sources: Sequence[Source]
    encoder: ChatEncoder
    limits: Limits
    options: ReadOptions
    say: Callable[[str], None]

    def in_memory(self) -> ReadPairs:
        store, told = self._write(StoreWriter(None))
        assert store is not None
        return ReadPairs(store, *told, store.columns["places"])

    def into(self, place: Path) -> _Told:
        with StoreWriter.into(place) as writer:
            return self._write(writer)[1]

    def for_now(self) -> ReadPairs:
        """In a temporary folder, which goes with the store."""
        folder = Path(tempfile.mkdtemp(prefix="penchant-tokens-"))
        try:
            with cache_errors_explained(folder):
                told = self.into(folder / "pairs")
                store = PairStore.open(folder / "pairs")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        weakref.finalize(store, shutil.rmtree, folder, ignore_errors=True)
        # not what was read back: it names rows of a file, and these may be in memory
        return ReadPairs(store, *told, store.columns["places"])

    def places(self, store: PairStore) -> NDArray[np.float64]:
        """Where the prompts of a store stand by this seed, for which the rows are read again, but not tokenised."""
        if store.facts["seed"] == self.options.seed:
            return store.columns["places"]
        reading = read_pairs(self.sources, self.options)
        found = (place_of(prompt_key(pair.prompt), self.options.seed) for pair in reading)
        places = np.fromiter(found, dtype=np.float64)
        if len(places) != len(store.columns["places"]):
            raise DamagedStore("the data are no longer those that it was made of")
        return places

    def _write(self, writer: StoreWriter) -> tuple[PairStore | None, _Told]:
        reading = read_pairs(self.sources, self.options)
        problems: list[tuple[int, Verdict]] = []
        so_far = FailuresSoFar()
        num_truncated = 0

        def placed() -> Iterator[PreferencePair]:
            for pair in reading:
                writer.place(place_of(prompt_key(pair.prompt), self.options.seed))
                yield pair

        for record, (found, num_cut) in enumerate(encoded_pairs(self.encoder, placed(), self.limits)):
            num_truncated += num_cut
            if isinstance(found, Verdict):
                problems.append((record, found))
                so_far.failed(found)
            else:
                writer.add(found, record)
                so_far.kept(found.origin)
            if (record + 1) % PAIRS_BETWEEN_LINES == 0:
                self.say(f"{record + 1:,} pairs read, {writer.num_tokens:,} tokens")
        loaded = reading.loaded(())
        store = writer.finish(
            {
                "loaded": _LOADED.dump_python(loaded, mode="json"),
                "problems": _PROBLEMS.dump_python(problems, mode="json"),
                "in_part": _ORIGINS.dump_python(list(so_far.in_part()), mode="json"),
                "num_truncated": num_truncated,
                "seed": self.options.seed,
            }
        )
        return store, (loaded, tuple(problems), so_far.in_part(), num_truncated)


def _read(store: PairStore, make: _Making) -> ReadPairs:
    facts = store.facts
    problems = _PROBLEMS.validate_python(facts["problems"])
    in_part = frozenset(_ORIGINS.validate_python(facts["in_part"]))
    loaded = _LOADED.validate_python(facts["loaded"])
    return ReadPairs(store, loaded, tuple(problems), in_part, facts["num_truncated"], make.places(store))


def _opened(place: Path, make: _Making, say: Callable[[str], None]) -> ReadPairs | None:
    """What is kept there; None for nothing, and for what is damaged."""
    try:
        found = _read(PairStore.open(place), make)
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


def _key(sources: Sequence[Source], encoder: ChatEncoder, limits: Limits, options: ReadOptions) -> str | None:
    """The name of the store of these pairs; None where what they depend on cannot be told."""
    encoder_is = encoder.fingerprint()
    files = [one.source if isinstance(one, ReadAs) else one for one in sources]
    found_again = all(isinstance(one, FileSource) and not one.is_piped for one in files)
    if encoder_is is None or not found_again or added_names(GROUP):
        return None
    if "random" not in (options.subset, *(part_of(one).subset for one in sources)):
        options = replace(options, seed=0)  # which then decides the split alone
    rest = limits.max_length, limits.max_prompt_length, limits.context_length, repr(options)
    parts = [digest_of(sources), [repr(one) for one in sources], encoder_is, rest, _code()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """sha256 of the files that read and encode, and the versions of what they use."""
    digest = hashlib.sha256("".join(version(name) for name in ("transformers", "tokenizers", "jinja2")).encode())
    for room in (penchant.data, penchant.tokens):
        for file in sorted(Path(str(room.__file__)).parent.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
