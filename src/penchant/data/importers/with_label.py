"""label: whether the last answer of a conversation is good, the format of KTO, beside every form of conversation.

Objectives of labels read both kinds; imitation takes the good ones and leaves the others out.
"""

from dataclasses import replace

from penchant.data.files import Row
from penchant.data.importers.base import Importer, field, only_text
from penchant.data.importers.messages import says_nothing, truth
from penchant.data.records import Demonstration, Labelled
from penchant.data.verdicts import BadRow

__all__ = ["heeding_label", "with_label"]


NAMES = {
    "prompt_completion": "labelled",
    "messages": "labelled_messages",
    "sharegpt": "labelled_sharegpt",
    "alpaca": "labelled_alpaca",
}
"""Formats of labelled responses, by that of the same rows without a label."""


def with_label(one: Importer[Demonstration]) -> Importer[Labelled]:
    """The importer of labelled responses whose rows are those of `one` with a label, and perhaps a weight."""

    def convert(row: Row) -> Labelled:
        desirable = truth(field(row, "label"), "label")
        *prompt, last = one.convert(row).messages
        if last.weight != 1:
            reason = f"the labelled response has the weight {last.weight:g}, and a response is learned whole"
            raise BadRow("unread_field", reason, "write 'weight' beside the label")
        weight = {} if says_nothing(row.get("weight")) else {"weight": row["weight"]}
        return Labelled(
            prompt=tuple(m if m.weight == 1 else m.model_copy(update={"weight": 1.0}) for m in prompt),
            response=only_text(last),
            desirable=desirable,
            **weight,
        )

    return Importer(
        name=NAMES[one.name],
        description=f"{one.description}, label (true or false)",
        example={**one.example, "label": True},
        needs=(*one.needs, "label"),
        matches=lambda row: not says_nothing(row.get("label")) and one.matches(row),
        convert=convert,
        reads=one.reads | {"label", "weight"},
        harmless=one.harmless,
    )


def heeding_label(one: Importer[Demonstration]) -> Importer[Demonstration]:
    """The importer without the rows that a label calls bad: what somebody disliked is not imitated."""

    def convert(row: Row) -> Demonstration:
        if not says_nothing(row.get("label")) and not truth(row["label"], "label"):
            raise BadRow(
                "not_desirable",
                "its label says that the answer is bad",
                'preference training with `objective="kto"` learns from it',
            )
        return one.convert(row)

    return replace(one, convert=convert, reads=one.reads | {"label"})
