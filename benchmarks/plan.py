"""Plans beside runs: memory and time as `penchant.plan` says, and as the same run then takes, each in its own process.

python benchmarks/plan.py --pairs PAIRS --texts TEXTS --small FOLDER
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import table

CONFIGURATIONS = (
    ("dpo", 512, {"lora": True}),
    ("dpo", 512, {}),
    ("dpo", 1536, {}),
    ("dpo", 1536, {"settings": {"model.gradient_checkpointing": True}}),
    ("sft", 1536, {"max_length": 128}),
    ("reward", 1536, {"max_length": 256}),
)
"""Task, token budget, and what else differs."""


class Clock:
    """When the plan was said, which is when everything is loaded."""

    began = 0.0

    def say(self, text: str) -> None:
        if "to train on" in text:
            self.began = time.perf_counter()

    def progress(self, *_: Any) -> None:
        pass


def child(what: str, task: str, model: str, data: str, budget: str, more: str, template: str) -> None:
    """One plan, or one run, of which the figures are printed as JSON."""
    import penchant as pt
    from penchant.models.numerics import prepare_process, process_peak_bytes
    from penchant.process import own_process

    own_process()
    prepare_process()
    arguments: dict[str, Any] = {
        "max_rows": 12,
        "held_out": 0.2,
        "batch_size": 5,
        "max_length": 512,
        **json.loads(more),
    }
    usual = {"optimiser.token_budget": int(budget), "save.sample_tokens": 16, "data.max_bad_share": 0.9}
    arguments["settings"] = usual | arguments.get("settings", {})
    if template:
        arguments["chat_template"] = template
    if what == "plan":
        plan = pt.plan(model, data, task=task, progress=False, **arguments)
        print(json.dumps({"peak": plan.peak, "seconds": plan.total_seconds, "memory": plan.memory}))
        return
    clock = Clock()
    getattr(pt, task)(model, data, progress=clock, **arguments)
    print(json.dumps({"peak": process_peak_bytes(), "seconds": time.perf_counter() - clock.began}))


def figures(*arguments: str) -> dict[str, float]:
    """Of a child process."""
    command = [sys.executable, __file__, "--child", *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def flat(more: dict[str, Any]) -> dict[str, Any]:
    """Arguments and settings together."""
    return {**{key: value for key, value in more.items() if key != "settings"}, **more.get("settings", {})}


def main() -> None:
    """Every combination, one after another; prints a table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--small", type=Path, help="a model of raw text")
    parser.add_argument("--child", nargs=7)
    asked = parser.parse_args()
    if asked.child:
        child(*asked.child)
        return
    models = [("stories260k", str(asked.small), "plain"), ("smollm2-135m", "smollm2-135m", "")]
    rows = []
    for (name, model, template), (task, budget, more) in itertools.product(models, CONFIGURATIONS):
        data = str(asked.texts if task == "sft" else asked.pairs)
        of = (task, model, data, str(budget), json.dumps(more), template)
        planned, found = figures("plan", *of), figures("run", *of)
        off = [f"{planned[key] / found[key] - 1:+.0%}" for key in ("peak", "seconds")]
        differs = "".join(f", {key.split('.')[-1]} {value}" for key, value in flat(more).items())
        rows.append(
            [f"{name} {task}, {budget} tokens{differs}"]
            + [f"{one['peak'] / 1e9:.2f}" for one in (planned, found)]
            + [off[0], *(f"{one['seconds']:.1f}" for one in (planned, found)), off[1]]
        )
        print(rows[-1], json.dumps(planned), file=sys.stderr, flush=True)
    print(table(["run, and its token budget", "planned GB", "measured GB", "", "planned s", "measured s", ""], rows))


if __name__ == "__main__":
    main()
