"""Run one round per call: resume the unfinished one, or begin the next from the last one's model."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from penchant.errors import ConfigError
from penchant.files import alone_in
from penchant.progress import Reporter, Silent
from penchant.rounds.begin import begin, withdrawn_if_refused
from penchant.rounds.history import in_words
from penchant.rounds.plan import Round, RoundSettings, find_rounds
from penchant.rounds.requirements import check_what_it_needs, check_who_answers, must_be_named
from penchant.rounds.settle import settle, with_absolute_paths
from penchant.rounds.stages import Call, Waiting, run_stages
from penchant.training.interrupt import Interrupted

__all__ = ["RoundInterrupted", "RoundResult", "run_round"]


@dataclass(frozen=True)
class RoundResult:
    """The result of `run_round`: a round, and what it waits for; None if it is finished."""

    round: Round
    waiting: Waiting | None

    def __str__(self) -> str:
        """The result in words, and what to do next if the round waits for people."""
        if (waiting := self.waiting) is None:
            this = self.round
            return f"round {this.number} is finished: {in_words(this)}\nreport  {this.path / 'report.html'}"
        return (
            f"{waiting.num_missing} more of {waiting.num_comparisons} comparisons must be answered; ask people with\n"
            f"  penchant annotate {shlex.quote(waiting.project)}\n"
            f"and call penchant round again; in the project they are called {waiting.tasks}/..."
        )


class RoundInterrupted(Interrupted):
    """A call was stopped inside a round. judge: what the next call must name to resume; None if it need not."""

    def __init__(self, signal_number: int, message: str, this: Round, judge: str | None) -> None:
        super().__init__(signal_number, message)
        self.round, self.judge = this, judge


def run_round(
    folder: str | Path,
    *,
    concurrency: int | None = None,
    timeout: float | None = None,
    min_votes: int | None = None,
    reporter: Reporter | None = None,
    **settings: Unpack[RoundSettings],
) -> RoundResult:
    """Sample from the current model, have the responses compared, train, and measure against the previous model.

    The first round needs `model`, `prompts`, and `judge` or `people`. An interrupted call is resumed by the same call,
    or by one without settings; a judge that runs code or is an endpoint must be named in every call.

    Args:
        folder: the folder of all rounds; created if missing.
        concurrency: concurrent requests to an endpoint; None: 4.
        timeout: the most seconds of silence from an endpoint; None: 120.
        min_votes: for people: the number of answered comparisons that suffices; None: all.
        reporter: receives progress; None: nobody.
        settings: those of the round, see `RoundSettings`; omitted ones are as in the previous round.

    Returns:
        The round, with the paths of all its files, and what it waits for.

    Raises:
        UserError: a setting is invalid, or cannot change now; something is missing; another call is running here.
        RoundInterrupted: stopped by Ctrl-C or SIGTERM.
    """
    if unknown := settings.keys() - RoundSettings.__annotations__.keys():
        raise TypeError(f"run_round() got an unexpected keyword argument '{min(unknown)}'")
    if min_votes is not None and min_votes < 1:
        raise ConfigError(f"min_votes must be at least 1, got {min_votes}; leave it out to wait for all answers")
    folder, given = Path(folder).resolve(), with_absolute_paths(settings)
    call = Call(reporter or Silent(), concurrency, timeout, min_votes)
    with alone_in(folder, "`penchant round`"):
        rounds = find_rounds(folder)
        plan = settle(given, rounds)
        check_who_answers(plan, given.get("judge"), call)
        if rounds and not rounds[-1].is_finished:
            this = rounds[-1]
            with _stop_explained(this):
                return RoundResult(this, run_stages(this, call))
        check_what_it_needs(plan, rounds, call.reporter.say)
        this = begin(folder, rounds, plan)
        with withdrawn_if_refused(this), _stop_explained(this):
            return RoundResult(this, run_stages(this, call))


@contextmanager
def _stop_explained(this: Round) -> Iterator[None]:
    """A context that adds to an interruption the round, and how to resume it."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted) as stop:
        number = stop.exit_code - 128 if isinstance(stop, Interrupted) else signal.SIGINT
        words = str(stop).partition(";")[0] or "interrupted"  # the rest tells how to resume only a part of the round
        judge = this.plan.judge if must_be_named(this.plan) else None
        raise RoundInterrupted(number, words, this, judge) from None
