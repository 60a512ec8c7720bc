"""A lock: one holder at a time, none left behind, and freed by the system when its holder is killed."""

import subprocess
import sys

import pytest

from penchant.errors import OutputError
from penchant.files import lock as exclusive_module
from penchant.files.lock import exclusive

HOLDER = """
import sys, time
from pathlib import Path
from penchant.files.lock import exclusive
with exclusive(Path(sys.argv[1]), "held"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / ".lock"


def test_a_second_holder_is_refused_until_the_first_lets_go(lock):
    for _ in range(2):
        with exclusive(lock, "first"):
            with pytest.raises(OutputError, match="wait for it"), exclusive(lock, "wait for it"):
                pass
            assert lock.exists()
        assert not lock.exists()


def test_a_fault_under_the_lock_frees_it(lock):
    with pytest.raises(KeyError), exclusive(lock, "held"):
        raise KeyError
    with exclusive(lock, "held"):
        pass


def test_a_lock_of_a_file_that_its_holder_has_just_removed_is_none(lock, monkeypatch):
    real, calls = exclusive_module.fcntl.flock, []

    def late(file, operation):
        calls.append(file)
        real(file, operation)
        if len(calls) == 1:
            lock.unlink()  # the holder did so between our open and our lock

    monkeypatch.setattr(exclusive_module.fcntl, "flock", late)
    with exclusive(lock, "held"):
        assert len(calls) == 2
        with pytest.raises(OutputError), exclusive(lock, "held"):
            pass


def test_a_lock_file_that_took_the_place_of_ours_is_left_alone(lock):
    with exclusive(lock, "held"):
        lock.unlink()
        lock.write_text("another's")
    assert lock.read_text() == "another's"


def test_where_there_are_no_locks_nothing_is_refused(lock, monkeypatch):
    def unsupported(file, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(exclusive_module.fcntl, "flock", unsupported)
    with exclusive(lock, "held"), exclusive(lock, "held"):
        pass
    monkeypatch.setattr(exclusive_module, "fcntl", None)
    with exclusive(lock, "held"), exclusive(lock, "held"):
        assert not lock.exists()


@pytest.mark.slow
def test_a_killed_holder_holds_nothing(lock):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(OutputError, match="wait"), exclusive(lock, "wait"):
                pass
        finally:
            holder.kill()
    assert lock.exists()
    with exclusive(lock, "held"):
        pass
    assert not lock.exists()
