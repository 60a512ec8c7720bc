"""Write records as rows of formats that other tools read, and report what such a row cannot hold.

trl            prompt, chosen, rejected (messages), with weight, probability, margin, gap unless default
kto            prompt, completion (messages), label
messages       messages, as supervised fine-tuning reads them; answers not to train on have weight 0
arena          conversation_a, conversation_b, model_a, model_b, winner, judge, as in Chatbot Arena's battles
comparisons    Penchant's own, with everything known about an answer

Tools are beside the messages, reasoning is in them as reasoning_content, as chat templates expect.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

from penchant.data.derived import gap_between, labelled_from_pairs, pairs_from_comparisons
from penchant.data.importers.base import require_question
from penchant.data.importers.judged import HUMAN, NOBODY
from penchant.data.inspection import require_pair
from penchant.data.opening import Row
from penchant.data.quickly import as_message
from penchant.data.records import (
    SCORES,
    Candidate,
    Comparison,
    Demonstration,
    Labelled,
    Message,
    PreferencePair,
    Response,
)
from penchant.data.tasks import FLIPPED, task_from_pair, task_of
from penchant.data.verdicts import CODES, BadRow

__all__ = ["ONE_RESPONSE", "WRITERS", "Target", "Writable", "arena_row", "lost_in"]

Target = Literal["trl", "kto", "messages", "arena", "comparisons"]
Writable: TypeAlias = PreferencePair | Comparison | Labelled | Demonstration
WINNERS = {"a": "model_a", "b": "model_b", "tie": "tie", "both_bad": "tie (bothbad)"}
"""The outcomes' names in the data of Chatbot Arena."""
ONE_RESPONSE = ("kto", "messages")
"""Formats with one response in a row, so that an answer of a list must not be both the better and the worse one."""
HELD_BY: dict[str, set[str]] = {
    "trl": {"weight", "probability", "margin", "gap", "id", "models", "scores"},
    "kto": {"weight", "id", "models", "scores"},
    "messages": {"weight", "id", "models", "scores"},
    "arena": {"id", "models", "annotator", "created_at", "shown_first"},
    "comparisons": {
        "id",
        "models",
        "sampling",
        "annotator",
        "created_at",
        "shown_first",
        "strength",
        "meta",
        "scores",
        "gap",
    },
}
"""The fields that a format holds besides prompt, responses and preference."""


def _trl(record: Any, beside: Row) -> Iterator[Row]:
    pair, more = _preferred(record, beside)
    scored = gap_between(more.get("chosen_score"), more.get("rejected_score"))
    defaults = {"weight": 1, "probability": 1, "margin": 0, "gap": scored}
    numbers = {name: getattr(pair, name) for name in defaults}
    yield {
        **_with_tools("prompt", pair.prompt),
        "chosen": _messages([as_message(pair.chosen)]),
        "rejected": _messages([as_message(pair.rejected)]),
        **{name: value for name, value in numbers.items() if value != defaults[name]},
        **more,
    }


def _kto(record: Any, beside: Row) -> Iterator[Row]:
    if isinstance(record, Comparison) and record.outcome == "both_bad":
        require_question(record.prompt)
        for side in (one for one in (record.a, record.b) if one.text.strip()):
            bad = Labelled(prompt=record.prompt, response=side.text, desirable=False)
            yield _label_row(bad, _said_of(record, side))
    elif isinstance(record, Labelled):
        yield _label_row(record, beside)
    else:
        pair, more = _likelier_first(*_preferred(record, beside))
        for one in labelled_from_pairs([pair]):
            yield _label_row(one, _of_side(more, "chosen" if one.desirable else "rejected"))


def _label_row(one: Labelled, more: Row) -> Row:
    weight = {} if one.weight == 1 else {"weight": one.weight}
    completion = _messages([as_message(one.response)])
    return {**_with_tools("prompt", one.prompt), "completion": completion, "label": one.desirable, **weight, **more}


def _sft(record: Any, beside: Row) -> Iterator[Row]:
    if isinstance(record, Demonstration):
        yield {**_with_tools("messages", record.messages), **beside}
        return
    if isinstance(record, Labelled):
        if not record.desirable:
            raise BadRow("not_desirable", CODES["not_desirable"].meaning, "nothing to fix")
        prompt, response, weight, more = record.prompt, record.response, record.weight, beside
    else:
        pair, more = _likelier_first(*_preferred(record, beside))
        prompt, response, weight = pair.prompt, pair.chosen, pair.weight
        more = _of_side(more, "chosen")
    read = [m.model_copy(update={"weight": 0.0}) if m.role == "assistant" else m for m in prompt]
    answer = as_message(response).model_copy(update={"weight": weight})
    yield {**_with_tools("messages", [*read, answer]), **more}


def _arena(record: Any, beside: Row) -> Iterator[Row]:
    yield arena_row(task_from_pair(record, *_models(beside)) if isinstance(record, PreferencePair) else record)


def _comparisons(record: Any, beside: Row) -> Iterator[Row]:
    if isinstance(record, PreferencePair):
        record = task_from_pair(record, *_models(beside))
    elif not record.id:
        record = record.model_copy(update={"id": task_of(record).id})
    yield record.model_dump(mode="json")


WRITERS: dict[str, tuple[Callable[[Any, Row], Iterator[Row]], tuple[type, ...]]] = {
    "trl": (_trl, (PreferencePair, Comparison)),
    "kto": (_kto, (PreferencePair, Comparison, Labelled)),
    "messages": (_sft, (PreferencePair, Comparison, Labelled, Demonstration)),
    "arena": (_arena, (PreferencePair, Comparison)),
    "comparisons": (_comparisons, (PreferencePair, Comparison)),
}
"""By format: makes the rows of a record, given the fields beside it (see `said_beside`), and the kinds of records.

Raises BadRow for a record that makes no row, such as a tie.
"""


def arena_row(comparison: Comparison) -> Row:
    """One battle: model_a is the side shown first; the language is left out, as it is unknown.

    A side without a model counts as a person's if the other side has one; if neither has, both get the names of NOBODY.
    """
    a, b, outcome = comparison.a, comparison.b, comparison.outcome
    if comparison.shown_first == "b":
        a, b, outcome = b, a, FLIPPED.get(outcome, outcome)
    known = [HUMAN if one.source is None else one.source.model for one in (a, b)]
    models = known if a.source or b.source else NOBODY
    row: Row = {
        "question_id": comparison.id or comparison.meta.get("question_id"),
        "model_a": models[0],
        "model_b": models[1],
        "winner": WINNERS.get(str(outcome)),
        "judge": comparison.annotator,
        "conversation_a": [message.model_dump() for message in (*comparison.prompt, as_message(a.text))],
        "conversation_b": [message.model_dump() for message in (*comparison.prompt, as_message(b.text))],
        "turn": sum(message.role == "user" for message in comparison.prompt),
        "anony": True,
    }
    return row if comparison.created_at is None else row | {"tstamp": comparison.created_at.timestamp()}


def lost_in(record: Writable, to: str) -> list[str]:
    """The fields of a record, besides its texts, that a row of the format cannot hold."""
    said: list[str] = []
    if isinstance(record, Comparison):
        sources = [one.source for one in (record.a, record.b) if one.source is not None]
        sampled = any(value is not None for one in sources for name, value in one if name != "model")
        known = {*SCORES, "question_id"} if to == "arena" else set(SCORES)
        said = [name for name in ("strength", "annotator", "shown_first", "created_at") if getattr(record, name)]
        said += ["meta"] * bool(record.meta.keys() - known) + ["sampling"] * sampled
        said += ["scores"] * (record.meta.keys() >= set(SCORES))
    elif isinstance(record, PreferencePair | Labelled):
        said = ["weight"] * (record.weight != 1)
        if isinstance(record, PreferencePair):
            said += ["probability"] * (record.probability != 1) + ["margin"] * (record.margin != 0)
            said += ["gap"] * (record.gap is not None) + ["name"] * (record.name is not None)
    if to == "messages" and isinstance(record, PreferencePair | Comparison):
        said.append("the rejected response")
    return [name for name in said if name not in HELD_BY[to]]


def _models(beside: Row) -> tuple[Any, Any]:
    return beside.get("chosen_model"), beside.get("rejected_model")


def _preferred(record: PreferencePair | Comparison, beside: Row) -> tuple[PreferencePair, Row]:
    """The pair of a record, with the id, models and scores of a comparison, or the fields beside it.

    Raises BadRow where no side is preferred, or nothing can be learned from it.
    """
    if isinstance(record, PreferencePair):
        return record, beside
    if record.outcome not in ("a", "b"):
        code = record.outcome or "unanswered"
        raise BadRow(code, CODES[code].meaning, "nothing to fix")
    (pair,) = pairs_from_comparisons([record])
    require_pair(pair)
    sides = (record.a, record.b) if record.outcome == "a" else (record.b, record.a)
    models = {
        f"{name}_model": one.source.model
        for name, one in zip(("chosen", "rejected"), sides, strict=True)
        if one.source is not None
    }
    sides_of_scores = SCORES if record.outcome == "a" else SCORES[::-1]
    scores = {
        f"{name}_score": record.meta[side]
        for name, side in zip(("chosen", "rejected"), sides_of_scores, strict=True)
        if record.meta.keys() >= set(SCORES)
    }
    return pair, ({"id": record.id} if record.id else {}) | models | scores


def _likelier_first(pair: PreferencePair, more: Row) -> tuple[PreferencePair, Row]:
    """The pair with the side that its soft label prefers as chosen, and the fields of its sides.

    Raises BadRow where the label prefers neither.
    """
    if pair.probability == 0.5:
        raise BadRow("tie", CODES["tie"].meaning, "nothing to fix")
    if pair.probability > 0.5:
        return pair, more
    turned = {"chosen": "rejected", "rejected": "chosen"}
    sides = ((name.partition("_"), value) for name, value in more.items())
    return pair.swap(), {f"{turned.get(side, side)}{line}{what}": value for (side, line, what), value in sides}


def _of_side(more: Row, side: str) -> Row:
    """The fields of one side of a pair: `chosen_model` becomes `model`, the other side's are dropped."""
    kept = {name: value for name, value in more.items() if not name.startswith(("chosen_", "rejected_"))}
    return kept | {name.removeprefix(f"{side}_"): value for name, value in more.items() if name.startswith(f"{side}_")}


def _said_of(comparison: Comparison, one: Candidate) -> Row:
    row: Row = {"id": comparison.id} if comparison.id else {}
    return row if one.source is None else row | {"model": one.source.model}


def _with_tools(name: str, messages: Sequence[Message]) -> Row:
    """A conversation under a name, with its tools beside it."""
    row: Row = {name: _messages(messages)}
    if messages and messages[0].tools:
        row["tools"] = json.loads(messages[0].tools)
    return row


def _messages(messages: Sequence[Message | Response]) -> list[Row]:
    rows = [as_message(message).model_dump() for message in messages]
    for row in rows:
        row.pop("tools", None)
        if "reasoning" in row:
            row["reasoning_content"] = row.pop("reasoning")
    return rows
