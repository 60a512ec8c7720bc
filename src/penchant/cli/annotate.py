"""`penchant annotate`: ask people which of two responses is better, in the browser."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "annotate"


def command(
    project: Annotated[Path, typer.Argument(help="The project's folder; made where there is none.")],
    tasks: Annotated[
        list[Path] | None, typer.Option("--tasks", help="Comparisons to ask, as penchant sample writes them.")
    ] = None,
    gold: Annotated[
        list[Path] | None,
        typer.Option("--gold", help="Comparisons with a known right answer, to check how people answer."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that other machines reach needs --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes any free one.")] = 8765,
    token: Annotated[
        str | None, typer.Option(help="The secret of your link: 32 or more letters and digits, or 'new'.")
    ] = None,
    public_url: Annotated[
        str | None, typer.Option("--public-url", help="The page's address behind a proxy: https://votes.example.org")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            help="For a new project: postgresql+psycopg://..., instead of a file in the folder.",
            show_default="penchant.db in the folder",
        ),
    ] = None,
    share_database: Annotated[
        bool,
        typer.Option("--share-database", help="For a new project: use a --database that another project has used."),
    ] = False,
    title: Annotated[str | None, typer.Option(help="For a new project: the question shown at the top.")] = None,
    guidelines: Annotated[
        Path | None, typer.Option(help="For a new project: a Markdown file that tells people how to decide.")
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(min=1, help="For a new project: how many people answer each pair.", show_default="1")
    ] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="Let people talk to a model, and choose when it gives two answers.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="For --chat: the model.", show_default="smollm2-135m")
    ] = None,
    chat_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="For --chat: share of turns with two answers.", show_default="0.3"),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", "-t", help="For --chat: randomness of sampling.", show_default="0.8"),
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="For --chat: longest answer, in tokens.", show_default="256")
    ] = None,
    chat_template: Annotated[
        str | None,
        typer.Option(
            help="For --chat: 'plain' for a model of raw text, or the path of a Jinja template.",
            show_default="the tokenizer's own",
        ),
    ] = None,
) -> None:
    """Ask people which of two responses is better, in the browser.

    Prints a link: open it, and you are asked. Its page "Admin" invites others, shows how far they agree, and exports
    what they said. Only this machine can open it unless --host says otherwise. Ctrl-C stops; nothing is lost.

    [bold]Examples[/bold]

        penchant annotate votes --tasks samples.jsonl

        penchant annotate votes --tasks samples.jsonl --gold known.jsonl --overlap 2 --guidelines guide.md

        penchant annotate votes --host 0.0.0.0 --token new --public-url https://votes.example.org

        penchant annotate votes --chat --model runs/first --chat-share 0.5
    """
    from penchant.cli.console import Reporter
    from penchant.cli.failures import saying_when_stopped
    from penchant.errors import ConfigError
    from penchant.evaluation.talk_options import TalkOptions
    from penchant.feedback import open_site
    from penchant.reading import read_given

    talk = TalkOptions(model, chat_share, temperature, max_new_tokens, chat_template)
    talk.check(is_on=chat)
    reporter = Reporter()
    say = reporter.say
    if share_database and database is None:
        raise ConfigError("--share-database is about a --database; give both, or neither")
    text = read_given(guidelines, "guidelines", "a Markdown file")
    asked = {"title": title, "guidelines": text, "overlap": overlap, "database": database}
    with open_site(
        project,
        tasks=tasks or [],
        gold=gold or [],
        host=host,
        port=port,
        token=token,
        public_url=public_url,
        settings={name: value for name, value in asked.items() if value is not None},
        share_database=share_database or _confirmed,
        talker=partial(talk.talker, reporter) if chat else None,
        chat_share=talk.share,
    ) as site:
        for one in site.imported:
            what = "gold pairs" if one.is_gold else "pairs"
            say(f"{one.file}: {one.added.added} {what} added, {one.added.known} were there")
            for line in one.added.left_out(3):
                say(f"  {line}")
        counts = site.store.counts()
        say(f"{counts.tasks} pairs, {counts.answered} answers")
        if not counts.tasks and not chat:
            say("There is nothing to ask yet; stop with Ctrl-C and give --tasks FILE")
        typer.echo(f"Open  {site.link}")
        if chat:
            say(f"The chat is at {site.base}/chat, once the link has been opened")
        say("The link is your key; do not share it. Invite others on the page Admin. Ctrl-C stops.")
        with saying_when_stopped("stopped; every answer so far is kept, and the same command goes on"):
            site.serve()


def _confirmed(question: str) -> bool:
    return sys.stdin.isatty() and typer.confirm(f"{question[0].upper()}{question[1:]}. Share it?", err=True)
