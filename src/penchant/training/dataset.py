"""From files to what the loop trains on: rows, verdicts, tokens, and the side that is held out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Generic, TypeVar

from penchant.data import CODES, Verdict, guess_kind, load_demonstrations, load_labelled, load_pairs, split_by_prompt
from penchant.data.given import Data, Source, paths_of, sources_of
from penchant.data.split import split_demonstrations
from penchant.errors import DataError
from penchant.models.language_model import LanguageModel
from penchant.progress import Reporter
from penchant.tokens import (
    EncodedExample,
    EncodedLabelled,
    EncodedPair,
    Limits,
    Tokenised,
    tokenise_demonstrations,
    tokenise_labelled,
    tokenise_pairs,
)
from penchant.training.config import DataConfig
from penchant.training.origins import files_read

__all__ = ["Dataset", "check_rows", "demonstration_dataset", "labelled_dataset", "limits_of", "pair_dataset"]

Item = TypeVar("Item", EncodedPair, EncodedLabelled, EncodedExample)


@dataclass(frozen=True)
class Dataset(Generic[Item]):
    """Encoded items, and what the ledger says about them."""

    train: tuple[Item, ...]
    held_out: tuple[Item, ...]
    facts: dict[str, Any]


def pair_dataset(
    config: DataConfig, data: Data, model: LanguageModel, seed: int, reporter: Reporter
) -> Dataset[EncodedPair]:
    """Preference pairs, split by prompt. Raises DataError, also when nothing is left to train on."""
    if guess_kind(data) == "labelled":
        raise DataError(
            f"{sources_of(data)[0]}: its responses are labelled one by one, and this objective reads pairs; choose "
            '`objective="kto"` or `objective="bco"`'
        )
    loaded = load_pairs(data, on_bad_row="drop", limit=config.max_rows, pairing=config.pairing, min_gap=config.min_gap)
    sides = split_by_prompt(loaded.records, config.held_out, seed)
    found = _encoded(config, data, model, loaded, sides, tokenise_pairs, reporter)
    return replace(found, facts=found.facts | {"held_out_longer": _share_of_longer(found.held_out)})


def labelled_dataset(
    config: DataConfig, data: Data, model: LanguageModel, seed: int, reporter: Reporter
) -> Dataset[EncodedLabelled]:
    """Labelled responses, or pairs taken apart, split by prompt. Raises DataError."""
    loaded = load_labelled(
        data, on_bad_row="drop", limit=config.max_rows, pairing=config.pairing, min_gap=config.min_gap
    )
    sides = split_by_prompt(loaded.records, config.held_out, seed)
    return _encoded(config, data, model, loaded, sides, tokenise_labelled, reporter)


def demonstration_dataset(
    config: DataConfig, data: Data, model: LanguageModel, seed: int, reporter: Reporter
) -> Dataset[EncodedExample]:
    """Conversations, split by prompt, or plain text, split by text. Raises DataError."""
    loaded = load_demonstrations(data, on_bad_row="drop", limit=config.max_rows)
    sides = split_demonstrations(loaded.records, config.held_out, seed)
    return _encoded(config, data, model, loaded, sides, tokenise_demonstrations, reporter)


def _encoded(
    config: DataConfig,
    data: Data,
    model: LanguageModel,
    loaded: Any,
    sides: tuple[Sequence[Any], Sequence[Any]],
    tokenise: Callable[..., Tokenised[Item]],
    reporter: Reporter,
) -> Dataset[Item]:
    """Both sides, train and held out, as tokens, with what the ledger says of them."""
    limits = limits_of(config, model)
    total, numbers = sum(map(len, sides)), count(1)

    def tick() -> None:
        reporter.progress("tokens", next(numbers), total, {})

    train, held_out = (tokenise(model.encoder, side, limits, tick) for side in sides)
    sources = sources_of(data)
    facts = _facts(config, sources, limits, loaded, (train, held_out), reporter.say)
    return _dataset(train.items, held_out.items, facts, sources)


def _share_of_longer(pairs: Sequence[EncodedPair]) -> float | None:
    """How often the chosen response has more tokens, equal lengths counted half: what looking at length alone gives."""
    gaps = [int(pair.chosen.scored.sum()) - int(pair.rejected.scored.sum()) for pair in pairs]
    return sum(0.5 + 0.5 * ((gap > 0) - (gap < 0)) for gap in gaps) / len(gaps) if gaps else None


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
    sides: Sequence[Any],
    say: Callable[[str], None],
) -> dict[str, Any]:
    num_rows = sum(loaded.verdict_counts.values())
    late = list({verdict.origin: verdict for side in sides for verdict in side.problems}.values())
    check_rows([*loaded.problems, *late], num_rows, config, say)
    _say_what_is_not_trained_on(loaded, say)
    rows = Counter(loaded.verdict_counts)
    earlier = {verdict.origin: verdict.code for verdict in loaded.problems}
    for origin, code in {verdict.origin: verdict.code for verdict in late}.items():
        rows[earlier.get(origin, "keep")] -= 1
        rows[code] += 1
    num_truncated = sum(side.num_truncated for side in sides)
    if num_truncated:
        say(f"cut {num_truncated} responses at {limits.max_length} tokens (prompt and response together)")
    return {
        "data": list(map(str, sources)),
        "data_files": files_read(paths_of(sources)),
        "data_format": loaded.format,
        "data_digest": loaded.digest,
        "rows": dict(rows),
        "problems": [f"{v.code}: {v}" for v in [*loaded.problems, *late]],
        "fields_not_read": [str(one) for one in loaded.unread],
        "num_truncated": num_truncated,
    }


def _say_what_is_not_trained_on(loaded: Any, say: Callable[[str], None]) -> None:
    """Sound rows that hold nothing to train on, by why, and fields that nobody reads."""
    aside = Counter(verdict.code for verdict in loaded.problems if verdict.severity == "no_pair")
    for code, number in aside.items():
        say(f"{number} {'row is' if number == 1 else 'rows are'} not trained on: {CODES[code].meaning} ({code})")
    for line in loaded.remarks():
        say(line)


def _dataset(
    train: tuple[Item, ...], held_out: tuple[Item, ...], facts: dict[str, Any], sources: Sequence[Source]
) -> Dataset[Item]:
    if not train:
        raise DataError(f"{', '.join(map(str, sources))}: nothing is left to train on; lower data.held_out or add rows")
    if not any(getattr(item, "weight", 1.0) for item in train):
        raise DataError(
            f"{', '.join(map(str, sources))}: every row to train on has weight 0, so there is nothing to learn; "
            "leave the weights out, or give some rows one above 0"
        )
    facts |= {
        "tokens_digest": _digest_of_tokens(train, held_out),
        "num_train_pairs": len(train),
        "num_held_out_pairs": len(held_out),
    }
    return Dataset(train, held_out, facts)


def _digest_of_tokens(*sides: Sequence[Item]) -> str:
    """sha256 over the keys of all sequences, in order, and the number of items a side."""
    digest = hashlib.sha256()
    for side in sides:
        digest.update(len(side).to_bytes(8, "big"))
        for item in side:
            digest.update(b"".join(sequence.key for sequence in item.sequences))
    return digest.hexdigest()
