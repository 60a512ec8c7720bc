"""The same reward model trained by Penchant and by TRL's RewardTrainer on the same pairs, each in a process of its own.

    python benchmarks/reward_throughput.py --data pairs.jsonl --model smollm2-135m --num-pairs 32

Both begin with the same weights and a head of zeros, and take the same token ids in the same order with the same
AdamW, so their losses must agree; the script fails where they do not. The clock runs over all training steps. TRL is
measured as it is shipped (gradient checkpointing) and without; the ratio to the faster of the two counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import peak_bytes, read_json, refuse, versions, write_json

RATE, BATCH_SIZE = 1e-5, 8
SIDES = {"penchant": "Penchant", "trl": "TRL as shipped", "trl-plain": "TRL without gradient checkpointing"}


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] in ("prepare", *SIDES):
        job = read_json(Path(sys.argv[2]))
        found = prepare(job) if sys.argv[1] == "prepare" else SIDE_OF[sys.argv[1]](job, sys.argv[1])
        write_json(Path(sys.argv[3]), found)
        return
    options = parse()
    with tempfile.TemporaryDirectory() as scratch:
        job = vars(options) | {"folder": scratch, "data": str(Path(options.data).resolve())}
        facts = in_a_process("prepare", job, options.python)
        found = {side: in_a_process(side, job, options.python) for side in SIDES}
    print(f"{facts['num_pairs']} pairs, {facts['num_tokens']} tokens, {facts['num_unique']} with shared ones once")
    for side, name in SIDES.items():
        one = found[side]
        speed = facts["num_unique"] / one["seconds"]
        print(f"{name:38} {one['seconds']:8.1f} s {speed:8.0f} unique tokens/s {one['peak_bytes'] / 1e9:6.2f} GB")
    best = min(found[side]["seconds"] for side in SIDES if side != "penchant")
    print(
        f"ratio to the faster of TRL's: {best / found['penchant']['seconds']:.2f}; as shipped: "
        f"{found['trl']['seconds'] / found['penchant']['seconds']:.2f}"
    )
    gap = max(
        abs(a - b) for side in SIDES for a, b in zip(found["penchant"]["losses"], found[side]["losses"], strict=True)
    )
    print(f"losses agree to {gap:.1e}; {found['trl']['versions']}")
    sys.exit(0 if gap < 1e-3 else 1)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--num-pairs", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--python", default=sys.executable)
    return parser.parse_args()


def in_a_process(action: str, job: dict[str, Any], python: str) -> dict[str, Any]:
    folder = Path(job["folder"])
    write_json(folder / "job.json", job)
    target = folder / f"{action}.json"
    here = Path(__file__).resolve()
    done = subprocess.run(
        [python, str(here), action, str(folder / "job.json"), str(target)], cwd=here.parent, check=False
    )
    if done.returncode:
        refuse(f"{action} failed; its message is above")
    return read_json(target)


def prepare(job: dict[str, Any]) -> dict[str, Any]:
    """The model with a head of zeros, the pairs that fit, and what must be computed."""
    from penchant.data import load_pairs
    from penchant.models.load import load_model
    from penchant.models.numerics import choose_numerics
    from penchant.models.reward_model import reward_model_of
    from penchant.models.saving import save_model
    from penchant.tokens import Forest, Limits, tokenise_pairs

    model = reward_model_of(load_model(job["model"], choose_numerics("cpu", "float32")))
    folder = Path(job["folder"])
    save_model(model, folder / "base")
    limits = Limits(job["max_length"], job["max_length"] - 1)
    items = []
    for pair in load_pairs(job["data"], on_bad_row="drop").records:
        for item in tokenise_pairs(model.encoder, [pair], limits).items:
            if max(map(len, item.sequences)) < job["max_length"]:  # TRL leaves longer ones out, and cuts none
                items.append((pair, item))
        if len(items) == job["num_pairs"]:
            break
    (folder / "pairs.jsonl").write_text(
        "".join(pair.model_dump_json(exclude={"origin"}) + "\n" for pair, _ in items), encoding="utf-8"
    )
    return {
        "num_pairs": len(items),
        "num_tokens": sum(len(one) for _, item in items for one in item.sequences),
        "num_unique": sum(Forest.plant(list(item.sequences)).num_tokens for _, item in items),
    }


def by_penchant(job: dict[str, Any], _: str) -> dict[str, Any]:
    import torch

    import penchant as pt
    from penchant.models.numerics import prepare_process
    from penchant.process import own_process

    own_process()
    torch.set_num_threads(job["threads"])
    prepare_process()
    order: list[list[dict[str, list[int]]]] = []
    watched = watching(order)
    settings = {"optimiser.schedule": "constant", "optimiser.warmup_ratio": 0.0, "data.max_prompt_length": None}
    how = {"learning_rate": RATE, "batch_size": BATCH_SIZE, "held_out": 0, "max_length": job["max_length"]}
    folder = Path(job["folder"])
    with watched:
        run = pt.reward(
            str(folder / "base"), str(folder / "pairs.jsonl"), **how, settings=settings, progress=False, device="cpu"
        )
    write_json(folder / "batches.json", order)
    return {
        "seconds": sum(run.metrics.column("step_seconds")),
        "losses": run.metrics.column("loss"),
        "peak_bytes": peak_bytes(),
        "versions": versions(),
    }


def watching(order: list[Any]) -> Any:
    """Inside, the ids of every batch are noted, so that the other side takes the same ones in the same order."""
    from unittest import mock

    from penchant.training import loop

    def noted(model: Any, task: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        order.append(
            [{"chosen_ids": one.chosen.ids.tolist(), "rejected_ids": one.rejected.ids.tolist()} for one in batch]
        )
        return loop_accumulate(model, task, batch, *args, **kwargs)

    loop_accumulate = loop.accumulate
    return mock.patch.object(loop, "accumulate", noted)


def by_trl(job: dict[str, Any], side: str) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)
    folder = Path(job["folder"])
    rows = [row for batch in read_json(folder / "batches.json") for row in batch]
    losses: list[float] = []

    class Measured(RewardTrainer):
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset  # the rows are tokens already

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(*args, **kwargs)
            losses.append(float(loss.detach()))
            return loss

    with tempfile.TemporaryDirectory() as scratch:
        trainer = Measured(
            model=AutoModelForSequenceClassification.from_pretrained(folder / "base", dtype=torch.float32),
            args=RewardConfig(
                output_dir=scratch,
                use_cpu=True,
                bf16=False,
                fp16=False,
                per_device_train_batch_size=BATCH_SIZE,
                num_train_epochs=1,
                learning_rate=RATE,
                lr_scheduler_type="constant",
                weight_decay=0.0,
                max_grad_norm=1.0,
                max_length=None,
                gradient_checkpointing=side == "trl",
                train_sampling_strategy="sequential",
                dataloader_pin_memory=False,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=0,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(folder / "base"),
        )
        begin = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - begin
    return {"seconds": seconds, "losses": losses, "peak_bytes": peak_bytes(), "versions": versions()}


SIDE_OF = {"penchant": by_penchant, "trl": by_trl, "trl-plain": by_trl}

if __name__ == "__main__":
    main()
