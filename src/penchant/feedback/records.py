"""What the store gives and takes: people, assignments, answers, and what is counted of them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from penchant.data.records import Message, Outcome
from penchant.errors import UserError

__all__ = [
    "Annotator",
    "Answer",
    "AnswerOutcome",
    "Answered",
    "Assignment",
    "ChosenBy",
    "Counts",
    "Disagreement",
    "Invitation",
    "Kind",
    "NewAnswer",
    "Progress",
    "Refused",
    "RefusedCode",
    "Role",
    "Side",
    "TasksAdded",
    "Turn",
    "Voted",
]

Side = Literal["a", "b"]
Role = Literal["annotator", "admin"]
Kind = Literal["main", "gold", "repeat", "adjudication"]
ChosenBy = Literal["random", "uncertainty", "gold", "repeat", "adjudication", "import"]
AnswerOutcome = Literal["a", "b", "tie", "both_bad", "skip", "withdrawn"]
RefusedCode = Literal[
    "disabled", "key", "no_session", "not_admin", "not_yours", "reason", "strength", "taken", "unknown"
]


class Refused(UserError):
    """The store does not take this answer from this person; `code` says why to a program, the text to a person.

    disabled, unknown: the person has no access, or the task does not exist. no_session: the token is nobody's.
    not_yours: another person's assignment. taken: the lease ran out, or the pair was skipped, and others have answered
    since. key: the key belongs to another answer. reason, strength: not one that the project asks for. not_admin: only
    an admin adjudicates.
    """

    def __init__(self, code: RefusedCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def _storable(text: str) -> str:
    # PostgreSQL stores no NUL, and nothing can encode half a surrogate pair
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise PydanticCustomError("string_unicode", "NUL and half surrogate pairs are not characters")
    return text


Text = Annotated[str, AfterValidator(_storable)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Annotator(_Record):
    """A person who answers; `disabled_at` is None for one who may."""

    id: int
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None = None


class Invitation(_Record):
    """A person and the token that lets them in; only its hash is kept, so it cannot be shown again."""

    annotator: Annotator
    token: str


class TasksAdded(_Record):
    """What became of comparisons: tasks and answers that are new, tasks known before, and why others were refused.

    unread: the fields of the file that nobody reads, in how many rows, and where first.
    """

    added: int
    known: int
    answers: int = 0
    refused: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class NewAnswer(_Record):
    """An answer as it arrives. `key` is made by the client, a UUID: sent twice, it is one answer.

    strength: 1 (slightly better) to 4, for an outcome of a or b alone. seconds: from the pair on screen to the answer,
    also where that puts another answer right and the pair was read before.
    """

    key: Text = Field(min_length=8, max_length=100)
    assignment_id: int
    annotator_id: int
    outcome: Literal["a", "b", "tie", "both_bad", "skip"]
    strength: int | None = Field(default=None, ge=1, le=4)
    reasons: tuple[Text, ...] = Field(default=(), max_length=50)
    comment: Text = Field(default="", max_length=10_000)
    seconds: float = Field(ge=0, le=10_000_000, allow_inf_nan=False)

    @model_validator(mode="after")
    def _strength_is_of_a_preference(self) -> "NewAnswer":
        if self.strength is not None and self.outcome not in ("a", "b"):
            raise ValueError(f"strength says how much better a or b is; an outcome of {self.outcome} has none")
        return self


class Answer(_Record):
    """A stored answer, never changed: `supersedes` is the id of the answer it takes the place of.

    shown_first and seconds are None where an imported answer did not say. flags: too_fast, of a first answer alone.
    """

    id: int
    key: str
    assignment_id: int
    annotator_id: int
    task_id: str
    outcome: AnswerOutcome
    strength: int | None
    reasons: tuple[str, ...]
    comment: str
    shown_first: Side | None
    seconds: float | None
    flags: tuple[str, ...]
    created_at: AwareDatetime
    supersedes: int | None


class Assignment(_Record):
    """A pair given to one person, without its sources and without its kind: gold and repeats look like any other.

    `task_id` is for the server: on a page it would give a repeat away. `answer` is the current one, None while open.
    """

    id: int
    task_id: str
    prompt: tuple[Message, ...]
    a: str
    b: str
    shown_first: Side
    answer: Answer | None = None


class Answered(_Record):
    """One line of a person's history."""

    assignment: Assignment
    answer: Answer


class Progress(_Record):
    """How far it is: of one person, or of the project.

    answered: current answers. total: answered, and what is left to answer; None for a person who may be asked known
    pairs or repeats: there about_left is what is left, in tens (remaining.py). seconds_median: of the times of first
    answers; what puts one right was read before. per_hour: answers an hour between the first and the last, breaks of
    more than ten minutes left out. None: unknown.
    """

    answered: int
    total: int | None
    about_left: int | None = None
    seconds_median: float | None = None
    per_hour: float | None = None


class Turn(_Record):
    """What a person is asked: a pair, the one after it where there is one, and how far they are. current None: done."""

    current: Assignment | None
    then: Assignment | None
    progress: Progress


class Voted(_Record):
    """A stored answer, and what follows: `then` is the pair after the one that the person has by now."""

    answer: Answer
    then: Assignment | None
    progress: Progress


class Disagreement(_Record):
    """A task whose current main answers differ: each with its annotator's name, and the verdict if there is one."""

    task_id: str
    prompt: tuple[Message, ...]
    a: str
    b: str
    answers: tuple[tuple[str, Answer], ...]
    adjudication: Answer | None = None


class Counts(_Record):
    """What is in the store. tasks leaves gold out; answered counts current answers that are no skip, of every kind.

    open: assignments that wait for an answer. by_outcome and by_annotator count what `answered` counts.
    """

    tasks: int
    gold: int
    answered: int
    open: int
    skipped: int
    by_outcome: dict[Outcome, int]
    by_annotator: dict[str, int]
    by_kind: dict[Kind, int]
    flags: dict[str, int]
