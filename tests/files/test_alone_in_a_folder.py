"""Two commands in one folder: the second is refused, and neither leaves anything that was not there."""

import os
import signal
import subprocess
import sys

import pytest

from penchant.errors import OutputError
from penchant.files.lock import LOCK, alone_in

WORK = "`penchant round`"
TAKEN = "another `penchant round` is at work in this folder; wait until it ends"


def test_the_second_is_refused_until_the_first_has_ended(tmp_path):
    with alone_in(tmp_path, WORK), pytest.raises(OutputError, match=TAKEN), alone_in(tmp_path, WORK):
        pass
    with alone_in(tmp_path, WORK):
        pass


def test_the_lock_ends_with_a_killed_process_and_is_not_inherited_by_its_child(tmp_path):
    (tmp_path / "round-1").mkdir()
    source = f"""
import subprocess, sys, time
from pathlib import Path
from penchant.files.lock import alone_in
with alone_in(Path({str(tmp_path)!r}), {WORK!r}):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    with pytest.raises(OutputError, match=TAKEN), alone_in(tmp_path, WORK):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    try:
        with alone_in(tmp_path, WORK):
            assert (tmp_path / LOCK).is_file()
    finally:
        os.kill(child, signal.SIGKILL)


def test_where_no_round_begins_nothing_is_left_that_was_made(tmp_path):
    new = tmp_path / "a" / "b"
    with pytest.raises(ZeroDivisionError), alone_in(new, WORK):
        raise ZeroDivisionError
    assert not (tmp_path / "a").exists()
    (tmp_path / "notes.txt").write_text("mine")
    with alone_in(tmp_path, WORK):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_where_a_round_begins_its_folder_stays(tmp_path):
    with alone_in(tmp_path / "new", WORK):
        (tmp_path / "new" / "round-1").mkdir()
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"round-1"}


def test_a_place_that_cannot_be_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(OutputError, match="file: is a file; `penchant round` needs a folder of its own"),
        alone_in(tmp_path / "file", WORK),
    ):
        pass
    with (
        pytest.raises(OutputError, match="file/wheel: `penchant round` cannot write here"),
        alone_in(tmp_path / "file" / "wheel", WORK),
    ):
        pass
