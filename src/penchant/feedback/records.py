"""The inputs and outputs of the store: people, their pairs, their answers."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from penchant.data.records import Message
from penchant.errors import UserError

__all__ = [
    "RECENT",
    "Annotator",
    "Answer",
    "AnswerOutcome",
    "Assignment",
    "ChosenBy",
    "Invitation",
    "Kind",
    "NewAnswer",
    "PlacedOutcome",
    "Progress",
    "Record",
    "Refused",
    "RefusedCode",
    "Reply",
    "Role",
    "Side",
    "outcome_at",
    "pace",
    "place_of",
    "texts_of",
]

Side = Literal["a", "b"]
Role = Literal["annotator", "admin"]
Kind = Literal["main", "gold", "repeat", "adjudication"]
ChosenBy = Literal["random", "uncertainty", "gold", "repeat", "adjudication", "import"]
AnswerOutcome = Literal["a", "b", "tie", "both_bad", "skip", "withdrawn"]
PlacedOutcome = Literal["left", "right", "tie", "both_bad", "skip"]
RECENT, BREAK_SECONDS = 200, 600
"""Speed is computed from this many answers, without breaks longer than this many seconds."""
RefusedCode = Literal[
    "disabled", "key", "no_session", "not_admin", "not_yours", "reason", "strength", "taken", "unknown"
]


class Refused(UserError):
    """The store refuses this answer from this person; `code` is the reason for programs, the text for people.

    disabled, unknown: the person has no access, or the task does not exist. no_session: an unknown token. not_yours:
    another person's assignment. taken: the lease expired, or the pair was skipped, and others have answered since.
    key: the key belongs to another answer. reason, strength: not one that the project asks for. not_admin: only an
    admin adjudicates.
    """

    def __init__(self, code: RefusedCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def _storable(text: str) -> str:
    # PostgreSQL stores no NUL, and nothing can encode a lone surrogate
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise PydanticCustomError("string_unicode", "NUL and half surrogate pairs are not characters")
    return text


Text = Annotated[str, AfterValidator(_storable)]


class Record(BaseModel):
    """Frozen, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Annotator(Record):
    """A person who answers; `disabled_at` is None while they may answer."""

    id: int
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None = None


class Invitation(Record):
    """A person and the token that lets them in; only its hash is stored, so it cannot be shown again."""

    annotator: Annotator
    token: str


class NewAnswer(Record):
    """An answer as it arrives. `key` is a UUID made by the client: an answer sent twice counts once.

    strength: 1 (slightly better) to 4, only for an outcome of a or b. seconds: from showing the pair to the answer,
    also for a correction of a pair read before.
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
            raise ValueError(
                f"strength says how much better a or b is; an outcome of {self.outcome} has none, so leave it out"
            )
        return self

    def check(self, *, asks_strength: bool, reasons: Collection[str]) -> None:
        """Raise Refused for fields that the project does not ask for."""
        if self.strength is not None and not asks_strength:
            raise Refused("strength", "this project does not ask how much better; leave the strength out")
        unknown = [reason for reason in self.reasons if reason not in reasons]
        if unknown:
            raise Refused("reason", f"'{unknown[0]}' is not a reason of this project; reload the page")

    def require_same(self, stored: "Answer") -> "Answer":
        """The answer stored under its key; raises Refused if it differs."""
        names = ("annotator_id", "assignment_id", "outcome", "strength", "reasons", "comment")
        if any(getattr(stored, name) != getattr(self, name) for name in names):
            raise Refused("key", "another answer was sent under this key; send this one under a new key")
        return stored

    def row(self, *, too_fast_seconds: float) -> dict[str, Any]:
        """The content columns of a stored answer; the others identify its person and assignment."""
        too_fast = self.outcome != "skip" and self.seconds < too_fast_seconds
        kept = self.model_dump(exclude={"assignment_id", "annotator_id"})
        return kept | {"reasons": list(self.reasons), "flags": ["too_fast"] if too_fast else []}


class Answer(Record):
    """A stored answer, never changed: `supersedes` is the id of the answer it replaces.

    shown_first and seconds are None if an imported answer lacks them. flags: too_fast, for first answers only.
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


class Assignment(Record):
    """A pair given to one person, without its sources and kind: gold tasks and repeats look like any other.

    `task_id` is for the server: on a page it would reveal a repeat. `answer` is the current one, None while open.
    """

    id: int
    task_id: str
    prompt: tuple[Message, ...]
    a: str
    b: str
    shown_first: Side
    answer: Answer | None = None


class Progress(Record):
    """The progress of one person, or of the project.

    answered: current answers. total: answered plus what is left; None for a person who may be asked gold pairs or
    repeats: then about_left is what is left, in tens (choosing.py). seconds_median: over first answers, as corrections
    were read before. per_hour: answers per hour between the first and the last, without breaks of more than ten
    minutes. None: unknown.
    """

    answered: int
    total: int | None
    about_left: int | None = None
    seconds_median: float | None = None
    per_hour: float | None = None


def pace(times: Iterable[Sequence[datetime]], seconds: Iterable[float | None]) -> dict[str, float | None]:
    """seconds_median and per_hour of recent answers; None if unknown.

    times: each person's answer times. seconds: the duration of each answer. per_hour leaves out breaks of more than ten
    minutes.
    """
    gaps = [(later - earlier).total_seconds() for own in times for earlier, later in pairwise(sorted(own))]
    worked = [gap for gap in gaps if gap <= BREAK_SECONDS]
    known = [value for value in seconds if value is not None]
    return {
        "seconds_median": median(known) if known else None,
        "per_hour": 3600 * len(worked) / sum(worked) if sum(worked) else None,
    }


Pair = TypeVar("Pair")


@dataclass(frozen=True, slots=True)
class Reply(Generic[Pair]):
    """The reply to a person's request; parts that were not requested, or do not exist, are None.

    answer: the stored one. current: the pair to answer now; then: the pair after it.
    """

    answer: Answer | None = None
    current: Pair | None = None
    then: Pair | None = None
    progress: Progress | None = None


def texts_of(task: Any) -> dict[str, Any]:
    """prompt, a and b of a stored task as texts, without the sources."""
    return {"prompt": task.prompt, "a": task.a["text"], "b": task.b["text"]}


def outcome_at(place: PlacedOutcome, shown_first: str) -> str:
    """Convert `left` and `right` on a page to the stored outcome a or b; others are unchanged."""
    if place == "left":
        return shown_first
    if place == "right":
        return "b" if shown_first == "a" else "a"
    return place


def place_of(outcome: str, shown_first: str) -> str:
    """The inverse of `outcome_at`."""
    if outcome not in ("a", "b"):
        return outcome
    return "left" if outcome == shown_first else "right"
