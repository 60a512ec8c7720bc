"""Check that the options of answer lists, `pairing` and `min_gap`, took effect, or refuse them."""

from dataclasses import dataclass, field

from penchant.data.derived import gap_of
from penchant.data.importers import LIST_IMPORTERS
from penchant.data.options import ReadOptions
from penchant.data.parts import Part
from penchant.data.verdicts import BadRow
from penchant.errors import ConfigError

__all__ = ["LISTS", "Heeding"]

LISTS = frozenset(one.name for one in LIST_IMPORTERS)
"""Names of the formats that hold lists of answers."""
MEETS = {"pairing": "a list of answers", "min_gap": "a list of answers, or scores of its two sides"}
"""The options, and what they apply to."""


@dataclass
class Heeding:
    """Watches rows as they are read. asks: whether either option was given for the current part."""

    options: ReadOptions
    asks: bool = False
    _whose: dict[str, str] = field(default_factory=dict)
    _min_gap: float = 0.0
    _met: dict[tuple[str, str], bool] = field(default_factory=dict)

    def begin(self, part: Part) -> None:
        """Start reading this part. Its own options must take effect within it."""
        own = {name: str(part) for name in MEETS if getattr(part, name)}
        said = {name: "" for name in MEETS if getattr(self.options, name)}
        self._whose = said | own
        self._min_gap = self.options.by_rule(part).min_gap
        self.asks = bool(self._whose)

    def look_at(self, record: object) -> None:
        """Raises BadRow, of no severity, for a pair whose scores are less far apart than `min_gap`."""
        if (gap := gap_of(record)) is None:
            return
        self._meet("min_gap")
        if gap < self._min_gap:
            reason = f"chosen scores only {gap:g} more than rejected, which is less than min_gap ({self._min_gap:g})"
            raise BadRow("small_gap", reason, "lower min_gap to use the pair")

    def pass_by(self, format: str) -> None:
        """A row of this format."""
        for name in self._whose:
            self._met.setdefault((self._whose[name], name), False)
            if format in LISTS:
                self._meet(name)

    def require_met(self, sources: str) -> None:
        """Raise ConfigError for an option that applied to no row of these sources."""
        for (whose, name), met in self._met.items():
            if not met:
                why = f"as none of the rows has {MEETS[name]}"
                raise ConfigError(f"{whose or sources}: {name} has no effect, {why}; leave it out.")

    def _meet(self, name: str) -> None:
        if name in self._whose:
            self._met[self._whose[name], name] = True
