"""Load files into records: find the format, convert every row, give every row a verdict, drop nothing silently."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from penchant.data.fields import UnreadField
from penchant.data.files import Row, TxtRows, scan_rows
from penchant.data.given import OnBadRow, Paths, check_options, digest_of
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
from penchant.data.kinds import guess_kind
from penchant.data.records import Demonstration, Document, Labelled, Origin, PreferencePair, Prompt, labelled_from_pairs
from penchant.data.rows import Reader
from penchant.data.verdicts import BadRow, Verdict
from penchant.errors import DataError

__all__ = [
    "LoadedDemonstrations",
    "LoadedLabelled",
    "LoadedPairs",
    "LoadedPrompts",
    "first_of",
    "load_demonstrations",
    "load_labelled",
    "load_pairs",
    "load_prompts",
]

Record = TypeVar("Record", PreferencePair, Labelled, Demonstration | Document, Prompt)


@dataclass(frozen=True, slots=True)
class _Report:
    """What loading found, whatever the records are.

    verdict_counts: rows per code, "keep" included; the counts add up to the rows read. problems: the verdict of every
    row that is not "keep", warnings and ties included, in order. format: names of the importers that matched.
    digest: sha256 (hex) over the bytes of the source files, one after the other in the order given.
    unread: the filled fields that no importer reads or knows to be harmless, in the order they were met.
    """

    verdict_counts: dict[str, int]
    problems: tuple[Verdict, ...]
    format: str
    digest: str
    unread: tuple[UnreadField, ...] = field(default=(), kw_only=True)


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
    records, report, unread = _load(paths, PAIR_IMPORTERS, inspect_pairs, on_bad_row, limit)
    return LoadedPairs(*report, pairs=records, unread=unread)


def load_labelled(paths: Paths, *, on_bad_row: OnBadRow = "error", limit: int | None = None) -> LoadedLabelled:
    """Load responses labelled good or bad; options and errors as for `load_pairs`.

    Files of preference pairs are taken apart, see `labelled_from_pairs`; `limit` then counts pairs.
    """
    files = check_options(paths, on_bad_row, limit)
    if guess_kind(files) == "pairs":
        pairs, report, unread = _load(files, PAIR_IMPORTERS, inspect_pairs, on_bad_row, limit)
        for pair in pairs:
            if pair.probability != 1 or pair.margin:
                what = "a soft label or a margin, which a single label cannot hold"
                raise DataError(f"{pair.origin}: the pair has {what}; remove it or use an objective of pairs.")
        return LoadedLabelled(*report, labelled=tuple(labelled_from_pairs(pairs)), unread=unread)
    records, report, unread = _load(files, LABELLED_IMPORTERS, inspect_labelled, on_bad_row, limit)
    return LoadedLabelled(*report, labelled=records, unread=unread)


def load_demonstrations(
    paths: Paths, *, on_bad_row: OnBadRow = "error", limit: int | None = None
) -> LoadedDemonstrations:
    """Load demonstrations (conversations) or documents (plain text); options and errors as for `load_pairs`."""
    records, report, unread = _load(paths, DEMONSTRATION_IMPORTERS, inspect_demonstrations, on_bad_row, limit)
    return LoadedDemonstrations(*report, demonstrations=records, unread=unread)


def load_prompts(paths: Paths, *, on_bad_row: OnBadRow = "error", limit: int | None = None) -> LoadedPrompts:
    """Load prompts, one for each line of a .txt file; options and errors as for `load_pairs`.

    No two have the same id: where a prompt comes again under its id, the row is counted as a duplicate and left out.
    """
    records, report, unread = _load(paths, PROMPT_IMPORTERS, inspect_prompts, on_bad_row, limit, txt="lines")
    return LoadedPrompts(*report, prompts=records, unread=unread)


_ReportFields = tuple[dict[str, int], tuple[Verdict, ...], str, str]


def _load(
    paths: Paths,
    importers: tuple[Importer[Record], ...],
    inspect: Callable[[], Inspector[Record]],
    on_bad_row: OnBadRow,
    limit: int | None,
    *,
    txt: TxtRows = "documents",
) -> tuple[tuple[Record, ...], _ReportFields, tuple[UnreadField, ...]]:
    files = check_options(paths, on_bad_row, limit)
    tally: _Tally[Record] = _Tally()
    reader = Reader(importers)
    inspector = inspect()
    for file in files:
        if limit is not None and len(tally.records) >= limit:
            break
        num_before = len(tally.problems)
        with reader.file(file), _no_search_for_cycles():
            for line, row in scan_rows(file, txt=txt):
                tally.add(*_judge(row, Origin(file=str(file), line=line), reader, inspector))
                if len(tally.records) == limit:
                    break
        if not reader.num_known:
            bad = tally.problems[num_before:]
            raise DataError(first_of(bad, len(bad), droppable=False))
    errors = [verdict for verdict in tally.problems if verdict.severity == "error"]
    if errors and on_bad_row == "error":
        raise DataError(first_of(errors, sum(tally.counts.values()), droppable=importers is not PROMPT_IMPORTERS))
    if not tally.records:
        found = ", ".join(f"{count} {code}" for code, count in tally.counts.items())
        raise DataError(f"{', '.join(map(str, files))}: no row can be used ({found}); see {tally.problems[0]}.")
    report = dict(tally.counts), tuple(tally.problems), ", ".join(reader.formats), digest_of(files)
    return tuple(tally.records), report, reader.unread.listed()


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Records hold no cycles and are many, so that Python's search for them takes a quarter of the time of loading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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
    row: Row | BadRow, origin: Origin, reader: Reader[Record], inspector: Inspector[Record]
) -> tuple[Record | None, Verdict | None]:
    """The row's record if it yields one, and its verdict unless that is "keep"."""
    try:
        record = reader.read(row, origin).model_copy(update={"origin": origin})
        return record, inspector(record, origin)
    except BadRow as bad:
        return None, bad.at(origin)


def first_of(errors: Sequence[Verdict], num_rows: int, *, droppable: bool = True) -> str:
    """What to say where bad rows are an error: the first of them, how many there are, and the way on.

    droppable: whether the command can leave them out and go on.
    """
    count = "1 bad row" if len(errors) == 1 else f"{len(errors)} bad rows"
    way_on = "; `--on-bad-row drop` skips them" if droppable else ""
    return f"{errors[0]} ({count} in {num_rows} read{way_on})."
