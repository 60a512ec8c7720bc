"""What only a GPU can show: exactness in fp32 and bf16, DPO beside TRL, FlexAttention's masks and kernels, sampling.

    python benchmarks/gpu.py --trl-python .venv-trl/bin/python --markdown gpu.md  # at most eight minutes on one GPU
    python benchmarks/gpu.py --device cpu --tiny                                  # everything but the kernels, seconds

The model and the pairs are made (made.py), so no network is needed; `--model FOLDER` takes a real one. On a GPU each
part is a process of its own, so that one that fails takes no other with it; the rehearsal is one process. docs/gpu.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_side
import penchant_side
from common import machine, machine_line, refuse, run_child, versions, write_json
from gpu_figures import ceiling_of_sharing, page, peak_flops, training_row

SECONDS = 8 * 60
BETA, LEARNING_RATE = 0.1, 1e-6
GPU = {
    "size": "0.7b", "shrink": 1.0, "num_pairs": 640, "batch_size": 64, "max_length": 2048, "token_budget": 16384,
    "micro_batch": 8, "num_lengths": 24, "tokens_of_mask": 32768, "num_prompts": 64, "max_new_tokens": 128,
}  # fmt: skip
TINY = {
    "size": "tiny", "shrink": 4.0, "num_pairs": 12, "batch_size": 4, "max_length": 512, "token_budget": 768,
    "micro_batch": 2, "num_lengths": 3, "tokens_of_mask": 1024, "num_prompts": 3, "max_new_tokens": 8,
}  # fmt: skip


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as scratch:
        result = Benchmark(options, Path(scratch)).run()
    text = page(result)
    print(text)
    if options.output:
        write_json(options.output, result)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    failed = [name for name, found in result.items() if isinstance(found, dict) and "failed" in found]
    sys.exit(1 if failed else 0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="the rehearsal: a tiny model, few and short pairs")
    parser.add_argument("--model", type=Path, help="a Hugging Face folder; default: a made model")
    parser.add_argument("--trl-python", help="interpreter of an environment with TRL; default: TRL is left out")
    parser.add_argument("--token-budget", type=int, help="unique tokens a micro-batch; fewer for a card of less memory")
    parser.add_argument("--peak-tflops", type=float, help="of the card in bf16, where its data sheet is not known")
    parser.add_argument("--output", type=Path, help="write everything measured as JSON")
    parser.add_argument("--markdown", type=Path, help="write the tables as Markdown")
    options = parser.parse_args()
    if options.device == "cpu" and not options.tiny:
        refuse("a CPU shows nothing of a GPU's kernels; add --tiny to rehearse the rest of it")
    if options.device == "cuda" and not card()[1]:
        refuse("PyTorch sees no GPU here; run it where there is one, or rehearse it with --device cpu --tiny")
    return options


def card() -> tuple[str, float]:
    """Name and bytes of memory of the GPU, asked in another process, as this one stays without; ("", 0) without one."""
    ask = "import torch as t; p = t.cuda.get_device_properties(0); print(p.total_memory, p.name)"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False).stdout
    memory, _, name = told.strip().partition(" ")
    return (name, float(memory)) if name else ("", 0.0)


class Benchmark:
    """One whole run; every part gets the same job with an action of its own."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self.options, self.scratch = options, scratch
        self.end = time.monotonic() + SECONDS
        self.name, memory = ("a CPU, rehearsing", 0.0) if options.device == "cpu" else card()
        known = peak_flops(self.name, memory)
        if options.peak_tflops:
            known = options.peak_tflops * 1e12, "the figure that was given"
        self.peak, self.peak_source = known or (None, "no figure of this card: pass --peak-tflops")
        self.job: dict[str, Any] = {
            **(TINY if options.tiny else GPU),
            "device": options.device,
            "dtype": "bfloat16",
            "chat_template": "plain",
            "beta": BETA,
            "learning_rate": LEARNING_RATE,
            "lora": None,
            "measure_gemm": False,
            "folder": str(scratch),
            "ids": str(scratch / "ids.json"),
        }
        self.job["token_budget"] = options.token_budget or self.job["token_budget"]

    def run(self) -> dict[str, Any]:
        prepared = self.prepare()
        if "failed" in prepared:
            refuse(f"the pairs could not be prepared: {prepared['failed']}")
        work = prepared["work"]
        result = {"card": self.name, "machine": machine_line(machine(), None, versions())}
        result["exactness"] = self.part("exactness")
        result["training"] = self.training(work)
        result["sharing"] = self.sharing(work)
        result["flex"] = self.part("flex")
        result["sampling"] = self.sampling()
        return result

    def prepare(self) -> dict[str, Any]:
        """Make the model and the pairs; choose the pairs and write their ids, which all parts read."""
        from made import counter, write_model, write_pairs

        model = self.options.model or write_model(self.scratch / "model", self.job["size"])
        rows = self.scratch / "made.jsonl"
        write_pairs(rows, 2 * self.job["num_pairs"], counter(model), shrink=self.job["shrink"])
        self.job |= {"model": str(model), "data": [str(rows)]}
        prepared = self.part("prepare", penchant_side.prepare, "penchant_side.py")
        self.job |= {"data": str(self.scratch / "pairs.jsonl"), "max_length": prepared.get("max_length")}
        return prepared

    def part(self, action: str, here: Callable[..., Any] | None = None, script: str = "gpu_side.py") -> dict[str, Any]:
        """What a part measured, or {"failed": why}."""
        print(f"measuring: {action}", file=sys.stderr, flush=True)
        job = {**self.job, "action": action, "output": str(self.scratch / "run"),
               "environment": {"PENCHANT_CACHE": str(self.scratch / "cache")}}  # fmt: skip
        if self.options.tiny:
            os.environ |= job["environment"]
            return dict((here or gpu_side.ACTIONS[action])(job))
        return self.child(sys.executable, script, job)

    def child(self, interpreter: str, script: str, job: dict[str, Any]) -> dict[str, Any]:
        left = self.end - time.monotonic()
        if left < 1:
            return {"failed": f"no time was left of {SECONDS} s"}
        return run_child(interpreter, script, job, seconds=left)

    def training(self, work: dict[str, Any]) -> dict[str, Any]:
        """The whole of `penchant dpo` and of TRL's DPOTrainer on the same pairs; what is compared are the steps."""
        runs = {"Penchant": self.part("train", penchant_side.train, "penchant_side.py")}
        if self.options.trl_python:
            settings = {"attention": "sdpa", "gradient_checkpointing": False, "precompute_reference": True,
                        "group_by_length": False, "flush_denormals": False, "matmul_precision": None,
                        "adapter": None}  # fmt: skip
            runs[f"TRL, {self.job['micro_batch']} pairs at a time"] = self.child(
                self.options.trl_python, "trl_side.py", {**self.job, **settings}
            )
        rows = {name: run if "failed" in run else self.row(run, work) for name, run in runs.items()}
        return {"rows": rows, "work": work, "num_pairs": self.job["num_pairs"], "peak_source": self.peak_source}

    def row(self, run: dict[str, Any], work: dict[str, Any]) -> dict[str, Any]:
        return {
            **training_row(run["step_seconds"], work, self.job["num_pairs"], self.peak),
            "reference_seconds": run["reference_seconds"],
            "peak_bytes": run["gpu_peak_bytes"] or run["peak_bytes"],
        }

    def sharing(self, work: dict[str, Any]) -> dict[str, Any]:
        found = self.part("sharing")
        if "failed" in found:
            return found
        ceiling = ceiling_of_sharing(work)
        p = work["mean_prompt_tokens"] / work["mean_response_tokens"]
        return {**found, "p": p, "ceiling": ceiling, "share_of_ceiling": found["ratio"] / ceiling}

    def sampling(self) -> dict[str, Any]:
        found = self.part("sampling")
        if "failed" not in found and importlib.util.find_spec("vllm") and not self.options.tiny:
            found["rows"]["vLLM"] = self.part("vllm")
        return found


if __name__ == "__main__":
    main()
