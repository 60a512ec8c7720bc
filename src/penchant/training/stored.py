"""The tokens of pairs, read from the cache folder or made while the data is read.

For a seed other than the one they were made with, rows are read again for the split, but not tokenised.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from penchant.data import Loaded, Origin, PreferencePair, ReadOptions, Verdict, prompt_key
from penchant.data.given import Source, part_of
from penchant.data.load import read_pairs
from penchant.data.split import place_of
from penchant.models.cache import cache_errors_explained
from penchant.progress import Reporter
from penchant.tokens import ChatEncoder, Limits
from penchant.tokens.columns import DamagedStore
from penchant.tokens.pairs import encoded_pairs
from penchant.tokens.store import PairStore, StoreWriter
from penchant.training.failures import FailuresSoFar
from penchant.training.kept import found_or_made, key_of

__all__ = ["ReadPairs", "stored_pairs"]


_LOADED: TypeAdapter[Loaded[Any]] = TypeAdapter(Loaded[Any])
_PROBLEMS: TypeAdapter[list[tuple[int, Verdict]]] = TypeAdapter(list[tuple[int, Verdict]])
_ORIGINS: TypeAdapter[list[Origin]] = TypeAdapter(list[Origin])


@dataclass(frozen=True)
class ReadPairs:
    """store: the pairs as tokens. loaded: the report on reading, without the records.

    places: for every record, its prompt's place in the split by this seed. problems: pairs that could not be encoded:
    the record's index, and its verdict. in_part: rows of which others could. num_truncated: cut responses.
    """

    store: PairStore
    loaded: Loaded[Any]
    problems: tuple[tuple[int, Verdict], ...]
    in_part: frozenset[Origin]
    num_truncated: int
    places: NDArray[np.float64]


_Told: TypeAlias = tuple[Loaded[Any], tuple[tuple[int, Verdict], ...], frozenset[Origin], int]
"""The fields of `ReadPairs` besides the store."""


def stored_pairs(
    sources: Sequence[Source],
    encoder: ChatEncoder,
    limits: Limits,
    options: ReadOptions,
    *,
    folder: Path | None,
    reporter: Reporter,
) -> ReadPairs:
    """Encode every pair of the sources. folder: where stores are cached; None keeps them in memory.

    Raises the errors of `load_pairs`, and OutputError where the tokens cannot be written anywhere.
    """
    make = _Making(sources, encoder, limits, options, reporter)
    if folder is None:
        return make.in_memory()
    if "random" not in (options.subset, *(part_of(one).subset for one in sources)):
        options = replace(options, seed=0)  # the seed then affects only the split
    key = key_of(sources, encoder, limits, repr(options))
    if key is None:
        return make.for_now()
    try:
        return found_or_made(folder / key, make.read, make.into, reporter.say)
    except OSError as error:
        reporter.say(
            f"{folder}: the tokens cannot be stored ({error.strerror}), so the next run tokenises the data again"
        )
        return make.for_now()


@dataclass(frozen=True)
class _Making:
    """Reads and encodes pairs into a given folder."""

    sources: Sequence[Source]
    encoder: ChatEncoder
    limits: Limits
    options: ReadOptions
    reporter: Reporter

    def in_memory(self) -> ReadPairs:
        store, told = self._write(StoreWriter(None))
        assert store is not None
        return ReadPairs(store, *told, store.columns["places"])

    def into(self, place: Path) -> _Told:
        with StoreWriter.into(place) as writer:
            return self._write(writer)[1]

    def for_now(self) -> ReadPairs:
        """Make the store in a temporary folder, which is deleted with it."""
        folder = Path(tempfile.mkdtemp(prefix="penchant-tokens-"))
        try:
            with cache_errors_explained(folder):
                told = self.into(folder / "pairs")
                store = PairStore.open(folder / "pairs")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        weakref.finalize(store, shutil.rmtree, folder, ignore_errors=True)
        # not the version read back: it names rows of a file, but these may be in memory
        return ReadPairs(store, *told, store.columns["places"])

    def read(self, place: Path) -> ReadPairs:
        """Read the cached pairs. Raises DamagedStore, FileNotFoundError."""
        store = PairStore.open(place)
        facts = store.facts
        problems = _PROBLEMS.validate_python(facts["problems"])
        in_part = frozenset(_ORIGINS.validate_python(facts["in_part"]))
        loaded = _LOADED.validate_python(facts["loaded"])
        return ReadPairs(store, loaded, tuple(problems), in_part, facts["num_truncated"], self.places(store))

    def places(self, store: PairStore) -> NDArray[np.float64]:
        """The places of a store's prompts by this seed; rows are read again, but not tokenised."""
        if store.facts["seed"] == self.options.seed:
            return store.columns["places"]
        reading = read_pairs(self.sources, self.options)
        found = (place_of(prompt_key(pair.prompt), self.options.seed) for pair in reading)
        places = np.fromiter(found, dtype=np.float64)
        if len(places) != len(store.columns["places"]):
            raise DamagedStore("the data have changed since it was made")
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
                (pair,) = found
                writer.add(pair, record)
                so_far.kept(pair.origin)
            self.reporter.progress("tokens", record + 1, None, {})
        self.reporter.progress("tokens", reading.num_records, reading.num_records, {})
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
