"""`penchant rank`: who is better, how sure that is, and what the votes cannot say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "rank"
MOST_LISTED = 20
"""Bad rows, reasons and groups shown of each kind; rank.json has all reasons and groups."""


def command(
    votes: Annotated[list[Path], typer.Argument(help="Files of votes: comparisons, battles, winners or counts.")],
    ties: Annotated[str, typer.Option(help="How ties count: half (a win for each) or davidson.")] = "half",
    both_bad: Annotated[
        str, typer.Option("--both-bad", help="How 'both bad' counts: apart (no vote) or tie.")
    ] = "apart",
    intervals: Annotated[str, typer.Option(help="How the intervals are computed: sandwich or bootstrap.")] = "sandwich",
    num_bootstrap: Annotated[
        int | None,
        typer.Option(
            "--num-bootstrap",
            help="How often --intervals bootstrap draws the votes anew.",
            show_default="1000",
            min=2,
            max=1_000_000,
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of --intervals bootstrap.", show_default="0", min=0)] = None,
    cluster: Annotated[
        str,
        typer.Option(help="Votes that may err together, by: auto (what is recorded), none, prompt, annotator, both."),
    ] = "auto",
    prior: Annotated[
        str,
        typer.Option(
            help="What is assumed before any vote: auto (phantom votes, if ratings would be infinite without), none, "
            "phantom, or the standard deviation of a normal prior, in Elo points."
        ),
    ] = "auto",
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    elo: Annotated[bool, typer.Option("--elo", help="Also show online Elo, in the order of the votes.")] = False,
    on_bad_row: options.OnBadRow = "error",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for rank.json and a figure (SVG, PNG).")
    ] = None,
) -> None:
    """Rank models, or anything else, by votes: Bradley-Terry ratings with intervals, agreement, bias, cycles.

    Reads comparisons as Penchant writes them, arena battles (model_a, model_b, winner), tables of left, right, winner,
    and tables of counts. docs/ranking.md says how to read what it prints.

    [bold]Examples[/bold]

        penchant rank votes.jsonl

        penchant rank battles.json.gz --ties davidson --elo --on-bad-row drop

        penchant rank votes.csv --intervals bootstrap --num-bootstrap 500 --cluster prompt --output runs/rank
    """
    from rich.console import Console

    from penchant.data import keeps_order, load_votes, vote_columns
    from penchant.errors import ConfigError
    from penchant.ranking import Ballots, Method, standings

    if intervals != "bootstrap" and (num_bootstrap is not None or seed is not None):
        raise ConfigError(
            "rank: --num-bootstrap and --seed are only read with --intervals bootstrap; add it, or leave them out"
        )
    drawn = {"num_bootstrap": num_bootstrap, "seed": seed}
    choices: dict[str, Any] = {name: value for name, value in drawn.items() if value is not None}
    choices |= {"ties": ties, "intervals": intervals, "cluster": cluster, "prior": _prior(prior), "level": level}
    method = Method(**choices)
    loaded = load_votes(votes, on_bad_row=on_bad_row or "error")  # type: ignore[arg-type]
    _list_bad_rows(loaded)
    if elo and not keeps_order(loaded.format):
        raise ConfigError(
            "rank: --elo needs votes in the order in which they were cast, and a table of counts has none"
        )
    found = standings(Ballots(**vote_columns(loaded.records)), method, both_bad=both_bad, elo=elo).as_dict()  # type: ignore[arg-type]
    console = Console(highlight=False)
    _show(console, found, loaded.format)
    if output is not None:
        read = {"files": list(map(str, votes)), "format": loaded.format, "digest": loaded.digest}
        settings = vars(method) | {"prior": prior, "both_bad": both_bad}
        for path in _write(output, {**read, "rows": loaded.verdict_counts, "settings": settings, **found}):
            console.print(f"{path}", soft_wrap=True)


def _prior(text: str) -> Any:
    """A word, or a number of Elo points as a normal distribution; other words are left to `Method` to refuse."""
    from penchant.errors import ConfigError
    from penchant.ranking import ELO_PER_NAT, Gaussian

    if text in ("auto", "none", "phantom"):
        return text
    try:
        return Gaussian(float(text) / ELO_PER_NAT)
    except (ValueError, ConfigError):
        known = "auto, none, phantom or a standard deviation in Elo points above 0"
        raise ConfigError(f"rank: --prior is {known}, got '{text}'") from None


def _list_bad_rows(loaded: Any) -> None:
    from penchant.cli.console import Reporter
    from penchant.data.fields import in_words

    reporter = Reporter()
    bad = [verdict for verdict in loaded.problems if verdict.severity == "error"]
    for verdict in bad[:MOST_LISTED]:
        reporter.say(f"left out: {verdict}")
    if listed := in_words(loaded.unread):
        reporter.say(listed)
    if bad:
        reporter.say(f"{len(bad):,} of {sum(loaded.verdict_counts.values()):,} rows left out")


def _show(console: Any, found: dict[str, Any], format_name: str) -> None:
    num_items = sum(len(group["standings"]) + len(group["unranked"]) for group in found["groups"])
    _say(console, f"{found['num_votes']:,} votes on {num_items:,} items ({format_name})")
    for note in found["notes"]:
        _say(console, note)
    for number, group in enumerate(found["groups"][:MOST_LISTED], 1):
        if len(found["groups"]) > 1:
            _say(console, f"\nGroup {number}")
        _show_group(console, group, found)
    if len(found["groups"]) > MOST_LISTED:
        _say(
            console, f"... and {len(found['groups']) - MOST_LISTED:,} groups more, which --output writes to rank.json."
        )
    console.print()
    for line in _findings(found):
        _say(console, line)


def _show_group(console: Any, group: dict[str, Any], found: dict[str, Any]) -> None:
    from penchant.cli.tables import print_table

    percent = f"{100 * found['level']:g}%"
    rows = list(_rows(group["standings"], found))
    if rows:
        extra = [*(["both bad"] if found["num_both_bad"] else []), *(["online Elo"] if found["online"] else [])]
        columns = ("rank", "item", "rating", f"{percent} interval", "beats average", "wins", "losses", "ties", "votes")
        print_table(console, (*columns, *extra), rows)
    for problem in group["problems"][:MOST_LISTED]:
        _say(console, ("Not ranked: " if group["unranked"] else "* ") + problem["reason"] + ".")
    if len(group["problems"]) > MOST_LISTED:
        _say(console, f"... and {len(group['problems']) - MOST_LISTED:,} more, which --output writes to rank.json.")
    for note in group["notes"]:
        _say(console, note)
    close = [pair for pair in group["neighbours"] if pair["votes_missing"] != 0]
    if close:
        _say(console, "Neighbours that may be equally good, and how many more votes between them would tell:")
        print_table(console, ("better", "worse", "difference", f"{percent} interval", "more votes"), _pairs(close))


def _rows(standings: Sequence[dict[str, Any]], found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for one in standings:
        item = one["item"] + (" *" if one["by_prior"] else "")
        counts = [f"{one[name]:,}" for name in ("wins", "losses", "ties", "votes")]
        both_bad = [f"{one['both_bad']:,}"] if found["num_both_bad"] else []
        online = [f"{found['online']['ratings'][one['item']]:.0f}"] if found["online"] else []
        limits = f"{one['low']:.0f} to {one['high']:.0f}"
        chance = f"{one['win_probability']:.0%}"
        yield (str(one["rank"]), item, f"{one['rating']:.0f}", limits, chance, *counts, *both_bad, *online)


def _pairs(pairs: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            pair["better"],
            pair["worse"],
            f"{pair['difference']:.1f}",
            f"{pair['low']:.0f} to {pair['high']:.0f}",
            _missing(pair["votes_missing"]),
        )
        for pair in pairs
    ]


def _missing(num: int | None) -> str:
    if num is None:
        return "no number: equal"
    return f"{num:,}" if num <= 1_000_000 else "over 1,000,000"


def _findings(found: dict[str, Any]) -> Iterator[str]:
    """What holds for all votes together, a line each."""
    if found["only_both_bad"]:
        yield f"not ranked   only answers that both are bad: {', '.join(found['only_both_bad'])}"
    agreement, shown, circles = found["agreement"], found["first_shown"], found["circularity"]
    if agreement["value"] is None:
        yield f"agreement    Krippendorff's alpha is not defined: {agreement['reason']}"
    else:
        num = f"{agreement['num_answers']:,} answers to {agreement['num_units']:,} pairs of responses"
        yield f"agreement    Krippendorff's alpha {agreement['value']:.3f}: {found['reading']} ({num})"
    for name, kappa in found["kappas"].items():
        yield f"             {name} " + (kappa["reason"] if kappa["value"] is None else f"{kappa['value']:.3f}")
    if shown["value"] is None:
        yield f"first shown  not measured: {shown['reason']}"
    else:
        limits = f"{100 * found['level']:g}% interval {shown['low']:.1%} to {shown['high']:.1%}"
        yield f"first shown  won {shown['value']:.1%} of {shown['num']:,} decided votes ({limits}; no bias is 50%)"
    if circles["share"] is None:
        yield f"circles      not measured: {circles['reason']}"
    else:
        yield f"circles      {circles['share']:.1%} of the log-odds fit no single order; {_circle(circles)}"
        if circles["worst"]:
            around = " over ".join([*circles["worst"], circles["worst"][0]])
            yield f"             the surest cycle: {around} (z {circles['worst_z']:.1f}, the largest of all)"
    if found["online"]:
        change = found["online"]["largest_change"]
        yield f"online Elo   depends on the order: the same votes in reverse move a rating by up to {change:.1f} points"


def _circle(circles: dict[str, Any]) -> str:
    if circles["p_value"] == 1 and not circles["worst"]:
        return "no majorities run in a circle"
    surer = "a circle is surer" if circles["p_value"] < 0.05 else "no circle is surer"
    return f"{surer} than chance makes it with one order (p {circles['p_value']:.2g})"


def _say(console: Any, text: str) -> None:
    from rich.text import Text

    from penchant.wording import sanitise

    console.print(Text(sanitise(text)), soft_wrap=not console.is_terminal)


def _write(folder: Path, ranking: dict[str, Any]) -> list[Path]:
    from penchant.errors import OutputError
    from penchant.report.standings import draw_standings
    from penchant.wording import SPELT_OUT

    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(ranking, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (folder / "rank.json").write_text(text, encoding="utf-8", errors=SPELT_OUT)
        return [folder / "rank.json", *draw_standings(ranking, folder / "ratings")]
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another --output") from error
