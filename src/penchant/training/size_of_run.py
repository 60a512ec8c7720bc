"""Count what a run will do: items, steps, tokens with and without prefix sharing; one line before its first step."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from penchant.tokens import EncodedExample, EncodedLabelled, EncodedPair, EncodedPrompt, Forest, TokenSequence, pack
from penchant.tokens.items import SomeItems
from penchant.tokens.store import SomePairs
from penchant.training.config import RunConfig
from penchant.training.dataset import Dataset, groups_of
from penchant.training.schedule import batches_of_epoch, group_numbers, num_steps

__all__ = ["Counts", "plan_of"]

NUM_BATCHES = 16
"""Batches of the first epoch from which its tokens are estimated."""
NAMES = {EncodedPair: "pairs", EncodedLabelled: "responses", EncodedExample: "texts", EncodedPrompt: "prompts"}


@dataclass(frozen=True)
class Counts:
    """items: their name. written, run: tokens of an epoch, without and with prefix sharing; is_exact: whether the whole
    epoch was counted. micro_batches: of an epoch, approximately. largest: the sequences of the largest one seen.
    """

    items: str
    num_train: int
    num_held_out: int
    num_steps: int
    steps_per_epoch: int
    written: int
    run: int
    is_exact: bool
    micro_batches: float
    largest: tuple[TokenSequence, ...]
    stored: int | None

    def __str__(self) -> str:
        steps, of_these = self.num_steps, " of these" * (self.items == "prompts")
        tokens = f"{'' if self.is_exact else 'about '}{self.written:,} tokens{of_these} an epoch"
        parts = [
            f"{self.num_train:,} {self.items} to train on"
            + f", {self.num_held_out:,} held out" * bool(self.num_held_out),
            f"{steps:,} step{'s' * (steps != 1)}",
            f"{tokens}, {self.run:,} of them run" + " as prefixes are shared" * (self.run < self.written),
        ]
        if self.stored is not None:
            parts.append(f"the tokens take {self.stored / 1e6:,.1f} MB")
        return "; ".join(parts)


def plan_of(config: RunConfig, data: Dataset[Any], group_of: Callable[[Any], Hashable], *, share: bool) -> Counts:
    """Count the tokens of a run. group_of, share: as in the loop and the model."""
    train, optimiser = data.train, config.optimiser
    groups = group_numbers(groups_of(train, group_of))
    as_given = optimiser.order == "given"
    batches = batches_of_epoch(
        train, groups, batch_size=optimiser.batch_size, epoch=0, seed=config.seed, as_given=as_given
    )
    is_exact = len(batches) <= NUM_BATCHES
    sample = list(batches) if is_exact else [batches[i * len(batches) // NUM_BATCHES] for i in range(NUM_BATCHES)]
    factor = len(train) / sum(map(len, sample))
    micro_batches = [found for batch in sample for found in _micro_batches(batch, optimiser.token_budget, share)]
    written, run = (sum(number) for number in zip(*(sizes for sizes, _ in micro_batches), strict=True))
    if not is_exact:
        written, run = (int(float(f"{number * factor:.3g}")) for number in (written, run))
    return Counts(
        NAMES.get(type(train[0]), "items"),
        len(train),
        len(data.held_out),
        num_steps(len(train), optimiser.batch_size, optimiser.epochs, optimiser.max_steps),
        len(batches),
        written,
        run,
        is_exact,
        len(micro_batches) * factor,
        tuple(max(micro_batches, key=lambda found: found[0][1])[1]),
        train.store.num_bytes() if isinstance(train, SomePairs | SomeItems) else None,
    )


def _micro_batches(
    batch: Sequence[Any], token_budget: int, share: bool
) -> Iterator[tuple[tuple[int, int], list[TokenSequence]]]:
    """For each micro-batch: all tokens, tokens run, and the sequences."""
    for micro_batch in pack([item.sequences for item in batch], token_budget, share=share):
        sequences = [sequence for i in micro_batch for sequence in batch[i].sequences]
        yield (sum(map(len, sequences)), Forest.plant(sequences, share=share).num_tokens), sequences
