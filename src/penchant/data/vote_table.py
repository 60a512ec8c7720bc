"""Read votes into columns of numbers, so that files of millions load in seconds and use few bytes per vote.

Equal rows give equal votes. So each distinct row of a block (data/blocks.py) is read once, by the usual importer, and
its duplicates are counted with it; the annotator is handled separately, as it would make all rows distinct.

Shapes: R rows, K distinct rows, V votes.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from penchant.data.blocks import Block, Rows, blocks_of
from penchant.data.given import Data, Source
from penchant.data.importers.messages import HOLD_A_PROMPT, HOLD_MESSAGES
from penchant.data.importers.packed import unpacked
from penchant.data.importers.vote_fields import Vote, first_filled
from penchant.data.meanings import HARMLESS
from penchant.data.opening import Row
from penchant.data.options import OnBadRow, ReadOptions
from penchant.data.read_as import Columns
from penchant.data.reading import Loaded, Reading, no_search_for_cycles
from penchant.data.record_kinds import VOTES
from penchant.data.records import Origin
from penchant.data.rows import UNANSWERED
from penchant.data.verdicts import BadRow

__all__ = ["VoteTable", "load_vote_table"]

IntArray = NDArray[np.int32]
MOST_REMEMBERED = 200_000
"""The most distinct rows that are remembered."""
MAY_BE_UNPACKED = HOLD_MESSAGES - HOLD_A_PROMPT
"""Fields whose text may be parsed as messages, so that more than its text is read."""


@dataclass(frozen=True)
class VoteTable(Sequence[Vote]):
    """V votes, each constructed on access.

    columns: for each field of `Vote`, its distinct values and (V,) the index of each vote's value.
    """

    columns: Mapping[str, tuple[tuple[Any, ...], IntArray]]

    def __len__(self) -> int:
        return len(self.columns["outcome"][1])

    @overload
    def __getitem__(self, index: int) -> Vote: ...
    @overload
    def __getitem__(self, index: slice) -> "VoteTable": ...
    def __getitem__(self, index: int | slice) -> "Vote | VoteTable":
        if isinstance(index, slice):
            return VoteTable({name: (values, code_V[index]) for name, (values, code_V) in self.columns.items()})
        return Vote(**{name: values[code_V[index]] for name, (values, code_V) in self.columns.items()})


def load_vote_table(
    data: Data, *, on_bad_row: OnBadRow = "error", columns: Columns | None = None, format: str | None = None
) -> tuple[Loaded[Vote], VoteTable]:
    """Load what `load_votes` loads, including verdicts and counts, with a vote table as its records."""
    options = ReadOptions(on_bad_row, columns=columns, format=format)
    reading = _TableReading(options.sources(data), options)
    with no_search_for_cycles():
        for _ in reading:
            pass
        table = reading.table()
        return reading.loaded(table), table


@dataclass
class _Shape:
    """Rows with the same names. compared: columns that distinguish rows. people: columns that name the voter."""

    compared: list[int]
    people: list[int]
    known: dict[tuple[Any, ...], int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Kind:
    """The result of reading a row. bad: why it yields no vote. unread: its unread fields."""

    votes: tuple[Vote, ...]
    bad: BadRow | None = None
    unread: tuple[str, ...] = ()


class _NotAlike(Exception):
    """A row of the block cannot be identified by its compared columns."""


class _TableReading(Reading[Vote]):
    """A reading that yields nothing; at the end `table` returns the votes."""

    def __init__(self, sources: Sequence[Source], options: ReadOptions) -> None:
        super().__init__(sources, VOTES, options)
        self._kinds: list[_Kind] = []
        self._num_votes = array("q")  # of each kind
        self._is_bad = array("b")  # of each kind
        self._has_unread = False
        self._people: defaultdict[str | None, int] = defaultdict(count().__next__)
        self._shapes: dict[tuple[str, ...], _Shape | None] = {}
        self._kind_R: list[IntArray] = []
        self._person_R: list[IntArray] = []  # -1 if the votes of the kind name the voter

    def _read(self, source: Source) -> Iterator[Vote]:
        for block in blocks_of(source):
            if isinstance(block, Block):
                self._take(block, source)
            else:
                self._take_rows(block, source)
        yield from ()

    def _take_rows(self, rows: Rows, source: Source) -> None:
        kinds = [
            self._add(_Kind(tuple(votes)))
            for number, row in rows
            if (votes := self._judged(row, source.origin(number)))
        ]
        self.num_records += sum(self._num_votes[kind] for kind in kinds)
        self._kind_R.append(np.array(kinds, dtype=np.int32))
        self._person_R.append(np.full(len(kinds), -1, dtype=np.int32))

    def _take(self, block: Block, source: Source) -> None:
        shape = self._shape_of(block)
        try:
            if shape is None:
                raise _NotAlike
            kind_R = self._kinds_of(block, shape, source)
        except _NotAlike:
            self._take_rows([(block.first + i, block.row(i)) for i in range(len(block))], source)
            return
        self._count(kind_R, block.first, source)
        self._kind_R.append(kind_R)
        self._person_R.append(self._people_of(block, shape) if shape.people else np.full(len(block), -1, np.int32))

    def _shape_of(self, block: Block) -> _Shape | None:
        """The shape of rows; None unless field names and read values determine the format of every row."""
        if block.names not in self._shapes:
            candidates = self._reader.candidates(block.names)
            shape = None
            if candidates and MAY_BE_UNPACKED.isdisjoint(block.names):
                read = frozenset[str]().union(*(one.reads for one in candidates))
                people = [one.annotator_in for one in candidates]
                apart = people[0] if all(names == people[0] for names in people) else ()
                compared = [i for i, name in enumerate(block.names) if name in read - {*apart} or name not in HARMLESS]
                compared = [i for i in compared if block.names[i] not in apart]
                shape = _Shape(compared, [block.names.index(name) for name in apart if name in block.names])
            self._shapes[block.names] = shape
        return self._shapes[block.names]

    def _kinds_of(self, block: Block, shape: _Shape, source: Source) -> IntArray:
        """(R,) the number of each row's kind. Raises _NotAlike."""
        known = shape.known
        if len(known) > MOST_REMEMBERED:
            known.clear()
        keys = list(zip(*(_comparable(block.columns[i]) for i in shape.compared), strict=True))
        kinds = [known.get(key, -1) for key in keys]
        if -1 in kinds:
            for index, key in enumerate(keys):
                if key not in known:
                    known[key] = self._add(self._kind_of(block, index, source.origin(block.first + index)))
            kinds = [known[key] for key in keys]
        return np.array(kinds, dtype=np.int32)

    def _kind_of(self, block: Block, index: int, origin: Origin) -> _Kind:
        row = block.row(index)
        importer = next((one for one in self._reader.candidates(block.names) if one.matches(row)), None)
        if importer is None or not _is_as_it_stands(row):
            raise _NotAlike
        self._reader.formats[importer.name] = None
        try:
            votes, unread = self._reader.converted(row, importer, origin)
        except BadRow as bad:
            return _Kind((), BadRow(bad.code, bad.reason, bad.fix))
        return _Kind(votes, None if votes else BadRow(*UNANSWERED), tuple(unread))

    def _add(self, kind: _Kind) -> int:
        self._kinds.append(kind)
        self._num_votes.append(len(kind.votes))
        self._is_bad.append(kind.bad is not None)
        self._has_unread |= bool(kind.unread)
        return len(self._kinds) - 1

    def _count(self, kind_R: IntArray, first: int, source: Source) -> None:
        """Count verdicts, problems and unread fields, as if the rows had been judged one after the other."""
        self._reader.num_known += len(kind_R)
        self.num_records += int(np.array(self._num_votes)[kind_R].sum())
        is_kept = ~np.array(self._is_bad)[kind_R].astype(bool)
        bad = []
        for i in np.flatnonzero(~is_kept).tolist():
            if reason := self._kinds[kind_R[i]].bad:
                bad.append((i, reason.at(source.origin(first + i))))
        self.problems += [verdict for _, verdict in bad]
        found = [(i, verdict.code, 1) for i, verdict in bad]
        found += [(int(is_kept.argmax()), "keep", int(is_kept.sum()))] if is_kept.any() else []
        for _, code, num in sorted(found):
            self._counts[code] += num
        if self._has_unread:
            kinds, index, nums = np.unique(kind_R, return_index=True, return_counts=True)
            for i, kind, num in sorted(zip(index.tolist(), kinds.tolist(), nums.tolist(), strict=True)):
                self._reader.unread.add(self._kinds[kind].unread, source.origin(first + i), num)

    def _people_of(self, block: Block, shape: _Shape) -> IntArray:
        """(R,) the index of each row's voter."""
        names = [block.names[i] for i in shape.people]
        columns = [block.columns[i] for i in shape.people]
        if len(columns) == 1 and set(map(type, columns[0])) == {str} and all(map(str.strip, columns[0])):
            people: Any = columns[0]
        else:
            cells = zip(*columns, strict=True)
            people = [first_filled(dict(zip(names, cell, strict=True)), *names) for cell in cells]
        return np.fromiter(map(self._people.__getitem__, people), dtype=np.int32, count=len(block))

    def table(self) -> VoteTable:
        """The votes of all rows in order."""
        votes = [vote for kind in self._kinds for vote in kind.votes]
        num_K = np.array(self._num_votes)
        kind_R = np.concatenate(self._kind_R)
        num_R = num_K[kind_R]
        begin_R = (np.cumsum(num_K) - num_K)[kind_R]
        inside_V = np.arange(num_R.sum()) - np.repeat(np.cumsum(num_R) - num_R, num_R)
        vote_V = np.repeat(begin_R, num_R) + inside_V
        person_V = np.repeat(np.concatenate(self._person_R), num_R)
        columns = {}
        for name in Vote.__slots__:
            numbers: defaultdict[Any, int] = self._people if name == "annotator" else defaultdict(count().__next__)
            cells = (numbers[getattr(vote, name)] for vote in votes)
            code_V: IntArray = np.fromiter(cells, dtype=np.int32, count=len(votes))[vote_V]
            if name == "annotator":
                code_V = np.where(person_V >= 0, person_V, code_V)
            columns[name] = tuple(numbers), code_V
        return VoteTable(columns)


def _is_as_it_stands(row: Row) -> bool:
    """Whether no text in it could be parsed as messages."""
    try:
        return unpacked(row) is row
    except BadRow:
        return False


def _comparable(column: tuple[Any, ...]) -> Sequence[Any]:
    """Cells that compare equal only if they are read alike: True, 1 and 1.0 differ."""
    return (
        column if set(map(type, column)) == {str} else [cell if type(cell) is str else (repr(cell),) for cell in column]
    )
