"""Listening addresses, access control, and serving until stopped."""

from __future__ import annotations

import errno
import gc
import ipaddress
import re
import secrets
import socket
from urllib.parse import urlsplit

from penchant.errors import ConfigError

__all__ = ["TOKEN", "Address", "address_of", "is_loopback", "listen", "require_token", "serve", "token_of"]

TOKEN = re.compile(r"[A-Za-z0-9_-]{32,200}")


class Address:
    """A server's addresses. base: the prefix of links. allowed_hosts: accepted Host names."""

    def __init__(self, base: str, allowed_hosts: frozenset[str]) -> None:
        self.base, self.allowed_hosts = base, allowed_hosts

    @property
    def is_secure(self) -> bool:
        """Whether it is opened by https."""
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
    """The address for these options. Raises ConfigError for an invalid public_url."""
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
                f'`public_url="{public_url}"`: not the address of a server; give a URL without a path, such as '
                "https://votes.example.org"
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


def require_token(host: str, token: str | None) -> None:
    """Raise ConfigError if other machines could connect without a token."""
    if not is_loopback(host) and token is None:
        raise ConfigError(
            f'`host="{host}"`: other machines could use the server, so it needs a token; give `token="new"` to have '
            "one made, or a token of 32 or more characters"
        )


def token_of(given: str) -> str:
    """The token given, or a fresh one for "new". Raises ConfigError for one too short or with other characters."""
    if given == "new":
        return secrets.token_urlsafe(32)
    if not TOKEN.fullmatch(given):
        raise ConfigError(
            "`token=...`: a token consists of 32 to 200 letters, digits, - and _, and this one of "
            f"{len(given)} characters does not; choose another, or 'new' to have one made"
        )
    return given


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError if the port is taken or the host is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"`port={port}`: another program listens on this port; choose another, or 0 for any that is free"
            ) from error
        raise ConfigError(
            f'`host="{host}"`, `port={port}`: cannot listen there ({error.strerror or error}); choose another host, or '
            "another port"
        ) from error
    return listening


def serve(app: object, listening: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM. No access log: invitation paths contain tokens."""
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
