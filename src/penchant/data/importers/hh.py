r"""chosen, rejected as transcripts in the form of Anthropic's HH data: "\n\nHuman: ...\n\nAssistant: ...".

A marker counts only after a blank line: "Human:" inside a turn is text. The response is what follows the last
"\n\nAssistant:"; what precedes it is the prompt and must be the same text on both sides. White space around a turn is
removed. Turns of one speaker that follow each other are joined by a blank line, because many chat templates refuse two
in a row. Data: Bai et al. 2022, "Training a Helpful and Harmless Assistant with RLHF" (arXiv 2204.05862).
"""

import re

from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, NUMBERS, Importer, numbers, opened, text_field
from penchant.data.importers.transcript import MARKER, turns_of
from penchant.data.quickly import text_pair
from penchant.data.records import PreferencePair
from penchant.data.verdicts import BadRow

__all__ = ["HH", "split_transcript"]

AT_ONE_LINE_END = re.compile(r"[^\n]\n(Human|Assistant):")


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
    return text_pair(opened(row, turns_of(prompt)), chosen, rejected, numbers(row))


def split_transcript(text: str, side: str) -> tuple[str, str]:
    """A transcript as (everything before the last assistant marker, the response after it). Raises BadRow."""
    transcript = "\n\n" + text.lstrip()
    markers = list(MARKER.finditer(transcript))
    if not markers or markers[0].start() != 0:
        raise BadRow("bad_type", f"'{side}' does not begin with 'Human:'", "begin the transcript with a speaker")
    if (markers[-1][1] != "Assistant" or len(markers) == 1) and AT_ONE_LINE_END.search(transcript):
        raise BadRow(
            "bad_type",
            f"the turns of '{side}' are parted by single line ends",
            "put a blank line before every 'Human:' and 'Assistant:'",
        )
    if markers[-1][1] != "Assistant":
        raise BadRow("bad_type", f"the last turn of '{side}' is the human's", "end it with the assistant's response")
    if len(markers) == 1:
        raise BadRow("missing_field", f"'{side}' has no turn before the response", "add the human's turn")
    return transcript[: markers[-1].start()], transcript[markers[-1].end() :].strip()


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
)
