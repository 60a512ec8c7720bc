"""Progress from Python: bars on standard error, nothing, or one's own object."""

import pytest

from penchant.progress import Bars, Lines, Silent, reporter_of


def test_true_is_bars_false_is_silence_and_an_object_is_itself():
    mine = Silent()
    assert isinstance(reporter_of(True), Bars)
    assert isinstance(reporter_of(False), Silent)
    assert reporter_of(mine) is mine


@pytest.mark.parametrize("progress", [True, False])
def test_standard_output_stays_free_of_it(capsys, progress):
    reporter = reporter_of(progress)
    reporter.say("2 rows are left out")
    for done in range(5):
        reporter.progress("training", done, 4, {"loss": 0.6931})
    reporter.progress("nothing", 0, 0, {})
    out, err = capsys.readouterr()
    assert out == ""
    assert ("2 rows are left out" in err) is progress
    assert ("training: 100%" in err and "4/4" in err and "loss=0.693" in err) is progress


def test_what_is_done_twice_has_a_bar_each_time(capsys):
    bars = Bars()
    for _ in range(2):
        for done in range(3):
            bars.progress("reference", done, 2, {})
    assert capsys.readouterr().err.count("2/2") == 2


def test_where_nobody_knows_how_much_there_is_lines_and_bars_count(capsys, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("penchant.progress.time.monotonic", lambda: next(clock))
    for reporter in (Lines(), Bars()):
        for done in range(1, 1_200, 200):
            reporter.progress("tokens", done, None, {})
        reporter.progress("tokens", 1_200, 1_200, {})
        said = capsys.readouterr().err
        assert "tokens 401\n" in said or "tokens: 1it" in said
        assert "1200/1200" in said
