"""Stream records while their rows are read, then report verdicts, formats, fields and counts."""

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, groupby
from typing import Generic, TypeVar

from penchant.data.answer_lists import GatheredOrigin
from penchant.data.fields import UnreadField, UnreadFields, in_words
from penchant.data.gathering import gathered
from penchant.data.given import Source, digest_of, part_of, refuse_options
from penchant.data.heeding import Heeding
from penchant.data.importers.added import added_importers
from penchant.data.mixtures import taken, weighed
from penchant.data.opening import Row
from penchant.data.options import ReadOptions
from penchant.data.other_uses import other_use
from penchant.data.quickly import placed
from penchant.data.record_kinds import RecordKind
from penchant.data.records import Origin
from penchant.data.rows import Reader
from penchant.data.verdicts import CODES, BadRow, Verdict
from penchant.errors import ConfigError, DataError

__all__ = ["Loaded", "Reading", "no_search_for_cycles"]

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Record]):
    """Records, and how they were read.

    verdict_counts: rows per code, "keep" included; the counts add up to the rows read. problems: the verdict of every
    row that is not "keep", warnings and ties included, in order. format: names of the importers that matched.
    digest: sha256 (hex) over the bytes of the files (of rows in memory: their canonical JSON), in the order given.
    unread: the filled fields that no importer reads or knows to be harmless, in order of occurrence. fits: (the format
    used, another that would have read the row differently, where first). by_source: the counts of each source by its
    name. harmless: the filled fields that are ignored because they change nothing, if requested.
    """

    records: Sequence[Record]
    verdict_counts: dict[str, int]
    problems: tuple[Verdict, ...]
    format: str
    digest: str
    unread: tuple[UnreadField, ...] = ()
    fits: tuple[tuple[str, str, Origin], ...] = ()
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)
    harmless: tuple[UnreadField, ...] = ()

    def remarks(self) -> Iterator[str]:
        """What was not read, in words: fields, and formats that would have read the rows differently."""
        if listed := in_words(self.unread):
            yield listed
        for name, other, first in self.fits:
            yield f'{first} is read as {name}, but {other} would read it differently; choose with `format="{other}"`'

    def left_out(self, most: int) -> Iterator[str]:
        """What was left out, in words: at most a given number of bad rows with reasons, fields, and row counts."""
        bad = [verdict for verdict in self.problems if verdict.severity == "error"]
        yield from (f"left out: {verdict}" for verdict in bad[:most])
        yield from self.remarks()
        if bad:
            yield f"{len(bad):,} of {sum(self.verdict_counts.values()):,} rows left out"


class Reading(Generic[Record]):
    """Streams records while rows are read, holding no more than one row of a file, and then reports on them.

    Iterate over it once, to the end; `loaded` then reports how the rows were read. It raises what `load_pairs` raises:
    where a file cannot be read, and at the end for bad rows that are an error and where there is no record at all.

    tells_harmless: whether `loaded` also names the fields that change nothing. options: see `load_pairs`; columns and
    format are applied when the sources are opened.
    by_source: rows by verdict for each name given. problems: the verdicts that are not "keep", in order.
    num_records: records so far. row, origin: the latest row as in the file, and where it was read.
    """

    def __init__(
        self, sources: Sequence[Source], kind: RecordKind[Record], options: ReadOptions, *, tells_harmless: bool = False
    ) -> None:
        self.sources = sources
        self.by_source: dict[str, Counter[str]] = {}
        self.problems: list[Verdict] = []
        self.num_records = 0
        self.row: Row | BadRow = {}
        self.origin = Origin(file="", line=1)
        self._kind, self._options = kind, options
        self._counts: Counter[str] = Counter()  # of the current part
        self._first_bad: Row | None = None
        refuse_options(sources, *kind.unheeded)
        for name in {"pairing", "min_gap"} & set(kind.unheeded[0]):
            if getattr(options, name):
                raise ConfigError(f"{name} has no effect on {kind.unheeded[1]}; leave it out.")
        for part in map(part_of, sources):
            if part.kind not in (None, kind.kind):
                raise ConfigError(f"{part}: only {kind.kind} are read here; leave the file out, or correct its kind.")
        self._reader = Reader(kind.importers(options.by_rule()), partial(added_importers, *kind.records))
        self._reader.harmless = UnreadFields() if tells_harmless else None
        self._heeding = Heeding(options)
        self._inspect = kind.inspect()

    def __iter__(self) -> Iterator[Record]:
        how = self._options
        for record in taken(self._mixed(), how.limit, how.subset, how.seed):
            self.num_records += 1
            yield record
        errors = [verdict for verdict in self.problems if verdict.severity == "error"]
        if errors and how.on_bad_row == "error":
            raise DataError(_first_of(errors, self.counts.total(), droppable=self._kind.droppable))
        if not self._is_cut():
            self._heeding.require_met(", ".join(map(str, self.sources)))
        if not self.num_records:
            raise DataError(f"{', '.join(map(str, self.sources))}: {self._kind.none_left} {self._why_none()}.")

    def _is_cut(self) -> bool:
        """Whether rows were left unread, which may differ from those read."""
        how = self._options
        parts = (part for part in map(part_of, self.sources) if part.max_rows is not None)
        return (how.subset == "head" and self.num_records == how.limit) or any(one.subset == "head" for one in parts)

    @property
    def counts(self) -> Counter[str]:
        """Rows by verdict, over all sources."""
        return sum(self.by_source.values(), Counter())

    def _mixed(self) -> Iterator[Record]:
        """The records of each part in turn, limited and weighted by its options."""
        for part, sources in groupby(self.sources, part_of):
            self._counts = self.by_source.setdefault(part.name, Counter())
            self._heeding.begin(part)
            self._reader.begin(self._kind.importers(self._options.by_rule(part)), chosen=part.kind is not None)
            records = chain.from_iterable(map(self._records_of, sources))
            of_part = taken(records, part.max_rows, part.subset, self._options.seed)
            yield from of_part if part.weight == 1 else (weighed(record, part.weight) for record in of_part)

    def loaded(self, records: Sequence[Record]) -> Loaded[Record]:
        """Report how rows were read; the records are optional."""
        reader = self._reader
        format_, digest = ", ".join(reader.formats), digest_of(self.sources)
        fits = tuple((*names, origin) for names, origin in reader.fits.items())
        counts, problems = dict(self.counts), tuple(self.problems)
        by_source = {name: dict(of_part) for name, of_part in self.by_source.items()}
        harmless = () if reader.harmless is None else reader.harmless.listed()
        return Loaded(records, counts, problems, format_, digest, reader.unread.listed(), fits, by_source, harmless)

    def _records_of(self, source: Source) -> Iterator[Record]:
        num_before = len(self.problems)
        with self._reader.reading(source):
            yield from self._read(source)
        if not self._reader.num_known:
            bad = self.problems[num_before:]
            raise DataError(_first_of(bad, len(bad), droppable=False))

    def _read(self, source: Source) -> Iterator[Record]:
        for (number, *others), row in gathered(source.scan()):
            self.row, self.origin = row, source.origin(number)
            yield from self._judged(row, self.origin, map(source.origin, others))

    def _judged(self, row: Row | BadRow, origin: Origin, others: Iterable[Origin] = ()) -> list[Record]:
        """The row's records; the row is counted under the first verdict on any of them.

        others: further rows merged with it, which are left out with it.
        """
        records: list[Record] = []
        verdict: Verdict | None = None
        try:
            for record in self._reader.read(row, origin):
                own = getattr(record, "origin", None)
                place = origin.model_copy(update={"line": own.line}) if isinstance(own, GatheredOrigin) else origin
                told = placed(record, place)
                if self._heeding.asks:
                    self._heeding.look_at(told)
                said = self._inspect(told, place)
                verdict = verdict or said
                records.append(told)
        except BadRow as bad:
            records, verdict = [], bad.at(origin)
            if self._kind.kind and self._first_bad is None and not isinstance(row, BadRow):
                self._first_bad = row
        if self._heeding.asks and not isinstance(row, BadRow):
            self._heeding.pass_by(self._reader.latest)
        self._counts[verdict.code if verdict else "keep"] += 1
        if verdict:
            self.problems.append(verdict)
        for other in others:
            self._counts[verdict.code if verdict and not records else "keep"] += 1
            if verdict and not records:
                self.problems.append(replace(verdict, origin=other))
        return records

    def _why_none(self) -> str:
        """Why there is no record: rows per verdict, the first of the most common, and what else reads such rows."""
        found = ", ".join(f"{count} {code}" for code, count in self.counts.items())
        if self.counts.keys() == {"unanswered"}:
            ways = "`penchant votes import` asks people, `penchant judge` a judge"
            return f"({found}); {CODES['unanswered'].meaning}: {ways}"
        if self.counts.keys() == {"no_scores"}:
            return f"({found}); {CODES['no_scores'].meaning}: `penchant votes import` asks people"
        most = self.counts.most_common(1)[0][0]
        use = None if self._first_bad is None else other_use(self._first_bad, self._reader.importers)
        why = f"({found}); see {next(one for one in self.problems if one.code == most)}"
        return f"{why}; {use}" if use and use.split(" reads")[0] not in why else why


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """Disable garbage collection of cycles: records have none, and the search takes a quarter of loading time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _first_of(errors: Sequence[Verdict], num_rows: int, *, droppable: bool) -> str:
    """The message where bad rows are an error: the first of them, their number, and what to do."""
    count = "1 bad row" if len(errors) == 1 else f"{len(errors)} bad rows"
    way_on = '; `on_bad_row="drop"` skips them' if droppable else ""
    return f"{errors[0]} ({count} in {num_rows} read{way_on})."
