"""Load files or rows into records: find the format, convert each row, give it a verdict, drop nothing silently."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, groupby
from typing import Any, Generic, TypeVar

from penchant.data.answer_lists import GatheredOrigin
from penchant.data.fields import UnreadField, in_words
from penchant.data.gathering import gathered
from penchant.data.given import Data, OnBadRow, Source, check_options, digest_of, part_of, refuse_options
from penchant.data.importers import (
    CHOSEN_IMPORTERS,
    DEMONSTRATION_IMPORTERS,
    JUDGED_IMPORTERS,
    LABELLED_IMPORTERS,
    LIST_IMPORTERS,
    PAIR_IMPORTERS,
    PROMPT_IMPORTERS,
    VOTE_IMPORTERS,
    Vote,
    pair_importers,
)
from penchant.data.importers.added import added_importers
from penchant.data.importers.base import NUMBERS, OneOrMore, filled
from penchant.data.importers.listed import pairs_by
from penchant.data.importers.reward_bench import REWARD_BENCH
from penchant.data.inspection import (
    Inspector,
    inspect_answers,
    inspect_demonstrations,
    inspect_labelled,
    inspect_pairs,
    inspect_prompts,
    inspect_votes,
)
from penchant.data.kinds import Kind, guess_kind, kinds_of
from penchant.data.mixtures import Subset, taken, weighed
from penchant.data.opening import Row
from penchant.data.pairing import ALL_PAIRS, Pairing, PairingRule
from penchant.data.quickly import placed
from penchant.data.read_as import Columns
from penchant.data.records import (
    Comparison,
    Demonstration,
    Document,
    Labelled,
    Origin,
    PreferencePair,
    Prompt,
    labelled_from_pairs,
)
from penchant.data.rows import Reader
from penchant.data.verdicts import CODES, BadRow, Verdict
from penchant.errors import ConfigError, DataError

__all__ = [
    "Loaded",
    "Reading",
    "load_demonstrations",
    "load_labelled",
    "load_pairs",
    "load_prompts",
    "load_votes",
    "no_search_for_cycles",
    "open_records",
    "read_pairs",
    "reading_of",
]

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Record]):
    """Records, and how they were read.

    verdict_counts: rows per code, "keep" included; the counts add up to the rows read. problems: the verdict of every
    row that is not "keep", warnings and ties included, in order. format: names of the importers that matched.
    digest: sha256 (hex) over the bytes of the files (of rows in memory: their canonical JSON), in the order given.
    unread: the filled fields that no importer reads or knows to be harmless, in the order they were met. fits: (the
    format taken, another that would have read the row otherwise, where first).
    """

    records: Sequence[Record]
    verdict_counts: dict[str, int]
    problems: tuple[Verdict, ...]
    format: str
    digest: str
    unread: tuple[UnreadField, ...] = ()
    fits: tuple[tuple[str, str, Origin], ...] = ()
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)

    def remarks(self) -> Iterator[str]:
        """What of the rows was not read, in words: fields, and formats that would have read them otherwise."""
        if listed := in_words(self.unread):
            yield listed
        for name, other, first in self.fits:
            yield f'{first} is read as {name} and fits {other} as well, which reads it otherwise: `format="{other}"`'

    def left_out(self, most: int) -> Iterator[str]:
        """What was not read, in words: at most so many bad rows with their reasons, fields, and how many rows."""
        bad = [verdict for verdict in self.problems if verdict.severity == "error"]
        yield from (f"left out: {verdict}" for verdict in bad[:most])
        yield from self.remarks()
        if bad:
            yield f"{len(bad):,} of {sum(self.verdict_counts.values()):,} rows left out"


def load_pairs(
    data: Data,
    *,
    on_bad_row: OnBadRow = "error",
    limit: int | None = None,
    subset: Subset = "head",
    seed: int = 0,
    columns: Columns | None = None,
    format: str | None = None,
    pairing: PairingRule | None = None,
    min_gap: float = 0.0,
) -> Loaded[PreferencePair]:
    """Load preference pairs from one file or several, or from rows in memory (see `as_source`).

    on_bad_row: "error" raises at the end of reading if any row has a verdict of severity error; "drop" leaves such
    rows out and counts them. Rows with a warning (duplicate, contradicts) are kept and counted, rows that hold no
    preference (tie, both_bad, unanswered) are left out and counted, either way. limit: at most so many pairs.
    subset: which these are: "head", the first, after which no row is read, or "random", drawn by `seed` from all.
    columns: {a column of the file: the name by which it is read},
    or the same as "question=prompt,good=chosen". format: the name of the one format to read rows by, of those that
    fit; None: the first. pairing, min_gap: which answers of a list become pairs ("all" unless given), see
    `penchant.data.pairing.Pairing`; a row that names a chosen and a rejected response is a pair.

    Raises DataError for a file that cannot be read, a format nobody knows, a bad row (see above) and data without
    a single usable row; ConfigError for a wrong option.
    """
    kind = replace(_PAIRS, importers=pair_importers(Pairing(pairing or "all", min_gap)))
    sources = check_options(data, on_bad_row, limit, columns=columns, format=format, subset=subset)
    return _load(sources, kind, on_bad_row, limit, subset, seed)


def read_pairs(
    data: Data,
    *,
    on_bad_row: OnBadRow = "error",
    limit: int | None = None,
    subset: Subset = "head",
    seed: int = 0,
    pairing: PairingRule | None = None,
    min_gap: float = 0.0,
) -> "Reading[PreferencePair]":
    """The pairs that `load_pairs` loads, one by one; options and errors as there."""
    kind = replace(_PAIRS, importers=pair_importers(Pairing(pairing or "all", min_gap)))
    return Reading(check_options(data, on_bad_row, limit, subset=subset), kind, on_bad_row, limit, subset, seed)


def load_labelled(
    data: Data,
    *,
    on_bad_row: OnBadRow = "error",
    limit: int | None = None,
    subset: Subset = "head",
    seed: int = 0,
    columns: Columns | None = None,
    format: str | None = None,
    pairing: PairingRule | None = None,
    min_gap: float = 0.0,
) -> Loaded[Labelled]:
    """Load responses labelled good or bad; options and errors as for `load_pairs`.

    Preference pairs are taken apart, see `labelled_from_pairs`; `limit` then counts pairs. Of a list of answers
    the best is good, and the worst, or one at random, bad: other rules would call an answer both, a ConfigError.
    """
    by_rule = Pairing(pairing or "best_worst", min_gap)
    if by_rule.rule not in ("best_worst", "best_random"):
        raise ConfigError(
            f'pairing="{by_rule.rule}" would label an answer between the best and the worst both good and bad; choose '
            '`pairing="best_worst"` or `pairing="best_random"`.'
        )
    sources = check_options(data, on_bad_row, limit, columns=columns, format=format, subset=subset)
    kinds = set(kinds_of(sources).values())
    if kinds == {"pairs", "labelled"}:
        return _of_both_kinds(sources, on_bad_row, limit, seed, by_rule)
    if "pairs" not in kinds:
        return _load(sources, _LABELLED, on_bad_row, limit, subset, seed)
    loaded = _load(sources, replace(_PAIRS, importers=pair_importers(by_rule)), on_bad_row, limit, subset, seed)
    for pair in loaded.records:
        if pair.probability != 1 or pair.margin:
            what = "a soft label or a margin, which a single label cannot hold"
            raise DataError(f"{pair.origin}: the pair has {what}; remove it or use an objective of pairs.")
    return replace(loaded, records=tuple(labelled_from_pairs(loaded.records)))  # type: ignore[arg-type,return-value]


def _of_both_kinds(
    sources: Sequence[Source], on_bad_row: OnBadRow, limit: int | None, seed: int, by_rule: Pairing
) -> Loaded[Labelled]:
    """Those that hold pairs, taken apart, and those that hold labelled responses, in the order given."""
    if limit is not None:
        raise ConfigError(
            "a limit counts pairs or labelled responses, and the data holds both; give each file its own, as "
            "`pairs.jsonl::max_rows=1000`."
        )
    options: dict[str, Any] = {"on_bad_row": on_bad_row, "seed": seed}
    options |= {"pairing": by_rule.rule, "min_gap": by_rule.min_gap}
    found = [load_labelled(list(shards), **options) for _, shards in groupby(sources, part_of)]
    return Loaded(
        records=tuple(record for one in found for record in one.records),
        verdict_counts=dict(sum((Counter(one.verdict_counts) for one in found), Counter())),
        problems=tuple(problem for one in found for problem in one.problems),
        format=", ".join(dict.fromkeys(name for one in found for name in one.format.split(", "))),
        digest=digest_of(sources),
        unread=tuple(field for one in found for field in one.unread),
        fits=tuple(fit for one in found for fit in one.fits),
        by_source={name: counts for one in found for name, counts in one.by_source.items()},
    )


def load_demonstrations(
    data: Data,
    *,
    on_bad_row: OnBadRow = "error",
    limit: int | None = None,
    subset: Subset = "head",
    seed: int = 0,
    columns: Columns | None = None,
    format: str | None = None,
) -> Loaded[Demonstration | Document]:
    """Load demonstrations (conversations) or documents (plain text); options and errors as for `load_pairs`."""
    return _load(
        check_options(data, on_bad_row, limit, columns=columns, format=format, subset=subset),
        _DEMONSTRATIONS,
        on_bad_row,
        limit,
        subset,
        seed,
    )


def load_prompts(
    data: Data,
    *,
    on_bad_row: OnBadRow = "error",
    limit: int | None = None,
    columns: Columns | None = None,
    format: str | None = None,
) -> Loaded[Prompt]:
    """Load prompts, one for each line of a .txt file; options and errors as for `load_pairs`.

    No two have the same id: where a prompt comes again under its id, the row is counted as a duplicate and left out.
    """
    sources = check_options(data, on_bad_row, limit, txt="lines", columns=columns, format=format)
    refuse_options(sources, ["weight"], "prompts, on which nothing is trained")
    return _load(sources, _PROMPTS, on_bad_row, limit)


def load_votes(
    data: Data, *, on_bad_row: OnBadRow = "error", columns: Columns | None = None, format: str | None = None
) -> Loaded[Vote]:
    """Load votes for a ranking; a row holds one, or several. Options and errors as for `load_pairs`."""
    sources = check_options(data, on_bad_row, None, columns=columns, format=format)
    require_all_votes(sources)
    return _load(sources, VOTES, on_bad_row, None)


def require_all_votes(sources: Sequence[Source]) -> None:
    """Raises ConfigError where a source is to count more or less than another: a ranking counts votes."""
    refuse_options(sources, ["weight", "max_rows"], "a ranking, in which every vote counts")


def open_records(
    data: Data,
    *,
    on_bad_row: OnBadRow = "error",
    columns: Columns | None = None,
    format: str | None = None,
    models: bool = False,
) -> "Reading[Any]":
    """Records of whatever the data holds, one by one: pairs, and comparisons with their ties, labelled, demonstrations.

    models: whether a pair that names the models of its responses becomes a comparison, as a pair has no place for them.
    Options and errors as for `load_pairs`; errors come while the records do.
    """
    sources = check_options(data, on_bad_row, None, columns=columns, format=format)
    refuse_options(sources, ["weight"], "what only rewrites rows")
    kinds: dict[str, _Kind[Any]] = {"pairs": _ANSWERS, "labelled": _LABELLED, "demonstrations": _DEMONSTRATIONS}
    kind = kinds[guess_kind(sources)]
    if models and kind is _ANSWERS:
        kind = replace(kind, importers=(_PLAIN_WITH_MODELS, *kind.importers))
    return Reading(sources, kind, on_bad_row, None)


@dataclass(frozen=True, slots=True)
class _Kind(Generic[Record]):
    """What is read: its formats, the records they become, what is looked for in these, and what to say of none.

    droppable: whether every command that reads it can leave bad rows out.
    """

    importers: tuple[OneOrMore[Record], ...]
    records: tuple[type, ...]
    inspect: Callable[[], Inspector[Record]]
    none_left: str = "no row can be used"
    droppable: bool = True


_PAIRS = _Kind(PAIR_IMPORTERS, (PreferencePair,), inspect_pairs)
_LABELLED = _Kind(LABELLED_IMPORTERS, (Labelled,), inspect_labelled)
_DEMONSTRATIONS = _Kind(DEMONSTRATION_IMPORTERS, (Demonstration, Document), inspect_demonstrations)
_PLAIN_WITH_MODELS = replace(
    REWARD_BENCH, matches=lambda row: not any(filled(row, name) for name in NUMBERS) and REWARD_BENCH.matches(row)
)
_ANSWERS: _Kind[PreferencePair | Comparison] = _Kind(
    (*CHOSEN_IMPORTERS, *JUDGED_IMPORTERS, *(pairs_by(one, ALL_PAIRS) for one in LIST_IMPORTERS)),
    (PreferencePair, Comparison),
    inspect_answers,
)
_PROMPTS = _Kind(PROMPT_IMPORTERS, (Prompt,), inspect_prompts, droppable=False)
VOTES = _Kind(VOTE_IMPORTERS, (Vote,), inspect_votes, "there is no vote to rank by")


def _load(
    sources: Sequence[Source],
    kind: _Kind[Record],
    on_bad_row: OnBadRow,
    limit: int | None,
    subset: Subset = "head",
    seed: int = 0,
) -> Loaded[Record]:
    reading = Reading(sources, kind, on_bad_row, limit, subset, seed)
    with no_search_for_cycles():
        return reading.loaded(tuple(reading))


def reading_of(kind: Kind, data: Data, *, pairing: PairingRule | None = None, min_gap: float = 0.0) -> "Reading[Any]":
    """The records of what `guess_kind` found, one by one, bad rows left out; pairing, min_gap: as for `load_pairs`."""
    pairs = replace(_PAIRS, importers=pair_importers(Pairing(pairing or "all", min_gap)))
    kinds: dict[Kind, _Kind[Any]] = {"pairs": pairs, "labelled": _LABELLED, "demonstrations": _DEMONSTRATIONS}
    return Reading(check_options(data, "drop", None), kinds[kind], "drop", None)


class Reading(Generic[Record]):
    """Records one by one while their rows are read, so that no more of a file is held than a row; then what was found.

    Iterate over it once, to the end; `loaded` then says how the rows were read. It raises what `load_pairs` raises:
    where a file cannot be read, and at the end for bad rows that are an error and where there is no record at all.

    on_bad_row, limit, subset, seed: see `load_pairs`. by_source: rows by verdict for each name that was given.
    problems: the verdicts that are not "keep", in order. num_records: how many there were. origin: where the row that
    came last was read.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        kind: "_Kind[Record]",
        on_bad_row: OnBadRow,
        limit: int | None,
        subset: Subset = "head",
        seed: int = 0,
    ) -> None:
        self.sources = sources
        self.by_source: dict[str, Counter[str]] = {}
        self.problems: list[Verdict] = []
        self.num_records = 0
        self.origin = Origin(file="", line=1)
        self._kind, self._on_bad_row = kind, on_bad_row
        self._limit, self._subset, self._seed = limit, subset, seed
        self._counts: Counter[str] = Counter()  # of the part that is read
        self._reader = Reader(kind.importers, partial(added_importers, *kind.records))
        self._inspect = kind.inspect()

    def __iter__(self) -> Iterator[Record]:
        for record in taken(self._mixed(), self._limit, self._subset, self._seed):
            self.num_records += 1
            yield record
        errors = [verdict for verdict in self.problems if verdict.severity == "error"]
        if errors and self._on_bad_row == "error":
            raise DataError(_first_of(errors, self.counts.total(), droppable=self._kind.droppable))
        if not self.num_records:
            raise DataError(f"{', '.join(map(str, self.sources))}: {self._kind.none_left} {self._why_none()}.")

    @property
    def counts(self) -> Counter[str]:
        """Rows by verdict, of all that was read."""
        return sum(self.by_source.values(), Counter())

    def _mixed(self) -> Iterator[Record]:
        """The records of one part after another, so many and with such a weight as it says."""
        for part, sources in groupby(self.sources, part_of):
            self._counts = self.by_source.setdefault(part.path, Counter())
            records = chain.from_iterable(map(self._records_of, sources))
            of_part = taken(records, part.max_rows, part.subset, self._seed)
            yield from of_part if part.weight == 1 else (weighed(record, part.weight) for record in of_part)

    def loaded(self, records: Sequence[Record]) -> Loaded[Record]:
        """How the rows were read that became these records; none need be given."""
        reader = self._reader
        format_, digest = ", ".join(reader.formats), digest_of(self.sources)
        fits = tuple((*names, origin) for names, origin in reader.fits.items())
        counts, problems = dict(self.counts), tuple(self.problems)
        by_source = {name: dict(of_part) for name, of_part in self.by_source.items()}
        return Loaded(records, counts, problems, format_, digest, reader.unread.listed(), fits, by_source)

    def _records_of(self, source: Source) -> Iterator[Record]:
        num_before = len(self.problems)
        with self._reader.reading(source):
            yield from self._read(source)
        if not self._reader.num_known:
            bad = self.problems[num_before:]
            raise DataError(_first_of(bad, len(bad), droppable=False))

    def _read(self, source: Source) -> Iterator[Record]:
        for (number, *others), row in gathered(source.scan()):
            self.origin = source.origin(number)
            yield from self._judged(row, self.origin, [source.origin(other) for other in others])

    def _judged(self, row: Row | BadRow, origin: Origin, others: Sequence[Origin] = ()) -> list[Record]:
        """The row's records, counted with its verdict: the first thing that is said of any of them.

        others: further rows that were put together with it, which are left out where it is.
        """
        records: list[Record] = []
        verdict: Verdict | None = None
        try:
            for record in self._reader.read(row, origin):
                own = getattr(record, "origin", None)
                place = origin.model_copy(update={"line": own.line}) if isinstance(own, GatheredOrigin) else origin
                told = placed(record, place)
                said = self._inspect(told, place)
                verdict = verdict or said
                records.append(told)
        except BadRow as bad:
            records, verdict = [], bad.at(origin)
        self._counts[verdict.code if verdict else "keep"] += 1
        if verdict:
            self.problems.append(verdict)
        for other in others:
            self._counts[verdict.code if verdict and not records else "keep"] += 1
            if verdict and not records:
                self.problems.append(replace(verdict, origin=other))
        return records

    def _why_none(self) -> str:
        """How many rows there were of each verdict, and the first of the verdict that most have."""
        found = ", ".join(f"{count} {code}" for code, count in self.counts.items())
        if self.counts.keys() == {"unanswered"}:
            ways = "`penchant votes import` asks people, `penchant judge` a judge"
            return f"({found}); {CODES['unanswered'].meaning}: {ways}"
        most = self.counts.most_common(1)[0][0]
        return f"({found}); see {next(one for one in self.problems if one.code == most)}"


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """Records hold no cycles and are many, so that Python's search for them takes a quarter of the time of loading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _first_of(errors: Sequence[Verdict], num_rows: int, *, droppable: bool) -> str:
    """What to say where bad rows are an error: the first of them, how many there are, and the way on."""
    count = "1 bad row" if len(errors) == 1 else f"{len(errors)} bad rows"
    way_on = '; `on_bad_row="drop"` skips them' if droppable else ""
    return f"{errors[0]} ({count} in {num_rows} read{way_on})."
