"""One person's conversation: its messages and its state. It is in memory; choices are in the store.

It waits for a message (`idle`), for the model (`writing`), for a choice between two complete answers (`choosing`), or
for the person to pick the answer to continue with (`picking`: both were bad, or they are incomplete). Every state
change gives a new `version`, so that a second window cannot act on an outdated state.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

from penchant.data.records import Message
from penchant.feedback.records import Side

__all__ = ["MAX_TURNS", "Conversation", "Conversations", "Ending", "Outdated", "Turn"]

MAX_TURNS = 50
MAX_CONVERSATIONS = 200

State = Literal["idle", "writing", "choosing", "picking"]
Ending = Literal["whole", "stopped", "failed"]
VERSIONS = itertools.count(secrets.randbelow(2**40))
"""Version numbers, unique even across restarts."""
SIDES: tuple[Side, Side] = ("a", "b")


class Outdated(Exception):
    """The request refers to an outdated state of the conversation."""


@dataclass(eq=False)
class Turn:
    """One or two answers in progress or waiting for a choice; side a is number 0.

    id: of the task, if it becomes one. shown_first: the side on the left. has_stopped: the person stopped it.
    """

    num: int
    seed: int
    shown_first: Side
    id: str = field(default_factory=lambda: f"chat-{uuid.uuid4()}")
    texts: list[str] = field(default_factory=list)
    has_stopped: bool = False

    def __post_init__(self) -> None:
        self.texts = self.texts or [""] * self.num

    def place(self, number: int) -> str:
        """The position of an answer: left, right, or alone."""
        if self.num == 1:
            return "alone"
        return "left" if SIDES[number] == self.shown_first else "right"

    def text_at(self, place: str) -> str:
        """The answer at this position."""
        return next(text for number, text in enumerate(self.texts) if self.place(number) == place)


class Conversation:
    """The conversation so far. Methods raise Outdated if the state or the version differs.

    turn: the answers in progress or waiting for a choice. is_voted: whether the choice between them is already
    recorded. draft: a message without an answer, returned to its author. last_key: that of the last recorded choice.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.version = next(VERSIONS)
        self.messages: list[Message] = []
        self.state: State = "idle"
        self.turn: Turn | None = None
        self.is_voted = False
        self.draft = ""
        self.last_key = ""
        self._before: Turn | None = None

    @property
    def num_turns(self) -> int:
        """The number of the person's messages."""
        return sum(message.role == "user" for message in self.messages)

    def begin(self, version: int, text: str | None, turn: Turn) -> None:
        """Start a turn: the person said `text`, or with None requests other answers."""
        with self.lock:
            self._check(version, "idle" if text is not None else "picking")
            self._before = None if text is not None else self.turn
            if text is not None:
                self.messages.append(Message(role="user", content=text))
            self.draft = ""
            self._become("writing", turn)

    def settle(self, turn: Turn, ending: Ending) -> None:
        """Finish the model's writing; no effect for a turn that is over."""
        with self.lock:
            if self.state != "writing" or self.turn is not turn:
                return
            turn.texts = [text.strip() for text in turn.texts]
            written = list(dict.fromkeys(filter(None, turn.texts)))
            if ending == "failed" or not written:
                self._withdraw()
            elif len(written) == 1:  # the two are equal, or one is empty: no choice
                self.go_on_with(written[0])
            else:
                self.is_voted = False
                self._become("choosing" if ending == "whole" else "picking", turn)

    def check_choice(self, version: int, state: Literal["choosing", "picking"]) -> Turn:
        """The turn whose answers the person may choose between now."""
        self._check(version, state)
        assert self.turn is not None, "whoever chooses has a turn"
        return self.turn

    def decide(self, outcome: str, key: str) -> None:
        """Apply a recorded choice: continue with the better answer, with a for a tie, or ask which to pick."""
        with self.lock:
            assert self.turn is not None, "whoever chooses has a turn"
            self.last_key, self.is_voted = key, True
            if outcome == "both_bad":
                self._become("picking", self.turn)
            else:
                self.go_on_with(self.turn.texts[outcome == "b"])

    def go_on_with(self, text: str) -> None:
        """Continue with this answer."""
        with self.lock:
            self.messages.append(Message(role="assistant", content=text))
            self._become("idle", None)

    def _withdraw(self) -> None:
        """Undo the request; earlier answers can still be picked."""
        if self._before is not None:
            self._become("picking", self._before)
            return
        self.draft = self.messages.pop().content
        self._become("idle", None)

    def _become(self, state: State, turn: Turn | None) -> None:
        self.state, self.turn, self.version = state, turn, next(VERSIONS)

    def _check(self, version: int, state: State) -> None:
        if self.version != version or self.state != state:
            raise Outdated


class Conversations:
    """Conversations by person; beyond MAX_CONVERSATIONS, the least recently used is dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: OrderedDict[int, Conversation] = OrderedDict()

    def of(self, person_id: int) -> Conversation:
        """The person's conversation, initially empty."""
        with self._lock:
            found = self._of.setdefault(person_id, Conversation())
            self._of.move_to_end(person_id)
            if len(self._of) > MAX_CONVERSATIONS:
                self._of.popitem(last=False)
            return found

    def forget(self, person_id: int) -> None:
        """Start over for a person; answers still being written are stopped."""
        with self._lock:
            found = self._of.pop(person_id, None)
        if found is not None and found.turn is not None:
            found.turn.has_stopped = True
