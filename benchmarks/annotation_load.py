"""Fifty annotators who vote as fast as the server lets them: how long a vote takes, and whether one is ever lost.

Makes a project with generated pairs and invited annotators, serves it with `penchant annotate`, lets voting_client.py
vote, and compares what was acknowledged with what the database holds. With --kill-after the server is killed with
signal 9 in the middle and started again. Exit code 1 when a vote was lost or doubled, or a pair got too many answers.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from common import HERE, machine, table
from penchant.data.records import Candidate, Comparison, Message
from penchant.feedback import Project, Store

LETTERS = "etaoinshrdlu"
WORDS = ["".join(letters) for letters in itertools.product(LETTERS[:8], LETTERS[4:], LETTERS)][::7]


def comparisons(num_tasks: int, seed: int = 0) -> Iterator[Comparison]:
    """Pairs of the length of chat: a question of about 40 words, two answers of about 80, some with Markdown."""
    rng = random.Random(seed)

    def sentence(num_words: int) -> str:
        return " ".join(rng.choices(WORDS, k=num_words)).capitalize() + "."

    def answer() -> str:
        parts = [sentence(rng.randint(8, 40)) for _ in range(3)]
        if rng.random() < 0.3:
            parts[1] = "\n".join(f"- **{rng.choice(WORDS)}**: {sentence(9)}" for _ in range(3))
        return "\n\n".join(parts)

    for i in range(num_tasks):
        prompt = (Message(role="user", content=sentence(rng.randint(10, 70))),)
        yield Comparison(id=f"task-{i}", prompt=prompt, a=Candidate(text=answer()), b=Candidate(text=answer()))


def make_project(folder: Path, options: argparse.Namespace) -> list[str]:
    """A project with its pairs; returns a token for each annotator."""
    settings = {"overlap": options.overlap, "database": options.database}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "project.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    with Store.open(Project.open(folder)) as store:
        began = time.perf_counter()
        store.add_tasks(comparisons(options.tasks), origin="generated")
        say(f"{options.tasks} pairs stored in {time.perf_counter() - began:.1f} s")
        return [store.invite(f"annotator {i}").token for i in range(options.annotators)]


class Server:
    """`penchant annotate` in a process of its own, always on the same port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.log = (folder / "server.log").open("ab")
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "penchant", "annotate", str(self.folder), "--port", str(self.port)]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment)
        line = self.process.stdout.readline()
        self.base = re.search(r"(http\S+)/join/", line)[1]

    def stop(self, kind: signal.Signals) -> None:
        self.process.send_signal(kind)
        self.process.wait(30)
        self.process.stdout.close()


def vote(server: Server, tokens: list[str], seconds: float, kill_after: float | None) -> dict[str, Any]:
    """The client's result; the server is killed and started again on the way if so asked."""
    client = subprocess.Popen(
        [sys.executable, str(HERE / "voting_client.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    links = [f"{server.base}/join/{token}" for token in tokens]
    client.stdin.write(json.dumps({"links": links, "seconds": seconds}) + "\n")
    client.stdin.flush()
    client.stdout.readline()
    if kill_after is not None:
        time.sleep(kill_after)
        server.stop(signal.SIGKILL)
        server.start()
        say(f"server killed after {kill_after:g} s, and started again")
    result, _ = client.communicate()
    return json.loads(result)


def check(folder: Path, overlap: int, acknowledged: list[str]) -> dict[str, int]:
    """What the database holds against what was acknowledged; the client never changes an answer."""
    with Store.open(Project.open(folder)) as store:
        stored = list(store.comparisons(current=False))
        current = list(store.comparisons())
    keys = Counter(comparison.meta["answer"]["key"] for comparison in stored)
    votes = Counter((comparison.annotator, comparison.id) for comparison in stored)
    return {
        "acknowledged": len(acknowledged),
        "stored": len(stored),
        "lost": len(set(acknowledged) - keys.keys()),
        "doubled": sum(keys.values()) - len(keys) + sum(votes.values()) - len(votes),
        "over_overlap": sum(num > overlap for num in Counter(c.id for c in current).values()),
    }


def quantiles(milliseconds: list[float]) -> dict[str, float]:
    """p50, p95, p99 and the longest."""
    ordered = sorted(milliseconds) or [float("nan")]
    at = {f"p{percent}": ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] for percent in (50, 95, 99)}
    return at | {"max": ordered[-1]}


def show(result: dict[str, Any], facts: dict[str, Any]) -> None:
    """The tables."""
    rows = [
        [name, str(len(result[f"{name}_ms"])), *(f"{value:.1f}" for value in quantiles(result[f"{name}_ms"]).values())]
        for name in ("votes", "nexts")
    ]
    print(table(["ms", "requests", "p50", "p95", "p99", "max"], rows))
    print()
    print(table(["votes/s", *facts], [[f"{result['rate']:.0f}", *map(str, facts.values())]]))
    if result["resent"] or result["refused"]:
        print(f"\nsent again {result['resent']}, refused {len(result['refused'])}: {result['refused'][:2]}")
    facts_of = machine()
    python = f"Python {platform.python_version()}"
    print(f"\n{facts_of['processor']}, {facts_of['cores']} cores, {facts_of['system']}, {python}", end="; ")
    print(f"load average before {result['load_before']:.1f}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--annotators", type=int, default=50)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--overlap", type=int, default=3)
    parser.add_argument("--database", help="an SQLAlchemy URL of an empty database; without it a SQLite file")
    parser.add_argument("--kill-after", type=float, help="kill the server with signal 9 after so many seconds")
    parser.add_argument("--folder", type=Path, help="keep the project here instead of in a temporary folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser.parse_args()


def main() -> int:
    options = parsed()
    load_before = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="votes-")))
        tokens = make_project(folder, options)
        server = Server(folder)
        try:
            result = vote(server, tokens, options.seconds, options.kill_after)
        finally:
            server.stop(signal.SIGTERM)
        facts = check(folder, options.overlap, result["acknowledged"])
    result |= {"rate": len(result["acknowledged"]) / result["seconds"], "load_before": load_before}
    if options.json:
        times = {name: quantiles(result.pop(f"{name}_ms")) for name in ("votes", "nexts")}
        print(json.dumps({name: result[name] for name in ("rate", "resent", "refused")} | times | facts))
    else:
        show(result, facts)
    return 1 if facts["lost"] or facts["doubled"] or facts["over_overlap"] else 0


if __name__ == "__main__":
    sys.exit(main())
