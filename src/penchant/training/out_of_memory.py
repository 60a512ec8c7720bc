"""A micro-batch that finds no memory is named, and the batch is tried once more in micro-batches of half the size.

The gradient does not depend on how a batch is cut, so only its last bits change. Where several processes each hold the
model, all hear of it before gradients are added up, and all try again; one that holds a slice cannot, as the others
are in the midst of its sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from penchant import ranks
from penchant.errors import ConfigError
from penchant.machine import is_out_of_memory
from penchant.models.numerics import give_back_freed_memory
from penchant.wording import reason_of

__all__ = ["Lack", "OutOfMemory", "TokenBudget", "naming"]

ADVICE = (
    "lower optimiser.token_budget or data.max_length, train with model.lora or model.gradient_checkpointing, or take a "
    "smaller model"
)


class OutOfMemory(ConfigError):
    """No memory for a micro-batch. what: which, without advice. can_be_cut: whether it holds more than one item."""

    def __init__(self, what: str, *, can_be_cut: bool) -> None:
        super().__init__(f"{what}; {ADVICE}")
        self.what, self.can_be_cut = what, can_be_cut


@contextmanager
def naming(number: int, of: int, items: Sequence[Any], token_budget: int) -> Iterator[None]:
    """Inside, an error that says that there is no memory left becomes an OutOfMemory that names the micro-batch."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        rest = f" and {len(items) - 1} more" * (len(items) > 1)
        raise OutOfMemory(
            f"there is not enough memory for micro-batch {number} of {of} ({items[0].origin}{rest}) with "
            f"optimiser.token_budget={token_budget} ({reason_of(error)})",
            can_be_cut=len(items) > 1,
        ) from None


@dataclass
class Lack:
    """Memory that was lacking on some rank in its part of a batch.

    sharded: whether the model lies in slices, so that the run ends. here: of this rank, what and whether it can be cut.
    """

    sharded: bool
    here: tuple[str, bool] | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Inside, an OutOfMemory waits until all ranks meet; alone, and of a sharded model, it is raised at once."""
        try:
            yield
        except OutOfMemory as error:
            error.can_be_cut = error.can_be_cut and not self.sharded
            if ranks.size() == 1 or self.sharded:
                raise
            self.here = error.what, error.can_be_cut  # not the error, which holds what was computed

    def tell(self) -> None:
        """Raise the first rank's OutOfMemory on all of them, before what they computed is put together."""
        found = [(number, *one) for number, one in enumerate(ranks.gather(self.here), 1) if one is not None]
        if found:
            number, what, _ = found[0]
            where = f"process {number} of {ranks.size()}: " * (ranks.size() > 1)
            error = OutOfMemory(where + what, can_be_cut=all(can_be_cut for *_, can_be_cut in found))
            error.everywhere = True
            raise error


@dataclass
class TokenBudget:
    """Most tokens run at once: as given, and as it is `now`."""

    given: int
    now: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.given

    @contextmanager
    def halved_once(self, where: str, say: Callable[[str], None]) -> Iterator[None]:
        """Inside, a lack of memory halves the budget, which is said, and is forgotten, so that one can try again.

        Raises OutOfMemory where it was halved before, and where smaller micro-batches would be the same ones.
        """
        try:
            yield
        except OutOfMemory as error:
            if self.now < self.given or self.given == 1 or not error.can_be_cut:
                raise
            self.now = self.given // 2
            say(
                f"{where}: {error.what}; the run continues with {self.now}, which changes only the gradient's last bits"
            )
        else:
            return
        give_back_freed_memory()  # here, where no error holds what was computed any more
