"""What a fuzzer's bytes become: rows in the formats that are read, with odd values, in a file that may be spoilt."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from penchant.data.importers import DEMONSTRATION_IMPORTERS, LABELLED_IMPORTERS, PAIR_IMPORTERS, PROMPT_IMPORTERS
from penchant.data.importers.vote_formats import VOTE_IMPORTERS
from penchant.data.meanings import HARMLESS, MEANINGFUL

__all__ = ["EXAMPLES_FOR", "TABLES", "WRITERS", "Choices", "made_row", "spoilt"]

TABLES: Mapping[str, tuple[Any, ...]] = {
    "pairs": PAIR_IMPORTERS,
    "labelled": LABELLED_IMPORTERS,
    "demonstrations": DEMONSTRATION_IMPORTERS,
    "prompts": PROMPT_IMPORTERS,
    "votes": VOTE_IMPORTERS,
}
IMPORTERS = [importer for table in TABLES.values() for importer in table]
EXAMPLES = [importer.example for importer in IMPORTERS]
EXAMPLES_FOR = {name: [importer.example for importer in table] for name, table in TABLES.items()}
FIELDS = sorted({name for one in IMPORTERS for name in (*one.example, *one.reads)} | {*MEANINGFUL, *HARMLESS, "", "x"})
TEXTS = [
    *(
        "",
        " ",
        "a",
        "Hello there.",
        "user",
        "assistant",
        "system",
        "tool",
        "human",
        "gpt",
        "tie",
        "a_b",
        "true",
        "0",
        "nan",
    ),
    *("\ud800", "\udce9", "\u2028", "\x00", "\r", "<|endoftext|>", "<|im_end|>", "\n\nHuman: a\n\nAssistant: b"),
    *("\nHuman: a\nAssistant: b", "[]", "[{'role': 'user', 'content': 'a'}]", '[{"role": "user", "content": "a"}]'),
    *('["a"]', "{'a': ", "1" * 400, "9" * 5000, "x" * 2000, "{{ a }}", "<think>a", "<think>a</think>b"),
]
NUMBERS: list[Any] = [
    0,
    1,
    -1,
    2,
    0.5,
    10**400,
    -(10**20),
    1e308,
    1e-320,
    float("nan"),
    float("inf"),
    True,
    False,
    None,
]


class Choices:
    """Bytes as choices, one or two for each; where they have run out, the first of everything is chosen.

    examples: the rows that others are made from.
    """

    def __init__(self, data: bytes) -> None:
        self.examples = EXAMPLES
        self._data, self._place = data, 0

    def below(self, number: int) -> int:
        """A whole number from 0 to below `number`."""
        width = 1 if number <= 256 else 2
        taken = self._data[self._place : self._place + width]
        self._place += width
        return int.from_bytes(taken, "little") % number

    def of(self, options: Any) -> Any:
        """One of the options."""
        return options[self.below(len(options))]

    def rest(self) -> bytes:
        """The bytes that are left."""
        return self._data[self._place :]


def _value(choices: Choices, depth: int = 0) -> Any:
    return choices.of(NESTED if depth < 3 else PLAIN)(choices, depth + 1)


PLAIN: list[Callable[[Choices, int], Any]] = [
    lambda choices, _: choices.of(TEXTS),
    lambda choices, _: choices.of(NUMBERS),
    lambda choices, _: choices.of(list(choices.of(EXAMPLES).values())),
]
NESTED = [
    *PLAIN,
    lambda choices, _: choices.of(NUMBERS),
    lambda choices, depth: {"role": choices.of(TEXTS), "content": _value(choices, depth)},
    lambda choices, depth: {"from": choices.of(TEXTS), "value": "a", choices.of(FIELDS): _value(choices, depth)},
    lambda choices, depth: {choices.of(FIELDS): _value(choices, depth) for _ in range(choices.below(3))},
    lambda choices, depth: [_value(choices, depth) for _ in range(choices.below(4))],
    lambda choices, depth: json.dumps(_value(choices, depth)),
]


def made_row(choices: Choices) -> dict[str, Any]:
    """An example of a format with some of its fields changed, added or gone."""
    row = dict(choices.of(choices.examples))
    for _ in range(choices.below(4)):
        name = choices.of(FIELDS if choices.below(2) or not row else list(row))
        if choices.below(5):
            row[name] = _value(choices)
        else:
            row.pop(name, None)
    return row


def _rows(choices: Choices) -> list[dict[str, Any]]:
    return [made_row(choices) for _ in range(1 + choices.below(4))]


def spoilt(content: bytes, choices: Choices) -> bytes:
    """The content as it is, or with some of its bytes replaced, or cut."""
    if choices.below(2):
        return content
    changed = bytearray(content)
    for _ in range(choices.below(4)):
        if changed:
            changed[choices.below(min(len(changed), 65_535))] = choices.below(256)
    return bytes(changed[: choices.below(min(len(changed), 65_534) + 1)] if choices.below(3) == 2 else changed)


def _jsonl(choices: Choices) -> bytes:
    return b"".join(_json_text(row) + choices.of((b"\n", b"\n", b"\r\n", b"", b"\n\n")) for row in _rows(choices))


def _json(choices: Choices) -> bytes:
    rows: Any = _rows(choices)
    return _json_text(choices.of((rows, rows, rows[0], {"rows": rows}, [*rows, 1])), choices.of((None, 1)))


def _json_text(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _csv(choices: Choices) -> bytes:
    rows = _rows(choices)
    text = io.StringIO()
    writer = csv.writer(text)
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _txt(choices: Choices) -> bytes:
    ends = ("\n", "\n\n", "\n<|endoftext|>\n", "\r\n", "")
    return "".join(choices.of(TEXTS) + choices.of(ends) for _ in range(1 + choices.below(6))).encode("utf-8", "replace")


def _parquet(choices: Choices) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet

    rows = _rows(choices)
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name) for row in rows] for name in names]
    kinds = [choices.of((None, None, None, *TIMES)) for _ in names]
    written = [name.encode("utf-8", "replace").decode() for name in names]
    compression = choices.of(("snappy", "none", "zstd"))
    sink = io.BytesIO()
    try:
        columns = [_column(column, kind) for column, kind in zip(cells, kinds, strict=True)]
        pyarrow.parquet.write_table(pa.Table.from_arrays(columns, written), sink, compression=compression)
    except pa.ArrowException:  # such as for an object without fields
        sink = io.BytesIO()
        columns = [_texts(column) for column in cells]
        pyarrow.parquet.write_table(pa.Table.from_arrays(columns, written), sink, compression=compression)
    return sink.getvalue()


TIMES = (("timestamp", "ns"), ("timestamp", "us", "Mars/Phobos"), ("date32",))


def _column(cells: list[Any], kind: tuple[str, ...] | None) -> Any:
    """A column of these cells, as times where they are numbers; of text where no column holds all of them."""
    import pyarrow as pa

    try:
        column = pa.array(cells)
        if kind and pa.types.is_integer(column.type):
            column = column.cast(getattr(pa, kind[0])(*kind[1:]))
    except (pa.ArrowException, OverflowError, ValueError):
        column = _texts(cells)
    return column


def _texts(cells: list[Any]) -> Any:
    import pyarrow as pa

    return pa.array([_cell(cell).encode("utf-8", "surrogatepass") for cell in cells], pa.binary()).view(pa.string())


WRITERS: Mapping[str, Callable[[Choices], bytes]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".txt": _txt,
    ".parquet": _parquet,
}
