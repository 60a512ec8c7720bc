"""`penchant plan` prints the plan, and its exit code says whether it fits."""

import json

import pytest

from penchant.models import devices


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"Once {i}", "chosen": " upon a time", "rejected": " there"} for i in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.slow(threads=1)
def test_a_plan_is_printed_and_a_device_that_is_too_small_is_exit_code_1(penchant, pairs, stories260k, monkeypatch):
    asked = ("plan", "-m", stories260k, "-d", pairs, "--chat-template", "plain", "--device")
    found = penchant(*asked, "h100", "--processes", "2")
    assert found.code == 0
    assert "GB  activations" in found.out
    assert "of 80.0 GB on each of 2" in found.out
    monkeypatch.setitem(devices.DEVICES, "small", devices.Device("small", 1e6, 1e12, 1e12, 1e-6, None, "made up"))
    small = penchant(*asked, "small", "--json")
    assert small.code == 1
    assert json.loads(small.out)["proposals"]


def test_a_task_that_is_none_is_refused(penchant, pairs):
    found = penchant("plan", "-d", pairs, "--task", "rlhf")
    assert found.code == 2
    assert "task must be one of dpo, sft, reward, got 'rlhf'" in found.err
