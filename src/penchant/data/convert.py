"""Convert data in any format that can be read to a format that other tools read, and report everything dropped."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from penchant.data.fields import UnreadField, UnreadFields
from penchant.data.given import Data
from penchant.data.importers.judged import NOBODY
from penchant.data.load import open_records
from penchant.data.opening import Row
from penchant.data.options import OnBadRow, ReadOptions
from penchant.data.pairing import ALL_RULES, ONE_LABEL, PairingRule
from penchant.data.read_as import Columns
from penchant.data.records import Origin
from penchant.data.said_beside import said_beside
from penchant.data.verdicts import CODES, BadRow, Verdict
from penchant.data.written import ONE_RESPONSE, WRITERS, Target, lost_in
from penchant.errors import ConfigError, DataError, OutputError
from penchant.files import disk_errors_explained, require_place, writing
from penchant.wording import SPELT_OUT, nearest

__all__ = ["Converted", "convert"]

WITH_ALL = ("trl", "kto", "messages")
"""Formats that can hold every field beside a record; in a comparison made from a pair, only the models."""


@dataclass(frozen=True, slots=True)
class Converted:
    """The result of converting a file.

    path, to: the file and the format written. format: names of the importers that read the data. num_rows: rows
    written. counts: rows read, by verdict. left_out: valid records that make no row of the format, by reason, as
    {"tie": 3}. first_left_out: the first of them for each reason. lost: fields for which the format has no place: in
    how many records, and where first. left_behind: fields that change nothing and are not written. remarks: what was
    not read.
    """

    path: Path
    to: str
    format: str
    num_rows: int
    counts: dict[str, int]
    left_out: dict[str, int]
    first_left_out: dict[str, Verdict]
    lost: tuple[UnreadField, ...]
    left_behind: tuple[UnreadField, ...]
    remarks: tuple[str, ...]

    def in_words(self) -> Iterator[str]:
        """The result in words, one line per fact."""
        yield f"{_rows(sum(self.counts.values()))} read as {self.format}, {self.num_rows:,} written as {self.to}"
        for code, number in self.left_out.items():
            first = self.first_left_out[code]
            said = f", the first {first}" if first.severity == "error" else f": {CODES[code].meaning}"
            yield f"not written: {number:,} {code}{said}"
        if self.lost:
            yield f"lost, as the format {self.to} has no place for it: {', '.join(map(str, self.lost))}"
        if self.left_behind:
            yield f"fields not copied, as they change nothing: {', '.join(map(str, self.left_behind))}"
        if bad := sum(number for code, number in self.counts.items() if CODES[code].severity == "error"):
            yield f"{_rows(bad)} left out, as they cannot be used; `penchant check` lists them"
        yield from self.remarks


def convert(
    data: Data,
    *,
    to: Target | str,
    output: str | os.PathLike[str],
    on_bad_row: OnBadRow = "error",
    columns: Columns | None = None,
    format: str | None = None,
    pairing: PairingRule | None = None,
    min_gap: float = 0.0,
) -> Converted:
    """Write data as JSON lines in a format that other tools read; the file appears only once it is complete.

    Rows are streamed, one at a time.

    Args:
        data: as for `penchant.data.load_pairs`; labelled responses and demonstrations are read as well.
        to: "trl" (prompt, chosen, rejected), "kto", "messages", "arena" or "comparisons", see `penchant.data.written`.
            For "kto" and "messages" a list of answers makes one pair, its best and its worst answer or, by `pairing`,
            a random one.
        output: the file to write, which must not exist.
        on_bad_row, columns, format, pairing, min_gap: how to read the data, see `penchant.data.load_pairs`.

    Raises:
        DataError: data that cannot be read or holds no such rows. ConfigError: an invalid option. OutputError: the
            output exists or cannot be written.
    """
    if to not in WRITERS:
        near = nearest(str(to), WRITERS)
        hint = f"did you mean '{near}'?" if near else f"choose from {', '.join(get_args(Target))}."
        raise ConfigError(f"there is no format '{to}' to write; {hint}")
    path = Path(output)
    if os.path.lexists(path):
        raise OutputError(f"{path}: exists already; choose another `output=...`.")
    require_place(path)
    rules = ONE_LABEL if to in ONE_RESPONSE else ALL_RULES
    how = ReadOptions(on_bad_row, columns=columns, format=format, pairing=pairing, min_gap=min_gap, rules=rules)
    reading = open_records(data, how, models=to in ("arena", "comparisons"))
    left_out, lost, num_rows, num_nameless, kept = Counter[str](), UnreadFields(), 0, 0, set[str]()
    first_left_out: dict[str, Verdict] = {}
    with disk_errors_explained(path), writing(path) as stream:
        for record in reading:
            try:
                row = reading.row if getattr(record, "origin", None) == reading.origin else {}
                beside, names = said_beside(row, record) if isinstance(row, dict) else ({}, set[str]())
                rows = list(_rows_of(record, beside, to, reading.origin))
            except BadRow as bad:
                left_out[bad.code] += 1
                first_left_out.setdefault(bad.code, bad.at(reading.origin))
                continue
            lost.add(lost_in(record, to), reading.origin)
            for row in rows:
                stream.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode("utf-8", SPELT_OUT))
            kept |= {name for name in names if to in WITH_ALL or name.endswith("model")}
            num_rows += len(rows)
            num_nameless += sum(row.get("model_a") == NOBODY[0] for row in rows)
        if not num_rows:
            why = ", ".join(f"{number} {code}" for code, number in left_out.items())
            raise DataError(
                f"{', '.join(map(str, reading.sources))}: no row can be written as {to} ({why}), so nothing was "
                f"written; see {next(iter(first_left_out.values()))}; choose another `to=...`, or other data."
            )
    read = reading.loaded(())
    return Converted(
        path,
        to,
        read.format,
        num_rows,
        read.verdict_counts,
        dict(left_out),
        first_left_out,
        lost.listed(),
        tuple(one for one in read.harmless if one.name not in kept),
        (*_nameless(num_nameless), *read.remarks()),
    )


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"


def _nameless(number: int) -> Iterator[str]:
    """The remark on battles written without the name of either model."""
    if number:
        yield f"{_rows(number)} without the names of the models: {' and '.join(NOBODY)} stand for them"


def _rows_of(record: Any, beside: Row, to: str, origin: Origin) -> Iterator[dict[str, Any]]:
    write, kinds = WRITERS[to]
    if not isinstance(record, kinds):
        what = type(record).__name__
        able = [name for name, (_, others) in WRITERS.items() if isinstance(record, others)]
        hint = f"choose from {', '.join(able)}" if able else "`penchant sft` reads it as it is"
        raise DataError(f"{origin}: a record of the type {what} cannot be written as {to}; {hint}.")
    return write(record, beside)
