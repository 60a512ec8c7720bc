"""conversations, chosen, rejected: preference rows in the ShareGPT form that LLaMA-Factory uses."""

from penchant.data.files import Row
from penchant.data.importers.base import Importer, messages_field, response_field
from penchant.data.records import PreferencePair

__all__ = ["SHAREGPT_PAIR"]


def matches(row: Row) -> bool:
    return {"conversations", "chosen", "rejected"} <= row.keys()


def convert(row: Row) -> PreferencePair:
    prompt = messages_field(row, "conversations")
    chosen, rejected = (response_field(row, side, prompt) for side in ("chosen", "rejected"))
    return PreferencePair(prompt=prompt, chosen=chosen, rejected=rejected)


SHAREGPT_PAIR = Importer(
    name="sharegpt_pair",
    description="conversations (messages), chosen, rejected (each {from, value})",
    example={
        "conversations": [{"from": "human", "value": "What is the sun?"}],
        "chosen": {"from": "gpt", "value": "A star, the nearest one."},
        "rejected": {"from": "gpt", "value": "A lamp."},
    },
    matches=matches,
    convert=convert,
)
