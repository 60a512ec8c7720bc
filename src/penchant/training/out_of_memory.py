"""Handle a micro-batch that runs out of memory: name it, and retry the batch once with half the micro-batch size.

The gradient does not depend on the split of a batch, so only its last bits change. If several processes each hold the
model, all are notified before gradients are summed, and all retry; a sharded model cannot retry, as the other ranks are
inside its collectives.
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
    """No memory for a micro-batch. what: its description, without advice. can_be_cut: it holds more than one item."""

    def __init__(self, what: str, *, can_be_cut: bool) -> None:
        super().__init__(f"{what}; {ADVICE}")
        self.what, self.can_be_cut = what, can_be_cut


@contextmanager
def naming(number: int, of: int, items: Sequence[Any], token_budget: int) -> Iterator[None]:
    """A context that turns an out-of-memory error into an OutOfMemory that names the micro-batch."""
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
    """A lack of memory on some rank in its part of a batch.

    sharded: whether the model is sharded, so that the run ends. here: this rank's failure, and whether it can be cut.
    """

    sharded: bool
    here: tuple[str, bool] | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """A context in which an OutOfMemory waits until all ranks meet; raised at once if alone or sharded."""
        try:
            yield
        except OutOfMemory as error:
            error.can_be_cut = error.can_be_cut and not self.sharded
            if ranks.size() == 1 or self.sharded:
                raise
            self.here = error.what, error.can_be_cut  # not the error, which references activations

    def tell(self) -> None:
        """Raise the first rank's OutOfMemory on all of them, before their results are combined."""
        found = [(number, *one) for number, one in enumerate(ranks.gather(self.here), 1) if one is not None]
        if found:
            number, what, _ = found[0]
            where = f"process {number} of {ranks.size()}: " * (ranks.size() > 1)
            error = OutOfMemory(where + what, can_be_cut=all(can_be_cut for *_, can_be_cut in found))
            error.everywhere = True
            raise error


@dataclass
class TokenBudget:
    """The most tokens run at once: as given, and as reduced `now`."""

    given: int
    now: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.given

    @contextmanager
    def halved_once(self, where: str, say: Callable[[str], None]) -> Iterator[None]:
        """A context in which a lack of memory halves the budget, reports it, and is suppressed, so that one can retry.

        Raises OutOfMemory if the budget was halved before, and if smaller micro-batches would be the same.
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
        give_back_freed_memory()  # here, where no error references activations
