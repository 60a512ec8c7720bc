"""`penchant score`: the model as a reward model, on pairs that people judged."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penchant.cli.console import Reporter
    from penchant.evaluation.scoring import PairScore, Summary
    from penchant.models.language_model import LanguageModel
    from penchant.tokens import EncodedPair

__all__ = ["NAME", "command"]

NAME = "score"
NUM_SHOWN = 10
TOKEN_BUDGET = 2048


def command(
    model: options.Model,
    data: Annotated[list[str], typer.Option("--data", "-d", help="Preference files, or a project; may be repeated.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="JSON lines to write; - for standard output.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="The model it was trained against.", show_default="the run's")
    ] = None,
    beta: Annotated[
        float | None, typer.Option("--beta", help="Scale of the rewards.", show_default="the run's")
    ] = None,
    max_pairs: Annotated[
        int | None,
        typer.Option(min=1, help="Use only this many pairs, from the start of the data.", show_default="all"),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=8, help="Most tokens of prompt and response.", show_default="the run's, else 1024")
    ] = None,
    special_tokens: options.SpecialTokens = None,
    on_bad_row: options.OnBadRow = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    chat_template: options.ChatTemplate = None,
) -> None:
    """Score pairs by a trained model's implicit reward: beta times its gain in log-probability over the reference.

    Shows the reward of both responses, the margin, the probability that chosen beats rejected, and how often the model
    agrees with the people who chose. A run folder knows its reference and its beta; other models need --reference.

    [bold]Examples[/bold]

        penchant score --model runs/first --data held_out.jsonl

        penchant score --model runs/first --data held_out.jsonl --output scores.jsonl

        penchant score --model ./aligned --reference ./sft --beta 0.1 --data held_out.jsonl --output - | jq .margin
    """
    from penchant.cli.console import Reporter
    from penchant.cli.loading import load
    from penchant.errors import ConfigError, OutputError
    from penchant.evaluation.references import find_reference, ledger_of, require_reference
    from penchant.evaluation.scoring import beta_of, response_logprobs, score_rewards, summarise
    from penchant.feedback.snapshots import resolve_projects
    from penchant.files.place import require_place
    from penchant.tokens import special_tokens_of

    if output not in (None, "-") and Path(str(output)).exists():
        raise OutputError(f"{output}: exists already; choose another --output")
    if output not in (None, "-"):
        require_place(Path(str(output)))
    if beta is not None and not 0 < beta < float("inf"):
        raise ConfigError(f"--beta is above 0, got {beta}; leave it out for the run's own")
    ledger = ledger_of(model) or {}
    require_reference(model, reference)
    with Reporter() as reporter:
        data = list(resolve_projects(data, "pairs", say=reporter.say))
        asked = special_tokens or ledger.get("config", {}).get("data", {}).get("special_tokens")
        policy = load(model, device, dtype, chat_template, reporter, special_tokens=special_tokens_of(asked))
        source = find_reference(model, policy, reference)
        beta = beta or beta_of(ledger, reporter.say)
        longest = max_length or ledger.get("config", {}).get("data", {}).get("max_length", 1024)
        pairs = _read_pairs(policy, data, max_pairs, min(longest, policy.context_length), on_bad_row, reporter)

        def scored(network: LanguageModel, what: str) -> Any:
            return response_logprobs(
                network,
                pairs,
                token_budget=TOKEN_BUDGET,
                on_progress=lambda done, total: reporter.progress(what, done, total, {}),
            )

        policy_B2 = scored(policy, "policy")
        if source.is_adapter_off:
            with policy.as_reference():
                reference_B2 = scored(policy, "reference")
        else:
            del policy  # one model in memory at a time
            reference_B2 = scored(source.load(reporter.say), "reference")
    scores = score_rewards(pairs, policy_B2, reference_B2, beta)
    if output is not None:
        _write(output, scores)
    _show(scores, summarise(pairs, scores), beta, to_stderr=output == "-")


def _read_pairs(
    policy: LanguageModel, files: list[str], limit: int | None, max_length: int, on_bad_row: Any, reporter: Reporter
) -> Sequence[EncodedPair]:
    from penchant.data import load_pairs
    from penchant.data.fields import in_words
    from penchant.errors import DataError
    from penchant.tokens import Limits, tokenise_pairs

    loaded = load_pairs(files, on_bad_row=on_bad_row or "drop", limit=limit)
    tokenised = tokenise_pairs(
        policy.encoder, loaded.records, Limits(max_length, max_length - 1, policy.context_length)
    )
    bad = [v for v in (*loaded.problems, *tokenised.problems) if v.severity == "error"]
    if bad and (on_bad_row == "error" or not tokenised.items):
        raise DataError(f"{bad[0]} ({len(bad)} bad rows; `penchant check` lists them)")
    if listed := in_words(loaded.unread):
        reporter.say(listed)
    if bad:
        counts = Counter(verdict.code for verdict in bad)
        reporter.say(f"left out {len(bad)} bad rows: " + ", ".join(f"{n} {code}" for code, n in counts.items()))
    if tokenised.num_truncated:
        reporter.say(f"cut {tokenised.num_truncated} responses at {max_length} tokens (prompt and response together)")
    return tokenised.items


def _write(output: str, scores: Sequence[PairScore]) -> None:
    from dataclasses import asdict

    from penchant.files.whole import disk_errors_explained, write_atomically

    rows = [{**asdict(score), "origin": str(score.origin)} for score in scores]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if output == "-":
        typer.echo(text, nl=False)
        return
    with disk_errors_explained(Path(output), again="run the command again"):
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(Path(output), text)


def _show(scores: Sequence[PairScore], summary: Summary, beta: float, *, to_stderr: bool) -> None:
    from functools import partial

    from rich.console import Console

    from penchant.cli.tables import print_table

    console = Console(stderr=to_stderr, highlight=False)
    say = partial(console.print, markup=False, soft_wrap=True)
    rows = [
        (
            str(s.origin),
            f"{s.reward_chosen:+.3f}",
            f"{s.reward_rejected:+.3f}",
            f"{s.margin:+.3f}",
            f"{s.probability:.3f}",
            "yes" if s.correct else "no",
        )
        for s in scores[:NUM_SHOWN]
    ]
    print_table(console, ("pair", "reward chosen", "reward rejected", "margin", "p(chosen)", "correct"), rows)
    if len(scores) > NUM_SHOWN:
        say(f"and {len(scores) - NUM_SHOWN} more")
    rate = summary.accuracy
    say(f"accuracy  {rate.rate:.1%}  (95% interval {rate.low:.1%} to {rate.high:.1%}, {rate.num} pairs)")
    console.print(
        f"margin    {summary.mean_margin:+.4f} on average, p(chosen) {summary.mean_probability:.3f}, beta {beta:g}"
    )
    if summary.num_prompts < rate.num:
        say(f"they have {summary.num_prompts} prompts; pairs of one prompt go together, and the interval allows for it")
