"""A command in several processes is started again where one of them was killed, and only then."""

import os

import pytest

from penchant import launching
from penchant.errors import ConfigError, TrainingError

KILLED, ENDED, USERS_MISTAKE, FAULT = -9, -15, 2, 1


@pytest.fixture
def launched(monkeypatch):
    """`launched(codes, max_restarts)`: how the command ends where its processes end so each time, and the restarts."""
    monkeypatch.setenv("PENCHANT_RESTARTS", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def launch(codes, max_restarts):
        left, restarts = list(codes), []

        def run(processes):
            restarts.append(int(os.environ["PENCHANT_RESTARTS"]))
            return left.pop(0)

        monkeypatch.setattr(launching, "_codes_of_failed", run)
        with pytest.raises((SystemExit, TrainingError)) as ended:
            launching.launch(2, max_restarts)
        return getattr(ended.value, "code", str(ended.value)), restarts

    return launch


def test_what_ended_by_itself_is_not_started_again(launched):
    assert launched([[]], 3) == (0, [0])
    assert launched([[USERS_MISTAKE, USERS_MISTAKE]], 3) == (USERS_MISTAKE, [0])
    assert launched([[FAULT]], 3) == (FAULT, [0])
    assert launched([[USERS_MISTAKE, ENDED]], 3) == (USERS_MISTAKE, [0])


def test_what_was_killed_is_started_again_as_often_as_asked_for(launched):
    assert launched([[KILLED, FAULT], [KILLED], []], 3) == (0, [0, 1, 2])
    assert launched([[KILLED], [USERS_MISTAKE]], 3) == (USERS_MISTAKE, [0, 1])
    why, restarts = launched([[KILLED], [KILLED, FAULT]], 1)
    assert why == "a process of the run was ended by the signal SIGKILL; continue with `resume=True`"
    assert restarts == [0, 1]


def test_restarts_of_one_process_are_refused_and_one_of_several_starts_no_more(monkeypatch):
    with pytest.raises(ConfigError, match="has no effect without"):
        launching.launch(1, 1)
    launching.launch(1, 0)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    launching.launch(2, 1)
