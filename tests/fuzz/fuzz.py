"""Fuzz the importers and the configuration, guided by coverage: `make fuzz`, or this file with --runs 1000000.

Every kind of input is fuzzed by a process of its own (atheris, which is libFuzzer for Python, remembers the inputs that
reach new code and goes on from them). A process stops at the first exception that is not the user's error, at a sum
that does not add up, and at an input that takes longer than the limit; the input then lies in --artifacts, and
`python tests/fuzz/fuzz.py --again FILE --kind .jsonl` runs it once more with a traceback.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
SECONDS_AN_INPUT = 10
MEGABYTES = 2_000
LONGEST = 512
"""Bytes of an input; the file it becomes is some ten times as long."""
NUM_FIRST = 200
SHARES = {".parquet": 0.3}
"""Of the inputs, where it is not one as large as the others': such a file takes several times as long."""
ROOMS = ["penchant.data", "penchant.training.settings", "penchant.strict_yaml", "penchant.reading", "penchant.wording"]


def main() -> int:
    """Parse the command line and fuzz; exit code 1 where something was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--artifacts", type=Path, default=Path("build/fuzz"), help="where inputs that fail are kept")
    parser.add_argument("--kind", help="only this kind of input")
    parser.add_argument("--again", type=Path, help="run one input and stop")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.again:
        return _again(options)
    return _work(options) if options.worker else _share_out(options)


def _again(options: argparse.Namespace) -> int:
    from tests.fuzz.inputs import check

    print(check(options.kind, options.again.read_bytes()))
    return 0


def _share_out(options: argparse.Namespace) -> int:
    from tests.fuzz.inputs import KINDS

    options.artifacts.mkdir(parents=True, exist_ok=True)
    waiting = [options.kind] if options.kind else list(KINDS)
    shares = {kind: SHARES.get(kind, 1.0) for kind in waiting}
    going: dict[str, subprocess.Popen[bytes]] = {}
    codes: dict[str, int] = {}
    began = time.monotonic()
    while waiting or going:
        while waiting and len(going) < options.jobs:
            kind = waiting.pop(0)
            log = (options.artifacts / f"{kind.strip('.')}.log").open("wb")
            runs = math.ceil(options.runs * shares[kind] / sum(shares.values()))
            command = [sys.executable, __file__, "--worker", "--kind", kind, "--runs", str(runs)]
            command += ["--seed", str(options.seed), "--artifacts", str(options.artifacts)]
            going[kind] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        time.sleep(0.5)
        for kind in [kind for kind, process in going.items() if process.poll() is not None]:
            codes[kind] = going.pop(kind).returncode
    return _report(options, codes, time.monotonic() - began)


def _report(options: argparse.Namespace, codes: dict[str, int], seconds: float) -> int:
    total = 0
    print(f"{'input':<15}{'inputs':>10}{'loaded':>10}{'refused':>10}{'slowest':>10}  end")
    for kind, code in codes.items():
        found = json.loads(_counts_file(options.artifacts, kind).read_text(encoding="utf-8"))
        total += found["inputs"]
        end = (
            "nothing found" if code == 0 else f"exit code {code}, see {options.artifacts / (kind.strip('.') + '.log')}"
        )
        counts = f"{found['inputs']:>10,}{found['loaded']:>10,}{found['refused']:>10,}"
        print(f"{kind:<15}{counts}{found['slowest']:>8.2f} s  {end}")
    num_failed = sum(code != 0 for code in codes.values())
    print(f"{total:,} inputs in {seconds:.0f} s: {num_failed} kinds stopped early")
    return 1 if num_failed else 0


def _first_inputs(options: argparse.Namespace) -> Path:
    """A folder of random inputs to begin with, where those that reach new code are kept too."""
    folder = options.artifacts / f"{options.kind.strip('.')}-inputs"
    folder.mkdir(exist_ok=True)
    chance = random.Random(options.seed)
    for number in range(NUM_FIRST):
        (folder / f"first-{number}").write_bytes(chance.randbytes(chance.randint(1, LONGEST)))
    return folder


def _counts_file(artifacts: Path, kind: str) -> Path:
    return artifacts / f"{kind.strip('.')}.json"


def _work(options: argparse.Namespace) -> int:
    import atheris

    with atheris.instrument_imports(include=ROOMS):
        from tests.fuzz.inputs import check

    counts: Counter[str] = Counter()
    slowest = 0.0
    file = _counts_file(options.artifacts, options.kind)

    def one(data: bytes) -> None:
        nonlocal slowest
        began = time.perf_counter()
        counts[check(options.kind, data)] += 1
        slowest = max(slowest, time.perf_counter() - began)
        if counts.total() % 1000 == 0 or counts.total() >= options.runs:
            found = {"inputs": counts.total(), "loaded": counts["loaded"], "refused": counts["refused"]}
            file.write_text(json.dumps({**found, "slowest": slowest}), encoding="utf-8")

    file.write_text(json.dumps({"inputs": 0, "loaded": 0, "refused": 0, "slowest": 0.0}), encoding="utf-8")
    prefix = options.artifacts / f"{options.kind.strip('.')}-"
    atheris.Setup(
        [
            sys.argv[0],
            f"-runs={options.runs}",
            f"-seed={options.seed}",
            f"-timeout={SECONDS_AN_INPUT}",
            f"-rss_limit_mb={MEGABYTES}",
            f"-artifact_prefix={prefix}",
            f"-max_len={LONGEST}",
            "-len_control=0",
            str(_first_inputs(options)),
        ],
        one,
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
