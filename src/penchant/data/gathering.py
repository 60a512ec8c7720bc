"""Merge the rows of formats that spread one record over several rows, before an importer reads it.

HelpSteer writes one row per response to a prompt, one after the other; OpenAssistant's flat files write one per
message of a tree, and OpenAI's ratings one per summary of a post, in any order. A `Spanning` recognises its rows by
their field names, finds those that belong together, and joins them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from penchant.data.importers.base import BESIDE
from penchant.data.importers.helpsteer import RATED
from penchant.data.importers.oasst import LINE
from penchant.data.importers.rated_summaries import SUMMARIES_OF_POST
from penchant.data.importers.values import says_nothing
from penchant.data.opening import Row
from penchant.data.verdicts import BadRow

__all__ = ["as_in_file", "gathered"]

Numbered = tuple[int, Row]
Gathered = tuple[tuple[int, ...], Row | BadRow]
"""The numbers of the merged rows (the first represents all), and the result."""


@dataclass(frozen=True, slots=True)
class Spanning:
    """needs: the fields that identify its rows. key: equal for rows that belong together; None for all rows of a
    source. join: merges rows into one, or into several."""

    needs: frozenset[str]
    key: Callable[[Row], Any]
    join: Callable[[list[Numbered]], Iterable[Gathered]]


def gathered(rows: Iterable[tuple[int, Row | BadRow]]) -> Iterator[Gathered]:
    """The rows of a source with their numbers; rows of a spanning format are merged at the place of the last."""
    open_: dict[int, tuple[Any, list[Numbered]]] = {}
    for number, row in rows:
        one = None if isinstance(row, BadRow) else _spanning(row)
        if one is None or isinstance(row, BadRow):
            yield (number,), row
            continue
        place, key = SPANNING.index(one), one.key(row)
        if place in open_ and open_[place][0] != key:
            yield from one.join(open_.pop(place)[1])
        open_.setdefault(place, (key, []))[1].append((number, row))
    for place, (_, held) in open_.items():
        yield from SPANNING[place].join(held)


def as_in_file(row: Row) -> Row:
    """The first of the rows merged into this one; an unmerged row unchanged."""
    held = next((row[name] for name in (RATED, SUMMARIES_OF_POST) if name in row), None)
    return held[0] if isinstance(held, list) and held and isinstance(held[0], dict) else row


def _spanning(row: Row) -> Spanning | None:
    names = row.keys()
    for one in SPANNING:
        if names >= one.needs:
            return one
    return None


def _asked(row: Row) -> tuple[str, ...]:
    """The key of a prompt: the same text under another system message is a different prompt."""
    return tuple(str(row.get(name)) for name in ("prompt", *sorted(BESIDE)))


def _rated(rows: list[Numbered]) -> Iterator[Gathered]:
    first = rows[0][1]
    row = {name: first[name] for name in ("prompt", *BESIDE) if name in first}
    yield tuple(number for number, _ in rows), row | {RATED: [one for _, one in rows]}


def _summaries(rows: list[Numbered]) -> Iterator[Gathered]:
    posts: dict[str, list[Numbered]] = {}
    for number, row in rows:
        posts.setdefault(str(row["info"]), []).append((number, row))
    for held in posts.values():
        row = {"info": held[0][1]["info"], SUMMARIES_OF_POST: [one for _, one in held]}
        yield tuple(number for number, _ in held), row


def _trees(rows: list[Numbered], *, own: str, parent: str) -> Iterator[Gathered]:
    """One row for every tree. own, parent: the fields that name a message and the one it replies to."""
    nodes: dict[str, Row] = {}
    waiting: list[Numbered] = []
    for number, row in rows:
        name = str(row[own])
        if name in nodes:
            reason = f"its {own} {name!r} is that of an earlier message"
            yield (number,), BadRow("repeated_id", reason, "remove one of the two")
        else:
            nodes[name] = {**row, "replies": [], LINE: number}
            waiting.append((number, nodes[name]))
    roots = [node for _, node in waiting if says_nothing(node.get(parent))]
    for _, node in waiting:
        if not says_nothing(node.get(parent)) and str(node[parent]) in nodes:
            nodes[str(node[parent])]["replies"].append(node)
    used: set[int] = set()
    for root in roots:
        below = _lines_below(root)
        used.update(below)
        yield tuple(below), {"message_tree_id": str(root[own]), "prompt": root}
    for number, node in waiting:
        if number not in used:
            reason = f"the thread that leads to this message does not begin in the file ({parent} {node[parent]!r})"
            yield (number,), BadRow("missing_field", reason, "give the whole tree in one file")


def _lines_below(root: Row) -> list[int]:
    lines, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        lines.append(node[LINE])
        waiting += node["replies"]
    return lines


def _trees_by(own: str, parent: str) -> Callable[[list[Numbered]], Iterator[Gathered]]:
    return lambda rows: _trees(rows, own=own, parent=parent)


SPANNING = (
    Spanning(frozenset(("prompt", "response", "helpfulness", "correctness")), _asked, _rated),
    Spanning(frozenset(("info", "summary", "worker")), lambda row: None, _summaries),
    Spanning(
        frozenset(("message_id", "parent_id", "role", "text")), lambda row: None, _trees_by("message_id", "parent_id")
    ),
    Spanning(
        frozenset(("user_message_id", "parent_message_id", "role", "text")),
        lambda row: None,
        _trees_by("user_message_id", "parent_message_id"),
    ),
)
