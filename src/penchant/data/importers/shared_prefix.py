"""Import chosen, rejected as two conversations: the prompt is their shared part, the response is the last message."""

from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, NUMBERS, Importer, field, last_response, opened
from penchant.data.importers.messages import read_messages
from penchant.data.importers.sides import JUDGEMENT, numbers_of_pair
from penchant.data.quickly import text_pair
from penchant.data.records import PreferencePair
from penchant.data.verdicts import BadRow

__all__ = ["SHARED_PREFIX"]


def matches(row: Row) -> bool:
    return row.get("prompt") is None and all(isinstance(row.get(side), list) for side in ("chosen", "rejected"))


def convert(row: Row) -> PreferencePair:
    chosen, rejected = (read_messages(field(row, side), side) for side in ("chosen", "rejected"))
    responses = last_response(chosen, row["chosen"], "chosen"), last_response(rejected, row["rejected"], "rejected")
    prompt = chosen[:-1]
    if prompt != rejected[:-1]:
        reason = "the two conversations differ before their last message"
        raise BadRow("prompts_differ", reason, "give both the same messages up to the response")
    if not prompt:
        raise BadRow("missing_field", "the two conversations share no prompt", "add the messages before the response")
    return text_pair(opened(row, prompt), *responses, numbers_of_pair(row, responses))


_QUESTION = {"role": "user", "content": "What is the sun?"}
SHARED_PREFIX = Importer(
    name="shared_prefix",
    description="chosen, rejected (message lists that differ in the last message only)",
    example={
        "chosen": [_QUESTION, {"role": "assistant", "content": "A star, the nearest one."}],
        "rejected": [_QUESTION, {"role": "assistant", "content": "A lamp."}],
    },
    needs=("chosen", "rejected"),
    matches=matches,
    convert=convert,
    reads=BESIDE.union(NUMBERS, ("chosen", "rejected")),
    harmless=JUDGEMENT,
)
