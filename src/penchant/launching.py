"""Restart a command as several processes on this machine, with torchrun's launcher."""

from __future__ import annotations

import logging
import os
import signal
import sys

from penchant.errors import ConfigError, TrainingError
from penchant.process import RESTARTS, num_processes

__all__ = ["launch"]

SECONDS_TO_END = 600
"""Seconds for the processes to finish a step and save after a signal."""


def launch(processes: int, max_restarts: int = 0, afterwards: str = "continue with `resume=True`") -> None:
    """Run the current command in this many processes and exit with their code; returns inside these processes.

    If one is killed, all restart up to `max_restarts` times, and resume from the newest checkpoint. One that exits by
    itself, for example after a user error, has reported it and would fail again. afterwards: advice for the user.
    """
    if num_processes() > 1:
        return
    if processes == 1:
        if max_restarts:
            raise ConfigError("`max_restarts=...` has no effect without `processes=...`; give both, or leave it out")
        return
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # ranks report their own errors
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    codes: list[int] = []
    for restarts in range(max_restarts + 1):
        os.environ[RESTARTS] = str(restarts)
        codes = _codes_of_failed(processes)
        codes = [code for code in codes if code != -signal.SIGTERM] or codes  # so the launcher ends the others
        if not codes or min(codes) > 0:
            sys.exit(max(codes, default=0))
    name = signal.Signals(-min(codes)).name
    raise TrainingError(f"a process of the run was ended by the signal {name}; {afterwards}")


def _codes_of_failed(processes: int) -> list[int]:
    """Run all processes until they end, or the first fails; negative codes are signals.

    Each attempt has its own rendezvous: with torch 2.13, restarted processes would share the store of the previous
    attempt, with the addresses of dead processes.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        run_id="penchant",
        max_restarts=0,
        shutdown_timeout=SECONDS_TO_END,
    )
    try:
        elastic_launch(config, sys.executable)(*sys.orig_argv[1:])
    except SignalException as stopped:
        sys.exit(128 + stopped.sigval)
    except ChildFailedError as failed:
        return [failure.exitcode for failure in failed.failures.values()]
    return []
