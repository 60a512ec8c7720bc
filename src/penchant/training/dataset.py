"""Build the items of the training loop from files: rows, verdicts, tokens, and the held-out split."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from penchant.data import Loaded, load_demonstrations, load_labelled, load_prompts, split_by_prompt
from penchant.data.given import Data, sources_of
from penchant.data.split import held_out_by_place, split_demonstrations, split_prompts
from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.progress import Reporter
from penchant.tokens import (
    EncodedExample,
    EncodedLabelled,
    EncodedPair,
    EncodedPrompt,
    Limits,
    Tokenised,
    TokenSequence,
    tokenise_demonstrations,
    tokenise_labelled,
    tokenise_prompts,
)
from penchant.tokens.store import Responses, SomePairs
from penchant.training.config import DataConfig
from penchant.training.data_facts import (
    facts_of,
    facts_of_sides,
    has_weight,
    require_items,
    require_pairs,
    require_weight,
)
from penchant.training.failures import FailuresSoFar
from penchant.training.stored import stored_pairs
from penchant.training.stored_items import BothSides, stored_items

__all__ = [
    "Dataset",
    "demonstration_dataset",
    "groups_of",
    "labelled_dataset",
    "limits_of",
    "pair_dataset",
    "prompt_dataset",
]

COUNTED_AS = {"labelled": "responses", "demonstrations": "texts", "prompts": "prompts"}
"""Names of items of each kind, for counts."""
Read: TypeAlias = tuple[Loaded[Any], tuple[Sequence[Any], Sequence[Any]]]
"""A report on reading, and the records for training and those held out."""
Item = TypeVar("Item", EncodedPair, EncodedLabelled, EncodedExample, EncodedPrompt)


@dataclass(frozen=True)
class Dataset(Generic[Item]):
    """Encoded items, and the ledger's facts about them."""

    train: Sequence[Item]
    held_out: Sequence[Item]
    facts: dict[str, Any]

    def referenced(self) -> Sequence[TokenSequence]:
        """All sequences to be scored by a reference."""
        sides = self.train, self.held_out
        if isinstance(self.train, SomePairs) and isinstance(self.held_out, SomePairs):
            return Responses(self.train, self.held_out)
        return [sequence for side in sides for item in side for sequence in getattr(item, "referenced", ())]


def pair_dataset(
    config: DataConfig, data: Data, model: LanguageModel, seed: int, reporter: Reporter, folder: Path | None = None
) -> Dataset[EncodedPair]:
    """Read preference pairs, split by prompt. Raises DataError, also if nothing is left to train on.

    folder: where tokens are cached between runs; None keeps them in memory.
    """
    require_pairs(data)
    sources, limits = sources_of(data), limits_of(config, model)
    read = stored_pairs(sources, model.encoder, limits, config.read_options(seed), folder=folder, reporter=reporter)
    store = read.store
    is_out = held_out_by_place(np.asarray(read.places), config.held_out)
    is_held_out = is_out[store.columns["records"]]
    train = SomePairs(store, np.flatnonzero(~is_held_out))
    held_out = SomePairs(store, np.flatnonzero(is_held_out))
    late = sorted(read.problems, key=lambda problem: bool(is_out[problem[0]]))  # those of the training side first
    so_far = FailuresSoFar()
    so_far.add((verdict for _, verdict in late), read.in_part)
    facts = facts_of(config, sources, limits, read.loaded, so_far.found(), read.num_truncated, reporter.say)
    require_items(len(train), sources)
    require_weight(bool(train.labels[:, 0].any()), sources)
    facts |= facts_of_sides("pairs", (train.keys(), len(train)), (held_out.keys(), len(held_out)))
    return Dataset(train, held_out, facts | {"held_out_longer": _share_of_longer(held_out)})


def labelled_dataset(
    config: DataConfig, data: Data, model: LanguageModel, seed: int, reporter: Reporter, folder: Path | None = None
) -> Dataset[EncodedLabelled]:
    """Read labelled responses, or pairs as such, split by prompt; folder: see `pair_dataset`. Raises DataError."""

    def read() -> Read:
        loaded = load_labelled(
            data,
            on_bad_row="drop",
            limit=config.max_rows,
            subset=config.subset,
            seed=seed,
            pairing=config.pairing,
            min_gap=config.min_gap,
        )
        return loaded, split_by_prompt(loaded.records, config.held_out, seed)

    return _encoded("labelled", read, tokenise_labelled, config, data, model, seed, reporter, folder)


def demonstration_dataset(
    config: DataConfig, data: Data, model: LanguageModel, seed: int, reporter: Reporter, folder: Path | None = None
) -> Dataset[EncodedExample]:
    """Read conversations, split by prompt, or plain text, by text; folder: see `pair_dataset`. Raises DataError."""

    def read() -> Read:
        loaded = load_demonstrations(data, on_bad_row="drop", limit=config.max_rows, subset=config.subset, seed=seed)
        return loaded, split_demonstrations(loaded.records, config.held_out, seed)

    return _encoded("demonstrations", read, tokenise_demonstrations, config, data, model, seed, reporter, folder)


def prompt_dataset(
    config: DataConfig, data: Data, model: LanguageModel, seed: int, reporter: Reporter, *, room: int
) -> Dataset[EncodedPrompt]:
    """Read prompts, split by prompt, each leaving `room` tokens for a response. Raises DataError, ConfigError."""
    longest = min(config.max_length, model.context_length)
    if room >= longest:
        raise ConfigError(
            f"sampling.max_new_tokens is {room}, which leaves no room for a prompt within {longest} tokens; lower it, "
            "or raise data.max_length where the model takes more"
        )
    asked = config.model_copy(update={"max_prompt_length": min(config.max_prompt_length or longest, longest - room)})

    def read() -> Read:
        loaded = load_prompts(data, on_bad_row="drop", limit=config.max_rows, subset=config.subset, seed=seed)
        return loaded, split_prompts(loaded.records, config.held_out, seed)

    return _encoded("prompts", read, tokenise_prompts, asked, data, model, seed, reporter)


def _encoded(
    kind: str,
    read: Callable[[], Read],
    tokenise: Callable[..., Tokenised[Item]],
    config: DataConfig,
    data: Data,
    model: LanguageModel,
    seed: int,
    reporter: Reporter,
    folder: Path | None = None,
) -> Dataset[Item]:
    """Encode both sides, train and held out, with the ledger's facts about them."""
    sources, limits = sources_of(data), limits_of(config, model)

    def make() -> BothSides:
        loaded, sides = read()
        total, numbers = sum(map(len, sides)), count(1)

        def told(records: Sequence[Any]) -> Iterator[Any]:
            for record in records:
                reporter.progress("tokens", next(numbers), total, {})
                yield record

        train, held_out = (tokenise(model.encoder, told(side), limits) for side in sides)
        return BothSides(loaded, train, held_out)

    read_as = f"{config.read_options(seed)!r}, held_out={config.held_out!r}"
    both = stored_items(kind, make, sources, model.encoder, limits, read_as, folder=folder, say=reporter.say)
    train: Tokenised[Item] = both.train
    held_out: Tokenised[Item] = both.held_out
    so_far, num_truncated = FailuresSoFar(), train.num_truncated + held_out.num_truncated
    so_far.add((*train.problems, *held_out.problems), (item.origin for item in chain(train.items, held_out.items)))
    facts = facts_of(config, sources, limits, both.loaded, so_far.found(), num_truncated, reporter.say)
    require_items(len(train.items), sources)
    require_weight(has_weight(train.items), sources)
    sides = ((_keys(side.items), len(side.items)) for side in (train, held_out))
    facts |= facts_of_sides(COUNTED_AS[kind], *sides)
    return Dataset(train.items, held_out.items, facts)


def groups_of(items: Sequence[Any], group_of: Callable[[Any], Hashable]) -> Iterable[Hashable]:
    """The group of every item; for stored pairs, the store's number of the prompt."""
    return items.prompts if isinstance(items, SomePairs) else (group_of(item) for item in items)


def _share_of_longer(pairs: SomePairs) -> float | None:
    """The share of pairs with more chosen tokens, equal lengths counted half: the accuracy of length alone."""
    chosen, rejected = pairs.response_lengths()
    return float((0.5 + 0.5 * np.sign(chosen - rejected)).sum()) / len(pairs) if len(pairs) else None


def limits_of(config: DataConfig, model: LanguageModel) -> Limits:
    """The length limits, within the model's context."""
    max_length = min(config.max_length, model.context_length)
    prompt = min(config.max_prompt_length or max_length - 1, max_length - 1)
    return Limits(max_length, prompt, model.context_length)


def _keys(items: Sequence[Any]) -> Iterator[bytes]:
    return (sequence.key for item in items for sequence in item.sequences)
