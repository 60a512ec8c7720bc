"""Import text, score: whole transcripts and their scores, the form of the DSP data sets.

A transcript is a conversation, "## Human:\\n...\\n\\n## Assistant:\\n...", or one in the form of Anthropic's data. The
answer with the higher score is the better one; equal scores are a tie. White space around the texts is removed. Data:
Cheng et al. 2023, "Everyone Deserves A Reward" (arXiv 2309.03126).
"""

from penchant.data.files import Row
from penchant.data.importers.base import Importer, field
from penchant.data.importers.judged import by_score, compared, two_of
from penchant.data.importers.packed import spelt
from penchant.data.importers.transcript import DSP_MARKER, MARKER, split_transcript
from penchant.data.records import Comparison
from penchant.data.verdicts import BadRow
from penchant.wording import shown

__all__ = ["TEXT_SCORE"]

HUMAN, ASSISTANT = "## Human:\n", "\n\n## Assistant:\n"


def convert(row: Row) -> Comparison:
    texts, scores = two_of(row, "text", str), spelt(field(row, "score"))
    if not isinstance(scores, list) or len(scores) != len(texts):
        raise BadRow(
            "bad_type", f"'score' must be a list of two numbers, got {shown(scores)}", "write one for each transcript"
        )
    (prompt, first), (other, second) = (
        split_transcript(text, f"text[{index}]", DSP_MARKER if text.lstrip().startswith(HUMAN) else MARKER)
        for index, text in enumerate(texts)
    )
    if prompt != other:
        reason = "the two transcripts differ before the last answer"
        raise BadRow("prompts_differ", reason, "give both the same turns up to it")
    numbers = {"score[0]": scores[0], "score[1]": scores[1]}
    return compared(prompt, (first, second), by_score(numbers, *numbers))


def _matches(row: Row) -> bool:
    texts, scores = row.get("text"), row.get("score")
    if isinstance(texts, str) and isinstance(scores, str) and scores.startswith("["):  # lists kept as text
        try:
            texts = spelt(texts)
        except BadRow:  # the error is raised when the row is converted
            return True
    return (
        scores is not None and isinstance(texts, list) and bool(texts) and all(isinstance(text, str) for text in texts)
    )


TEXT_SCORE: Importer[Comparison] = Importer(
    name="text_score",
    description='text (two transcripts, "## Human:\\n...\\n\\n## Assistant:\\n..."), score (two numbers)',
    example={
        "text": [
            f"{HUMAN}What is the sun?{ASSISTANT}A star, the nearest one.",
            f"{HUMAN}What is the sun?{ASSISTANT}A lamp.",
        ],
        "score": [1.5, 0.5],
    },
    needs=("text", "score"),
    matches=_matches,
    convert=convert,
    reads=frozenset(("text", "score")),
)
