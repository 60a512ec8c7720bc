"""Open or create a project, fill it with pairs, and serve it on the web; make links for people.

All arguments are checked before anything is created.
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
    """The result of importing one file of pairs."""

    file: str
    is_gold: bool
    added: TasksAdded


@dataclass(frozen=True)
class Site:
    """A project that is ready to serve.

    link: opens it as its owner, and is a secret. base: the prefix of its addresses. imported: the result for each file
    of pairs.
    """

    store: Store
    base: str
    link: str
    imported: tuple[Imported, ...]
    app: Any
    listening: socket.socket

    def in_words(self) -> Iterator[str]:
        """The results of the files, and the tasks to ask, in words."""
        for one in self.imported:
            what = "gold pairs" if one.is_gold else "pairs"
            yield f"{one.file}: {one.added.added} {what} added, {one.added.known} were there"
            yield from (f"  {line}" for line in one.added.left_out(3))
        counts = self.store.counts()
        yield f"{counts.tasks} pairs, {counts.answered} answers"

    def serve(self) -> None:
        """Serve until Ctrl-C or SIGTERM; meanwhile `invite` knows the address."""
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
    """Open a project for serving; create it if missing.

    Args:
        folder: the project's. tasks: files of comparisons to ask. gold: files of comparisons with the right answer.
        host: the address to listen on; any but this machine's own needs a token. port: 0 takes any free port.
        token: the owner's, of 32 or more letters and digits, or "new"; None: the one stored in the folder.
        public_url: the address for people behind a proxy.
        settings: those of `ProjectConfig`, for a new project; an existing one must agree.
        share_database: whether a new project may share its database with another; or a function that is asked.
        talker: makes the model of a chat, called after all other checks.
        chat_share: the share of chat turns with two answers to choose from.

    Raises:
        ConfigError, DataError, OutputError: an argument is invalid; no project is created then.

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
    """Make the link for a person to answer in a project; it is shown only once, as only its hash is stored.

    url: the project's address; None: that of its running server on this machine, else the usual one.

    Raises ConfigError for a folder that is no project, or an invalid name, or the owner's.
    """
    with Store.of(folder) as store:
        if name.strip() == OWNER_NAME:
            raise ConfigError(
                f"{name}: is the name of whoever starts `penchant annotate`, which prints their link; choose another"
            )
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
    """Open or create the project; settings are written into a new one, and must agree with an existing one."""
    file = folder / CONFIG_NAME
    if not file.exists():
        if (url := asked.get("database")) is not None:
            _ask_before_sharing(url, share)  # checks the connection before anything is created
        return Project.create(folder, asked)
    project = Project.open(folder)
    for name, value in asked.items():
        if (there := getattr(project.config, name)) != value:
            got = "another text" if name == "guidelines" else repr(there)
            raise ConfigError(f"`{name}=...`: {file} has {got}; change it there")
    return project


def _ask_before_sharing(url: str, share: bool | Callable[[str], bool]) -> None:
    """Raise ConfigError if another project has used the database and sharing was not allowed."""
    found = held(url)
    if not found or share is True:
        return
    is_there = f"the database holds {found} of another project; a second one would share its pairs and its people"
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
