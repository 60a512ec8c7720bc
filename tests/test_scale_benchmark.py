"""benchmarks/scale.py on a few rows: what it takes from the library is still there, and its table is whole."""

import subprocess
import sys
from pathlib import Path

import pytest

SCALE = Path(__file__).resolve().parents[1] / "benchmarks" / "scale.py"


@pytest.mark.slow(threads=1)
def test_each_asked_row_is_measured_at_each_size(tmp_path):
    what = ["dpo, start from tokens", "penchant rank, csv"]
    sizes = ["--tokens", "300", "--votes", "400", "500"]
    command = [sys.executable, str(SCALE), *sizes, "--folder", str(tmp_path), "--only", *what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    table = [[cell.strip() for cell in line.split("|")[1:3]] for line in done.stdout.splitlines() if line[:1] == "|"]
    assert table[2:] == [
        ["dpo, start from tokens", "300"],
        ["penchant rank, csv", "400"],
        ["penchant rank, csv", "500"],
    ]
