"""Many answers to one prompt, each with a score: what ranked lists, rated generations and message trees hold."""

from pydantic import BaseModel, ConfigDict, Field

from penchant.data.records import Message, Origin, Response, Text

__all__ = ["Answer", "AnswerList", "GatheredOrigin"]


class GatheredOrigin(Origin):
    """The line of a row that became part of a larger one; the file is not known where the rows are put together."""

    file: str = ""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(_Record):
    """One answer of several. score: higher is better, None where nobody gave one. model: who wrote it, where known."""

    response: Response
    score: float | None = Field(default=None, allow_inf_nan=False)
    model: Text | None = None


class AnswerList(_Record):
    """The answers to one prompt, in any order.

    Where answers are ranked, the score is the rank with its sign turned, so that two scores differ as the ranks do.
    origin: where the prompt ends, for a list that was put together from several rows. name: what a benchmark calls it,
    as "PART/ID".
    """

    prompt: tuple[Message, ...]
    answers: tuple[Answer, ...]
    origin: Origin | None = None
    name: Text | None = None
