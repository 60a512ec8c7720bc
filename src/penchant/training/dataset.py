"""From files to what the loop trains on: rows, verdicts, tokens, and the side that is held out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from penchant.data import CODES, Loaded, Verdict, load_demonstrations, load_labelled, load_prompts, split_by_prompt
from penchant.data.given import Data, Source, files_of, part_of, sources_of
from penchant.data.hub import HubSource
from penchant.data.kinds import kinds_of
from penchant.data.split import held_out_by_place, split_demonstrations, split_prompts
from penchant.errors import ConfigError, DataError
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
from penchant.training.failures import Failures, FailuresSoFar
from penchant.training.origins import files_read
from penchant.training.stored import stored_pairs
from penchant.training.stored_items import BothSides, stored_items

__all__ = [
    "Dataset",
    "check_rows",
    "demonstration_dataset",
    "groups_of",
    "has_weight",
    "labelled_dataset",
    "limits_of",
    "pair_dataset",
    "prompt_dataset",
    "require_pairs",
    "require_weight",
]

COUNTED_AS = {"labelled": "responses", "demonstrations": "texts", "prompts": "prompts"}
"""What items of each kind are called where they are counted."""
Read: TypeAlias = tuple[Loaded[Any], tuple[Sequence[Any], Sequence[Any]]]
"""How rows were read, and their records: those to train on, and those held out."""
Item = TypeVar("Item", EncodedPair, EncodedLabelled, EncodedExample, EncodedPrompt)


@dataclass(frozen=True)
class Dataset(Generic[Item]):
    """Encoded items, and what the ledger says about them."""

    train: Sequence[Item]
    held_out: Sequence[Item]
    facts: dict[str, Any]

    def referenced(self) -> Sequence[TokenSequence]:
        """All sequences that a reference scores."""
        sides = self.train, self.held_out
        if isinstance(self.train, SomePairs) and isinstance(self.held_out, SomePairs):
            return Responses(self.train, self.held_out)
        return [sequence for side in sides for item in side for sequence in getattr(item, "referenced", ())]


def pair_dataset(
    config: DataConfig, data: Data, model: LanguageModel, seed: int, reporter: Reporter, folder: Path | None = None
) -> Dataset[EncodedPair]:
    """Preference pairs, split by prompt. Raises DataError, also when nothing is left to train on.

    folder: where tokens are kept from one run to the next; None holds them in memory.
    """
    require_pairs(data)
    sources, limits = sources_of(data), limits_of(config, model)
    read = stored_pairs(sources, model.encoder, limits, config.read_options(seed), folder=folder, reporter=reporter)
    store = read.store
    is_out = held_out_by_place(np.asarray(read.places), config.held_out)
    is_held_out = is_out[store.columns["records"]]
    train = SomePairs(store, np.flatnonzero(~is_held_out))
    held_out = SomePairs(store, np.flatnonzero(is_held_out))
    late = sorted(read.problems, key=lambda problem: bool(is_out[problem[0]]))  # those of training come first
    so_far = FailuresSoFar()
    so_far.add((verdict for _, verdict in late), read.in_part)
    facts = _facts(config, sources, limits, read.loaded, so_far.found(), read.num_truncated, reporter.say)
    _require_something_left(len(train), sources)
    require_weight(bool(train.labels[:, 0].any()), sources)
    facts |= _facts_of_sides("pairs", (train.keys(), len(train)), (held_out.keys(), len(held_out)))
    return Dataset(train, held_out, facts | {"held_out_longer": _share_of_longer(held_out)})


def require_pairs(data: Data) -> None:
    """Raise DataError where one of several sources holds something else."""
    kinds = kinds_of(data)
    if labelled := next((name for name, kind in kinds.items() if kind == "labelled"), None):
        raise DataError(
            f"{labelled}: its responses are labelled one by one, and this objective reads pairs; choose "
            '`objective="kto"` or `objective="bco"`'
        )
    if other := next((name for name, kind in kinds.items() if kind == "demonstrations"), None):
        raise DataError(
            f"{other}: holds demonstrations, and this objective reads pairs; leave it out, or train on it apart"
        )


def labelled_dataset(
    config: DataConfig, data: Data, model: LanguageModel, seed: int, reporter: Reporter, folder: Path | None = None
) -> Dataset[EncodedLabelled]:
    """Labelled responses, or pairs taken apart, split by prompt; folder: see `pair_dataset`. Raises DataError."""

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
    """Conversations, split by prompt, or plain text, by text; folder: see `pair_dataset`. Raises DataError."""

    def read() -> Read:
        loaded = load_demonstrations(data, on_bad_row="drop", limit=config.max_rows, subset=config.subset, seed=seed)
        return loaded, split_demonstrations(loaded.records, config.held_out, seed)

    return _encoded("demonstrations", read, tokenise_demonstrations, config, data, model, seed, reporter, folder)


def prompt_dataset(
    config: DataConfig, data: Data, model: LanguageModel, seed: int, reporter: Reporter, *, room: int
) -> Dataset[EncodedPrompt]:
    """Prompts, split by prompt, of which each leaves `room` for a response. Raises DataError, ConfigError."""
    longest = min(config.max_length, model.context_length)
    if room >= longest:
        raise ConfigError(
            f"a response of {room} tokens leaves no room for a prompt within {longest}; lower max_new_tokens, or raise "
            "data.max_length where the model takes more"
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
    """Both sides, train and held out, as tokens, with what the ledger says of them."""
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
    facts = _facts(config, sources, limits, both.loaded, so_far.found(), num_truncated, reporter.say)
    _require_something_left(len(train.items), sources)
    require_weight(has_weight(train.items), sources)
    sides = ((_keys(side.items), len(side.items)) for side in (train, held_out))
    facts |= _facts_of_sides(COUNTED_AS[kind], *sides)
    return Dataset(train.items, held_out.items, facts)


def groups_of(items: Sequence[Any], group_of: Callable[[Any], Hashable]) -> Iterable[Hashable]:
    """The group of every item; for pairs of a store, what tells their prompts apart there."""
    return items.prompts if isinstance(items, SomePairs) else (group_of(item) for item in items)


def _share_of_longer(pairs: SomePairs) -> float | None:
    """How often the chosen response has more tokens, equal lengths counted half: what looking at length alone gives."""
    chosen, rejected = pairs.response_lengths()
    return float((0.5 + 0.5 * np.sign(chosen - rejected)).sum()) / len(pairs) if len(pairs) else None


def limits_of(config: DataConfig, model: LanguageModel) -> Limits:
    """The length limits, within what the model was built for."""
    max_length = min(config.max_length, model.context_length)
    prompt = min(config.max_prompt_length or max_length - 1, max_length - 1)
    return Limits(max_length, prompt, model.context_length)


def check_rows(problems: Sequence[Verdict], num_rows: int, config: DataConfig, say: Callable[[str], None]) -> None:
    """Say which rows are left out, and why; stop where the user asked for it or too many are bad. Raises DataError."""
    bad = [verdict for verdict in problems if verdict.severity == "error"]
    if not bad:
        return
    count = f"{len(bad)} of {num_rows} rows are bad"
    if config.on_bad_row == "error":
        raise DataError(f'{bad[0]} ({count}; `on_bad_row="drop"` skips them)')
    if len(bad) > config.max_bad_share * num_rows:
        raise DataError(
            f"{bad[0]} ({count}, more than the share of {config.max_bad_share:g} that may be dropped; "
            "mend them, or raise data.max_bad_share)"
        )
    by_code = Counter(verdict.code for verdict in bad)
    say(f"left out {count}: " + ", ".join(f"{number} {code}" for code, number in by_code.items()))
    for verdict in bad[:3]:
        say(f"  {verdict}")
    if len(bad) > 3:
        say(f"  and {len(bad) - 3} more, all listed in run.json")


def _facts(
    config: DataConfig,
    sources: Sequence[Source],
    limits: Limits,
    loaded: Any,
    failures: Failures,
    num_truncated: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    num_rows = sum(loaded.verdict_counts.values())
    check_rows([*loaded.problems, *failures.rows], num_rows, config, say)
    if failures.parts and config.on_bad_row == "error":
        raise DataError(f'{failures.parts[0]} (`on_bad_row="drop"` leaves it out and keeps the rest of its row)')
    for line in failures.of_parts():
        say(line)
    _say_what_is_not_trained_on(loaded, say)
    if num_truncated:
        say(f"cut {num_truncated} responses at {limits.max_length} tokens (prompt and response together)")
    return {
        "data": list(map(str, sources)),
        "data_files": files_read(files_of(sources)),
        "data_format": loaded.format,
        "data_digest": loaded.digest,
        "rows": failures.counted(loaded.verdict_counts, loaded.problems),
        "left_out_of_rows": failures.parts_by_code(),
        "sources": _sources(sources, loaded, failures, say),
        "problems": [f"{v.code}: {v}" for v in [*loaded.problems, *failures.rows, *failures.parts]],
        "fields_not_read": [str(one) for one in loaded.unread],
        "num_truncated": num_truncated,
    }


def _sources(
    sources: Sequence[Source], loaded: Any, failures: Failures, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """What was given, one by one: name, weight, rows by verdict, and the revision of what was read from the Hub."""
    parts = {part.name: part for part in map(part_of, sources)}
    names = {str(source): part_of(source).name for source in sources}
    failed = {name: [one for one in failures.rows if names.get(one.origin.file) == name] for name in parts}
    rows = {
        name: Failures(tuple(failed[name])).counted(loaded.by_source.get(name, {}), loaded.problems) for name in parts
    }
    if len(parts) > 1 or any(part.options for part in parts.values()):
        for name, part in parts.items():
            found = ", ".join(f"{number:,} {code}" for code, number in rows[name].items()) or "not read"
            say(f"{name}: {found}{f' ({part.options})' if part.options else ''}")
    revisions = {part_of(one).name: one.revision for one in sources if isinstance(one, HubSource)}
    return [
        {**part.as_dict(), "rows": rows[name], **({"revision": revisions[name]} if name in revisions else {})}
        for name, part in parts.items()
    ]


def _say_what_is_not_trained_on(loaded: Any, say: Callable[[str], None]) -> None:
    """Sound rows that hold nothing to train on, by why, and fields that nobody reads."""
    aside = Counter(verdict.code for verdict in loaded.problems if verdict.severity == "no_pair")
    for code, number in aside.items():
        say(f"{number} {'row is' if number == 1 else 'rows are'} not trained on: {CODES[code].meaning} ({code})")
    for line in loaded.remarks():
        say(line)


def _require_something_left(num_items: int, sources: Sequence[Source]) -> None:
    """Raise DataError where there is none."""
    if not num_items:
        raise DataError(f"{_named(sources)}: nothing is left to train on; lower data.held_out or add rows")


def has_weight(items: Iterable[Any]) -> bool:
    """Whether one of them counts; a demonstration that does not is none."""
    return any(getattr(item, "weight", 1.0) for item in items)


def require_weight(is_there: bool, sources: Sequence[Source]) -> None:
    """Raise DataError where no row to train on has a weight above 0."""
    if not is_there:
        raise DataError(
            f"{_named(sources)}: every row to train on has weight 0, so there is nothing to learn; "
            "leave the weights out, or give some rows one above 0"
        )


def _named(sources: Sequence[Source]) -> str:
    return ", ".join(map(str, sources))


def _keys(items: Sequence[Any]) -> Iterator[bytes]:
    return (sequence.key for item in items for sequence in item.sequences)


def _facts_of_sides(what: str, *sides: tuple[Iterable[bytes], int]) -> dict[str, Any]:
    """How many items are on a side, `what` as they are called, and sha256 over these numbers and all keys in order."""
    digest = hashlib.sha256()
    for keys, number in sides:
        digest.update(number.to_bytes(8, "big"))
        for key in keys:
            digest.update(key)
    (_, num_train), (_, num_held_out) = sides
    return {
        "tokens_digest": digest.hexdigest(),
        f"num_train_{what}": num_train,
        f"num_held_out_{what}": num_held_out,
    }
