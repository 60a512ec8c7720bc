"""Several answers to one prompt, each with a score: ranked lists, rated generations and message trees."""

from pydantic import BaseModel, ConfigDict, Field

from penchant.data.records import Message, Origin, Response, Text

__all__ = ["Answer", "AnswerList", "GatheredOrigin"]


class GatheredOrigin(Origin):
    """The line of a row that was merged into a larger row; the file name is not known where rows are merged."""

    file: str = ""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(_Record):
    """One answer of several. score: higher is better, None if there is none. model: who wrote it, if known."""

    response: Response
    score: float | None = Field(default=None, allow_inf_nan=False)
    model: Text | None = None


class AnswerList(_Record):
    """The answers to one prompt, in any order.

    Ranked answers have the negated rank as their score, so that differences of scores equal those of ranks.
    origin: where the prompt ends, for a list merged from several rows. name: its name in a benchmark, as "PART/ID".
    """

    prompt: tuple[Message, ...]
    answers: tuple[Answer, ...]
    origin: Origin | None = None
    name: Text | None = None
