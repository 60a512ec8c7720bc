"""Penchant against TRL on the same DPO run: speed, memory, and whether both compute the same losses.

    python benchmarks/dpo_throughput.py --data FILE --model smollm2-135m --trl-python .venv-trl/bin/python

Both sides train on the same token ids in the same order, in fp32 on the CPU, with the same optimiser and thread count,
each run in a process of its own. See benchmarks/README.md. This script imports no library, so that the peak memory of
what it starts is their own.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import machine, refuse, run_child, write_json
from presenting import markdown, summarise

BETA = 0.1
LORA = {"r": 16, "lora_alpha": 32}
LEARNING_RATE = {"full": 1e-6, "lora": 1e-4}  # LoRA at 1e-6 would hardly move the loss, and the comparison says nothing
QUICK_PAIRS = 16


def main() -> None:
    options = parse()
    trl_python = None if options.skip_trl else find_trl(options.trl_python)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Benchmark(options, Path(scratch), trl_python)
        bench.run()
    summary = summarise(bench.result)
    text = markdown(bench.result, summary)
    print(text)
    if options.output:
        write_json(options.output, {**bench.result, "summary": summary})
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    failed = [f"{r['mode']} {r['name']}: {r['failed']}" for r in bench.result["runs"] if "failed" in r]
    for line in failed:
        print(f"benchmark: {line}", file=sys.stderr)
    sys.exit(1 if failed or not summary["losses_agree"] else 0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", required=True, help="preference files")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--chat-template", help="'plain', or the path of a Jinja template")
    parser.add_argument("--num-pairs", type=int, help=f"pairs to train on; default 64, with --quick {QUICK_PAIRS}")
    parser.add_argument("--batch-size", type=int, default=8, help="pairs an optimiser step")
    parser.add_argument("--max-length", type=int, default=1024, help="tokens of prompt and response together")
    parser.add_argument("--threads", type=int, help="of either side; default: PyTorch's own choice")
    parser.add_argument("--repeats", type=int, default=1, help="medians are reported; the sides take turns going first")
    parser.add_argument("--trl-python", help="interpreter of an environment with TRL; default: this one")
    parser.add_argument("--only", choices=("full", "lora"))
    parser.add_argument("--skip-trl", action="store_true")
    parser.add_argument("--skip-sharing", action="store_true")
    parser.add_argument("--skip-trials", action="store_true", help="TRL's first layout, without trying the others")
    parser.add_argument("--same-matmul", action="store_true", help="TRL also with Penchant's matrix-product setting")
    parser.add_argument("--quick", action="store_true", help="fewer pairs and variants, full fine-tuning alone")
    parser.add_argument("--output", type=Path, help="write everything measured as JSON")
    parser.add_argument("--markdown", type=Path, help="write the tables as Markdown")
    options = parser.parse_args()
    options.num_pairs = options.num_pairs or (QUICK_PAIRS if options.quick else 64)
    options.modes = [options.only] if options.only else ["full"] if options.quick else ["full", "lora"]
    return options


def find_trl(python: str | None) -> str:
    """The interpreter to run TRL with, after it was seen to have it."""
    chosen = python or sys.executable
    try:
        probe = subprocess.run([chosen, "-c", "import trl"], capture_output=True, check=False).returncode
    except OSError:
        probe = 1
    if probe:
        refuse(
            f"{chosen} cannot import trl; make an environment that can with `python -m venv .venv-trl && "
            ".venv-trl/bin/pip install -r benchmarks/requirements-trl.txt` and pass --trl-python .venv-trl/bin/python, "
            "or pass --skip-trl"
        )
    return chosen


class Benchmark:
    """One whole comparison; `result` is what was measured so far, on disk after every run when --output is given."""

    def __init__(self, options: argparse.Namespace, scratch: Path, trl_python: str | None) -> None:
        self.options, self.scratch, self.trl_python = options, scratch, trl_python
        self.common = {
            "chat_template": options.chat_template,
            "batch_size": options.batch_size,
            "max_length": options.max_length,
            "beta": BETA,
        }
        self.result: dict[str, Any] = {
            "command": shlex.join(["python", "benchmarks/dpo_throughput.py", *sys.argv[1:]]),
            "machine": machine(),
            "settings": {
                **self.common,
                "model": options.model,
                "num_pairs": options.num_pairs,
                "repeats": options.repeats,
                "learning_rate": LEARNING_RATE,
                "lora": LORA,
            },
            "runs": [],
        }

    def run(self) -> None:
        self.prepare()
        for mode in self.options.modes:
            at_best = self.fastest_trl_settings(mode) if self.trl_python else {}
            for repeat in range(self.options.repeats):
                sides = [self.penchant_runs(mode, repeat), self.trl_runs(mode, at_best)]
                for side in sides if repeat % 2 == 0 else sides[::-1]:
                    for record in side:
                        self.keep({"mode": mode, "repeat": repeat, **record})
        if not self.options.skip_sharing:
            self.result["sharing"] = self.sharing()

    def prepare(self) -> None:
        """Choose the pairs and write their ids; both sides read what is written here."""
        job = {
            **self.common,
            "action": "prepare",
            "data": self.options.data,
            "model": self.options.model,
            "num_pairs": self.options.num_pairs,
            "folder": str(self.scratch),
            "learning_rate": 1e-6,
            "lora": LORA,
        }
        print("preparing the pairs", file=sys.stderr)
        facts = run_child(sys.executable, "penchant_side.py", job)
        if "failed" in facts:
            refuse(f"the pairs could not be prepared: {facts['failed']}")
        self.common["max_length"] = self.result["settings"]["max_length"] = facts["max_length"]
        self.result["prepared"] = facts

    def keep(self, record: dict[str, Any]) -> None:
        self.result["runs"].append(record)
        if self.options.output:
            write_json(self.options.output, self.result)

    def penchant_runs(self, mode: str, repeat: int) -> Iterator[dict[str, Any]]:
        """Cold, with an empty cache of reference log-probs; then warm, with the cache the cold run filled."""
        folder = self.scratch / f"{mode}-{repeat}"
        for name in ("cold",) if self.options.quick else ("cold", "warm"):
            job = {
                **self.common,
                "action": "train",
                "model": self.result["prepared"]["model_path"],
                "data": str(self.scratch / "pairs.jsonl"),
                "output": str(folder / name),
                "learning_rate": LEARNING_RATE[mode],
                "lora": LORA if mode == "lora" else None,
                "environment": {"PENCHANT_CACHE": str(folder / "cache")},
            }
            yield {"side": "penchant", "name": f"Penchant, {name}", **self.timed("penchant", f"{mode} {name}", job)}

    def trl_runs(self, mode: str, at_best: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """As shipped; at its best; if asked for, at its best with the matrix-product setting that Penchant chose."""
        if not self.trl_python:
            return
        precision = self.result["prepared"]["matmul_precision"]
        variants = {"TRL, as shipped": {}, "TRL, at its best": at_best}
        if self.options.same_matmul:
            variants["TRL, at its best, Penchant's matmul setting"] = {**at_best, "matmul_precision": precision}
        for name, settings in variants.items():
            yield {"side": "trl", "name": name, **self.trl(mode, name, settings)}

    def trl(self, mode: str, name: str, settings: dict[str, Any], num_pairs: int | None = None) -> dict[str, Any]:
        job = {
            **self.common,
            "model": self.result["prepared"]["model_path"],
            "ids": str(self.scratch / "ids.json"),
            "num_pairs": num_pairs or self.options.num_pairs,
            "learning_rate": LEARNING_RATE[mode],
            "lora": LORA if mode == "lora" else None,
            "adapter": str(self.scratch / "adapter") if mode == "lora" else None,
            "flush_denormals": False,
            "matmul_precision": None,
            "attention": None,
            "gradient_checkpointing": True,
            "precompute_reference": False,
            "group_by_length": False,
            **settings,
        }
        return {"settings": settings, **self.timed("trl", f"{mode} {name}", job)}

    def fastest_trl_settings(self, mode: str) -> dict[str, Any]:
        """TRL's fastest layout, by one step with each: which attention, and with or without gradient checkpointing."""
        tuned = {"flush_denormals": True, "precompute_reference": True, "group_by_length": True}
        layouts = [
            {"attention": "sdpa", "gradient_checkpointing": False},
            {"attention": "eager", "gradient_checkpointing": False},
            {"attention": "sdpa", "gradient_checkpointing": True},
        ]
        if self.options.quick or self.options.skip_trials:
            return {**tuned, **layouts[0]}
        tried = []
        for layout in layouts:
            name = ", ".join(f"{key} {value}" for key, value in layout.items())
            trial = self.trl(mode, f"trial of {name}", {**tuned, **layout}, self.options.batch_size)
            tried.append({"layout": layout, "seconds": trial.get("training_seconds"), "failed": trial.get("failed")})
        self.result.setdefault("trl_layouts_tried", {})[mode] = tried
        done = [t for t in tried if t["seconds"] is not None]
        return {**tuned, **(min(done, key=lambda t: t["seconds"])["layout"] if done else layouts[0])}

    def timed(self, side: str, what: str, job: dict[str, Any]) -> dict[str, Any]:
        """One run in a process of its own."""
        print(f"running {side}: {what}", file=sys.stderr, flush=True)
        interpreter = sys.executable if side == "penchant" else str(self.trl_python)
        record = run_child(interpreter, f"{side}_side.py", job, self.options.threads)
        if "failed" not in record:
            seconds = record["reference_seconds"] + record["training_seconds"]
            record["pairs_per_second"] = job.get("num_pairs", self.options.num_pairs) / seconds
            print(f"  {record['pairs_per_second']:.3f} pairs/s, {record['peak_bytes'] / 1e9:.1f} GB", file=sys.stderr)
        return record

    def sharing(self) -> dict[str, Any]:
        """The experiments of sharing.py."""
        small = self.options.quick
        arguments = {
            "data": self.options.data,
            "model": self.result["prepared"]["model_path"],
            "chat_template": template_text(self.options.chat_template),
            "num_prompts": 4 if small else 8,
            "num_pairs": 8 if small else 16,
            "system_tokens": min(512, self.common["max_length"] // 2),
            "max_length": self.common["max_length"],
            "token_budget": None,
        }
        print("running penchant: sharing", file=sys.stderr)
        return run_child(sys.executable, "sharing.py", {"arguments": arguments}, self.options.threads)


def template_text(option: str | None) -> str | None:
    return option if option in (None, "plain") else Path(option).read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
