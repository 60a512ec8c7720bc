"""`penchant round`: one round: sample, vote, train, compare; resumable, and a chain of models over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
        str | None, typer.Option(help="Who answers: positivity, module:function, reward:FOLDER, run:FOLDER, http://...")
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
    from penchant.cli.round_shown import interruption_explained, print_rounds, said_of
    from penchant.errors import ConfigError
    from penchant.rounds import RoundSettings, run_round

    given = RoundSettings(
        model=model,
        prompts=prompts,
        judge=judge,
        judge_model=judge_model,
        instructions=read_instructions(instructions),
        epsilon=epsilon,
        judge_reference=judge_reference,
        people=people,
        held_out=held_out,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        max_new_tokens=max_new_tokens,
        max_prompts=max_prompts,
        seed=seed,
        settings=settings or None,
        device=device,
        dtype=dtype,
        chat_template=chat_template,
    )
    if show:
        if any(value is not None for value in (*given.values(), concurrency, timeout, min_votes)):
            raise ConfigError("--list shows what there is and reads no other option; leave them out")
        print_rounds(folder.resolve())
        return
    with Reporter() as reporter, interruption_explained():
        result = run_round(
            folder, concurrency=concurrency, timeout=timeout, min_votes=min_votes, reporter=reporter, **given
        )
        reporter.say(said_of(result))
