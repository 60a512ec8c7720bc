"""Ctrl-C on `penchant judge` while a server is silent: it ends at once, and little is asked again."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

path = Path(__file__).resolve().parents[1] / "evaluation" / "fake_endpoint.py"
spec = importlib.util.spec_from_file_location("fake_endpoint", path)
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

GUARD = 60
CONCURRENCY = 3
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
from penchant.cli.main import main
main()
"""


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_a_silent_server_and_what_was_answered_is_not_asked_again(penchant, tmp_path):
    released = threading.Event()
    rows = [
        {
            "id": str(i),
            "prompt": [{"role": "user", "content": f"Ask {i}."}],
            "a": {"text": "short"},
            "b": {"text": "rather longer"},
        }
        for i in range(12)
    ]
    samples, output = tmp_path / "samples.jsonl", tmp_path / "votes.jsonl"
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def silent_on_one(body):
        if "Ask 2." in body["messages"][-1]["content"]:
            released.wait(3 * GUARD)
        return fake.shorter(body)

    with fake.fake_endpoint(silent_on_one) as server:
        call = ["judge", samples, "--judge", server.base, "--judge-model", "m", "--concurrency", str(CONCURRENCY)]
        call += ["--output", output]
        command = [sys.executable, "-c", PROGRAM, *map(str, call), "--timeout", str(2 * GUARD)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            try:
                until = time.monotonic() + GUARD
                while len(server.asked) < 2 * 11 + 1 and process.poll() is None and time.monotonic() < until:
                    time.sleep(0.005)
                time.sleep(1)  # what was asked last is answered by now
                process.send_signal(signal.SIGINT)
                code = process.wait(GUARD)
                said = process.stderr.read()
                assert code == 130, said
                assert "Traceback" not in said
            finally:
                process.kill()
        released.set()
        assert not output.exists()
        num_kept = (tmp_path / ".votes.jsonl.answering").read_text(encoding="utf-8").count("\n")
        assert num_kept >= 12 - CONCURRENCY
        assert f"penchant: interrupted, {num_kept} of 12 answers are kept; continue with --resume\n" in said
        server.reply, server.asked[:] = fake.shorter, []
        resumed = penchant(*call, "--resume")
        assert resumed.code == 0, resumed.err
    assert 2 <= len(server.asked) <= 2 * CONCURRENCY
    votes = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [(vote["id"], vote["outcome"]) for vote in votes] == [(str(i), "a") for i in range(12)]
