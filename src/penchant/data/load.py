"""Load files into records: find the format, convert every row, give every row a verdict, drop nothing silently."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_args

from pydantic import ValidationError

from penchant.data.files import Row, TxtRows, require_file, scan_rows
from penchant.data.importers import (
    DEMONSTRATION_IMPORTERS,
    LABELLED_IMPORTERS,
    PAIR_IMPORTERS,
    PROMPT_IMPORTERS,
    Importer,
)
from penchant.data.inspection import (
    Inspector,
    inspect_demonstrations,
    inspect_labelled,
    inspect_pairs,
    inspect_prompts,
)
from penchant.data.misnamed import misspelt_column, refuse_folder
from penchant.data.records import Demonstration, Document, Labelled, Origin, PreferencePair, Prompt, labelled_from_pairs
from penchant.data.verdicts import BadRow, Verdict, bad_row_from_validation
from penchant.errors import ConfigError, DataError

__all__ = [
    "Kind",
    "LoadedDemonstrations",
    "LoadedLabelled",
    "LoadedPairs",
    "LoadedPrompts",
    "OnBadRow",
    "check_options",
    "detect",
    "digest_of",
    "first_of",
    "guess_kind",
    "load_demonstrations",
    "load_labelled",
    "load_pairs",
    "load_prompts",
]

Kind = Literal["pairs", "labelled", "demonstrations"]
OnBadRow = Literal["error", "drop"]
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Record = TypeVar("Record", PreferencePair, Labelled, Demonstration | Document, Prompt)

NUM_ROWS_TO_DETECT = 20


@dataclass(frozen=True, slots=True)
class _Report:
    """What loading found, whatever the records are.

    verdict_counts: rows per code, "keep" included; the counts add up to the rows read. problems: the verdict of every
    row that is not "keep", warnings and ties included, in order. format: names of the importers that matched.
    digest: sha256 (hex) over the bytes of the source files, one after the other in the order given.
    """

    verdict_counts: dict[str, int]
    problems: tuple[Verdict, ...]
    format: str
    digest: str


@dataclass(frozen=True, slots=True)
class LoadedPairs(_Report):
    """Preference pairs and how they were read."""

    pairs: tuple[PreferencePair, ...]


@dataclass(frozen=True, slots=True)
class LoadedLabelled(_Report):
    """Labelled responses and how they were read."""

    labelled: tuple[Labelled, ...]


@dataclass(frozen=True, slots=True)
class LoadedDemonstrations(_Report):
    """Demonstrations or documents and how they were read."""

    demonstrations: tuple[Demonstration | Document, ...]


@dataclass(frozen=True, slots=True)
class LoadedPrompts(_Report):
    """Prompts and how they were read."""

    prompts: tuple[Prompt, ...]


def load_pairs(paths: Paths, *, on_bad_row: OnBadRow = "error", limit: int | None = None) -> LoadedPairs:
    """Load preference pairs from one file or several.

    on_bad_row: "error" raises at the end of reading if any row has a verdict of severity error; "drop" leaves such
    rows out and counts them. Rows with a warning (duplicate, contradicts) are kept and counted, rows that hold no
    preference (tie, both_bad, unanswered) are left out and counted, either way. limit: at most so many pairs, from
    the start; rows after the last of them are not read.

    Raises DataError for a file that cannot be read, a format nobody knows, a bad row (see above) and a file without
    a single usable row; ConfigError for a wrong option.
    """
    records, report = _load(paths, PAIR_IMPORTERS, inspect_pairs, on_bad_row, limit)
    return LoadedPairs(*report, pairs=records)


def load_labelled(paths: Paths, *, on_bad_row: OnBadRow = "error", limit: int | None = None) -> LoadedLabelled:
    """Load responses labelled good or bad; options and errors as for `load_pairs`.

    Files of preference pairs are taken apart, see `labelled_from_pairs`; `limit` then counts pairs.
    """
    files = check_options(paths, on_bad_row, limit)
    if guess_kind(files[0]) == "pairs":
        pairs, report = _load(files, PAIR_IMPORTERS, inspect_pairs, on_bad_row, limit)
        for pair in pairs:
            if pair.probability != 1 or pair.margin:
                what = "a soft label or a margin, which a single label cannot hold"
                raise DataError(f"{pair.origin}: the pair has {what}; remove it or use an objective of pairs.")
        return LoadedLabelled(*report, labelled=tuple(labelled_from_pairs(pairs)))
    records, report = _load(files, LABELLED_IMPORTERS, inspect_labelled, on_bad_row, limit)
    return LoadedLabelled(*report, labelled=records)


def load_demonstrations(
    paths: Paths, *, on_bad_row: OnBadRow = "error", limit: int | None = None
) -> LoadedDemonstrations:
    """Load demonstrations (conversations) or documents (plain text); options and errors as for `load_pairs`."""
    records, report = _load(paths, DEMONSTRATION_IMPORTERS, inspect_demonstrations, on_bad_row, limit)
    return LoadedDemonstrations(*report, demonstrations=records)


def load_prompts(paths: Paths, *, on_bad_row: OnBadRow = "error", limit: int | None = None) -> LoadedPrompts:
    """Load prompts, one for each line of a .txt file; options and errors as for `load_pairs`.

    No two have the same id: where a prompt comes again under its id, the row is counted as a duplicate and left out.
    """
    records, report = _load(paths, PROMPT_IMPORTERS, inspect_prompts, on_bad_row, limit, txt="lines")
    return LoadedPrompts(*report, prompts=records)


def guess_kind(path: str | os.PathLike[str]) -> Kind:
    """What most of a file's first rows look like; pairs where they look like nothing known, whose loader says so."""
    refuse_folder(Path(path))
    readable = (row for _, row in scan_rows(Path(path)) if not isinstance(row, BadRow))
    rows = list(islice(readable, NUM_ROWS_TO_DETECT))
    tables: dict[Kind, Sequence[Importer[Any]]] = {
        "pairs": PAIR_IMPORTERS,
        "labelled": LABELLED_IMPORTERS,
        "demonstrations": DEMONSTRATION_IMPORTERS,
    }
    return max(tables, key=lambda kind: sum(any(one.matches(row) for one in tables[kind]) for row in rows))


_ReportFields = tuple[dict[str, int], tuple[Verdict, ...], str, str]


def _load(
    paths: Paths,
    importers: tuple[Importer[Record], ...],
    inspect: Callable[[], Inspector[Record]],
    on_bad_row: OnBadRow,
    limit: int | None,
    *,
    txt: TxtRows = "documents",
) -> tuple[tuple[Record, ...], _ReportFields]:
    files = check_options(paths, on_bad_row, limit)
    tally: _Tally[Record] = _Tally()
    formats: dict[str, None] = {}
    inspector = inspect()
    for file in files:
        if limit is not None and len(tally.records) >= limit:
            break
        rows = scan_rows(file, txt=txt)
        importer, rows = detect(file, rows, importers)
        formats[importer.name] = None
        for line, row in rows:
            tally.add(*_judge(row, Origin(file=str(file), line=line), importer, inspector))
            if len(tally.records) == limit:
                break
    errors = [verdict for verdict in tally.problems if verdict.severity == "error"]
    if errors and on_bad_row == "error":
        raise DataError(first_of(errors, sum(tally.counts.values()), droppable=importers is not PROMPT_IMPORTERS))
    if not tally.records:
        found = ", ".join(f"{count} {code}" for code, count in tally.counts.items())
        raise DataError(f"{', '.join(map(str, files))}: no row can be used ({found}); see {tally.problems[0]}.")
    report = dict(tally.counts), tuple(tally.problems), ", ".join(formats), digest_of(files)
    return tuple(tally.records), report


@dataclass
class _Tally(Generic[Record]):
    """Records and verdicts while the rows go by."""

    records: list[Record] = field(default_factory=list)
    problems: list[Verdict] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record | None, verdict: Verdict | None) -> None:
        self.counts[verdict.code if verdict else "keep"] += 1
        if verdict:
            self.problems.append(verdict)
        if record is not None:
            self.records.append(record)


def _judge(
    row: Row | BadRow, origin: Origin, importer: Importer[Record], inspector: Inspector[Record]
) -> tuple[Record | None, Verdict | None]:
    """The row's record if it yields one, and its verdict unless that is "keep"."""
    try:
        if isinstance(row, BadRow):
            raise row
        record = importer.convert(row).model_copy(update={"origin": origin})
        return record, inspector(record, origin)
    except ValidationError as error:
        return None, bad_row_from_validation(error).at(origin)
    except BadRow as bad:
        return None, bad.at(origin)


def detect(
    file: Path, rows: Iterator[tuple[int, Row | BadRow]], importers: tuple[Importer[Record], ...]
) -> tuple[Importer[Record], Iterator[tuple[int, Row | BadRow]]]:
    """The importer that most of the first rows match (the table's order decides for one row), and all the rows."""
    head: list[tuple[int, Row | BadRow]] = []
    readable: list[Row] = []
    for line, row in rows:
        head.append((line, row))
        if not isinstance(row, BadRow):
            readable.append(row)
        if len(readable) == NUM_ROWS_TO_DETECT:
            break
    matching = [next((importer for importer in importers if importer.matches(row)), None) for row in readable]
    votes = Counter(importer.name for importer in matching if importer)
    if votes:
        winner = votes.most_common(1)[0][0]
        return next(importer for importer in importers if importer.name == winner), chain(head, rows)
    if not readable:
        bad = [row.at(Origin(file=str(file), line=line)) for line, row in head if isinstance(row, BadRow)]
        raise DataError(first_of(bad, len(head), droppable=False))
    columns = list(dict.fromkeys(str(name) for row in readable for name in row))
    if found := misspelt_column(columns, importers):
        raise DataError(f"{file}: no column '{found[0]}'; did you mean '{found[1]}'?")
    shapes = "; or ".join(importer.description for importer in importers)
    raise DataError(
        f"{file}: no known format has its columns ({', '.join(columns) or 'none'}); give rows with {shapes}."
    )


def first_of(errors: Sequence[Verdict], num_rows: int, *, droppable: bool = True) -> str:
    """What to say where bad rows are an error: the first of them, how many there are, and the way on.

    droppable: whether the command can leave them out and go on.
    """
    count = "1 bad row" if len(errors) == 1 else f"{len(errors)} bad rows"
    way_on = "; `--on-bad-row drop` skips them" if droppable else ""
    return f"{errors[0]} ({count} in {num_rows} read{way_on})."


def check_options(paths: Paths, on_bad_row: str, limit: int | None) -> list[Path]:
    """The files as a list. Raises DataError where there is none, ConfigError for a wrong option."""
    files = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    if not files:
        raise DataError("no data file was given; name at least one.")
    for file in files:
        refuse_folder(file)
        require_file(file)
    if on_bad_row not in get_args(OnBadRow):
        raise ConfigError(f"on_bad_row must be error or drop, got {on_bad_row!r}.")
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1, got {limit}; leave it out to read every row.")
    return files


def digest_of(files: Sequence[Path]) -> str:
    """sha256 (hex) over the bytes of the files, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
