"""Check the options of a loader once, and open the sources to read with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from penchant.data.files import TxtRows
from penchant.data.given import Data, Source, part_of, sources_of
from penchant.data.mixtures import Subset, require_subset
from penchant.data.pairing import ALL_RULES, Pairing, PairingRule
from penchant.data.parts import Part
from penchant.data.read_as import Columns, columns_of, reading_as, require_format
from penchant.errors import ConfigError

__all__ = ["OnBadRow", "ReadOptions"]

OnBadRow = Literal["error", "drop"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How data is read; `load_pairs` documents each option. A source may override them, see `Part`.

    rules: the pairing rules that may be used, see `ALL_RULES`; the first if none is given.

    Raises ConfigError for invalid values.
    """

    on_bad_row: OnBadRow = "error"
    limit: int | None = None
    subset: Subset = "head"
    seed: int = 0
    columns: Columns | None = None
    format: str | None = None
    pairing: PairingRule | None = None
    min_gap: float = 0.0
    rules: tuple[PairingRule, ...] = ALL_RULES

    def __post_init__(self) -> None:
        columns_of(self.columns)
        require_format(self.format)
        if self.on_bad_row not in get_args(OnBadRow):
            raise ConfigError(f"on_bad_row must be error or drop, got {self.on_bad_row!r}.")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1, got {self.limit}; leave it out to read every row.")
        require_subset(self.subset, "data")
        if self.subset != "head" and self.limit is None:
            raise ConfigError(f"subset={self.subset} chooses records up to a limit; say how many, as `limit=1000`.")
        self.by_rule()

    def by_rule(self, part: Part | None = None) -> Pairing:
        """The rule by which answers of a list become pairs, in this part or by default."""
        if part is None:
            return Pairing(self.pairing or self.rules[0], self.min_gap)
        gap = self.min_gap if part.min_gap is None else part.min_gap
        return Pairing(part.pairing or self.pairing or self.rules[0], gap)

    def sources(self, data: Data, *, txt: TxtRows = "documents") -> Sequence[Source]:
        """The sources to read. Raises DataError as `sources_of` and `reading_as` do; ConfigError for another rule."""
        found = sources_of(data, txt=txt)
        for rule in (self.pairing, *(part_of(source).pairing for source in found)):
            if rule is not None and rule not in self.rules:
                raise ConfigError(
                    f'pairing="{rule}" would label an answer between the best and the worst both good and bad; choose '
                    + " or ".join(f'`pairing="{one}"`' for one in self.rules)
                    + "."
                )
        columns = columns_of(self.columns)
        return found if not columns and self.format is None else reading_as(found, columns, self.format)
