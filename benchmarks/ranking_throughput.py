"""Bradley-Terry abilities of many votes: Penchant, with sandwich intervals, beside evalica, which gives none.

    python benchmarks/ranking_throughput.py            # 2 million votes on 100 items, about half a minute

Needs the extra `oracle`. Both sides get the same columns of names and take turns; the best of the rounds counts. The
abilities must agree, or the script exits with 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import evalica
import numpy as np

from common import machine, number, table
from penchant.ranking import Votes, fit_bradley_terry

AGREEMENT = 1e-3
"""How far abilities may lie apart, in nats; evalica stops iterating at a tolerance of its own."""


def main() -> None:
    options = parse()
    columns = simulate(options.num_votes, options.num_items, options.num_clusters)
    left, right, outcome = columns["left"], columns["right"], columns["outcome"]
    winners = [{"left": evalica.Winner.X, "right": evalica.Winner.Y, "tie": evalica.Winner.Draw}[o] for o in outcome]
    votes = Votes.from_columns(left, right, outcome, clusters={"annotator": columns["annotator"]})
    sides: dict[str, Callable[[], Any]] = {
        "evalica, from names, no intervals": lambda: evalica.bradley_terry(left, right, winners),
        "Penchant, from names, sandwich": lambda: fit_bradley_terry(Votes.from_columns(left, right, outcome)),
        "Penchant, the fit alone, sandwich": lambda: fit_bradley_terry(votes, clusters=()),
        "Penchant, the fit alone, clustered sandwich": lambda: fit_bradley_terry(votes),
    }
    seconds = dict.fromkeys(sides, float("inf"))
    results: dict[str, Any] = {}
    for _ in range(options.rounds):
        for name, run in sides.items():
            begin = time.perf_counter()
            results[name] = run()
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
    apart = largest_difference(*list(results.values())[:2])
    slowest = seconds["evalica, from names, no intervals"]
    facts = machine()
    libraries = ", ".join(f"{package} {version(package)}" for package in ("penchant", "evalica", "numpy", "scipy"))
    print(f"{facts['processor']}, {facts['cores']} cores; {libraries}")
    print(f"\n{options.num_votes:,} votes on {options.num_items} items, {options.num_clusters:,} annotators\n")
    rows = [[name, number(took), number(slowest / took)] for name, took in seconds.items()]
    print(table(["", "seconds", "x evalica"], rows))
    print(f"\nAbilities differ by at most {apart:.1e} nats (limit {AGREEMENT}).")
    sys.exit(0 if apart <= AGREEMENT else 1)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-votes", type=int, default=2_000_000)
    parser.add_argument("--num-items", type=int, default=100)
    parser.add_argument("--num-clusters", type=int, default=50_000, help="annotators, whose votes may err together")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def simulate(num_votes: int, num_items: int, num_clusters: int) -> dict[str, list[str]]:
    """Votes by Bradley-Terry with abilities spread by one nat; one in ten is a tie."""
    random = np.random.default_rng(0)
    ability_I = random.normal(size=num_items)
    left_V = random.integers(num_items, size=num_votes)
    right_V = (left_V + random.integers(1, num_items, size=num_votes)) % num_items
    wins_V = random.random(num_votes) < 1 / (1 + np.exp(ability_I[right_V] - ability_I[left_V]))
    outcome_V = np.where(random.random(num_votes) < 0.1, "tie", np.where(wins_V, "left", "right"))
    names = np.array([f"model {i}" for i in range(num_items)])
    return {
        "left": names[left_V].tolist(),
        "right": names[right_V].tolist(),
        "outcome": outcome_V.tolist(),
        "annotator": random.integers(num_clusters, size=num_votes).tolist(),
    }


def largest_difference(theirs: Any, ours: Any) -> float:
    """Of the centred log-strengths, in nats."""
    log_strength = np.log([theirs.scores[item] for item in ours.items])
    return float(np.abs(log_strength - log_strength.mean() - ours.ability_I).max())


if __name__ == "__main__":
    main()
