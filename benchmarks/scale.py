"""What reading, checking, training's start and ranking take on large files: seconds, MB/s and peak memory by size.

Makes preference pairs of the length of chat and votes on models, both seeded, and measures every row of the table in a
process of its own: beside Penchant's reading, plain `json.loads` of the same lines, which keeps nothing. MB/s are of
processor time, so that what else the machine does changes them little; a command may use all cores, and has seconds on
the clock as well. A function added to MEASURED is a further row.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import scale_training
from common import HERE, machine, peak_bytes, table

LETTERS = "etaoinshrdlu"
WORDS = ["".join(letters) for letters in itertools.product(LETTERS[:8], LETTERS[4:], LETTERS)][::7]
WORDS += ["caf\u00e9", '"so"', "na\u00efve", "\u2013", "\u00fcber", "it's"]
MODELS = [f"model-{number}" for number in range(60)]


def pairs(num: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """A question of about 70 words and two answers of about 130 each, as JSON some 1.5 kB."""
    rng = random.Random(seed)

    def text(num_sentences: int) -> str:
        sentences = (
            " ".join(rng.choices(WORDS, k=rng.randint(8, 30))).capitalize() + "." for _ in range(num_sentences)
        )
        return "\n\n".join(sentences)

    for _ in range(num):
        yield {
            "prompt": text(rng.randint(2, 5)),
            "chosen": text(rng.randint(4, 9)),
            "rejected": text(rng.randint(4, 9)),
        }


def votes(num: int, seed: int = 0) -> Iterator[tuple[str, str, str]]:
    """Two models and which of them won; 10% ties, 5% that both were bad."""
    rng = random.Random(seed)
    for _ in range(num):
        left, right = rng.sample(range(len(MODELS)), 2)
        drawn, better = rng.random(), "model_a" if rng.random() * (left + right) < left else "model_b"
        winner = "tie" if drawn < 0.1 else "tie (bothbad)" if drawn < 0.15 else better
        yield MODELS[left], MODELS[right], winner


def write_pairs(path: Path, num: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in pairs(num))


def write_votes(path: Path, num: int) -> None:
    names = ("model_a", "model_b", "winner")
    with path.open("w", encoding="utf-8") as file:
        if path.suffix == ".csv":
            file.write(",".join(names) + "\n")
            file.writelines(",".join(row) + "\n" for row in votes(num))
        else:
            file.writelines(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in votes(num))


def plain_json(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            json.loads(line)


def read(path: Path) -> None:
    """Every record with its verdict, one after the other."""
    from penchant.data import reading_of

    for _ in reading_of("pairs", path):
        pass


def load(path: Path) -> None:
    """The same, all of them kept."""
    from penchant.data import load_pairs

    load_pairs(path)


def check(path: Path) -> None:
    _penchant("check", str(path), "--num-examples", "0")


def rank(path: Path) -> None:
    _penchant("rank", str(path))


def _penchant(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "penchant", *arguments], check=True, stdout=subprocess.DEVNULL)


MEASURED: Mapping[str, tuple[str, Callable[[Path], None]]] = {
    "json.loads": ("pairs", plain_json),
    "reading records": ("pairs", read),
    "load_pairs": ("pairs", load),
    "penchant check": ("pairs", check),
    "tokenizer alone": ("pairs", scale_training.tokenizer_alone),
    "tokenising": ("pairs", scale_training.tokenise),
    "dpo, first start": ("pairs", scale_training.first_start),
    "dpo, later start": ("pairs", scale_training.later_start),
    "dpo, start from tokens": ("tokens", scale_training.start_from_tokens),
    "reference, planned": ("tokens", scale_training.plan_reference),
    "penchant rank, jsonl": ("votes.jsonl", rank),
    "penchant rank, csv": ("votes.csv", rank),
}
"""Rows of the table: on which file, and what."""


def measure(name: str, path: Path) -> dict[str, float]:
    """In this process: seconds on the clock and of the processor, and the most memory that was held."""
    began = time.perf_counter()
    MEASURED[name][1](path)
    clock = time.perf_counter() - began
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = sum(one.ru_utime + one.ru_stime for one in (own, children))
    unit = 1 if sys.platform == "darwin" else 1024
    return {"clock": clock, "cpu": cpu, "memory": max(peak_bytes(), children.ru_maxrss * unit)}


def in_a_process_of_its_own(name: str, path: Path) -> dict[str, float]:
    command = [sys.executable, str(HERE / "scale.py"), "--measure", name, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


WRITTEN: Mapping[str, Callable[[Path, int], None]] = {
    "pairs": write_pairs,
    "tokens": scale_training.write_store,
    "votes.jsonl": write_votes,
    "votes.csv": write_votes,
}
"""What makes a file, or a folder, of so many rows."""


def files(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, int, Path]]:
    """(what is in it, rows, path) of every file that is asked for, which is made where it is not there."""
    asked = {MEASURED[what][0] for what in options.only}
    for kind in filter(asked.__contains__, WRITTEN):
        for size in getattr(options, kind.partition(".")[0]):
            path = folder / (f"{size}-{kind}.jsonl" if kind == "pairs" else f"{size}-{kind}")
            if not path.exists():
                WRITTEN[kind](path, size)
            yield kind, size, path


def num_bytes(path: Path) -> int:
    """Of a file, or of all in a folder."""
    return sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))


def rows(found: list[dict[str, Any]]) -> Iterator[list[str]]:
    """As the table has them: the memory beside that at the first size."""
    first: dict[str, float] = {}
    for one in found:
        base = first.setdefault(one["what"], one["memory"])
        yield [
            one["what"],
            f"{one['rows']:,}",
            f"{one['bytes'] / 1e6:.0f}",
            f"{one['clock']:.1f}",
            f"{one['cpu']:.1f}",
            f"{one['bytes'] / 1e6 / one['cpu']:.0f}",
            f"{one['rows'] / one['clock']:,.0f}",
            f"{one['memory'] / 1e6:.0f}",
            f"{one['memory'] / base:.2f}",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[160_000, 640_000], help="numbers of pairs")
    parser.add_argument("--tokens", type=int, nargs="+", default=[1_000_000, 10_000_000], help="pairs as tokens alone")
    parser.add_argument("--votes", type=int, nargs="+", default=[2_000_000], help="numbers of votes")
    parser.add_argument("--only", nargs="+", default=list(MEASURED), choices=list(MEASURED), help="rows of the table")
    parser.add_argument("--folder", type=Path, help="where the files are kept; a temporary one by default")
    parser.add_argument("--measure", nargs=2, metavar=("ROW", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], Path(options.measure[1]))))
        return
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for kind, size, path in files(folder, options):
            for what in options.only:
                if MEASURED[what][0] == kind:
                    facts = {"what": what, "rows": size, "bytes": num_bytes(path)}
                    found.append(facts | in_a_process_of_its_own(what, path))
                    print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    found.sort(key=lambda one: options.only.index(one["what"]))
    header = [
        "what",
        "rows",
        "MB",
        "seconds",
        "of the processor",
        "MB/s of it",
        "rows/s",
        "peak MB",
        "of the first size",
    ]
    facts = machine()
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']} GB\n")
    print(table(header, list(rows(found))))


if __name__ == "__main__":
    main()
