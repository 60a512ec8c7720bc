"""Read label, or kto_tag: whether the last answer of a conversation is good, beside every conversation format.

Objectives of labels read good and bad answers; supervised fine-tuning takes only the good ones.
"""

from dataclasses import replace

from penchant.data.files import Row
from penchant.data.importers.base import Importer, field, only_text
from penchant.data.importers.values import says_nothing, truth
from penchant.data.records import Demonstration, Labelled
from penchant.data.verdicts import BadRow

__all__ = ["LABELS", "heeding_label", "with_label"]

LABELS = ("label", "kto_tag")
"""Fields that say whether a response is good: TRL's and most data's name, and LLaMA-Factory's."""

NAMES = {
    "prompt_completion": "labelled",
    "messages": "labelled_messages",
    "sharegpt": "labelled_sharegpt",
    "alpaca": "labelled_alpaca",
}
"""Formats of labelled responses, by the format of the same rows without a label."""


def with_label(one: Importer[Demonstration], name: str) -> Importer[Labelled]:
    """The importer of labelled responses: rows of `one` with a label in field `name`, and optionally a weight."""

    def convert(row: Row) -> Labelled:
        desirable = truth(field(row, name), name)
        _refuse_other(row, name, desirable)
        *prompt, last = one.convert(row).messages
        if last.weight != 1:
            reason = f"the labelled response has the weight {last.weight:g}, but a response is trained on as a whole"
            raise BadRow("unread_field", reason, "write 'weight' beside the label")
        weight = {} if says_nothing(row.get("weight")) else {"weight": row["weight"]}
        return Labelled(
            prompt=tuple(m if m.weight == 1 else m.model_copy(update={"weight": 1.0}) for m in prompt),
            response=only_text(last),
            desirable=desirable,
            **weight,
        )

    return Importer(
        name=NAMES[one.name] if name == "label" else f"{NAMES[one.name]}_{name}",
        description=f"{one.description}, {name} (true or false)",
        example={**one.example, name: True},
        needs=(*one.needs, name),
        matches=lambda row: not says_nothing(row.get(name)) and one.matches(row),
        convert=convert,
        reads=one.reads | {name, "weight"},
        harmless=one.harmless,
    )


def _refuse_other(row: Row, name: str, desirable: bool) -> None:
    """Raise BadRow where the last message has a label that disagrees."""
    for held in ("messages", "conversations", "completion"):
        messages = row.get(held)
        last: object = messages[-1] if isinstance(messages, list) and messages else None
        if not isinstance(last, dict) or len(last) <= 2:
            continue
        for own in LABELS:
            if not says_nothing(last.get(own)) and truth(last[own], own) != desirable:
                reason = f"'{name}' is {row[name]!r}, but the '{own}' of its last message is {last[own]!r}"
                raise BadRow("bad_type", reason, "keep one of them")


def heeding_label(one: Importer[Demonstration]) -> Importer[Demonstration]:
    """The importer without rows labelled bad: disliked answers are not imitated."""

    def convert(row: Row) -> Demonstration:
        for name in LABELS:
            if not says_nothing(row.get(name)) and not truth(row[name], name):
                reason = f"its '{name}' says that the answer is bad"
                way_on = 'preference training with `objective="kto"` learns from it'
                raise BadRow("not_desirable", reason, way_on)
        return one.convert(row)

    return replace(one, convert=convert, reads=one.reads.union(LABELS))
