"""Several calls at once: every result, the first error after what was finished, and nobody waited for at the end."""

import threading
from contextlib import closing

import pytest

from penchant.evaluation.judges.concurrent_calls import call_concurrently

GUARD = 20


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "call_concurrently"]


def finish():
    for thread in threads():
        thread.join(GUARD)
    assert threads() == []


@pytest.mark.parametrize("num_threads", [1, 3, 50])
def test_every_result_comes_with_its_place(num_threads):
    found = list(call_concurrently(lambda item, stop: item * item, range(20), num_threads))
    assert sorted(found) == [(i, i * i) for i in range(20)]
    finish()


def test_nothing_to_do_is_done():
    assert list(call_concurrently(lambda item, stop: item, [], 4)) == []


def test_a_slow_call_holds_up_no_other():
    others = threading.Event()

    def call(item, stop):
        if item == 0:
            assert others.wait(GUARD)
        return item

    places = []
    for place, _ in call_concurrently(call, range(10), 2):
        places.append(place)
        if len(places) == 9:
            others.set()
    assert places == [*range(1, 10), 0]


def test_an_error_begins_nothing_more():
    begun = []

    def call(item, stop):
        begun.append(item)
        if item == 2:
            raise KeyError("two")
        if item == 3:
            assert stop.wait(GUARD)
        return item

    with pytest.raises(KeyError, match="two"):
        for _ in call_concurrently(call, range(100), 1):
            pass
    finish()
    assert begun in ([0, 1, 2], [0, 1, 2, 3])  # one may be begun before the error is heard


def test_what_was_finished_while_nobody_listened_is_not_lost_to_an_error():
    stops = []

    def call(item, stop):
        stops.append(stop)
        if item == 1:
            raise KeyError("one")
        return item

    results = call_concurrently(call, range(4), 1)
    assert next(results) == (0, 0)
    finish()  # the only thread has ended, with all four behind it
    assert next(results) == (2, 2)
    assert stops[0].is_set()  # the error was heard
    assert next(results) == (3, 3)
    with pytest.raises(KeyError, match="one"):
        next(results)


def test_whoever_stops_listening_sets_stop_and_waits_for_nobody():
    silent, seen = threading.Event(), []

    def call(item, stop):
        if item:
            seen.append(stop)
            silent.wait(GUARD)
        return item

    with closing(call_concurrently(call, range(100), 3)) as results:
        next(results)
        assert threads()
        assert all(thread.daemon for thread in threads())  # the interpreter does not wait for them either
    assert not silent.is_set()
    assert all(stop.is_set() for stop in seen)
    silent.set()
    finish()
    assert len(seen) <= 3
