"""`penchant eval`: what training changed, on prompts it has not seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "eval"


def command(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    prompts: Annotated[
        str, typer.Option("--prompts", "-p", help="A file of prompts, or everyday-test.")
    ] = "everyday-test",
    judge: Annotated[
        str, typer.Option(help="positivity, or module:function of your own (which runs its code).")
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
    from penchant.cli.loading import load
    from penchant.cli.report import write_run_report
    from penchant.data import load_prompts
    from penchant.data.fields import in_words
    from penchant.data.prompt_sets import prompt_file
    from penchant.errors import ConfigError
    from penchant.evaluation.judges import load_judge
    from penchant.evaluation.references import find_reference, refuse_reference_free
    from penchant.files.whole import write_atomically
    from penchant.models.requests import refuse_long_prompts
    from penchant.models.sampler import SamplingParams
    from penchant.tokens import special_tokens_of
    from penchant.training.run_folder import read_ledger

    refuse_reference_free(str(run), read_ledger(run), reference)
    try:
        scorer = load_judge(judge)
    except ValueError as error:
        raise ConfigError(f"--judge: {error}") from error
    params = SamplingParams(temperature, top_p, top_k, max_new_tokens, seed)
    loaded = load_prompts(prompt_file(prompts), limit=max_prompts)
    asked = loaded.records
    with Reporter() as reporter:
        if listed := in_words(loaded.unread):
            reporter.say(listed)
        from penchant.evaluation.comparison import answer, compare_answers, policy_sequences
        from penchant.evaluation.scoring import sequence_logprobs

        def sampled(model: Any, how: Any, what: str) -> Any:
            reporter.progress(what, 0, len(asked), {})
            return answer(
                model,
                asked,
                how,
                num_responses=num_responses,
                batch_size=batch_size,
                on_progress=lambda n, total: reporter.progress(what, n, total, {}),
            )

        def logprobs(model: Any, sequences: Any) -> Any:
            return sequence_logprobs(model, [(s,) for s in sequences]).numpy()

        policy = load(str(run), device, dtype, None, reporter, special_tokens=special_tokens_of(special_tokens))
        refuse_long_prompts(policy, asked)
        source = find_reference(str(run), policy, reference)
        after = sampled(policy, params, "policy")
        exact = SamplingParams(1.0, 1.0, 0, max_new_tokens, seed)
        own = after if params == exact else sampled(policy, exact, "policy at temperature 1")
        sequences = policy_sequences(policy, asked, own)
        log_policy = logprobs(policy, sequences)
        with source.in_place_of(policy, reporter.say) as other:
            del policy  # one model in memory at a time
            before = sampled(other, params, "reference")
            log_ratios = log_policy - logprobs(other, sequences)
        comparison = compare_answers(asked, before, after, scorer, log_ratios, params)
        comparison |= {"prompts": prompts, "reference": source.name or "the adapter switched off"}
        write_atomically(run / "comparison.json", json.dumps(comparison, indent=2, ensure_ascii=False) + "\n")
        report = write_run_report(run, reporter.say)
    _show(comparison, report)


def _show(comparison: dict[str, Any], report: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from penchant.cli.console import sanitise

    console = Console(highlight=False)
    table = Table("prompt", "before", "after", "score", title="side by side", show_lines=True)
    for pair in comparison["pairs"][:6]:
        score = f"{pair['score_before']:+.2f}\n{pair['score_after']:+.2f}"
        table.add_row(*(_escaped(sanitise(pair[k])) for k in ("prompt", "before", "after")), score)
    console.print(table)
    rate, kl, change = comparison["win_rate"], comparison["kl"], comparison["difference"]
    console.print(f"judge        {comparison['judge']} (a stand-in for a person), {comparison['num_prompts']} prompts")
    console.print(
        f"mean score   {comparison['mean_before']:+.3f} before, {comparison['mean_after']:+.3f} after"
        f"  (change {_interval(change)})"
    )
    console.print(
        f"win rate     {rate['rate']:.1%}  (95% interval {rate['low']:.1%} to {rate['high']:.1%}; "
        f"{rate['wins']} won, {rate['losses']} lost, {rate['ties']} tied)"
    )
    console.print(f"KL           {_interval(kl)} nats a response")
    console.print(f"report       {report}")


def _interval(of: dict[str, Any]) -> str:
    if of["low"] is None:
        return f"{of['mean']:+.3f}"
    return f"{of['mean']:+.3f}, 95% interval {of['low']:+.3f} to {of['high']:+.3f}"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
