"""A model at an address: checked, loaded, listening, and served until somebody stops it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penchant import listening
from penchant.errors import ConfigError
from penchant.extras import needing

if TYPE_CHECKING:
    from penchant.models.language_model import LanguageModel

__all__ = ["BATCH_SIZE", "HOST", "PORT", "Service", "open_service"]

HOST, PORT = "127.0.0.1", 8000
BATCH_SIZE = 32
MAX_LENGTH = 4096
"""Tokens of a prompt with its answer, unless somebody says otherwise or the model reads fewer."""


@dataclass(frozen=True)
class Service:
    """base: what clients are given as the address, such as http://127.0.0.1:8000/v1. model: what they call the model.

    token: what they must bring as their key; None where they need none. max_length: of a prompt with its answer.
    """

    base: str
    model: str
    token: str | None
    max_length: int
    app: Any
    opened: socket.socket

    def in_words(self) -> list[str]:
        """Where it is, as lines."""
        lines = [f"Serving {self.model} at {self.base}"]
        if self.token is not None:
            lines.append(f"Clients send this as their API key: {self.token}")
        return [*lines, f"A prompt with its answer may have {self.max_length} tokens. Ctrl-C stops."]

    def serve(self) -> None:
        """Serve until Ctrl-C or SIGTERM."""
        listening.serve(self.app, self.opened)


@contextmanager
def open_service(
    load: Callable[[], LanguageModel],
    *,
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    batch_size: int = BATCH_SIZE,
    max_length: int | None = None,
) -> Iterator[Service]:
    """A model that is ready to be served.

    Args:
        load: gives the model; called once all else is known to be right.
        host: where to listen; others than this machine need a token. port: 0 takes any that is free.
        token: 32 or more letters and digits, or "new"; what clients then send as their API key.
        batch_size: answers written at a time.
        max_length: the most tokens of a prompt with its answer; None: what the model reads, at most 4096.

    Raises:
        ConfigError: something given is wrong. ModelError: the model gives no text.
    """
    for name, value in (("batch_size", batch_size), ("max_length", 2 if max_length is None else max_length)):
        if value < (2 if name == "max_length" else 1):
            raise ConfigError(f"`{name}={value}`: is too few; give more")
    listening.require_token(host, token)
    secret = None if token is None else listening.token_of(token)
    with needing("serve", "penchant serve"):
        from penchant.serving.app import create_app
    from penchant.serving.batch import Batch

    with listening.listen(host, port) as opened:
        model = load()
        model.require_words()
        longest = max_length or min(model.context_length, MAX_LENGTH)
        if longest > model.context_length:
            raise ConfigError(f"`max_length={longest}`: the model reads {model.context_length} tokens in all; lower it")
        address = listening.address_of(host, opened.getsockname()[1], None)
        app = create_app(Batch(model, batch_size, longest), allowed_hosts=address.allowed_hosts, token=secret)
        yield Service(f"{address.base}/v1", model.name, secret, longest, app, opened)
