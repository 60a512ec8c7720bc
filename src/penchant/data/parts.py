"""A part of a data mixture: where its rows are, how they are read, their weight, and how many are taken.

On one line it is written as `pairs.jsonl::weight=0.5,max_rows=1000,columns=question=prompt,columns=good=chosen`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args
from urllib.parse import unquote

from penchant.data.mixtures import Subset, require_subset
from penchant.data.pairing import Pairing, PairingRule
from penchant.data.read_as import Columns, columns_of, require_format
from penchant.errors import ConfigError
from penchant.wording import nearest, shown

__all__ = ["Kind", "Part", "numbered"]

Kind = Literal["pairs", "labelled", "demonstrations"]
MARK = "::"
NUMBERS = ("weight", "max_rows", "min_gap")


@dataclass(frozen=True)
class Part:
    """How to read one source.

    path: a file, a folder, a pattern, `hub:owner/name` or `-`. weight: factor on the loss of each record, above 0.
    max_rows: the most records to take. subset: which ones, the first or a random sample. kind: the kind of its records,
    if its rows could be read as another. columns, format, pairing, min_gap: as for `load_pairs`; they override the
    options given for all sources. copy: the number of this part among those with the same path, set when opened.

    Raises ConfigError for an invalid value.
    """

    path: str
    weight: float = 1.0
    max_rows: int | None = None
    subset: Subset = "head"
    kind: Kind | None = None
    columns: Columns | None = field(default=None, hash=False)
    format: str | None = None
    pairing: PairingRule | None = None
    min_gap: float | None = None
    copy: int = 1

    def __post_init__(self) -> None:
        if not (_is_number(self.weight) and math.isfinite(self.weight) and self.weight > 0):
            raise ConfigError(
                f"{self.path}: the weight of its rows must be a number above 0, got {self.weight}; leave the file out "
                "if they are not to count."
            )
        if self.max_rows is not None and (not _is_number(self.max_rows, int) or self.max_rows < 1):
            raise ConfigError(f"{self.path}: max_rows must be a whole number from 1 on, got {self.max_rows}.")
        require_subset(self.subset, self.path)
        if self.subset != "head" and self.max_rows is None:
            raise ConfigError(
                f"{self.path}: subset={self.subset} needs max_rows, the number of records to choose; give it."
            )
        if self.kind is not None and self.kind not in get_args(Kind):
            raise ConfigError(f"{self.path}: kind must be pairs, labelled or demonstrations, got {shown(self.kind)}.")
        try:
            object.__setattr__(self, "columns", columns_of(self.columns) or None)
            require_format(self.format)
            Pairing(self.pairing or "all", 0.0 if self.min_gap is None else self.min_gap)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from None
        object.__setattr__(self, "weight", float(self.weight))
        object.__setattr__(self, "min_gap", self.min_gap if self.min_gap is None else float(self.min_gap))

    def __str__(self) -> str:
        return self.path + (f"{MARK}{self.options}" if self.options else "")

    @property
    def name(self) -> str:
        """The unique name of the part: its path, numbered if the path was given before."""
        return numbered(self.path, self.copy)

    @property
    def options(self) -> str:
        """The options that differ from their defaults, as `weight=0.5,max_rows=1000`; empty if none does."""
        said = []
        for name in OPTIONS:
            value = getattr(self, name)
            if name == "columns":
                said += [f"columns={_quoted(old)}={_quoted(new)}" for old, new in columns_of(value).items()]
            elif value != DEFAULTS[name]:
                said.append(f"{name}={value}")
        return ",".join(said)

    @classmethod
    def of(cls, name: str) -> Part:
        """Parse a name; an existing file with `::` in its name is that file."""
        path, mark, options = name.rpartition(MARK)
        if not mark or os.path.lexists(name):
            return cls(name)
        return cls.read({"path": path, **_read_options(name, options)})

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Part:
        """Read a part from a mapping, as in settings."""
        for name in said:
            if name not in ("path", *OPTIONS):
                meant = nearest(str(name), OPTIONS)
                hint = f"did you mean {meant}?" if meant else f"choose from {', '.join(OPTIONS)}."
                raise ConfigError(f"{said.get('path')}: a source of data has no option {str(name)!r}; {hint}")
        if not isinstance(said.get("path"), str) or not said["path"]:
            raise ConfigError(f"a source of data needs a path, got {shown(dict(said))}.")
        return cls(**said)

    def as_dict(self) -> dict[str, Any]:
        """The part as a mapping for settings: weight, max_rows, subset, and every option that is set."""
        said = asdict(self)
        kept = ("path", "weight", "max_rows", "subset")
        return {name: said[name] for name in ("path", *OPTIONS) if name in kept or said[name] is not None}


DEFAULTS = {one.name: one.default for one in fields(Part)[1:] if one.name != "copy"}
OPTIONS = tuple(DEFAULTS)


def numbered(name: str, copy: int) -> str:
    """A repeated name with a number that makes it unique."""
    return name if copy == 1 else f"{name} ({copy})"


def _is_number(value: object, kind: Any = int | float) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _read_options(name: str, options: str) -> dict[str, Any]:
    """Parse `weight=2,columns=a=b,columns=c=d`. Raises ConfigError."""
    found: dict[str, Any] = {}
    columns = []
    for one in options.split(","):
        key, _, value = one.partition("=")
        if key == "columns":
            columns.append(value)
        elif key in found:
            raise ConfigError(f"{name}: {key} is given twice; keep one of them.")
        else:
            found[key] = _number(name, key, value) if key in NUMBERS else value
    if columns:
        mapping = dict(_column(name, one) for one in columns)
        if len(mapping) < len(columns):
            raise ConfigError(f"{name}: columns= renames a column twice; keep one of its names.")
        found["columns"] = mapping
    return found


def _number(name: str, key: str, text: str) -> float:
    try:
        return int(text) if key == "max_rows" else float(text)
    except ValueError:
        raise ConfigError(f"{name}: {key}={text} is not a number; write {key}=2, for example.") from None


def _column(name: str, text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals:
        raise ConfigError(
            f"{name}: columns={text} does not say what the column is read as; write columns=question=prompt, for "
            "example, and columns= again for another column."
        )
    return unquote(old), unquote(new)


def _quoted(name: str) -> str:
    """A column name quoted for the one-line form, where commas and equals signs are separators."""
    return name.replace("%", "%25").replace(",", "%2C").replace("=", "%3D")
