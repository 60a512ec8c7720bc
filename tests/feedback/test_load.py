"""Many vote at once while the server is killed: no acknowledged vote is lost or counted twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "annotation_load.py"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_fifty_annotators_lose_nothing_when_the_server_is_killed(request, kind):
    options = ["--seconds", "10", "--kill-after", "4", "--tasks", "2000", "--overlap", "3", "--json"]
    if kind == "postgres":
        options += ["--database", request.getfixturevalue("new_postgres_database")()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENCHANT_")}
    command = [sys.executable, str(SCRIPT), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    assert found["acknowledged"] > 50
    assert found["resent"] > 0  # the kill was felt
    assert (found["lost"], found["doubled"], found["over_overlap"]) == (0, 0, 0)
    assert found["refused"] == []
