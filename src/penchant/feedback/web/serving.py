"""From a project to a server that listens: whose addresses are served, the owner's token, and quiet logs."""

from __future__ import annotations

import errno
import gc
import ipaddress
import json
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from penchant.errors import ConfigError, OutputError
from penchant.files import create_private, keep_private

__all__ = [
    "TOKEN_NAME",
    "Address",
    "address_of",
    "announced",
    "is_loopback",
    "listen",
    "read_token",
    "serve",
    "where_it_serves",
]

TOKEN_NAME = "owner.token"
ANNOUNCED = "serving.json"
TOKEN = re.compile(r"[A-Za-z0-9_-]{32,200}")


class Address:
    """Where the server listens and how it is opened. base: what links begin with. allowed_hosts: Host names taken."""

    def __init__(self, base: str, allowed_hosts: frozenset[str]) -> None:
        self.base, self.allowed_hosts = base, allowed_hosts

    @property
    def is_secure(self) -> bool:
        """Whether people open it by https."""
        return self.base.startswith("https://")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_of(host: str, port: int, public_url: str | None) -> Address:
    """Raises ConfigError for a public_url that is none."""
    names = {host}
    if is_loopback(host):
        names = {"localhost", "127.0.0.1", "[::1]"}
    elif host in ("0.0.0.0", "::"):
        names = {socket.gethostname().lower(), *_own_addresses(), "localhost", "127.0.0.1"}
    shown = "127.0.0.1" if host == "localhost" else f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):
        shown = socket.gethostname().lower()
    base = f"http://{shown}:{port}"
    names.add(shown)
    if public_url is not None:
        parts = urlsplit(public_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ConfigError(
                f'`public_url="{public_url}"`: give a URL such as https://votes.example.org, without a path'
            )
        base = f"{parts.scheme}://{parts.netloc}"
        names.add(parts.netloc.lower())
    return Address(base, frozenset(names))


def _own_addresses() -> set[str]:
    try:
        found = socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        return set()
    return {f"[{info[4][0]}]" if ":" in str(info[4][0]) else str(info[4][0]) for info in found}


def read_token(folder: Path, given: str | None) -> str:
    """The owner's token: the one given, a fresh one for "new", else the one kept in the project folder.

    Raises ConfigError for one that is too short or has other characters, OutputError where none can be kept.
    """
    if given == "new":
        return secrets.token_urlsafe(32)
    if given is not None:
        if not TOKEN.fullmatch(given):
            raise ConfigError("`token=...`: 32 or more letters, digits, - and _, or 'new' for one made here")
        return given
    file = folder / TOKEN_NAME
    try:
        if file.is_file() and TOKEN.fullmatch(kept := file.read_text(encoding="ascii", errors="replace").strip()):
            keep_private(file)
            return kept
        token = secrets.token_urlsafe(32)
        file.unlink(missing_ok=True)
        create_private(file, token + "\n")
    except OSError as error:
        raise OutputError(f"{file}: cannot be written ({error.strerror}); check the folder's permissions") from error
    return token


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError where the port is taken or the host is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"`port={port}`: another program listens there; choose another, or 0 for any") from error
        raise ConfigError(
            f'`host="{host}"`, `port={port}`: cannot listen there ({error.strerror or error}); choose others'
        ) from error
    return listening


@contextmanager
def announced(folder: Path, base: str, listening: socket.socket) -> Iterator[None]:
    """While inside, `where_it_serves` knows where this project can be opened."""
    file = folder / ANNOUNCED
    file.write_text(json.dumps({"base": base, "listens": list(listening.getsockname()[:2])}), encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def where_it_serves(folder: Path) -> str | None:
    """What links to the project begin with, where a server of it runs; one that was killed leaves only its file."""
    try:
        found = json.loads((folder / ANNOUNCED).read_text(encoding="utf-8"))
        socket.create_connection(tuple(found["listens"]), timeout=1).close()
        return str(found["base"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def serve(app: object, listening: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM. No access log: paths of invitations hold tokens."""
    import uvicorn

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )
    # what the store knows lives as long as the server: to look through all of it for garbage would stop everybody for a
    # tenth of a second, again and again
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
    uvicorn.Server(config).run(sockets=[listening])
