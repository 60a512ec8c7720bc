"""Export answers in formats that other tools read: pairs, KTO, SFT, Chatbot Arena, and Penchant's comparisons.

Each function turns the current answers of a project into rows; the three for training use `training_pairs`.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from penchant.data.quickly import as_message
from penchant.data.records import Comparison, Message
from penchant.data.written import arena_row
from penchant.errors import ConfigError, OutputError
from penchant.feedback.storing import Store
from penchant.feedback.training import How, detail, training_pairs, verdict, votes_by_task
from penchant.files import writing
from penchant.wording import SPELT_OUT, nearest

__all__ = ["ROWS", "Format", "export", "export_rows", "export_votes", "kto_rows"]

Row = dict[str, Any]
Format = Literal["pairs", "kto", "sft", "arena", "raw"]

NOT_SOFT = {
    "kto": "labels each response true or false",
    "arena": "holds every answer",
    "raw": "holds every answer",
}
"""Formats without soft labels, and why."""

LABELS = {"a": (True, False), "b": (False, True), "both_bad": (False, False)}
"""Whether a and b are good, by the verdict on their task; a tie says nothing."""


def pair_rows(comparisons: Iterable[Comparison], how: How) -> Iterator[Row]:
    """prompt, chosen, rejected as lists of messages; probability unless 1."""
    for pair in training_pairs(comparisons, how).pairs:
        row = {
            "prompt": _messages(pair.prompt),
            "chosen": _messages([as_message(pair.chosen)]),
            "rejected": _messages([as_message(pair.rejected)]),
        }
        yield row if pair.probability == 1 else row | {"probability": pair.probability}


def kto_rows(comparisons: Iterable[Comparison], how: How) -> Iterator[Row]:
    """prompt, completion, label: true for the preferred response, false for the other, and for both of both_bad.

    `how` is ignored: labels are true or false, so each task has one verdict and each completion one label.
    """
    for votes in votes_by_task(comparisons)[0].values():
        asked, labels = votes[0], LABELS.get(verdict(votes), ())
        for candidate, label in zip((asked.a, asked.b), labels, strict=False):
            completion = _messages([as_message(candidate.text)])
            yield {"prompt": _messages(asked.prompt), "completion": completion, "label": label}


def sft_rows(comparisons: Iterable[Comparison], how: How) -> Iterator[Row]:
    """messages: the prompt and the preferred response, each conversation once."""
    seen = set()
    for pair in training_pairs(comparisons, how).pairs:
        if (conversation := (*pair.prompt, as_message(pair.chosen))) not in seen:
            seen.add(conversation)
            yield {"messages": _messages(conversation)}


def arena_rows(comparisons: Iterable[Comparison], how: How) -> Iterator[Row]:
    """Every main answer as a battle of Chatbot Arena; `how` is ignored, each vote is a row."""
    return (arena_row(comparison) for comparison in comparisons if (detail(comparison, "kind") or "main") == "main")


def raw_rows(comparisons: Iterable[Comparison], how: How) -> Iterator[Row]:
    """Every current answer, of every kind, as a comparison with all its details."""
    return (comparison.model_dump(mode="json") for comparison in comparisons)


ROWS: dict[str, Callable[[Iterable[Comparison], How], Iterator[Row]]] = {
    "pairs": pair_rows,
    "kto": kto_rows,
    "sft": sft_rows,
    "arena": arena_rows,
    "raw": raw_rows,
}
"""The formats by name."""


def export(store: Store, to: Format, path: str | os.PathLike[str], *, how: How = "majority") -> int:
    """Write the current answers as JSON lines; returns the number of rows, 0 for an empty file.

    `how` combines several votes on a task into one pair, for pairs and sft (see `training_pairs`); kto uses the
    majority, arena and raw contain every answer. The file appears, or is replaced, once it is complete.

    Raises ConfigError for an unknown format or `how`, OutputError if the file cannot be written.
    """
    rows, path, num_rows = export_rows(store, to, how=how), Path(path), 0
    try:
        with writing(path) as stream:
            for row in rows:
                stream.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode("utf-8", SPELT_OUT))
                num_rows += 1
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another file") from error
    return num_rows


def export_votes(
    folder: str | os.PathLike[str], to: Format, path: str | os.PathLike[str], *, how: How = "majority"
) -> int:
    """`export` the project in a folder to a new file; raises OutputError if the file exists."""
    if Path(path).exists():
        raise OutputError(f"{path}: exists already; choose another `output=...`")
    with Store.of(folder) as store:
        return export(store, to, path, how=how)


def export_rows(store: Store, to: Format, *, how: How = "majority") -> Iterator[dict[str, Any]]:
    """Yield the rows that `export` writes; raises ConfigError for an unknown format or `how`."""
    if to not in ROWS:
        near = nearest(to, ROWS)
        hint = f"did you mean '{near}'?" if near else f"choose from {', '.join(ROWS)}"
        raise ConfigError(f"there is no export format '{to}'; {hint}")
    if how not in get_args(How):
        raise ConfigError(f"votes become pairs by majority or by soft labels, got {how!r}; choose majority or soft")
    if how != "majority" and to in NOT_SOFT:
        raise ConfigError(f"the format {to} {NOT_SOFT[to]}, so {how!r} has no effect on it; leave it out")
    return ROWS[to](store.comparisons(), how)


def _messages(messages: Sequence[Message]) -> list[Row]:
    return [message.model_dump() for message in messages]
