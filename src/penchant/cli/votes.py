"""`penchant votes`: what people answered, to files and back, how far they agree, and who may answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from penchant.feedback.storing import Store

__all__ = ["NAME", "app"]

NAME = "votes"
MAX_SHOWN = 10
app = typer.Typer(no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(metavar="PROJECT", help="The project's folder.")]


@app.callback()
def command() -> None:
    """What people answered: export, import, agreement, invitations.

    [bold]Examples[/bold]

        penchant votes export votes --to pairs --output pairs.jsonl

        penchant votes agreement votes

        penchant votes invite votes anna
    """


@app.command(name="export")
def export_votes(
    project: Folder,
    to: Annotated[str, typer.Option("--to", help="pairs, kto, sft, arena or raw.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .jsonl file to write.")],
    how: Annotated[
        str, typer.Option("--how", help="What several votes become: majority, or soft labels.")
    ] = "majority",
) -> None:
    """Write the answers as JSON lines.

    pairs, kto and sft are for training, arena is the shape of Chatbot Arena's data, raw holds everything.

    [bold]Examples[/bold]

        penchant votes export votes --to pairs --output pairs.jsonl

        penchant votes export votes --to pairs --how soft -o soft.jsonl

        penchant votes export votes --to raw -o backup.jsonl
    """
    from penchant.errors import OutputError

    if output.exists():
        raise OutputError(f"{output}: exists already; choose another --output")
    with _opened(project) as store:
        from penchant.feedback.exports import export

        num_rows = export(store, to, output, how=how)  # type: ignore[arg-type]  # an unknown word is refused there
    _say(f"{num_rows} rows")
    typer.echo(output)


@app.command(name="import")
def import_votes(
    project: Folder,
    file: Annotated[Path, typer.Argument(help="Comparisons, Chatbot Arena battles, or any file of preference pairs.")],
    gold: Annotated[bool, typer.Option("--gold", help="Its answers are right; use them to check people's.")] = False,
    unanswered: Annotated[
        bool, typer.Option("--unanswered", help="Leave its answers aside, and ask people about its pairs.")
    ] = False,
) -> None:
    """Add pairs to a project, with the answers that the file has; the project is made where there is none.

    Importing a file twice changes nothing. Rows that cannot be taken are named with their line.

    [bold]Examples[/bold]

        penchant votes import votes samples.jsonl

        penchant votes import votes known.jsonl --gold

        penchant votes import votes pairs.jsonl --unanswered
    """
    from penchant.data.given import check_options
    from penchant.errors import ConfigError

    if gold and unanswered:
        raise ConfigError("--gold needs the answers that --unanswered leaves out; give one of the two")
    check_options(file, "drop", None)
    with _installed():
        from penchant.feedback.imports import import_file, require_rows
    require_rows(file, gold=gold)
    with _opened(project, create=True) as store:
        added = import_file(store, file, gold=gold, unanswered=unanswered)
    for reason in added.refused[:MAX_SHOWN]:
        _say(reason)
    if len(added.refused) > MAX_SHOWN:
        _say(f"and {len(added.refused) - MAX_SHOWN} rows more")
    if added.unread:
        _say(f"fields not read: {', '.join(added.unread)}")
    what = "gold pairs" if gold else "pairs"
    typer.echo(
        f"{added.added} {what} and {added.answers} answers added, {added.known} known, {len(added.refused)} left out"
    )


@app.command()
def agreement(
    project: Folder, as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False
) -> None:
    """Show how far people agree, what sways them, who wins, and how each annotator does.

    [bold]Examples[/bold]

        penchant votes agreement votes

        penchant votes agreement votes --json
    """
    with _opened(project) as store:
        from penchant.feedback.summary import summary

        found = summary(store)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _show(found)


@app.command()
def invite(
    project: Folder,
    name: Annotated[str, typer.Argument(help="Who; a second invitation gives a new link and ends the old one.")],
    admin: Annotated[bool, typer.Option("--admin", help="May also invite, export and settle disagreements.")] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Where `penchant annotate` can be reached.",
            show_default="where its server runs, else http://127.0.0.1:8765",
        ),
    ] = None,
) -> None:
    """Print the link with which a person answers. It is shown once: only its hash is kept.

    [bold]Examples[/bold]

        penchant votes invite votes Ann

        penchant votes invite votes "Bob B." --admin --url https://votes.example.org
    """
    from penchant.errors import ConfigError

    with _opened(project) as store:
        from penchant.feedback.storing import OWNER_NAME

        if name.strip() == OWNER_NAME:
            raise ConfigError(f"{name}: is whoever starts `penchant annotate`, which prints their link; choose another")
        invitation = store.invite(name, "admin" if admin else "annotator")
    from penchant.feedback.web.serving import where_it_serves

    base = url or where_it_serves(project) or "http://127.0.0.1:8765"
    typer.echo(f"{base.rstrip('/')}/join/{invitation.token}")


@contextmanager
def _opened(folder: Path, *, create: bool = False) -> Iterator[Store]:
    """The project's store; raises ConfigError where the libraries for it are not installed."""
    with _installed():
        from penchant.feedback import Project, Store
    project = Project.open(folder, create=create)
    if not create:
        project.require_answers()
    with Store.open(project) as store:
        yield store


@contextmanager
def _installed() -> Iterator[None]:
    from penchant.errors import ConfigError
    from penchant.extras import install

    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"votes: {error.name} is not installed; {install('annotate')}") from error


def _say(text: str) -> None:
    from penchant.cli.console import sanitise

    typer.echo(sanitise(text), err=True)


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console

    from penchant.cli.tables import print_table

    console = Console(highlight=False)
    agreed, counts, noise = found["agreement"], found["counts"], found["label_noise"]
    settled = found["disagreements"]
    alpha = "none" if agreed["value"] is None else f"{agreed['value']:.3f}"
    smoothing = "not known" if noise["label_smoothing"] is None else f"{noise['label_smoothing']:.3f}"
    print_table(
        console,
        ("measured", "value"),
        [
            ("pairs", f"{counts['tasks']:,} and {counts['gold']:,} gold"),
            ("answers", f"{counts['answered']:,}, skipped {counts['skipped']:,}"),
            ("outcomes", ", ".join(f"{name} {num:,}" for name, num in counts["by_outcome"].items())),
            *([("name nobody", _unnamed(agreed["num_unnamed"]))] if agreed["num_unnamed"] else []),
            ("alpha", f"{alpha}: {agreed['reading']}"),
            ("same answer", _percent({"value": agreed["raw"]}) + f" on {agreed['num_tasks']:,} pairs"),
            ("prefer what is shown first", _percent(found["position_bias"])),
            ("prefer the longer", _percent(found["length_bias"])),
            ("label_smoothing from repeats", smoothing),
            ("disagreements", f"{settled['open']:,} open, {settled['settled']:,} settled"),
            ("training pairs", f"{found['pairs']['pairs']:,} by majority"),
        ],
    )
    _show_people(console, found["reliability"])
    _show_sources(console, found["sources"])


def _unnamed(num: int) -> str:
    return f"{num:,} answers, of one person or of many: in no agreement, and together the row '(unknown)' below"


def _show_people(console: Any, people: list[dict[str, Any]]) -> None:
    from penchant.cli.tables import print_table

    shares = ("gold", "self_agreement", "with_majority", "too_fast", "first_side")
    columns = ("annotator", "answers", "gold right", "repeats same", "with majority", "too fast", "first side")
    rows = [(one["annotator"], f"{one['num_answers']:,}", *(_percent(one[name]) for name in shares)) for one in people]
    if rows:
        console.print()
        print_table(console, columns, rows)


def _show_sources(console: Any, sources: dict[str, Any]) -> None:
    from penchant.cli.tables import print_table

    console.print()
    if not sources["rows"]:
        _say(f"no ranking of sources: {sources['reason']}")
        return
    rows = [
        (row["source"], f"{row['elo']:.0f}", f"{row['low']:.0f} to {row['high']:.0f}", f"{row['wins']:,}",
         f"{row['losses']:,}", f"{row['ties']:,}")
        for row in sources["rows"]
    ]  # fmt: skip
    print_table(console, ("source", "Elo", "95 %", "won", "lost", "tied"), rows)
    for note in sources["notes"]:
        _say(note)


def _percent(share: dict[str, Any]) -> str:
    """A share with its interval where it has one."""
    if share["value"] is None:
        return "-"
    value = f"{100 * share['value']:.0f} %"
    return value if share.get("low") is None else f"{value} ({100 * share['low']:.0f} to {100 * share['high']:.0f})"
