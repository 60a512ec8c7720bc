"""`penchant votes`: what people answered, to files and back, how far they agree, and who may answer."""

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from penchant.cli.declaring import argument, declared, flag, option

__all__ = ["app"]

MAX_SHOWN = 10
app = typer.Typer(no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(metavar="PROJECT", help="The project's folder.")]


@app.callback()
@declared
def command() -> None:
    """What people answered: export, import, agreement, invitations.

    [bold]Examples[/bold]
        penchant votes export votes --to pairs --output pairs.jsonl
        penchant votes agreement votes
        penchant votes invite votes anna
    """


@app.command(name="export")
@declared
def export_votes(
    project: Folder,
    to: str = option("pairs, kto, sft, arena or raw.", default=...),
    output: Path = option("The .jsonl file to write.", "--output -o", default=...),
    how: str = option("What several votes become: majority, or soft labels.", default="majority"),
) -> None:
    """Write the answers as JSON lines.

    pairs, kto and sft are for training, arena is the shape of Chatbot Arena's data, raw holds everything.

    [bold]Examples[/bold]
        penchant votes export votes --to pairs --output pairs.jsonl
        penchant votes export votes --to pairs --how soft -o soft.jsonl
        penchant votes export votes --to raw -o backup.jsonl
    """
    from penchant.cli.console import Reporter
    from penchant.feedback import export_votes as export

    Reporter().say(f"{export(project, cast(Any, to), output, how=cast(Any, how))} rows")
    typer.echo(output)


@app.command(name="import")
@declared
def import_votes(
    project: Folder,
    file: Path = argument("Comparisons, Chatbot Arena battles, or any file of preference pairs."),
    gold: bool = flag("--gold", "Its answers are right; use them to check people's."),
    unanswered: bool = flag("--unanswered", "Leave its answers aside, and ask people about its pairs."),
) -> None:
    """Add pairs to a project, with the answers that the file has; the project is made where there is none.

    Importing a file twice changes nothing. Rows that cannot be taken are named with their line.

    [bold]Examples[/bold]
        penchant votes import votes samples.jsonl
        penchant votes import votes known.jsonl --gold
        penchant votes import votes pairs.jsonl --unanswered
    """
    from penchant.cli.console import Reporter
    from penchant.feedback import import_votes as import_into

    added = import_into(project, file, gold=gold, unanswered=unanswered)
    Reporter().say(*added.left_out(MAX_SHOWN))
    what = "gold pairs" if gold else "pairs"
    typer.echo(
        f"{added.added} {what} and {added.answers} answers added, {added.known} known, {len(added.refused)} left out"
    )


@app.command()
@declared
def agreement(project: Folder, as_json: bool = flag("--json", "Print everything as JSON.")) -> None:
    """Show how far people agree, what sways them, who wins, and how each annotator does.

    [bold]Examples[/bold]
        penchant votes agreement votes
        penchant votes agreement votes --json
    """
    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts
    from penchant.feedback import Store

    with Store.of(project) as store:
        from penchant.feedback.summary import summary

        found = summary(store)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    from penchant.report.agreement_text import agreement_parts, source_notes

    print_parts(agreement_parts(found))
    Reporter().say(*source_notes(found["sources"]))


@app.command()
@declared
def invite(
    project: Folder,
    name: str = argument("Who; a second invitation gives a new link and ends the old one."),
    admin: bool = flag("--admin", "May also invite, export and settle disagreements."),
    url: str | None = option(
        "Where `penchant annotate` can be reached.", shown="where its server runs, else http://127.0.0.1:8765"
    ),
) -> None:
    """Print the link with which a person answers. It is shown once: only its hash is kept.

    [bold]Examples[/bold]
        penchant votes invite votes Ann
        penchant votes invite votes "Bob B." --admin --url https://votes.example.org
    """
    from penchant.feedback import invite as invited

    typer.echo(invited(project, name, role="admin" if admin else "annotator", url=url))
