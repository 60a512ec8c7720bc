"""`penchant eval`: what training changed, on prompts it has not seen; or how two models' answers differ."""

from pathlib import Path

import typer

from penchant.cli import options
from penchant.cli.declaring import argument, flattened, option
from penchant.cli.hints import refuse_unread

NUM_SHOWN = 6
OF_ANSWERS = ("prompts", "output", "judge", "judge_model", "repeats", "seed", "device", "dtype")
OF_PROMPTS = ("max_prompts", "columns", "format")
OF_MODELS = (
    *("reference", "num_responses", "batch_size", "demonstrations", "special_tokens", "chat_template"),
    *("temperature", "top_p", "top_k", "max_new_tokens"),
)
"""What is read where two files of answers are given; that and this where models answer."""


def command(
    *,
    ctx: typer.Context,
    models: list[str] | None = argument(
        "A finished run folder; or several models, each compared with the first.", default=None
    ),
    prompts: str | None = option("A file of prompts, or everyday-test.", "--prompts -p", shown="everyday-test"),
    answers: tuple[Path, Path] | None = option(
        "Instead of models, compare two files of `penchant sample`: before and after.", shown="none"
    ),
    judge: str = option(
        "positivity, reward:FOLDER, run:FOLDER, module:function (which runs its code) or a URL.", default="positivity"
    ),
    judge_model: str | None = options.JUDGE_MODEL,
    repeats: int = option("How often to ask the judge per comparison, to measure its consistency.", default=1, min=1),
    reference: str | None = option("The reference model to compare with.", shown="the run's"),
    data: list[str] | None = option("Held-out preferences for accuracy and calibration; may be repeated.", "--data -d"),
    demonstrations: str | None = option(
        "Held-out conversations or texts, for perplexity before and after.", shown="none"
    ),
    num_responses: int = option("Responses of each model per prompt.", default=1, min=1),
    sampling: options.Sampling,
    max_prompts: int | None = options.MAX_PROMPTS,
    fields: options.Fields,
    batch_size: int = option("Responses sampled in one batch.", default=64, min=1),
    seed: int = option("The same seed gives the same responses and intervals.", default=0, min=0),
    loading: options.Loading,
    special_tokens: str | None = options.SPECIAL_TOKENS,
    output: Path | None = option("Also write the results to this JSON file.", "--output -o"),
    processes: int = options.PROCESSES,
) -> None:
    """Compare a run with the model it started from: mean score, win rate with a 95% interval, KL, samples.

    Both answer the same prompts, a judge says which answer is better, and the KL is estimated on the policy's own
    samples at temperature 1. Writes comparison.json and the report into the run folder. Of several models, each is
    compared with the first. With --answers, two files of existing answers are compared.

    [bold]Examples[/bold]
        penchant eval runs/first --prompts everyday-test --judge positivity
        penchant eval runs/first --data held_out.jsonl --demonstrations chats.jsonl --num-responses 4
        penchant eval ./sft runs/first runs/second --prompts held_out.jsonl --judge my_judges:politeness
        penchant eval --answers before.jsonl after.jsonl --judge http://localhost:8000/v1 --judge-model qwen --repeats 2
    """
    given = flattened(locals())
    import penchant
    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts
    from penchant.errors import ConfigError
    from penchant.launching import launch
    from penchant.models.ledger import read_ledger

    if models and answers is not None:
        raise ConfigError("models and `answers=...` are both given; leave out one of the two")
    if not models and answers is None:
        raise ConfigError("nothing to evaluate is given; give a run, several models, or two files with `answers=...`")
    if answers is not None:
        refuse_unread(ctx, ("answers", *OF_ANSWERS, *(OF_PROMPTS if prompts else ())), "with `answers=...`")
    run = Path(models[0]) if models and len(models) == 1 else None
    if run is not None:
        read_ledger(run)  # refused here where it is no run: the result goes into its folder
    launch(processes, afterwards="run the command again")
    with Reporter() as reporter:
        how = {name: given[name] for name in (*OF_ANSWERS, *OF_PROMPTS)} | {"progress": reporter}
        if answers is not None:
            done = [penchant.compare_answers(*answers, **how)]
        else:
            how |= {name: given[name] for name in OF_MODELS} | {"prompts": prompts or "everyday-test"}
            done = penchant.evaluate(models or [], pairs=data, write=run is not None, **how)
    from penchant.evaluation.results_in_words import evaluation_parts

    for one in done:
        print_parts(evaluation_parts(one, most=NUM_SHOWN))
    places = (("report", run and run / "report.html"), ("written", output))
    print_parts((f"{name:<12} {place}" for name, place in places if place is not None))
