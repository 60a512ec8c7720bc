"""Serve a model: check the options, load it, listen, and serve until stopped."""

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
"""The default limit of tokens of a prompt with its answer."""


@dataclass(frozen=True)
class Service:
    """base: the address for clients, such as http://127.0.0.1:8000/v1. model: the model's name for clients.

    token: the API key clients need; None if none. max_length: tokens of a prompt with its answer.
    """

    base: str
    model: str
    token: str | None
    max_length: int
    app: Any
    opened: socket.socket

    def in_words(self) -> list[str]:
        """The address, as lines."""
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
    """Prepare a model for serving.

    Args:
        load: loads the model; called after all other checks.
        host: the address to listen on; any but this machine's own needs a token. port: 0 takes any free port.
        token: 32 or more letters and digits, or "new"; clients send it as their API key.
        batch_size: number of answers generated at a time.
        max_length: the most tokens of a prompt with its answer; None: the model's context length, at most 4096.

    Raises:
        ConfigError: an argument is invalid. ModelError: the model generates no text.
    """
    for name, value in (("batch_size", batch_size), ("max_length", 2 if max_length is None else max_length)):
        if value < (2 if name == "max_length" else 1):
            raise ConfigError(f"`{name}={value}`: is too small; give at least {2 if name == 'max_length' else 1}")
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
            raise ConfigError(
                f"`max_length={longest}`: the model takes {model.context_length} tokens, its answer included; lower it"
            )
        address = listening.address_of(host, opened.getsockname()[1], None)
        app = create_app(Batch(model, batch_size, longest), allowed_hosts=address.allowed_hosts, token=secret)
        yield Service(f"{address.base}/v1", model.name, secret, longest, app, opened)
