"""Report facts about a run's data, on the terminal and in its ledger, and refuse unusable data."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from penchant.data import CODES, Verdict
from penchant.data.given import Data, Source, files_of, part_of
from penchant.data.hub import HubSource
from penchant.data.kinds import kinds_of
from penchant.errors import DataError
from penchant.tokens import Limits
from penchant.training.config import DataConfig
from penchant.training.failures import Failures
from penchant.training.origins import files_read

__all__ = ["facts_of", "facts_of_sides", "has_weight", "require_items", "require_pairs", "require_weight"]


def facts_of(
    config: DataConfig,
    sources: Sequence[Source],
    limits: Limits,
    loaded: Any,
    failures: Failures,
    num_truncated: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The ledger's facts about rows and files; reports what is left out. Raises DataError like `_check_rows`."""
    num_rows = sum(loaded.verdict_counts.values())
    _check_rows([*loaded.problems, *failures.rows], num_rows, config, say)
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
    """Each source: name, weight, rows by verdict, and the revision of data from the Hub."""
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
    """Report valid rows without training content, by reason, and unread fields."""
    aside = Counter(verdict.code for verdict in loaded.problems if verdict.severity == "no_pair")
    for code, number in aside.items():
        say(f"{number} {'row is' if number == 1 else 'rows are'} not trained on: {CODES[code].meaning} ({code})")
    for line in loaded.remarks():
        say(line)


def require_items(num_items: int, sources: Sequence[Source]) -> None:
    """Raise DataError if no item is left."""
    if not num_items:
        raise DataError(f"{_named(sources)}: nothing is left to train on; lower data.held_out or add rows")


def has_weight(items: Iterable[Any]) -> bool:
    """Whether any record has a weight above 0; demonstrations without one are dropped."""
    return any(getattr(item, "weight", 1.0) for item in items)


def require_weight(is_there: bool, sources: Sequence[Source]) -> None:
    """Raise DataError if no training row has a weight above 0."""
    if not is_there:
        raise DataError(
            f"{_named(sources)}: every row to train on has weight 0, so there is nothing to learn; "
            "leave the weights out, or give some rows one above 0"
        )


def _named(sources: Sequence[Source]) -> str:
    return ", ".join(map(str, sources))


def require_pairs(data: Data) -> None:
    """Raise DataError if one of several sources does not hold pairs."""
    kinds = kinds_of(data)
    if labelled := next((name for name, kind in kinds.items() if kind == "labelled"), None):
        raise DataError(
            f"{labelled}: its responses are labelled one by one, but this objective reads pairs; choose "
            '`objective="kto"` or `objective="bco"`'
        )
    if other := next((name for name, kind in kinds.items() if kind == "demonstrations"), None):
        raise DataError(
            f"{other}: holds demonstrations, but this objective reads pairs; leave it out, or use it with `penchant "
            "sft`"
        )


def facts_of_sides(what: str, *sides: tuple[Iterable[bytes], int]) -> dict[str, Any]:
    """The number of items on a side, named `what`, and the sha256 over these numbers and all keys in order."""
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


def _check_rows(problems: Sequence[Verdict], num_rows: int, config: DataConfig, say: Callable[[str], None]) -> None:
    """Report rows left out, with reasons. Raises DataError if the user asked for it or too many are bad."""
    bad = [verdict for verdict in problems if verdict.severity == "error"]
    if not bad:
        return
    count = f"{len(bad)} of {num_rows} rows are bad"
    if config.on_bad_row == "error":
        raise DataError(f'{bad[0]} ({count}; `on_bad_row="drop"` skips them)')
    if len(bad) > config.max_bad_share * num_rows:
        raise DataError(
            f"{bad[0]} ({count}, more than the share of {config.max_bad_share:g} that may be dropped; "
            "fix them, or raise data.max_bad_share)"
        )
    by_code = Counter(verdict.code for verdict in bad)
    say(f"left out {count}: " + ", ".join(f"{number} {code}" for code, number in by_code.items()))
    for verdict in bad[:3]:
        say(f"  {verdict}")
    if len(bad) > 3:
        say(f"  and {len(bad) - 3} more, all listed in run.json")
