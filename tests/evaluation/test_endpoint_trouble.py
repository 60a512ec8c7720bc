"""Trouble that may pass is met again, for as long as the server asks; what will not pass is said at once."""

import importlib.util
import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from penchant.errors import ConfigError
from penchant.evaluation.judges import chat_completions
from penchant.evaluation.judges.chat_completions import ATTEMPTS, Endpoint, Refused, Stopped

spec = importlib.util.spec_from_file_location("fake_endpoint", Path(__file__).with_name("fake_endpoint.py"))
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

KEY = "sk-secret-'0123456789"
GOOD = json.dumps({"choices": [{"message": {"content": "TIE"}}]})


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(chat_completions, "FIRST_PAUSE", 0.0)


class Clock(threading.Event):
    """A stop that is never set and lets no time pass; it keeps the pauses."""

    def __init__(self):
        super().__init__()
        self.pauses = []

    def wait(self, timeout=None):
        self.pauses.append(timeout)
        return False


def after(*troubles):
    left = list(troubles)
    return lambda body: left.pop(0) if left else "TIE"


@pytest.mark.parametrize(
    "trouble",
    [
        (200, '{"choices": [{"mess', {"Content-Length": "500"}),
        (200, GOOD, {"Content-Length": str(len(GOOD) + 1)}),
        (200, "", {"Content-Length": "500"}),
        (200, f"{len(GOOD):x}\r\n{GOOD}", {"Transfer-Encoding": "chunked"}),
        (200, "<html>back soon</html>", {}),
        (200, '{"error": "overloaded"}', {}),
        (200, "[" * 100_000, {}),
        (200, "", {}),
    ],
    ids=["torn", "whole but short", "nothing of it", "torn chunk", "a page", "an error", "brackets", "empty"],
)
def test_an_answer_that_broke_off_or_is_none_is_asked_for_again(trouble):
    with fake.fake_endpoint(after(trouble)) as server:
        assert Endpoint(server.base, "judge-1").complete([]) == "TIE"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ((200, f"<html>\n{KEY}</html>", {}), r"it answered: <html> \*\*\*</html>"),
        ((200, "12345", {"Content-Length": "9"}), "only 5 of the 9 bytes of its answer arrived"),
        ((200, "5\r\n123", {"Transfer-Encoding": "chunked"}), "its answer broke off"),
    ],
)
def test_an_answer_that_stays_unreadable_is_said_to_be_in_another_protocol_with_what_it_was(trouble, said):
    with (
        fake.fake_endpoint(lambda body: trouble) as server,
        pytest.raises(ConfigError, match=f"as an OpenAI-compatible endpoint does, in {ATTEMPTS} attempts .{said}") as e,
    ):
        Endpoint(server.base, "judge-1", KEY).complete([])
    assert len(server.asked) == ATTEMPTS
    assert KEY not in str(e.value)


@pytest.mark.parametrize("code", [408, 409, 425, 429, 500, 501, 503, 507, 520, 524, 529, 599])
def test_a_server_in_trouble_is_asked_again(code):
    with fake.fake_endpoint(after((code, "busy", {}))) as server:
        assert Endpoint(server.base, "judge-1").complete([]) == "TIE"
    assert len(server.asked) == 2


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_question_that_is_refused_is_not_asked_again(code):
    too_long = (code, '{"error": {"message": "too \\ud800 long"}}', {})
    with (
        fake.fake_endpoint(lambda body: too_long) as server,
        pytest.raises(Refused, match="the server refused the request") as e,
    ):
        Endpoint(server.base, "judge-1").complete([])
    assert e.value.why == f"HTTP {code}: too ? long"
    assert len(server.asked) == 1


def in_seconds(seconds):
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("30", 30, 30),
        (lambda: in_seconds(30), 28, 30),
        (lambda: in_seconds(30).replace("GMT", "-0000"), 28, 30),
        (lambda: in_seconds(3600), 60, 60),
        ("3600", 60, 60),
        ("inf", 60, 60),
        (lambda: in_seconds(-3600), 4, 4),  # over by now, so our own pause
        *[(odd, 4, 4) for odd in ("nan", "-5", "0", "soon", "Wed, 99 Oct 2015", f"Mon, 5 Jan 2026 00:00:00 +{10**30}")],
    ],
)
def test_a_pause_that_the_server_asks_for_is_kept_in_either_form_up_to_a_minute(monkeypatch, header, least, most):
    monkeypatch.setattr(chat_completions, "FIRST_PAUSE", 4.0)
    clock = Clock()
    busy = (429, "slow down", {"Retry-After": header() if callable(header) else header})
    with fake.fake_endpoint(after(busy)) as server:
        assert Endpoint(server.base, "judge-1").complete([], clock) == "TIE"
    [pause] = clock.pauses
    assert least <= pause <= most * 1.25


def test_once_stop_is_set_nothing_more_is_sent():
    stop = threading.Event()

    def busy(body):
        stop.set()
        return 500, "down", {}

    with fake.fake_endpoint(busy) as server:
        for num_asked in (1, 1):
            with pytest.raises(Stopped):
                Endpoint(server.base, "judge-1").complete([], stop)
            assert len(server.asked) == num_asked
