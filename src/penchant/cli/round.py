"""`penchant round`: one round: sample, vote, train, compare; resumable, and a chain of models over time."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options
from penchant.cli.judge import (
    Concurrency,
    Epsilon,
    Instructions,
    JudgeModel,
    JudgeReference,
    Timeout,
    read_instructions,
)

if TYPE_CHECKING:
    from penchant.cli.console import Reporter
    from penchant.cli.round_plan import Round
    from penchant.cli.round_stages import Call

__all__ = ["NAME", "command"]

NAME = "round"


def command(
    folder: Annotated[Path, typer.Argument(help="The folder of all rounds; made where there is none.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model that the first round starts from.")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option("--prompts", "-p", help="A file of prompts, or everyday-train.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(help="Who answers: positivity, module:function, run:FOLDER, or http://...")
    ] = None,
    judge_model: JudgeModel = None,
    instructions: Instructions = None,
    epsilon: Epsilon = None,
    judge_reference: JudgeReference = None,
    concurrency: Concurrency = None,
    timeout: Timeout = None,
    people: Annotated[
        Path | None, typer.Option(help="Instead of a judge: the annotation project in which people are asked.")
    ] = None,
    min_votes: Annotated[
        int | None,
        typer.Option("--min-votes", min=1, help="With --people: go on after this many answers.", show_default="all"),
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option("--held-out", min=0.01, max=0.99, help="Share of prompts kept for measuring.", show_default="0.2"),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", "-t", help="Randomness; 0 always takes the likeliest token.", show_default="1"),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p", help="Only the likeliest tokens that together have this share; 1: all.", show_default="1"
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", help="Only this many of the likeliest tokens; 0: all.", show_default="0")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option("--max-new-tokens", min=1, help="Longest response, in tokens.", show_default="128")
    ] = None,
    max_prompts: options.MaxPrompts = None,
    seed: Annotated[
        int | None, typer.Option(help="Decides what is held out and all that is drawn at random.", show_default="0")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of penchant dpo; may be repeated.", metavar="KEY=VALUE")
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    chat_template: options.ChatTemplate = None,
    show: Annotated[bool, typer.Option("--list", help="Show the rounds in the folder, and do nothing else.")] = False,
) -> None:
    """Do one round: sample from the current model, have the responses compared, train, measure.

    The first round starts from --model, each later one from the model that the round before trained. Some prompts are
    never trained on, in any round: on them each round's model is compared with the one it started from. With --people
    a round waits until enough comparisons are answered.

    If a round is interrupted, give the same command again, or only `penchant round FOLDER`: it continues where it
    stopped. Options that are left out stay as they were.

    [bold]Examples[/bold]

        penchant round wheel --model smollm2-135m --prompts everyday-train --judge positivity

        penchant round wheel

        penchant round wheel --model runs/first --prompts my.jsonl --people votes --set dpo.beta=0.05

        penchant round wheel --list
    """
    from penchant.cli.console import Reporter
    from penchant.cli.round_plan import find_rounds
    from penchant.cli.round_stages import Call
    from penchant.errors import ConfigError
    from penchant.files.lock import alone_in

    given = {
        "model": _absolute(model),
        "prompts": _absolute(prompts),
        "judge": _absolute(judge, "run:"),
        "judge_model": judge_model,
        "instructions": read_instructions(instructions),
        "epsilon": epsilon,
        "judge_reference": _absolute(judge_reference),
        "people": None if people is None else str(people.resolve()),
        "held_out": held_out,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "max_new_tokens": max_new_tokens,
        "max_prompts": max_prompts,
        "seed": seed,
        "settings": tuple(settings) if settings else None,
        "device": device,
        "dtype": dtype,
        "chat_template": _absolute(chat_template),
    }
    folder = folder.resolve()
    if show:
        if any(value is not None for value in (*given.values(), concurrency, timeout, min_votes)):
            raise ConfigError("--list shows what there is and reads no other option; leave them out")
        _show(folder, find_rounds(folder))
        return
    reporter = Reporter()  # only speaks: the bars are of the stages
    with alone_in(folder, "`penchant round`"):
        _turn(folder, given, Call(reporter.say, concurrency, timeout, min_votes), reporter)


def _turn(folder: Path, given: Mapping[str, Any], call: Call, reporter: Reporter) -> None:
    """Go on with the round under way, or begin the next one and turn it. Raises UserError."""
    from penchant.cli.round_begin import begin, withdrawn_if_refused
    from penchant.cli.round_check import check_what_it_needs, check_who_answers
    from penchant.cli.round_plan import find_rounds
    from penchant.cli.round_report import in_words
    from penchant.cli.round_settle import settle
    from penchant.cli.round_stages import turn

    rounds = find_rounds(folder)
    plan = settle(given, rounds)
    check_who_answers(plan, given["judge"], call, reporter)
    if rounds and not rounds[-1].is_finished:
        this = rounds[-1]
        with _stopped_with_words(this):
            missing = turn(this, call)
    else:
        check_what_it_needs(plan, rounds, reporter.say)
        this = begin(folder, rounds, plan)
        with withdrawn_if_refused(this), _stopped_with_words(this):
            missing = turn(this, call)
    reporter.say(missing or f"round {this.number} is finished: {in_words(this)}\nreport  {this.path / 'report.html'}")


@contextmanager
def _stopped_with_words(this: Round) -> Iterator[None]:
    """Where the call is stopped inside, say how to continue the round."""
    from penchant.cli.round_check import must_be_named
    from penchant.training.interrupt import Interrupted

    try:
        yield
    except (KeyboardInterrupt, Interrupted) as stop:
        number = stop.exit_code - 128 if isinstance(stop, Interrupted) else signal.SIGINT
        what = str(stop).partition(";")[0] or "interrupted"
        judge = f" --judge {shlex.quote(str(this.plan.judge))}" if must_be_named(this.plan) else ""
        then = f"go on with `penchant round {shlex.quote(str(this.path.parent))}{judge}`"
        raise Interrupted(number, f"{what}; {'the round is finished' if this.is_finished else then}") from None


def _absolute(name: str | None, prefix: str = "") -> str | None:
    """A path, after `prefix`, that means the same in every folder; a name that is no path here as it is."""
    if name is None or not name.startswith(prefix):
        return name
    path = Path(name.removeprefix(prefix)).expanduser()
    return f"{prefix}{path.resolve()}" if path.exists() else name


def _show(folder: Path, rounds: list[Round]) -> None:
    from rich.console import Console

    from penchant.cli.round_report import COLUMNS, table_of
    from penchant.cli.round_stages import next_stage
    from penchant.cli.tables import print_table
    from penchant.errors import OutputError

    if not rounds:
        raise OutputError(f"{folder}: holds no rounds; begin the first with --model, --prompts and --judge or --people")
    print_table(Console(highlight=False), COLUMNS, table_of(rounds, next_stage))
