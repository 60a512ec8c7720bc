"""Load files or rows into records: find the format, convert each row, give a verdict, drop nothing silently."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeVar

from penchant.data.derived import labelled_from_pairs
from penchant.data.given import Data, Source, digest_of, part_of, refuse_options
from penchant.data.importers import Vote
from penchant.data.kinds import Kind, guess_kind, kinds_of
from penchant.data.mixtures import Subset
from penchant.data.options import OnBadRow, ReadOptions
from penchant.data.pairing import PairingRule
from penchant.data.read_as import Columns
from penchant.data.reading import Loaded, Reading, no_search_for_cycles
from penchant.data.record_kinds import (
    ANSWERS,
    ANSWERS_WITH_MODELS,
    DEMONSTRATIONS,
    LABELLED,
    PAIRS,
    PROMPTS,
    VOTES,
    RecordKind,
)
from penchant.data.records import Demonstration, Document, Labelled, PreferencePair, Prompt
from penchant.errors import ConfigError, DataError

__all__ = [
    "load_demonstrations",
    "load_labelled",
    "load_pairs",
    "load_prompts",
    "load_votes",
    "open_records",
    "read_pairs",
    "reading_of",
]

Record = TypeVar("Record")


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
    rows out and counts them. In both cases rows with a warning (duplicate, contradicts) are kept and counted, and rows
    without a preference (tie, both_bad, unanswered) are left out and counted. limit: the most pairs to load.
    subset: which pairs: "head", the first, after which no row is read, or "random", drawn by `seed` from all.
    columns: {a column of the file: the name by which it is read}, or the same as "question=prompt,good=chosen".
    format: the only format to read rows by; None: the first that fits. pairing, min_gap: which answers of a list become
    pairs ("all" by default), see `penchant.data.pairing.Pairing`; a row that names a chosen and a rejected response is
    a pair, unless its scores differ by less than min_gap.

    Raises DataError for a file that cannot be read, an unknown format, a bad row (see above), or data without a usable
    row; ConfigError for an invalid option, and for a pairing or a min_gap that applies to no list and no score.
    """
    options = ReadOptions(on_bad_row, limit, subset, seed, columns, format, pairing, min_gap)
    return _load(options.sources(data), PAIRS, options)


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

    Preference pairs are split, see `labelled_from_pairs`; `limit` then counts pairs. Of a list of answers the best is
    good, and the worst, or a random one, bad; other rules, which could call one answer both, are a ConfigError.
    """
    options = ReadOptions(on_bad_row, limit, subset, seed, columns, format, pairing, min_gap, "best_worst")
    sources = options.sources(data)
    for rule in (options.pairing, *(part_of(source).pairing for source in sources)):
        if rule not in (None, "best_worst", "best_random"):
            raise ConfigError(
                f'pairing="{rule}" would label an answer between the best and the worst both good and bad; choose '
                '`pairing="best_worst"` or `pairing="best_random"`.'
            )
    return _labelled(sources, options)


def _labelled(sources: Sequence[Source], options: ReadOptions) -> Loaded[Labelled]:
    kinds = set(kinds_of(sources).values())
    if kinds == {"pairs", "labelled"}:
        return _of_both_kinds(sources, options)
    if "pairs" not in kinds:
        return _load(sources, LABELLED, options)
    loaded = _load(sources, PAIRS, options)
    for pair in loaded.records:
        if pair.probability != 1 or pair.margin:
            what = "a soft label or a margin, which a single label cannot hold"
            raise DataError(f"{pair.origin}: the pair has {what}; remove the row, or use an objective of pairs.")
    return replace(loaded, records=tuple(labelled_from_pairs(loaded.records)))  # type: ignore[arg-type,return-value]


def _of_both_kinds(sources: Sequence[Source], options: ReadOptions) -> Loaded[Labelled]:
    """Labelled responses, and pairs split into labelled responses, in the order given."""
    if options.limit is not None:
        raise ConfigError(
            "a limit counts pairs or labelled responses, but the data holds both; give each file its own limit, as in "
            "`pairs.jsonl::max_rows=1000`."
        )
    of_labels = replace(options, pairing=None, min_gap=0.0)  # labelled responses have no use for these
    found = [
        _labelled(list(shards), of_labels if guess_kind(list(shards)) == "labelled" else options)
        for shards in (list(held) for _, held in groupby(sources, part_of))
    ]
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
    options = ReadOptions(on_bad_row, limit, subset, seed, columns, format)
    return _load(options.sources(data), DEMONSTRATIONS, options)


def load_prompts(
    data: Data,
    *,
    on_bad_row: OnBadRow = "error",
    limit: int | None = None,
    subset: Subset = "head",
    seed: int = 0,
    columns: Columns | None = None,
    format: str | None = None,
) -> Loaded[Prompt]:
    """Load prompts, one per line of a .txt file; options and errors as for `load_pairs`.

    Ids are unique: a row that repeats a prompt under its id is counted as a duplicate and left out.
    """
    options = ReadOptions(on_bad_row, limit, subset, seed, columns, format)
    return _load(options.sources(data, txt="lines"), PROMPTS, options)


def load_votes(
    data: Data, *, on_bad_row: OnBadRow = "error", columns: Columns | None = None, format: str | None = None
) -> Loaded[Vote]:
    """Load votes for a ranking; a row holds one or several. Options and errors as for `load_pairs`."""
    options = ReadOptions(on_bad_row, columns=columns, format=format)
    return _load(options.sources(data), VOTES, options)


def read_pairs(data: Data, options: ReadOptions) -> Reading[PreferencePair]:
    """Stream the pairs that `load_pairs` loads; errors are raised as they are met."""
    return Reading(options.sources(data), PAIRS, options)


def reading_of(kind: Kind, data: Data, options: ReadOptions | None = None) -> Reading[Any]:
    """Stream the records of the kind that `guess_kind` found; options: None leaves bad rows out."""
    kinds: dict[Kind, RecordKind[Any]] = {"pairs": PAIRS, "labelled": LABELLED, "demonstrations": DEMONSTRATIONS}
    options = options or ReadOptions(on_bad_row="drop")
    return Reading(options.sources(data), kinds[kind], options)


def open_records(data: Data, options: ReadOptions | None = None, *, models: bool = False) -> Reading[Any]:
    """Stream records of any kind: pairs, comparisons including ties, labelled responses, or demonstrations.

    models: whether a pair that names the models of its responses becomes a comparison. Errors as for `read_pairs`.
    """
    options = options or ReadOptions()
    sources = options.sources(data)
    refuse_options(sources, ["weight"], "a conversion, which only rewrites rows")
    kinds: dict[Kind, RecordKind[Any]] = {
        "pairs": ANSWERS_WITH_MODELS if models else ANSWERS,
        "labelled": LABELLED,
        "demonstrations": DEMONSTRATIONS,
    }
    return Reading(sources, kinds[guess_kind(sources)], options, tells_harmless=True)


def _load(sources: Sequence[Source], kind: RecordKind[Record], options: ReadOptions) -> Loaded[Record]:
    reading = Reading(sources, kind, options)
    with no_search_for_cycles():
        return reading.loaded(tuple(reading))
