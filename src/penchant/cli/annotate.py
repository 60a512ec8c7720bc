"""`penchant annotate`: ask people which of two responses is better, in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from penchant.feedback.project import Project
    from penchant.feedback.storing import Store

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
    from penchant.cli.annotate_chat import ChatOptions, make_chat
    from penchant.data.given import check_options
    from penchant.errors import ConfigError

    _require_packages()
    talk = ChatOptions(model, chat_share, temperature, max_new_tokens, chat_template)
    talk.check(is_on=chat)
    from penchant.feedback.storing import Store
    from penchant.feedback.web.serving import address_of, announced, is_loopback, listen, read_token, serve

    if not is_loopback(host) and token is None:
        raise ConfigError(f"--host {host}: others could open it, so give --token new, or a token of 32 characters")
    address_of(host, port, public_url)
    if files := [*(tasks or ()), *(gold or ())]:
        check_options(files, "drop", None)
    from penchant.feedback.imports import require_rows

    if token is not None:
        read_token(project, token)
    for file in tasks or ():
        require_rows(file)
    for file in gold or ():
        require_rows(file, gold=True)
    router = make_chat(talk) if chat else None
    asked = {"title": title, "guidelines": _read(guidelines), "overlap": overlap, "database": database}
    is_new = not project.exists()
    if share_database and database is None:
        raise ConfigError("--share-database is about a --database; give both, or neither")
    given = {name: value for name, value in asked.items() if value is not None}
    opened = _open(project, given, may_share=share_database)
    if not (is_new or tasks or gold or chat):
        opened.require_answers()
    listening = listen(host, port)
    with listening, Store.open(opened) as store:
        _load(store, tasks or [], gold=False)
        _load(store, gold or [], gold=True)
        address = address_of(host, listening.getsockname()[1], public_url)
        secret = read_token(opened.path, token)
        app = _app(store, opened, address, secret, router)
        _greet(store, address, secret, has_chat=chat)
        with announced(opened.path, address.base, listening):
            serve(app, listening)


def _require_packages() -> None:
    from penchant.errors import ConfigError
    from penchant.extras import install, missing

    if absent := missing("annotate"):
        raise ConfigError(f"annotate: {', '.join(absent)} not installed; {install('annotate')}")


def _read(guidelines: Path | None) -> str | None:
    from penchant.errors import ConfigError
    from penchant.reading import read_text

    try:
        return None if guidelines is None else read_text(guidelines)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"--guidelines {guidelines}: cannot be read ({reason}); give a Markdown file") from error


def _open(folder: Path, asked: dict[str, Any], *, may_share: bool) -> Project:
    """The project; settings are written into a new one, and must agree with one that is there."""
    from penchant.errors import ConfigError
    from penchant.feedback.project import CONFIG_NAME, Project

    file = folder / CONFIG_NAME
    if not file.exists():
        if "database" in asked:
            _ask_before_sharing(asked["database"], may_share=may_share)  # it can be reached: nothing is made before
        return Project.create(folder, asked)
    project = Project.open(folder)
    for name, value in asked.items():
        if (there := getattr(project.config, name)) != value:
            got = "another text" if name == "guidelines" else repr(there)
            raise ConfigError(f"--{name}: {file} has {got}; change it there")
    return project


def _ask_before_sharing(url: str, *, may_share: bool) -> None:
    """Raises ConfigError where another project has used the database and nobody says that it may be shared."""
    import sys

    from penchant.errors import ConfigError
    from penchant.feedback.storing import held

    found = held(url)
    if not found or may_share:
        return
    is_there = f"the database holds {found} of another project; a second one asks the same pairs and the same people"
    if sys.stdin.isatty() and typer.confirm(f"{is_there[0].upper()}{is_there[1:]}. Share it?", err=True):
        return
    raise ConfigError(f"--database: {is_there}; name another database, or give --share-database")


def _load(store: Store, files: Sequence[Path], *, gold: bool) -> None:
    from penchant.feedback.imports import import_file

    for file in files:
        added = import_file(store, file, gold=gold, unanswered=not gold)
        _say(f"{file}: {added.added} {'gold pairs' if gold else 'pairs'} added, {added.known} were there")
        for reason in added.refused[:3]:
            _say(f"  left out: {reason}")
        if len(added.refused) > 3:
            _say(f"  and {len(added.refused) - 3} more were left out")
        if added.unread:
            _say(f"  fields not read: {', '.join(added.unread)}")


def _app(store: Store, project: Project, address: Any, secret: str, chat: Any) -> Any:
    from penchant.feedback.storing import OWNER_NAME
    from penchant.feedback.web import create_app
    from penchant.feedback.web.sessions import Owner

    mine = next((person for person in store.annotators() if person.name == OWNER_NAME), None)
    if mine is None or mine.role != "admin" or mine.disabled_at is not None:  # such as from a backup's answers
        mine = store.invite(OWNER_NAME, role="admin").annotator
    return create_app(
        store,
        project,
        allowed_hosts=address.allowed_hosts,
        secure=address.is_secure,
        owner=Owner(secret, mine.id),
        chat=chat,
    )


def _greet(store: Store, address: Any, secret: str, *, has_chat: bool) -> None:
    counts = store.counts()
    _say(f"{counts.tasks} pairs, {counts.answered} answers")
    if not counts.tasks and not has_chat:
        _say("There is nothing to ask yet; stop with Ctrl-C and give --tasks FILE")
    typer.echo(f"Open  {address.base}/join/{secret}")
    if has_chat:
        _say(f"The chat is at {address.base}/chat, once the link has been opened")
    _say("The link is your key; do not share it. Invite others on the page Admin. Ctrl-C stops.")


def _say(text: str) -> None:
    from penchant.cli.console import sanitise

    typer.echo(sanitise(text), err=True)
