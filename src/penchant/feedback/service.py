"""A project on the web: checked, opened or made, filled with pairs, and ready to serve; and links for people.

Everything that could be wrong is looked at before anything is made.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from penchant import listening
from penchant.data.given import sources_of
from penchant.errors import ConfigError
from penchant.feedback.imports import import_file, require_rows
from penchant.feedback.project import CONFIG_NAME, Project
from penchant.feedback.records import Role
from penchant.feedback.storing import OWNER_NAME, Store, TasksAdded, held
from penchant.feedback.web import serving

if TYPE_CHECKING:
    from penchant.feedback.web.chat import Talker

__all__ = ["HOST", "PORT", "Imported", "Site", "invite", "open_site"]

HOST, PORT = "127.0.0.1", 8765
CHAT_SHARE = 0.3

StrPath: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True)
class Imported:
    """What became of one file of pairs."""

    file: str
    is_gold: bool
    added: TasksAdded


@dataclass(frozen=True)
class Site:
    """A project that is ready to serve.

    link: opens it as its owner, and is a secret. base: what its addresses begin with. imported: what became of each
    file of pairs.
    """

    store: Store
    base: str
    link: str
    imported: tuple[Imported, ...]
    app: Any
    listening: socket.socket

    def in_words(self) -> Iterator[str]:
        """What became of the files, and what there is to ask."""
        for one in self.imported:
            what = "gold pairs" if one.is_gold else "pairs"
            yield f"{one.file}: {one.added.added} {what} added, {one.added.known} were there"
            yield from (f"  {line}" for line in one.added.left_out(3))
        counts = self.store.counts()
        yield f"{counts.tasks} pairs, {counts.answered} answers"

    def serve(self) -> None:
        """Serve until Ctrl-C or SIGTERM; meanwhile `invite` knows where."""
        with serving.announced(self.store.project.path, self.base, self.listening):
            listening.serve(self.app, self.listening)


@contextmanager
def open_site(
    folder: StrPath,
    *,
    tasks: Sequence[StrPath] = (),
    gold: Sequence[StrPath] = (),
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    public_url: str | None = None,
    settings: Mapping[str, Any] | None = None,
    share_database: bool | Callable[[str], bool] = False,
    talker: Callable[[], Talker] | None = None,
    chat_share: float = CHAT_SHARE,
) -> Iterator[Site]:
    """A project ready to serve, made where there is none.

    Args:
        folder: of the project. tasks: files of comparisons to ask. gold: files of comparisons with the right answer.
        host: where to listen; others than this machine need a token. port: 0 takes any that is free.
        token: the owner's, of 32 or more letters and digits, or "new"; None: the one that the folder keeps.
        public_url: how people open it through a proxy.
        settings: of `ProjectConfig`, for a new project; one that is there must agree with them.
        share_database: whether a new project may share its database with another; a function is asked, with a sentence.
        talker: makes the model of a chat, called once all else is known to be right.
        chat_share: of the chat's turns, those with two answers to choose from.

    Raises:
        ConfigError, DataError, OutputError: something given is wrong; then no project was made.

    Example:
        >>> with open_site("votes", tasks=["samples.jsonl"]) as site:  # doctest: +SKIP
        ...     print(site.link)
        ...     site.serve()
    """
    _check(Path(folder), tasks, gold, host, port, token, public_url)
    router = None
    if talker is not None:
        from penchant.feedback.web.chat import chat_router

        router = chat_router(talker(), share=chat_share)
    is_new = not Path(folder).exists()
    project = _project(Path(folder), settings or {}, share_database)
    if not (is_new or tasks or gold or talker):
        project.require_answers()
    with listening.listen(host, port) as opened, Store.open(project) as store:
        imported = [_imported(store, file, is_gold=False) for file in tasks]
        imported += [_imported(store, file, is_gold=True) for file in gold]
        address = listening.address_of(host, opened.getsockname()[1], public_url)
        secret = serving.read_token(project.path, token)
        app = _app(store, address, secret, router)
        link = f"{address.base}/join/{secret}"
        yield Site(store, address.base, link, tuple(imported), app, opened)


def invite(folder: StrPath, name: str, *, role: Role = "annotator", url: str | None = None) -> str:
    """The link with which a person answers in a project; it is known this once, since only its hash is kept.

    url: where the project is served; None: where its server runs on this machine now, else its usual address.

    Raises ConfigError for a folder that is no project, or a name that is none or the owner's.
    """
    with Store.of(folder) as store:
        if name.strip() == OWNER_NAME:
            raise ConfigError(f"{name}: is whoever starts `penchant annotate`, which prints their link; choose another")
        token = store.invite(name, role).token
    base = url or serving.where_it_serves(Path(folder)) or f"http://{HOST}:{PORT}"
    return f"{base.rstrip('/')}/join/{token}"


def _check(
    folder: Path,
    tasks: Sequence[StrPath],
    gold: Sequence[StrPath],
    host: str,
    port: int,
    token: str | None,
    public_url: str | None,
) -> None:
    listening.require_token(host, token)
    listening.address_of(host, port, public_url)
    if files := [*tasks, *gold]:
        sources_of(files)
    if token is not None:
        serving.read_token(folder, token)
    for file in tasks:
        require_rows(file)
    for file in gold:
        require_rows(file, gold=True)


def _project(folder: Path, asked: Mapping[str, Any], share: bool | Callable[[str], bool]) -> Project:
    """The project; settings are written into a new one, and must agree with one that is there."""
    file = folder / CONFIG_NAME
    if not file.exists():
        if (url := asked.get("database")) is not None:
            _ask_before_sharing(url, share)  # it can be reached: nothing is made before
        return Project.create(folder, asked)
    project = Project.open(folder)
    for name, value in asked.items():
        if (there := getattr(project.config, name)) != value:
            got = "another text" if name == "guidelines" else repr(there)
            raise ConfigError(f"`{name}=...`: {file} has {got}; change it there")
    return project


def _ask_before_sharing(url: str, share: bool | Callable[[str], bool]) -> None:
    """Raises ConfigError where another project has used the database and nobody says that it may be shared."""
    found = held(url)
    if not found or share is True:
        return
    is_there = f"the database holds {found} of another project; a second one asks the same pairs and the same people"
    if not (share and share(is_there)):
        raise ConfigError(f"`database=...`: {is_there}; name another database, or give `share_database=True`")


def _imported(store: Store, file: StrPath, *, is_gold: bool) -> Imported:
    return Imported(os.fspath(file), is_gold, import_file(store, file, gold=is_gold, unanswered=not is_gold))


def _app(store: Store, address: listening.Address, secret: str, chat: Any) -> Any:
    from penchant.feedback.web import create_app
    from penchant.feedback.web.sessions import Owner

    mine = next((person for person in store.annotators() if person.name == OWNER_NAME), None)
    if mine is None or mine.role != "admin" or mine.disabled_at is not None:  # such as from a backup's answers
        mine = store.invite(OWNER_NAME, role="admin").annotator
    return create_app(
        store,
        store.project,
        allowed_hosts=address.allowed_hosts,
        secure=address.is_secure,
        owner=Owner(secret, mine.id),
        chat=chat,
    )
