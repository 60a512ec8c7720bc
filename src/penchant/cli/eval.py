"""`penchant eval`: what training changed, on prompts it has not seen; or how two models' answers differ."""

from functools import partial
from pathlib import Path
from typing import Any

import typer

from penchant.cli import options
from penchant.cli.declaring import argument, option
from penchant.cli.hints import refuse_unread

NUM_SHOWN = 6
SAME = ("reference", "num_responses", "batch_size", "repeats", "demonstrations")
OF_ANSWERS = ("answers", "prompts", "output", "judge", "judge_model", "repeats", "seed", "device", "dtype")
"""What is read where answers are given, and no model answers."""


def command(
    *,
    ctx: typer.Context,
    models: list[str] | None = argument(
        "A finished run folder; or several models, of which the first is what others are held to.", default=None
    ),
    prompts: str | None = option("A file of prompts, or everyday-test.", "--prompts -p", shown="everyday-test"),
    answers: tuple[Path, Path] | None = option(
        "Two files of `penchant sample`, before and after, instead of models.", shown="none"
    ),
    judge: str = option(
        "positivity, reward:FOLDER, run:FOLDER, module:function (which runs its code), http://.", default="positivity"
    ),
    judge_model: str | None = options.JUDGE_MODEL,
    repeats: int = option("Ask the judge so often, to see how far it repeats itself.", default=1, min=1),
    reference: str | None = option("Compare with this model instead of the run's reference.", shown="the run's"),
    data: list[str] | None = option("Held-out preferences: accuracy and calibration; may be repeated.", "--data -d"),
    demonstrations: str | None = option(
        "Conversations or texts not trained on: perplexity before and after.", shown="none"
    ),
    num_responses: int = option("Responses of each model to each prompt.", default=1, min=1),
    sampling: options.Sampling,
    max_prompts: int | None = options.MAX_PROMPTS,
    fields: options.Fields,
    batch_size: int = option("Responses sampled at once.", default=64, min=1),
    seed: int = option("The same seed gives the same responses and intervals.", default=0, min=0),
    loading: options.Loading,
    special_tokens: str | None = options.SPECIAL_TOKENS,
    output: Path | None = option("A JSON file to write as well.", "--output -o"),
    processes: int = options.PROCESSES,
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
    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts
    from penchant.data.prompt_sets import read_prompts
    from penchant.errors import ConfigError
    from penchant.evaluation.judges import JudgeOptions
    from penchant.feedback.snapshots import resolve_projects
    from penchant.files import require_new
    from penchant.launching import launch
    from penchant.models.ledger import read_ledger
    from penchant.models.opening import open_model
    from penchant.models.sampler import SamplingParams
    from penchant.tokens import special_tokens_of

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
    launch(processes, afterwards="give the command again")
    chosen = JudgeOptions(judge, judge_model)
    computes: dict[str, Any] = {"device": loading.device, "dtype": loading.dtype}
    chosen.check(**(computes if answers else {}))
    opened = chosen.open(Reporter(), **computes)
    asked, set_name = None, prompts or "everyday-test"
    if prompts or not answers:
        asked = read_prompts(set_name, max_prompts, Reporter().say, **vars(fields))
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
                sampling=SamplingParams(**vars(sampling), seed=seed),
                pairs=None if data is None else list(resolve_projects(data, "pairs", say=reporter.say)),
                special_tokens=special_tokens_of(special_tokens),
                load=partial(open_model, **vars(loading), reporter=reporter),
                reporter=reporter,
            )
        done = write_evaluations(found, output)
        report = None
        if len(named) == 1:
            report = write_evaluation(Path(named[0]), done[0], prompts=set_name, say=reporter.say)
    from penchant.evaluation.shown import evaluation_parts

    for one in done:
        print_parts(evaluation_parts(one, most=NUM_SHOWN))
    places = (("report", report), ("written", output))
    print_parts((f"{name:<12} {place}" for name, place in places if place is not None))
