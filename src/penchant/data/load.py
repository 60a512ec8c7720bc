"""Load files or rows into records: find the format, convert each row, give it a verdict, drop nothing silently."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any, Generic, TypeVar

from penchant.data.fields import UnreadField, in_words
from penchant.data.given import Data, OnBadRow, Source, check_options, digest_of
from penchant.data.importers import (
    DEMONSTRATION_IMPORTERS,
    LABELLED_IMPORTERS,
    PAIR_IMPORTERS,
    PROMPT_IMPORTERS,
    VOTE_IMPORTERS,
    Importer,
    Vote,
)
from penchant.data.importers.added import added_importers
from penchant.data.inspection import (
    Inspector,
    inspect_demonstrations,
    inspect_labelled,
    inspect_pairs,
    inspect_prompts,
    inspect_votes,
)
from penchant.data.kinds import guess_kind
from penchant.data.opening import Row
from penchant.data.records import Demonstration, Document, Labelled, Origin, PreferencePair, Prompt, labelled_from_pairs
from penchant.data.rows import Reader
from penchant.data.verdicts import CODES, BadRow, Verdict
from penchant.errors import DataError

__all__ = [
    "Loaded",
    "load_demonstrations",
    "load_labelled",
    "load_pairs",
    "load_prompts",
    "load_votes",
]

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Record]):
    """Records, and how they were read.

    verdict_counts: rows per code, "keep" included; the counts add up to the rows read. problems: the verdict of every
    row that is not "keep", warnings and ties included, in order. format: names of the importers that matched.
    digest: sha256 (hex) over the bytes of the files (of rows in memory: their canonical JSON), in the order given.
    unread: the filled fields that no importer reads or knows to be harmless, in the order they were met.
    """

    records: tuple[Record, ...]
    verdict_counts: dict[str, int]
    problems: tuple[Verdict, ...]
    format: str
    digest: str
    unread: tuple[UnreadField, ...] = ()

    def left_out(self, most: int) -> Iterator[str]:
        """What was not read, in words: at most so many bad rows with their reasons, fields, and how many rows."""
        bad = [verdict for verdict in self.problems if verdict.severity == "error"]
        yield from (f"left out: {verdict}" for verdict in bad[:most])
        if listed := in_words(self.unread):
            yield listed
        if bad:
            yield f"{len(bad):,} of {sum(self.verdict_counts.values()):,} rows left out"


def load_pairs(data: Data, *, on_bad_row: OnBadRow = "error", limit: int | None = None) -> Loaded[PreferencePair]:
    """Load preference pairs from one file or several, or from rows in memory (see `as_source`).

    on_bad_row: "error" raises at the end of reading if any row has a verdict of severity error; "drop" leaves such
    rows out and counts them. Rows with a warning (duplicate, contradicts) are kept and counted, rows that hold no
    preference (tie, both_bad, unanswered) are left out and counted, either way. limit: at most so many pairs, from
    the start; rows after the last of them are not read.

    Raises DataError for a file that cannot be read, a format nobody knows, a bad row (see above) and data without
    a single usable row; ConfigError for a wrong option.
    """
    return _load(check_options(data, on_bad_row, limit), _PAIRS, on_bad_row, limit)


def load_labelled(data: Data, *, on_bad_row: OnBadRow = "error", limit: int | None = None) -> Loaded[Labelled]:
    """Load responses labelled good or bad; options and errors as for `load_pairs`.

    Preference pairs are taken apart, see `labelled_from_pairs`; `limit` then counts pairs.
    """
    sources = check_options(data, on_bad_row, limit)
    if guess_kind(sources) != "pairs":
        return _load(sources, _LABELLED, on_bad_row, limit)
    loaded = _load(sources, _PAIRS, on_bad_row, limit)
    for pair in loaded.records:
        if pair.probability != 1 or pair.margin:
            what = "a soft label or a margin, which a single label cannot hold"
            raise DataError(f"{pair.origin}: the pair has {what}; remove it or use an objective of pairs.")
    return replace(loaded, records=tuple(labelled_from_pairs(loaded.records)))  # type: ignore[arg-type,return-value]


def load_demonstrations(
    data: Data, *, on_bad_row: OnBadRow = "error", limit: int | None = None
) -> Loaded[Demonstration | Document]:
    """Load demonstrations (conversations) or documents (plain text); options and errors as for `load_pairs`."""
    return _load(check_options(data, on_bad_row, limit), _DEMONSTRATIONS, on_bad_row, limit)


def load_prompts(data: Data, *, on_bad_row: OnBadRow = "error", limit: int | None = None) -> Loaded[Prompt]:
    """Load prompts, one for each line of a .txt file; options and errors as for `load_pairs`.

    No two have the same id: where a prompt comes again under its id, the row is counted as a duplicate and left out.
    """
    return _load(check_options(data, on_bad_row, limit, txt="lines"), _PROMPTS, on_bad_row, limit)


def load_votes(data: Data, *, on_bad_row: OnBadRow = "error") -> Loaded[Vote]:
    """Load votes for a ranking; a row holds one, or several. Options and errors as for `load_pairs`."""
    loaded = _load(check_options(data, on_bad_row, None), _VOTES, on_bad_row, None)
    return replace(loaded, records=tuple(chain(*loaded.records)))  # type: ignore[arg-type,return-value]


@dataclass(frozen=True, slots=True)
class _Kind(Generic[Record]):
    """What is read: its formats, the records they become, what is looked for in these, and what to say of none.

    droppable: whether every command that reads it can leave bad rows out.
    """

    importers: tuple[Importer[Record], ...]
    records: tuple[type, ...]
    inspect: Callable[[], Inspector[Record]]
    none_left: str = "no row can be used"
    droppable: bool = True


_PAIRS = _Kind(PAIR_IMPORTERS, (PreferencePair,), inspect_pairs)
_LABELLED = _Kind(LABELLED_IMPORTERS, (Labelled,), inspect_labelled)
_DEMONSTRATIONS = _Kind(DEMONSTRATION_IMPORTERS, (Demonstration, Document), inspect_demonstrations)
_PROMPTS = _Kind(PROMPT_IMPORTERS, (Prompt,), inspect_prompts, droppable=False)
_VOTES = _Kind(VOTE_IMPORTERS, (tuple,), inspect_votes, "there is no vote to rank by")


def _load(sources: Sequence[Source], kind: _Kind[Record], on_bad_row: OnBadRow, limit: int | None) -> Loaded[Record]:
    tally: _Tally[Record] = _Tally()
    reader = Reader(kind.importers, partial(added_importers, *kind.records))
    inspector = kind.inspect()
    for source in sources:
        if limit is not None and len(tally.records) >= limit:
            break
        num_before = len(tally.problems)
        with reader.reading(source), _no_search_for_cycles():
            for number, row in source.scan():
                tally.add(*_judge(row, source.origin(number), reader, inspector))
                if len(tally.records) == limit:
                    break
        if not reader.num_known:
            bad = tally.problems[num_before:]
            raise DataError(_first_of(bad, len(bad), droppable=False))
    errors = [verdict for verdict in tally.problems if verdict.severity == "error"]
    if errors and on_bad_row == "error":
        raise DataError(_first_of(errors, tally.counts.total(), droppable=kind.droppable))
    if not tally.records:
        raise DataError(f"{', '.join(map(str, sources))}: {kind.none_left} {tally.why_none()}.")
    return Loaded(
        tuple(tally.records),
        dict(tally.counts),
        tuple(tally.problems),
        ", ".join(reader.formats),
        digest_of(sources),
        reader.unread.listed(),
    )


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

    def why_none(self) -> str:
        """How many rows there were of each verdict, and the first of them."""
        found = ", ".join(f"{count} {code}" for code, count in self.counts.items())
        if self.counts.keys() == {"unanswered"}:
            return f"({found}); {CODES['unanswered'].meaning}"
        return f"({found}); see {next((one for one in self.problems if one.severity == 'error'), self.problems[0])}"


def _judge(
    row: Row | BadRow, origin: Origin, reader: Reader[Record], inspector: Inspector[Record]
) -> tuple[Record | None, Verdict | None]:
    """The row's record if it yields one, and its verdict unless that is "keep"."""
    try:
        record = _placed(reader.read(row, origin), origin)
        return record, inspector(record, origin)
    except BadRow as bad:
        return None, bad.at(origin)


def _placed(record: Any, origin: Origin) -> Any:
    """The record with its origin, where it is one that tells it; a vote does not."""
    return record if isinstance(record, tuple) else record.model_copy(update={"origin": origin})


def _first_of(errors: Sequence[Verdict], num_rows: int, *, droppable: bool) -> str:
    """What to say where bad rows are an error: the first of them, how many there are, and the way on."""
    count = "1 bad row" if len(errors) == 1 else f"{len(errors)} bad rows"
    way_on = '; `on_bad_row="drop"` skips them' if droppable else ""
    return f"{errors[0]} ({count} in {num_rows} read{way_on})."
