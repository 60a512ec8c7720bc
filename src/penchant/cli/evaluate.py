"""`penchant eval`: what training changed, on prompts it has not seen."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penchant.cli import options

if TYPE_CHECKING:
    from penchant.evaluation.evaluate import Evaluation

__all__ = ["NAME", "command"]

NAME = "eval"
NUM_SHOWN = 6


def command(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    prompts: Annotated[
        str, typer.Option("--prompts", "-p", help="A file of prompts, or everyday-test.")
    ] = "everyday-test",
    judge: Annotated[
        str, typer.Option(help="positivity, reward:FOLDER, or module:function of your own (which runs its code).")
    ] = "positivity",
    reference: Annotated[
        str | None,
        typer.Option(help="Compare with this model instead of the run's reference.", show_default="the run's"),
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
    special_tokens: options.SpecialTokens = None,
) -> None:
    """Compare a run with the model it started from: mean score, win rate with a 95% interval, KL, samples.

    Both answer the same prompts, a judge scores every response, and the KL of the policy from its reference is
    estimated on the policy's own samples at temperature 1. Writes comparison.json and the report into the run folder.

    [bold]Examples[/bold]

        penchant eval runs/first --prompts everyday-test --judge positivity

        penchant eval runs/first --prompts held_out.jsonl --judge my_judges:politeness --num-responses 4
    """
    from penchant.cli.console import Reporter
    from penchant.data.prompt_sets import read_prompts
    from penchant.evaluation.judges import open_scorer
    from penchant.models.opening import open_model
    from penchant.models.sampler import SamplingParams
    from penchant.tokens import special_tokens_of
    from penchant.training.run_folder import read_ledger

    read_ledger(run)  # refused here where it is no run: the result goes into its folder
    scorer = open_scorer(judge, device=device, dtype=dtype, reporter=Reporter())
    sampling = SamplingParams(temperature, top_p, top_k, max_new_tokens, seed)
    asked = read_prompts(prompts, max_prompts, Reporter().say, columns=columns, format=format)
    with Reporter() as reporter:
        from penchant.evaluation.evaluate import evaluate, write_evaluation

        found = evaluate(
            run,
            asked,
            scorer,
            reference=reference,
            num_responses=num_responses,
            sampling=sampling,
            batch_size=batch_size,
            special_tokens=special_tokens_of(special_tokens),
            load=partial(open_model, device=device, dtype=dtype, chat_template=None, reporter=reporter),
            reporter=reporter,
        )
        report = write_evaluation(run, found, prompts=prompts, say=reporter.say)
    _show(found, report)


def _show(found: Evaluation, report: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from penchant.cli.tables import print_parts
    from penchant.evaluation.shown import evaluation_lines
    from penchant.wording import sanitise

    console = Console(highlight=False)
    table = Table("prompt", "before", "after", "score", title="side by side", show_lines=True)
    for side in found.pairs[:NUM_SHOWN]:
        texts = (escape(sanitise(text)) for text in (side.prompt, side.before, side.after))
        table.add_row(*texts, f"{side.score_before:+.2f}\n{side.score_after:+.2f}")
    console.print(table)
    print_parts(console, [*evaluation_lines(found), f"report       {report}"])
