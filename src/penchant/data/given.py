"""Turn what a loader receives, files or rows in memory, into sources of rows."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

from penchant.data.files import Row, TxtRows, require_file, scan_rows
from penchant.data.folders import files_of_folder, files_of_pattern, is_pattern
from penchant.data.hub import HubSource, is_hub_name
from penchant.data.in_memory import RowSource, as_source
from penchant.data.misnamed import refuse_project
from penchant.data.parts import Part, numbered
from penchant.data.quickly import origin_at
from penchant.data.read_as import ReadAs, columns_of, reading_as
from penchant.data.records import Origin
from penchant.data.standard_input import NAME as STANDARD_INPUT
from penchant.data.standard_input import is_standard_input, kept
from penchant.data.verdicts import BadRow
from penchant.errors import ConfigError, DataError

__all__ = [
    "Data",
    "FileSource",
    "Part",
    "Source",
    "digest_of",
    "files_of",
    "part_of",
    "paths_of",
    "refuse_options",
    "sources_of",
]

PLAIN = Part("")

Place: TypeAlias = str | os.PathLike[str] | Part
Paths: TypeAlias = Place | Sequence[Place]
Data: TypeAlias = Paths | RowSource | Iterable[Any]
"""Paths, or `Part`s of them; or rows in memory, see `as_source`."""


@dataclass(frozen=True)
class FileSource:
    """A data file. txt: what counts as a row of a .txt file, see `scan_rows`. part: the user's `Part`, if known.

    shown: a display name, if it differs from the path.
    """

    path: Path
    txt: TxtRows = "documents"
    part: Part | None = None
    shown: str | None = None

    def __str__(self) -> str:
        return self.shown or str(self.path)

    @property
    def is_piped(self) -> bool:
        """Whether it is a temporary copy of standard input."""
        return self.part is not None and is_standard_input(self.part.path)

    def scan(self) -> Iterator[tuple[int, Row | BadRow]]:
        """Its rows with their numbers, see `scan_rows`."""
        if self.shown is None:
            return scan_rows(self.path, txt=self.txt)
        return self._scan_shown(self.shown)

    def _scan_shown(self, shown: str) -> Iterator[tuple[int, Row | BadRow]]:
        try:
            yield from scan_rows(self.path, txt=self.txt)
        except DataError as error:
            raise DataError(str(error).replace(str(self.path), shown)) from error

    def origin(self, number: int) -> Origin:
        """Where a row stands."""
        return origin_at(Origin, self.shown or str(self.path), number)

    def hash_into(self, digest: Any) -> None:
        """Add the bytes of the file to a digest."""
        with self.path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)


Source: TypeAlias = FileSource | HubSource | RowSource | ReadAs


def sources_of(data: Data, *, txt: TxtRows = "documents") -> list[Source]:
    """The sources to read, in order, each under a name of its own even if it is given twice.

    Raises DataError where nothing is given, where something is not a file, or cannot be read as its part says.
    """
    if isinstance(data, str | os.PathLike | Part | FileSource | HubSource | ReadAs):
        data = [data]
    if not isinstance(data, Sequence):
        return [as_source(data)]
    if not data:
        raise DataError("no data was given; name at least one file, or give at least one row.")
    if not all(isinstance(one, str | os.PathLike | Part | FileSource | HubSource | RowSource | ReadAs) for one in data):
        return [as_source(data)]
    times = Counter[str]()
    return [source for one in data for source in _sources(one, txt, times)]


def _sources(one: Place | Source, txt: TxtRows, times: Counter[str]) -> list[Source]:
    """The sources given. times: how often each name has occurred so far, updated in place."""
    if isinstance(one, RowSource):
        times[one.name] += 1
        number = times[one.name]
        return [one if number == 1 else replace(one, name=numbered(one.name, number), place=f"{one.place}_{number}")]
    if isinstance(one, FileSource | HubSource | ReadAs):
        return [one]
    part = one if isinstance(one, Part) else Part.of(os.fspath(one))
    times[f"part {part.path}"] += 1
    part = replace(part, copy=times[f"part {part.path}"])
    found = _opened(part, txt, times)
    columns = columns_of(part.columns)
    return list(reading_as(found, columns, part.format)) if columns or part.format else found


def _opened(part: Part, txt: TxtRows, times: Counter[str]) -> list[Source]:
    if is_standard_input(part.path):
        path = kept(part.path, otherwise=".txt" if txt == "lines" else None)
        return [FileSource(path, txt, part, numbered(STANDARD_INPUT, part.copy))]
    if is_hub_name(part.path) and not os.path.lexists(part.path):
        return [HubSource(part.path, part)]
    files = _files(part.path)
    times.update(map(str, files))
    called = [(file, numbered(str(file), times[str(file)])) for file in files]
    return [FileSource(file, txt, part, None if name == str(file) else name) for file, name in called]


def part_of(source: Source) -> Part:
    """The user's `Part` that this source, whole or a shard, belongs to."""
    return getattr(source, "part", None) or Part(str(source))


def refuse_options(sources: Iterable[Source], names: Sequence[str], who: str) -> None:
    """Raise ConfigError where a part sets an option that would have no effect. who: what ignores it."""
    for part in map(part_of, sources):
        for name in names:
            if getattr(part, name) != getattr(PLAIN, name):
                raise ConfigError(f"{part}: {name} has no effect on {who}; leave it out.")


def _files(name: str) -> list[Path]:
    """The files that a path names: one, those of a folder, or those that match a pattern."""
    if is_pattern(name):
        return files_of_pattern(name)
    path = Path(name)
    if os.path.isdir(path):  # unlike Path.is_dir, no error for a name that is too long
        refuse_project(path)
        return files_of_folder(path)
    require_file(path)
    return [path]


def files_of(sources: Iterable[Source]) -> list[FileSource]:
    """The files among the sources, each once, however it is read."""
    plain = (source.source if isinstance(source, ReadAs) else source for source in sources)
    return list({one.path: one for one in plain if isinstance(one, FileSource)}.values())


def paths_of(sources: Iterable[Source]) -> list[Path]:
    """Their paths."""
    return [file.path for file in files_of(sources)]


def digest_of(sources: Iterable[Source]) -> str:
    """sha256 (hex) over the bytes of files and the canonical JSON of other rows, each with its options."""
    digest = hashlib.sha256()
    for part, shards in groupby(sources, part_of):
        for source in shards:
            source.hash_into(digest)
        if part.options:
            digest.update(f"\0{part.options}\n".encode())
    return digest.hexdigest()
