"""How many layers a second PyTorch computes beside other work: its threads as they come, and as a command has them.

    python benchmarks/beside_other_work.py --seconds 10 --busy 4

A layer is the two products and the activation of a small model's feed-forward block, 64 tokens of width 576. Both ways
run in turns, each in a process of its own, as the environment is read when PyTorch is imported; first on an idle
machine, then beside processes that do nothing but count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from penchant.process import SPINS

WORK = """
import sys, time, torch
x, up, down = torch.randn(64, 576), torch.randn(576, 1536), torch.randn(1536, 576)
def layer():
    return torch.nn.functional.silu(x @ up) @ down
for _ in range(20):
    layer()
num, end = 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    layer()
    num += 1
print(num / float(sys.argv[1]))
"""
WAYS = {"as it comes": {}, "as a command": {"GOMP_SPINCOUNT": SPINS}}


def rate(seconds: float, environment: dict[str, str]) -> float:
    """Layers a second of one process."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_NUM_THREADS")}
    command = [sys.executable, "-c", WORK, str(seconds)]
    return float(subprocess.run(command, env=inherited | environment, check=True, capture_output=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--busy", type=int, default=2 * (os.cpu_count() or 1), help="processes of other work")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each way, in turns")
    given = parser.parse_args()
    for num_busy in (0, given.busy):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(num_busy)]
        try:
            found = {name: [] for name in WAYS}
            for _ in range(given.repeats):
                for name, environment in WAYS.items():
                    found[name].append(rate(given.seconds, environment))
        finally:
            for process in busy:
                process.kill()
        middle = {name: statistics.median(rates) for name, rates in found.items()}
        before, after = middle.values()
        told = ", ".join(f"{name} {value:,.0f} layers/s" for name, value in middle.items())
        print(f"beside {num_busy} busy processes: {told}; {after / before:.2f} times as many", flush=True)


if __name__ == "__main__":
    main()
