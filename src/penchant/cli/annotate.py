"""`penchant annotate`: ask people which of two responses is better, in the browser."""

import sys
from functools import partial
from pathlib import Path

import typer

from penchant.cli.declaring import argument, flag, option


def command(
    project: Path = argument("The project's folder; created if missing."),
    tasks: list[Path] | None = option("Comparisons to ask about, as written by penchant sample."),
    gold: list[Path] | None = option("Comparisons with a known right answer, to check the annotators."),
    host: str = option("Address to listen on; if other machines reach it, --token is needed.", default="127.0.0.1"),
    port: int = option("The port to listen on; 0 takes any free one.", default=8765, min=0, max=65535),
    token: str | None = option("The secret in your link: 32 or more letters and digits, or 'new'."),
    public_url: str | None = option("The page's public address behind a proxy: https://votes.example.org"),
    database: str | None = option(
        "For a new project: postgresql+psycopg://..., instead of a file in the folder.",
        shown="penchant.db in the folder",
    ),
    share_database: bool = flag("--share-database", "For a new project: allow a --database that another project uses."),
    title: str | None = option("For a new project: the question shown at the top."),
    guidelines: Path | None = option("For a new project: a Markdown file that tells people how to decide."),
    overlap: int | None = option("For a new project: how many people answer each pair.", shown="1", min=1),
    chat: bool = flag("--chat", "Let people chat with a model, and choose where it gives two answers."),
    model: str | None = option("For --chat: the model.", "--model -m", shown="smollm2-135m"),
    chat_share: float | None = option("For --chat: fraction of turns with two answers.", shown="0.3", min=0, max=1),
    temperature: float | None = option("For --chat: sampling temperature.", "--temperature -t", shown="0.8"),
    max_new_tokens: int | None = option("For --chat: maximum tokens per answer.", shown="256"),
    chat_template: str | None = option(
        "For --chat: 'plain' for a model trained on raw text, or a Jinja file.", shown="the tokenizer's own"
    ),
) -> None:
    """Ask people which of two responses is better, in the browser.

    Prints a link; open it to answer. On its page "Admin" you invite others, see how far they agree and export their
    answers. Only this machine can open the link, unless --host says otherwise. Ctrl-C stops; nothing is lost.

    [bold]Examples[/bold]
        penchant annotate votes --tasks samples.jsonl
        penchant annotate votes --tasks samples.jsonl --gold known.jsonl --overlap 2 --guidelines guide.md
        penchant annotate votes --host 0.0.0.0 --token new --public-url https://votes.example.org
        penchant annotate votes --chat --model runs/first --chat-share 0.5
    """
    given = locals()
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
        raise ConfigError("--share-database is only read with --database; give both, or neither")
    text = read_given(guidelines, "guidelines", "a Markdown file")
    asked = {"title": title, "guidelines": text, "overlap": overlap, "database": database}
    with open_site(
        project,
        tasks=tasks or [],
        gold=gold or [],
        **{name: given[name] for name in ("host", "port", "token", "public_url")},
        settings={name: value for name, value in asked.items() if value is not None},
        share_database=share_database or _confirmed,
        talker=partial(talk.talker, reporter) if chat else None,
        chat_share=talk.share,
    ) as site:
        say(*site.in_words())
        if not chat and not site.store.counts().tasks:
            say("There is nothing to ask yet; stop with Ctrl-C and give --tasks FILE")
        typer.echo(f"Open  {site.link}")
        if chat:
            say(f"The chat is at {site.base}/chat, once the link has been opened")
        say("The link is your key; do not share it. Invite others on the page Admin. Ctrl-C stops.")
        with saying_when_stopped("stopped; every answer so far is kept, and the same command continues"):
            site.serve()


def _confirmed(question: str) -> bool:
    return sys.stdin.isatty() and typer.confirm(f"{question[0].upper()}{question[1:]}. Share it?", err=True)
