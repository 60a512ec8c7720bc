"""All active requests in one continuous batch, used by one thread between two steps of the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from penchant.errors import ModelError
from penchant.models.generate import open_writer
from penchant.models.language_model import LanguageModel
from penchant.models.numerics import computing
from penchant.models.requests import Job, Request
from penchant.models.rows import Row
from penchant.serving.answer import Answer, Piece
from penchant.serving.asked import Asked
from penchant.serving.refusal import Refusal
from penchant.tokens import BoundaryError
from penchant.tokens.encoding import ChatEncoder

__all__ = ["Batch", "Ticket"]

MOST_WAITING = 1024
"""The most waiting prompts; later requests are told to retry."""

SEND_OTHER = "send what the model's chat template writes"
"""The advice to clients whose messages cannot be encoded by the server's template."""


@dataclass(eq=False)
class Ticket:
    """An accepted request. answers: by their job and index."""

    num_prompt_tokens: int
    answers: dict[tuple[Job, int], Answer] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether every answer has ended."""
        return all(answer.ending for answer in self.answers.values())


class Batch:
    """size: answers written at a time. longest: tokens of a prompt with its answer."""

    def __init__(self, model: LanguageModel, size: int, longest: int) -> None:
        self.model, self.size, self.longest = model, size, longest
        tokenizer, ends = model.tokenizer, tuple(model.encoder.end_ids)
        self.raw = ChatEncoder(tokenizer, template="plain", end_ids=ends, special_tokens="text")
        self.clear()

    def clear(self) -> None:
        """Drop everything, after a failure."""
        self.writer = open_writer(self.model, self.size, self.longest)
        self.waiting: deque[Job] = deque()
        self.tickets: dict[Job, Ticket] = {}

    def take(self, asked: Asked) -> Ticket:
        """Queue a request. Raises Refusal if it cannot be answered."""
        if asked.num > self.size:
            raise Refusal(
                400, f"n: {asked.num} is more than the {self.size} answers written at a time; lower n", param="n"
            )
        if len(self.waiting) + len(asked.prompts) > MOST_WAITING:
            raise Refusal(429, "too many requests are waiting; try again later", code="rate_limit_exceeded")
        with computing():
            encoder = self.raw if asked.is_raw else self.model.encoder
            jobs = [self._job(encoder, asked, place) for place in range(len(asked.prompts))]
        ticket = Ticket(sum(len(job.prompt) for job in jobs))
        for place, job in enumerate(jobs):
            for index in job.indices:
                answer = Answer(place * asked.num + index, asked, encoder, self.model.tokenizer, job.prompt.tolist())
                ticket.answers[job, index] = answer
            self.tickets[job] = ticket
        self.waiting.extend(jobs)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Drop a request: free its rows, and remove it from the queue."""
        for job in {job for job, _ in ticket.answers} & self.tickets.keys():
            del self.tickets[job]
        self.writer.drop(lambda row: row.job not in self.tickets)
        self.waiting = deque(job for job in self.waiting if job in self.tickets)

    def step(self) -> list[tuple[Ticket, Piece]]:
        """Generate one token for every active answer; returns their new pieces."""
        if not self.tickets:
            return []
        with computing():
            self.model.numerics.take_up()
            whole = self.writer.step(self.waiting)
        told = [*self._told(whole, is_whole=True), *self._told(self.writer.rows, is_whole=False)]
        self.writer.drop(lambda row: self._answer(row).ending is not None)
        for ticket in {ticket for ticket, piece in told if piece.ending and ticket.is_done}:
            self.leave(ticket)
        return told

    def _told(self, rows: Iterable[Row], *, is_whole: bool) -> list[tuple[Ticket, Piece]]:
        found = ((row, self._answer(row).take(row, is_whole=is_whole)) for row in rows)
        return [(self.tickets[row.job], piece) for row, piece in found if piece is not None]

    def _answer(self, row: Row) -> Answer:
        return self.tickets[row.job].answers[row.job, row.index]

    def _job(self, encoder: ChatEncoder, asked: Asked, place: int) -> Job:
        try:
            prompt_ids = encoder.encode_prompt(asked.prompts[place])
        except BoundaryError as error:
            raise Refusal(400, f"{error}; {SEND_OTHER}", param="prompt" if asked.is_raw else "messages") from None
        if (num := len(prompt_ids)) >= self.longest:
            raise Refusal(
                400,
                f"the {num} tokens of the prompt leave no room for an answer: together they may have {self.longest}; "
                "shorten the prompt",
                param="prompt" if asked.is_raw else "messages",
                code="context_length_exceeded",
            )
        request = Request(tuple(prompt_ids), asked.keys[place], num_likeliest=asked.num_likeliest)
        try:
            job = Job.of(self.model, request, asked.params, asked.num)
        except ModelError as error:
            raise Refusal(400, str(error), param="prompt" if asked.is_raw else "messages") from None
        job.limit = min(job.limit, self.longest - num)
        return job
