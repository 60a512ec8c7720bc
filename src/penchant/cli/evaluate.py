"""`penchant eval`: what training changed, on prompts it has not seen; or how two models' answers differ."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from penchant.cli import options
from penchant.cli.hints import refuse_unread
from penchant.cli.judge import JudgeModel

__all__ = ["NAME", "command"]

NAME = "eval"
NUM_SHOWN = 6
SAME = ("reference", "num_responses", "batch_size", "repeats", "demonstrations")
OF_ANSWERS = ("answers", "prompts", "output", "judge", "judge_model", "repeats", "seed", "device", "dtype")
"""What is read where answers are given, and no model answers."""


def command(
    ctx: typer.Context,
    models: Annotated[
        list[str] | None,
        typer.Argument(help="A finished run folder; or several models, of which the first is what others are held to."),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option("--prompts", "-p", help="A file of prompts, or everyday-test.", show_default="everyday-test"),
    ] = None,
    answers: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Two files of `penchant sample`, before and after, instead of models.", show_default="none"),
    ] = None,
    judge: Annotated[
        str, typer.Option(help="positivity, reward:FOLDER, run:FOLDER, module:function (which runs its code), http://.")
    ] = "positivity",
    judge_model: JudgeModel = None,
    repeats: Annotated[int, typer.Option(min=1, help="Ask the judge so often, to see how far it repeats itself.")] = 1,
    reference: Annotated[
        str | None,
        typer.Option(help="Compare with this model instead of the run's reference.", show_default="the run's"),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", "-d", help="Held-out preferences: accuracy and calibration; may be repeated."),
    ] = None,
    demonstrations: Annotated[
        str | None,
        typer.Option(help="Conversations or texts not trained on: perplexity before and after.", show_default="none"),
    ] = None,
    num_responses: Annotated[int, typer.Option(min=1, help="Responses of each model to each prompt.")] = 1,
    temperature: options.Temperature = 1.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_new_tokens: options.MaxNewTokens = 128,
    max_prompts: options.MaxPrompts = None,
    columns: options.Columns = None,
    format: options.Format = None,
    batch_size: options.BatchSize = 64,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same responses and intervals.")] = 0,
    device: options.Device = None,
    dtype: options.Dtype = None,
    chat_template: options.ChatTemplate = None,
    special_tokens: options.SpecialTokens = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A JSON file to write as well.")] = None,
) -> None:
    """Compare a run with the model it started from: mean score, win rate with a 95% interval, KL, samples.

    Both answer the same prompts, a judge says which answer is better, and the KL is estimated on the policy's own
    samples at temperature 1. Writes comparison.json and the report into the run folder. Of several models each is
    compared with the first; with --answers, what was answered already is.

    [bold]Examples[/bold]

        penchant eval runs/first --prompts everyday-test --judge positivity

        penchant eval runs/first --data held_out.jsonl --demonstrations chats.jsonl --num-responses 4

        penchant eval ./sft runs/first runs/second --prompts held_out.jsonl --judge my_judges:politeness

        penchant eval --answers before.jsonl after.jsonl --judge http://localhost:8000/v1 --judge-model qwen --repeats 2
    """
    given = locals()
    from rich.console import Console

    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts
    from penchant.data.prompt_sets import read_prompts
    from penchant.errors import ConfigError
    from penchant.evaluation.judges import JudgeOptions
    from penchant.feedback.snapshots import resolve_projects
    from penchant.files import require_new
    from penchant.models.opening import open_model
    from penchant.models.sampler import SamplingParams
    from penchant.tokens import special_tokens_of
    from penchant.training.run_folder import read_ledger

    if bool(models) == (answers is not None):
        raise ConfigError("name either what is to be compared, a run or several models, or two files: `answers=...`")
    if answers is not None:
        read = (*OF_ANSWERS, "max_prompts", "columns", "format") if prompts else OF_ANSWERS
        refuse_unread(ctx, read, "where answers are given")
    named = models or []
    if len(named) == 1:
        read_ledger(Path(named[0]))  # refused here where it is no run: the result goes into its folder
    if output is not None:
        require_new(output)
    chosen = JudgeOptions(judge, judge_model)
    chosen.check(**({"device": device, "dtype": dtype} if answers else {}))
    opened = chosen.open(Reporter(), device=device, dtype=dtype)
    asked, set_name = None, prompts or "everyday-test"
    if prompts or not answers:
        asked = read_prompts(set_name, max_prompts, Reporter().say, columns=columns, format=format)
    with Reporter() as reporter:
        from penchant.evaluation.evaluate import compare_files, evaluate_each, write_evaluation, write_evaluations

        if answers is not None:
            how: dict[str, Any] = {"prompts": asked, "repeats": repeats, "seed": seed, "reporter": reporter}
            found = iter((compare_files(*answers, opened, **how),))
        else:
            found = evaluate_each(
                named,
                asked or (),
                opened,
                **{name: given[name] for name in SAME},
                sampling=SamplingParams(temperature, top_p, top_k, max_new_tokens, seed),
                pairs=None if data is None else list(resolve_projects(data, "pairs", say=reporter.say)),
                special_tokens=special_tokens_of(special_tokens),
                load=partial(open_model, device=device, dtype=dtype, chat_template=chat_template, reporter=reporter),
                reporter=reporter,
            )
        done = write_evaluations(found, output)
        report = None
        if len(named) == 1:
            report = write_evaluation(Path(named[0]), done[0], prompts=set_name, say=reporter.say)
    from penchant.evaluation.shown import evaluation_parts

    console = Console(highlight=False)
    for one in done:
        print_parts(console, evaluation_parts(one, most=NUM_SHOWN))
    places = (("report", report), ("written", output))
    print_parts(console, (f"{name:<12} {place}" for name, place in places if place is not None))
