"""What the alarms of a run cost: the same training with all of them and with none, in turns, in one process.

    python benchmarks/alarms.py --model smollm2-135m

Prints the processor time of both, the ratio of each turn, and the share that was spent in the alarms' own code. It is
processor time, so that what else the machine does changes little. The figures in docs/alarms.md are from here.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import penchant as pt
from common import table
from penchant.training import run
from penchant.training.alarms import Alarms
from penchant.training.config import AlarmsConfig

WORDS = [
    "rain",
    "sun",
    "lake",
    "tree",
    "stone",
    "bird",
    "wind",
    "leaf",
    "snow",
    "light",
    "road",
    "hill",
    "cloud",
    "field",
    "river",
    "night",
]
LIMITS = [name for name in AlarmsConfig.model_fields if name not in ("actions", "alike_pairs")]
OFF = {"alarms.alike_pairs": 0, **{f"alarms.{name}": None for name in LIMITS}}
WATCHING = ("saw_update", "saw_step", "saw_evaluation", "keep_if_best")


class Watch:
    """Seconds of processor time spent in the alarms, while it is on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        for name in WATCHING:
            setattr(Alarms, name, self._timed(getattr(Alarms, name)))
        run.likeness_at_start = self._timed(run.likeness_at_start)

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            begin = time.process_time()
            try:
                return method(*given, **named)
            finally:
                self.seconds += time.process_time() - begin

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(description="What the alarms of a run cost.")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--chat-template", help="'plain', or a Jinja template's text")
    parser.add_argument("--pairs", type=int, default=800)
    parser.add_argument("--words", type=int, default=40, help="of a response")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    model = pt.load(options.model, device="cpu", dtype="float32", chat_template=options.chat_template)
    rows, watch = pairs(options.pairs, options.words), Watch()
    inside = 0.0
    train(model, rows[:80], {})  # what is compiled or read the first time counts for nobody
    found = []
    for turn in range(options.turns):
        sides = [("with", {}), ("without", OFF)]
        took: dict[str, float] = {}
        for name, settings in sides if turn % 2 else sides[::-1]:
            before = watch.seconds
            took[name] = train(model, rows, settings)
            if name == "with":
                inside = watch.seconds - before
        found.append((took["with"], took["without"], took["with"] / took["without"], inside / took["with"]))
        print(f"turn {turn + 1}: {found[-1][0]:.1f} s with, {found[-1][1]:.1f} s without", flush=True)
    columns = ("", "with alarms, s", "without, s", "ratio", "share inside the alarms")
    medians = [statistics.median(column) for column in zip(*found, strict=True)]
    print(table(columns, [("median", *(f"{value:.3f}" for value in medians[:3]), f"{medians[3]:.2%}")]))


def train(model: Any, rows: list[dict[str, str]], settings: dict[str, Any]) -> float:
    """Seconds of processor time of one run in memory."""
    begin = time.process_time()
    how: dict[str, Any] = {"optimiser.epochs": 2, "save.num_samples": 4, "save.sample_tokens": 24}
    pt.dpo(model, rows, held_out=0.1, progress=False, settings=how | settings)
    return time.process_time() - begin


def pairs(num: int, num_words: int) -> list[dict[str, str]]:
    """Made-up pairs of which the chosen one speaks of the weather more often, by a fixed seed."""
    rng = random.Random(0)

    def text(share: float) -> str:
        return " " + " ".join(rng.choice(WORDS[:4] if rng.random() < share else WORDS) for _ in range(num_words))

    return [{"prompt": f"Tell me of walk {i}.", "chosen": text(0.5), "rejected": text(0.1)} for i in range(num)]


if __name__ == "__main__":
    main()
