"""Through all points: none is done twice, and none that was measured is lost, however the process ends."""

import os
import signal
import time
import warnings

import pytest

from penchant.errors import OutputError
from penchant.studies.going import go_through
from penchant.studies.points import read_points


@pytest.fixture
def points(point):
    return [point("dpo", strength, seed) for strength in (0.1, 1) for seed in (0, 1)]


@pytest.fixture
def go(points, measured, tmp_path):
    """`go(points, work)`; points that are worked on are remembered in `go.done`."""

    def through(which=points, work=lambda point: None, facts=lambda point: dict(point.settings)):
        def measure(point):
            work(point)
            through.done.append(point.name)
            return measured(1, 1, name=point.name).__class__(
                **{**measured(1, 1).__dict__, "point": point.name, "facts": facts(point)}
            )

        return go_through(which, facts, measure, tmp_path / "points.jsonl")

    through.done, through.file = [], tmp_path / "points.jsonl"
    return through


def test_a_study_that_broke_off_goes_on_behind_its_last_point(go, points):
    def breaks(point):
        if len(go.done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(work=breaks)
    assert list(read_points(go.file)) == [point.name for point in points[:2]]
    found = go()
    assert go.done == [point.name for point in points]
    assert found == go() == list(read_points(go.file).values())
    assert go.done == [point.name for point in points]


def test_a_kill_loses_no_point_that_was_measured(go, points):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this process has threads; the child does nothing with them
        child = os.fork()
    if child == 0:
        try:
            go(work=lambda point: time.sleep(60 * (len(go.done) == 3)))
        finally:
            os._exit(1)
    while not (go.file.exists() and len(go.file.read_text().splitlines()) == 3):
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert len(go()) == 4
    assert go.done == [points[3].name]


def test_more_points_can_be_asked_for_later_and_those_not_asked_for_stay(go, points):
    go(points[:2])
    assert len(go(points[1:3])) == 2
    assert go.done == [point.name for point in points[:3]]
    assert len(read_points(go.file)) == 3


def test_a_point_of_the_same_name_with_other_settings_is_refused_and_named(go):
    go()
    with pytest.raises(OutputError, match=r"dpo-0.1-seed-0 was trained with other settings \(rate: None then, 2 now\)"):
        go(facts=lambda point: {**point.settings, "rate": 2})


def test_a_line_that_holds_no_point_is_named(go):
    go()
    text = go.file.read_text()
    go.file.write_text(text[: len(text) // 2])
    with pytest.raises(OutputError, match=r"points.jsonl:\d: is not a measurement"):
        go()
