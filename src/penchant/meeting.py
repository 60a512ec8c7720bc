"""Connect the processes of one run: each waits for the others, at most ten minutes."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from penchant.errors import ConfigError
from penchant.process import num_processes
from penchant.progress import Lines
from penchant.wording import reason_of

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

__all__ = ["meet"]

T = TypeVar("T")

MINUTES = 10
"""The same timeout as torchrun's agents."""
SECONDS_BEFORE_A_WORD = 10
AT_ONCE = timedelta(seconds=2)
"""Seconds per wait in PyTorch; signals are handled only between waits."""


def meet(patience: timedelta) -> tuple[Store, int, int]:
    """Return the store shared by all processes of the run, this process's rank, and their number.

    patience: the store's timeout for values from other processes, once all are connected.

    Raises ConfigError if others are missing, or the environment has no rendezvous address.
    """
    from torch.distributed import DistNetworkError

    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if hosts := rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
            store = _store(size, hosts=hosts)
        else:  # PyTorch would log an error for every attempt on a closed port
            _again_and_again(lambda: socket.create_connection(_address(), AT_ONCE.total_seconds()).close(), OSError)
            store = _again_and_again(lambda: _store(size, hosts=hosts), DistNetworkError)
        store.set(f"here {rank}", "")
        _again_and_again(lambda: _require_all(store, size), TimeoutError)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise ConfigError(
            f"the {num_processes()} processes of the run did not find each other at {_where()} ({reason_of(error)}); "
            "check that all were started, and that this address can be reached from every machine"
        ) from error
    store.set_timeout(patience)
    return store, rank, size


def _store(size: int, *, hosts: bool) -> Store:
    """The store at this address; under torchrun's agent, which hosts it for every attempt, the part of this one."""
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

    address, port = _address()
    store = TCPStore(address, port, size, hosts, AT_ONCE, wait_for_workers=False, multi_tenant=True)
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT")
    return store if attempt is None else PrefixStore(f"/penchant/attempt {attempt}", store)


def _require_all(store: Store, size: int) -> None:
    if not store.check([f"here {rank}" for rank in range(size)]):
        raise TimeoutError("not all of them came in time")


def _again_and_again(attempt: Callable[[], T], passing: type[Exception]) -> T:
    """Retry until an attempt succeeds; raises the last error on timeout. passing: errors to retry."""
    began, has_said = time.monotonic(), False
    while True:
        try:
            return attempt()
        except passing:
            waited = time.monotonic() - began
            if waited > 60 * MINUTES:
                raise
        if waited > SECONDS_BEFORE_A_WORD and not has_said:
            Lines().say(f"waiting for the other processes of the run at {_where()}, {MINUTES} minutes at most")
            has_said = True
        time.sleep(0.1)


def _address() -> tuple[str, int]:
    return os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])


def _where() -> str:
    return f"{os.environ.get('MASTER_ADDR', 'no address')}:{os.environ.get('MASTER_PORT', 'no port')}"
