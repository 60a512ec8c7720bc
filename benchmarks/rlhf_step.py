"""A step of RLOO, ours against TRL's: sample, score, update, on the same prompts, lengths and batch.

    python benchmarks/rlhf_step.py --model smollm2-135m
    python benchmarks/rlhf_step.py --model smollm2-135m --data PREFERENCES --num-tokens 58

The first takes short prompts of its own, the second those of a file. Each side runs in a process of its own with the
same interpreter and threads. Responses are forced to one length, so both sample and train on equally many tokens; the
score is a function that costs nothing. The first step is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import machine, machine_line, number, peak_bytes, read_json, refuse, run_child, table, versions, write_json

PROMPT = "Here is what people said when they were asked about {0}. The first of them thought about {0} for a while and"
TOPICS = ("the sea", "an old house", "winter", "music", "her brother", "the moon", "bread", "a long road")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="a starter's name or a folder that both sides load")
    parser.add_argument("--data", help="a file whose first prompts are taken; default: sentences of some 25 tokens")
    parser.add_argument("--num-prompts", type=int, default=4, help="prompts of a step")
    parser.add_argument("--num-responses", type=int, default=4, help="responses to each")
    parser.add_argument("--num-tokens", type=int, default=48, help="tokens of a response")
    parser.add_argument("--num-steps", type=int, default=3, help="steps, of which the first is not counted")
    parser.add_argument("--threads", type=int, default=None)
    job = vars(parser.parse_args())
    if job["num_steps"] < 2:
        refuse("the first step is not counted; pass --num-steps 2 or more")
    from penchant.models.names import resolve

    prompts = prompts_of(job["data"]) if job["data"] else [PROMPT.format(topic) for topic in TOPICS]
    if job["num_prompts"] > len(prompts):
        refuse(f"there are {len(prompts)} prompts; pass at most that many as --num-prompts")
    job |= {"folder": str(resolve(job["model"])), "prompts": prompts[: job["num_prompts"]]}
    sides = {
        side: run_child(sys.executable, "rlhf_step.py", {**job, "side": side}, job["threads"])
        for side in ("penchant", "trl")
    }
    for side, result in sides.items():
        if "failed" in result:
            refuse(f"{side}: {result['failed']}")
    rows = [
        [side, number(statistics.median(r["seconds"][1:])), number(r["peak_bytes"] / 1e9), str(r["num_tokens"])]
        for side, r in sides.items()
    ]
    print(machine_line(machine(), sides["trl"]["threads"], sides["trl"]["versions"]))
    print(table(("", "seconds a step (median)", "peak GB", "tokens of responses"), rows))
    ratio = statistics.median(sides["trl"]["seconds"][1:]) / statistics.median(sides["penchant"]["seconds"][1:])
    print(f"ratio {ratio:.2f}")


def prompts_of(file: str) -> list[str]:
    """Of a preference file, each prompt once, as the plain text that both sides read."""
    from penchant.data import load_pairs

    turns = (pair.prompt for pair in load_pairs(file, on_bad_row="drop").records)
    return list(dict.fromkeys("\n\n".join(f"{turn.role}: {turn.content}" for turn in prompt) for prompt in turns))


def brevity(prompt: str, response: str) -> float:
    return -len(response) / 100


def ours(job: dict[str, Any]) -> dict[str, Any]:
    """Steps of `penchant.rlhf` on a model that never ends a response."""
    import penchant as pt
    from penchant.models.numerics import prepare_process

    prepare_process()  # as the command does
    seconds: list[float] = []
    lengths: list[float] = []

    class Clock(pt.Callback):
        def on_begin(self, training: Any) -> None:
            self.last = time.perf_counter()

        def on_step(self, training: Any, row: Any) -> None:
            seconds.append(time.perf_counter() - self.last)
            lengths.append(row["completions/mean_length"])
            self.last = time.perf_counter()

    model = pt.load(job["folder"], device="cpu", dtype="float32", chat_template="plain", progress=False)
    model.encoder.end_ids = frozenset()
    pt.rlhf(
        model,
        job["prompts"],
        judge=brevity,
        num_responses=job["num_responses"],
        max_new_tokens=job["num_tokens"],
        batch_size=job["num_prompts"],
        epochs=job["num_steps"],
        held_out=0,
        settings={"save.num_samples": 0, "save.eval_every": 10**6},
        callbacks=[Clock()],
        progress=False,
    )
    return {"seconds": seconds, "num_tokens": round(lengths[-1] * job["num_prompts"] * job["num_responses"])}


def theirs(job: dict[str, Any]) -> dict[str, Any]:
    """Steps of TRL's RLOOTrainer."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import RLOOConfig, RLOOTrainer

    seconds: list[float] = []
    num_tokens: list[int] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.begin = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(time.perf_counter() - self.begin)

    def reward(completions: Any, completion_ids: Any, **_: Any) -> list[float]:
        num_tokens.append(sum(map(len, completion_ids)))
        return [brevity("", text) for text in completions]

    size = job["num_prompts"] * job["num_responses"]
    with tempfile.TemporaryDirectory() as scratch:
        config = RLOOConfig(
            output_dir=scratch,
            model_init_kwargs={"dtype": "float32"},
            use_cpu=True,
            bf16=False,
            per_device_train_batch_size=size,
            num_generations=job["num_responses"],
            max_completion_length=job["num_tokens"],
            generation_kwargs={"min_new_tokens": job["num_tokens"]},
            gradient_checkpointing=False,
            beta=0.05,
            learning_rate=1e-6,
            max_steps=job["num_steps"],
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer = RLOOTrainer(
            model=job["folder"],
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_list([{"prompt": text} for text in job["prompts"]]),
            callbacks=[Clock()],
        )
        trainer.train()
    return {"seconds": seconds, "num_tokens": num_tokens[-1]}


def child(job: dict[str, Any], result: Path) -> None:
    import torch

    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    measured = ours(job) if job["side"] == "penchant" else theirs(job)
    facts = {"peak_bytes": peak_bytes(), "threads": torch.get_num_threads(), "versions": versions()}
    write_json(result, {**measured, **facts})


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1].endswith("job.json"):
        child(read_json(Path(sys.argv[1])), Path(sys.argv[2]))
    else:
        main()
