"""`penchant check`: what a file of data is, what is wrong with it and where, and what the model will read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from penchant.cli.checking import Findings
    from penchant.tokens import ChatEncoder, Limits

__all__ = ["NAME", "command"]

NAME = "check"
NUM_PROBLEMS = 20
NUM_TOKENS_SHOWN = 200


def command(
    files: Annotated[list[Path], typer.Argument(help="Preference pairs or demonstrations, or a project of votes.")],
    model: options.Model = "smollm2-135m",
    max_length: Annotated[int, typer.Option(min=8, help="Most tokens of prompt and response.")] = 1024,
    max_prompt_length: Annotated[
        int | None, typer.Option(min=1, help="Most tokens of a prompt.", show_default="--max-length less 1")
    ] = None,
    chat_template: options.ChatTemplate = None,
    special_tokens: options.SpecialTokens = None,
    labels: options.Labels = None,
    num_examples: Annotated[int, typer.Option(min=0, help="How many rows to show as the model reads them.")] = 3,
    ids: Annotated[bool, typer.Option("--ids", help="Show token ids too.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help=f"List every problem, not the first {NUM_PROBLEMS}.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every problem in it.")] = False,
) -> None:
    """Look at data before training on it: format, bad rows, lengths, and the tokens with their loss mask.

    Exit code 0 if every row can be used, 1 if some cannot, 2 if a file cannot be read.

    [bold]Examples[/bold]

        penchant check pairs.jsonl --model ./my-sft

        penchant check pairs.jsonl --all --num-examples 0

        penchant check stories.jsonl --model ./base --chat-template plain --ids

        penchant check ./votes --labels soft

        penchant check pairs.jsonl --json > findings.json
    """
    from penchant.cli.checking import check_files
    from penchant.cli.console import Reporter
    from penchant.cli.projects import resolve_projects
    from penchant.data import guess_kind
    from penchant.data.authors import votes_behind
    from penchant.data.fields import in_words
    from penchant.tokens import Limits, special_tokens_of
    from penchant.training.config import OptimiserConfig

    read = [Path(file) for file in resolve_projects([*map(str, files)], "pairs", labels=labels, say=Reporter().say)]
    guess_kind(read)  # what cannot be read is said before a model is looked for
    with Reporter() as reporter:
        reporter.say(f"reading the tokenizer of {model}")  # before the libraries are: they take some seconds themselves
        from penchant.models.encoder import load_text_side
        from penchant.models.load import read_chat_template

        side = load_text_side(
            model,
            chat_template=read_chat_template(chat_template),
            special_tokens=special_tokens_of(special_tokens),
            say=reporter.say,
        )
        longest = min(max_length, side.context_length or max_length)
        limits = Limits(longest, min(max_prompt_length or longest - 1, longest - 1), side.context_length)
        findings = check_files(
            read,
            side.encoder,
            limits,
            OptimiserConfig().token_budget,
            lambda done, total: reporter.progress("tokens", done, total, {}),
        )
    if as_json:
        votes = [found for file in read if (found := votes_behind(file))]
        typer.echo(json.dumps(_as_dict(findings, limits.max_length) | {"votes": votes}, indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        console = Console(highlight=False)
        _show_rows(console, findings, None if show_all else NUM_PROBLEMS)
        if listed := in_words(findings.unread):
            _say(console, listed, "yellow")
        _show_lengths(console, findings, limits)
        _show_remarks(console, findings)
        for item in findings.items[:num_examples]:
            _show_item(console, item, side.encoder, ids)
    if findings.num_bad:
        raise typer.Exit(1)


def _say(console: Console, text: str, style: str | None = None) -> None:
    from penchant.cli.console import sanitise

    console.print(sanitise(text), style=style, markup=False, soft_wrap=True)


def _show_rows(console: Console, findings: Findings, limit: int | None) -> None:
    from penchant.data import CODES

    num_rows = sum(findings.rows.values())
    rows = "1 row" if num_rows == 1 else f"{num_rows:,} rows"
    _say(console, f"{rows} of {findings.kind}, format {findings.format}; {findings.num_bad} cannot be used", "bold")
    for code, number in sorted(findings.rows.items(), key=lambda item: (item[0] != "keep", -item[1])):
        _say(console, f"  {number:>7} {code:<22} {CODES[code].severity:<8} {CODES[code].meaning}")
    problems = sorted(findings.problems, key=lambda verdict: verdict.severity != "error")
    for verdict in problems[:limit]:
        _say(console, f"{verdict.severity}: {verdict}", "red" if verdict.severity == "error" else None)
    if limit is not None and len(problems) > limit:
        _say(console, f"and {len(problems) - limit} more; --all lists them")


def _show_lengths(console: Console, findings: Findings, limits: Limits) -> None:
    from penchant.cli.tables import print_table

    console.print()
    rows = [
        (name, f"{facts['num']:,}", f"{facts['mean']:.1f}", f"{facts['p95']:.0f}", f"{facts['max']:,}")
        for name, facts in _statistics(findings).items()
    ]
    print_table(console, ("tokens", "number", "mean", "p95", "max"), rows)
    what = "conversations are" if findings.kind == "demonstrations" else "responses are"
    why = "the most the model takes" if limits.max_length == limits.context_length else "--max-length"
    _say(console, f"{findings.num_cut} {what} cut at {limits.max_length} tokens ({why})")
    _say(console, f"{findings.saved_by_sharing:.1%} of all tokens need not be run, as shared prefixes are run once")


def _show_remarks(console: Console, findings: Findings) -> None:
    for remark in findings.remarks:
        many = f"{remark.count} sequences " if remark.count else ""
        where = f" (first at {remark.first})" if remark.first else ""
        _say(console, f"note: {many}{remark.text}{where}", "yellow")


def _show_item(console: Console, item: Any, encoder: ChatEncoder, ids: bool) -> None:
    from penchant.cli.checking import scored_runs

    console.print()
    _say(console, str(item.origin), "bold")
    if hasattr(item, "chosen"):
        prompt = item.chosen.ids[~item.chosen.scored]
        _show_part(console, "prompt", [(False, prompt.tolist())], encoder, ids)
        for name, sequence in (("chosen", item.chosen), ("rejected", item.rejected)):
            _show_part(console, name, [(True, sequence.ids[sequence.scored].tolist())], encoder, ids)
    else:
        for sequence in item.sequences:
            _show_part(console, "text", list(scored_runs(sequence)), encoder, ids)


def _show_part(
    console: Console, name: str, runs: list[tuple[bool, list[int]]], encoder: ChatEncoder, ids: bool
) -> None:
    """One part under its name; what is scored is coloured, or set in [[ ]] where there is no colour."""
    from rich.text import Text

    num, num_scored = sum(len(run) for _, run in runs), sum(len(run) for scored, run in runs if scored)
    mask = "all scored" if num == num_scored else "not scored" if not num_scored else f"{num_scored} scored"
    line = Text(f"{name:>8}  ", style="bold") + Text(f"{num} tokens, {mask}", style="dim")
    console.print(line, soft_wrap=True)
    body = Text()
    for scored, run in runs:
        body += _coloured(scored, run, encoder, console.is_terminal or len(runs) == 1)
    console.print(body, soft_wrap=True)
    if ids:
        console.print(" ".join(str(i) for _, run in runs for i in run), style="dim", soft_wrap=True, markup=False)


def _coloured(scored: bool, run: list[int], encoder: ChatEncoder, plain_brackets: bool) -> Text:
    """A run of tokens as text; its end tokens stand out, a long one is shortened in its midst."""
    from rich.text import Text

    from penchant.cli.console import sanitise

    def text(part: list[int]) -> str:
        return sanitise(encoder.tokenizer.decode(part, skip_special_tokens=False))

    num_end = 1 if scored and run[-1] in encoder.end_ids else 0
    inner = run[: len(run) - num_end]
    style = "green" if scored else "dim"
    if len(inner) > NUM_TOKENS_SHOWN:
        half = NUM_TOKENS_SHOWN // 2
        out = Text(text(inner[:half]), style=style)
        out.append(f" [{len(inner) - 2 * half} more tokens] ", style="italic")
        out.append(text(inner[-half:]), style=style)
    else:
        out = Text(text(inner), style=style)
    if num_end:
        out.append(text(run[-1:]), style="black on green")
    return out if plain_brackets or not scored else Text("[[") + out + Text("]]")


def _statistics(findings: Findings) -> dict[str, dict[str, float]]:
    import numpy as np

    return {
        name: {
            "num": len(lengths),
            "mean": float(np.mean(lengths)),
            "p95": float(np.percentile(lengths, 95)),
            "max": int(max(lengths)),
        }
        for name, lengths in findings.lengths.items()
        if lengths
    }


def _as_dict(findings: Findings, max_length: int) -> dict[str, Any]:
    return {
        "kind": findings.kind,
        "format": findings.format,
        "num_rows": sum(findings.rows.values()),
        "num_bad": findings.num_bad,
        "rows": findings.rows,
        "fields_not_read": [
            {"name": field.name, "num_rows": field.num_rows, "first": str(field.first)} for field in findings.unread
        ],
        "problems": [
            {"where": str(v.origin), "severity": v.severity, "code": v.code, "reason": v.reason, "fix": v.fix}
            for v in findings.problems
        ],
        "tokens": _statistics(findings),
        "max_length": max_length,
        "num_cut": findings.num_cut,
        "saved_by_sharing": findings.saved_by_sharing,
        "remarks": [remark.__dict__ for remark in findings.remarks],
    }
