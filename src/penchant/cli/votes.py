"""`penchant votes`: what people answered, to files and back, how far they agree, and who may answer."""

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from penchant.cli.declaring import argument, declared, flag, option
from penchant.cli.hints import Command

__all__ = ["app"]

MAX_SHOWN = 10
app = typer.Typer(no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(metavar="PROJECT", help="The project's folder.")]


@app.callback()
@declared
def command() -> None:
    """Work with people's votes: export, import, agreement, invitations.

    [bold]Examples[/bold]
        penchant votes export votes --to pairs --output pairs.jsonl
        penchant votes agreement votes
        penchant votes invite votes anna
    """


@app.command(name="export")
@declared
def export_votes(
    project: Folder,
    to: str = option("Format: pairs, kto, sft, arena or raw.", default=...),
    output: Path = option("The .jsonl file to write.", "--output -o", default=...),
    how: str = option("How several votes on a pair are combined: majority or soft.", default="majority"),
) -> None:
    """Write the answers as JSON Lines.

    pairs, kto and sft are for training, arena is the format of Chatbot Arena's data, raw holds everything.

    [bold]Examples[/bold]
        penchant votes export votes --to pairs --output pairs.jsonl
        penchant votes export votes --to pairs --how soft -o soft.jsonl
        penchant votes export votes --to raw -o backup.jsonl
    """
    from penchant.cli.console import Reporter
    from penchant.feedback import export_votes as export

    Reporter().say(f"{export(project, cast(Any, to), output, how=cast(Any, how))} rows")
    typer.echo(output)


@app.command(name="import", cls=Command)
@declared
def import_votes(
    project: Folder,
    file: Path = argument("Comparisons, Chatbot Arena battles, or any file of preference pairs."),
    gold: bool = flag("--gold", "The file's answers are known to be right; use them to check people's."),
    unanswered: bool = flag("--unanswered", "Ignore the file's answers, and ask people about its pairs."),
) -> None:
    """Add the pairs and answers of a file to a project, which is created if it does not exist.

    Importing a file twice changes nothing. Rows that cannot be imported are listed with their line numbers.

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
    """Show how far people agree, their biases, who wins, and figures for each annotator.

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
    name: str = argument("The person's name; inviting again makes a new link and revokes the old one."),
    admin: bool = flag("--admin", "Allow this person to invite, export and settle disagreements too."),
    url: str | None = option(
        "Address of the annotation server.", shown="the running server's, else http://127.0.0.1:8765"
    ),
) -> None:
    """Create and print a person's link to the annotation page. It is shown once: only its hash is stored.

    [bold]Examples[/bold]
        penchant votes invite votes Ann
        penchant votes invite votes "Bob B." --admin --url https://votes.example.org
    """
    from penchant.feedback import invite as invited

    typer.echo(invited(project, name, role="admin" if admin else "annotator", url=url))
