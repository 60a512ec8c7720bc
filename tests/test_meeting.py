"""How the processes of a run find each other, and how one ends to which no other comes."""

import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from penchant import meeting
from penchant.errors import ConfigError

PATIENCE = timedelta(minutes=1)


@pytest.fixture
def called(monkeypatch):
    """`called(rank)`: this process is that one of two, at a port where nobody listens yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(rank):
        here = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        for name, value in here.items():
            monkeypatch.setenv(name, value)
        return port

    monkeypatch.setattr(meeting, "AT_ONCE", timedelta(seconds=0.2))
    return call


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("rank", [0, 1])
def test_one_to_which_no_other_comes_says_where_it_waited_and_what_to_check(called, monkeypatch, capfd, rank):
    port = called(rank)
    monkeypatch.setattr(meeting, "MINUTES", 0.02)
    monkeypatch.setattr(meeting, "SECONDS_BEFORE_A_WORD", 0.0)
    with pytest.raises(
        ConfigError, match=rf"2 processes of the run did not find each other at 127.0.0.1:{port} .* all were started"
    ):
        meeting.meet(PATIENCE)
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"waiting for the other processes of the run at 127.0.0.1:{port}")


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_ends_the_waiting(called, rank):
    called(rank)

    def stop(_signal, _frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, stop)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            meeting.meet(PATIENCE)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def test_where_to_meet_must_be_known(called, monkeypatch):
    called(1)
    monkeypatch.delenv("MASTER_PORT")
    with pytest.raises(ConfigError, match=r"did not find each other at 127.0.0.1:no port"):
        meeting.meet(PATIENCE)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("late", [0, 2])
def test_three_meet_whoever_comes_last_and_the_store_then_waits_longer_than_the_meeting(called, late):
    asked = (
        "import sys, time; from datetime import timedelta; from penchant.meeting import meet; time.sleep({}); "
        "store, rank, size = meet(timedelta(seconds=77)); print(rank, size, store.timeout.total_seconds()); "
        "store.set(f'done {{rank}}', ''); store.wait(['done 0', 'done 1', 'done 2'])"
    )
    processes = []
    for rank in range(3):
        called(rank)
        words = [sys.executable, "-c", asked.format(4 if rank == late else 0)]
        environment = os.environ | {"WORLD_SIZE": "3"}
        processes.append(subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    said = [process.communicate(timeout=60) for process in processes]
    assert said == [(f"{rank} 3 77.0\n".encode(), b"") for rank in range(3)]
