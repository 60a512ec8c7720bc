r"""Import chosen, rejected as transcripts of Anthropic's HH data: "\n\nHuman: ...\n\nAssistant: ...".

A marker counts only after a blank line: "Human:" inside a turn is text. The response is what follows the last
"\n\nAssistant:"; what precedes it is the prompt and must be the same text on both sides. White space around a turn is
removed. Turns of one speaker that follow each other are joined by a blank line, because many chat templates refuse two
in a row. Data: Bai et al. 2022, "Training a Helpful and Harmless Assistant with RLHF" (arXiv 2204.05862).
"""

from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, NUMBERS, Importer, opened, text_field
from penchant.data.importers.sides import JUDGEMENT, numbers_of_pair
from penchant.data.importers.transcript import split_transcript
from penchant.data.quickly import text_pair
from penchant.data.records import PreferencePair
from penchant.data.verdicts import BadRow

__all__ = ["HH"]


def matches(row: Row) -> bool:
    sides = row.get("chosen"), row.get("rejected")
    return row.get("prompt") is None and all(
        isinstance(side, str) and side.lstrip().startswith(("Human:", "Assistant:")) for side in sides
    )


def convert(row: Row) -> PreferencePair:
    (prompt, chosen), (other_prompt, rejected) = (
        split_transcript(text_field(row, side), side) for side in ("chosen", "rejected")
    )
    if prompt != other_prompt:
        raise BadRow(
            "prompts_differ",
            "the transcripts of chosen and rejected differ before the last 'Assistant:'",
            "give both the same turns up to the response",
        )
    return text_pair(opened(row, prompt), chosen, rejected, numbers_of_pair(row, (chosen, rejected)))


HH = Importer(
    name="hh_transcripts",
    description='chosen, rejected (transcripts: "\\n\\nHuman: ...\\n\\nAssistant: ...")',
    example={
        "chosen": "\n\nHuman: What is the sun?\n\nAssistant: A star, the nearest one.",
        "rejected": "\n\nHuman: What is the sun?\n\nAssistant: A lamp.",
    },
    needs=("chosen", "rejected"),
    matches=matches,
    convert=convert,
    reads=BESIDE.union(NUMBERS, ("chosen", "rejected")),
    harmless=JUDGEMENT,
)
