"""How the processes of one run find each other: each waits for the others, ten minutes and not for ever."""

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
"""As long as the agents of torchrun wait for each other."""
SECONDS_BEFORE_A_WORD = 10
AT_ONCE = timedelta(seconds=2)
"""PyTorch waits so long and no longer, since Python hears of a signal between two waits and not within one."""


def meet(patience: timedelta) -> tuple[Store, int, int]:
    """A store that all processes of the run share, the rank of this one, and how many they are.

    patience: how long the store waits for what a process has yet to write, once all have met.

    Raises ConfigError where the others do not come, or the environment does not say where to meet.
    """
    from torch.distributed.rendezvous import rendezvous

    try:
        if os.environ.get("RANK") != "0":  # PyTorch itself shouts about every attempt
            _again_and_again(lambda: socket.create_connection(_address(), AT_ONCE.total_seconds()).close())
        store, rank, size = _again_and_again(lambda: next(rendezvous("env://", timeout=AT_ONCE)))
        store.set(f"here {rank}", "")
        _again_and_again(lambda: store.wait([f"here {other}" for other in range(size)], AT_ONCE))
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise ConfigError(
            f"the {num_processes()} processes of the run did not find each other at {_where()} ({reason_of(error)}); "
            "check that all were started, and that this address can be reached from every machine"
        ) from error
    store.set_timeout(patience)
    return store, rank, size


def _again_and_again(attempt: Callable[[], T]) -> T:
    """What the attempt returns; what it raised last where none succeeds in time."""
    from torch.distributed import DistError

    began, has_said = time.monotonic(), False
    while True:
        try:
            return attempt()
        except (DistError, OSError):
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
