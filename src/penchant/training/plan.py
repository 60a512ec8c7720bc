"""What a run is about to do, in a line before its first step: items, steps, tokens, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from penchant.tokens import EncodedExample, EncodedLabelled, EncodedPair, EncodedPrompt, Forest, pack
from penchant.tokens.store import SomePairs
from penchant.training.config import RunConfig
from penchant.training.dataset import Dataset, groups_of
from penchant.training.schedule import batches_of_epoch, group_numbers, num_steps

__all__ = ["plan_of"]

NUM_BATCHES = 16
"""So many of the first epoch tell how many tokens it has; fewer are all of it."""
NAMES = {EncodedPair: "pairs", EncodedLabelled: "responses", EncodedExample: "texts", EncodedPrompt: "prompts"}


def plan_of(config: RunConfig, data: Dataset[Any], group_of: Callable[[Any], Hashable], *, share: bool) -> str:
    """The plan in words. group_of, share: as the loop and the model have them."""
    train, optimiser = data.train, config.optimiser
    groups = group_numbers(groups_of(train, group_of))
    as_given = optimiser.order == "given"
    batches = batches_of_epoch(
        train, groups, batch_size=optimiser.batch_size, epoch=0, seed=config.seed, as_given=as_given
    )
    is_exact = len(batches) <= NUM_BATCHES
    sample = list(batches) if is_exact else [batches[i * len(batches) // NUM_BATCHES] for i in range(NUM_BATCHES)]
    factor = len(train) / sum(map(len, sample))
    written, run = _tokens(sample, optimiser.token_budget, share)
    if not is_exact:
        written, run = (int(float(f"{number * factor:.3g}")) for number in (written, run))
    steps, rest = num_steps(len(train), optimiser.batch_size, optimiser.epochs, optimiser.max_steps), len(data.held_out)
    items = NAMES.get(type(train[0]), "items")
    tokens = f"{'' if is_exact else 'about '}{written:,} tokens{' of these' * (items == 'prompts')} an epoch"
    parts = [
        f"{len(train):,} {items} to train on" + f", {rest:,} held out" * bool(rest),
        f"{steps:,} step{'s' * (steps != 1)}",
        f"{tokens}, {run:,} of them run" + " as prefixes are shared" * (run < written),
    ]
    if isinstance(train, SomePairs):
        parts.append(f"the tokens take {train.store.num_bytes() / 1e6:,.1f} MB")
    return "; ".join(parts)


def _tokens(batches: Sequence[Sequence[Any]], token_budget: int, share: bool) -> tuple[int, int]:
    """Of these batches: the tokens of all sequences, and those that are run."""
    written = run = 0
    for batch in batches:
        for micro_batch in pack([item.sequences for item in batch], token_budget, share=share):
            sequences = [sequence for i in micro_batch for sequence in batch[i].sequences]
            written += sum(map(len, sequences))
            run += Forest.plant(sequences, share=share).num_tokens
    return written, run
