"""One DPO run of TRL on token ids that were made elsewhere, timed. Runs in TRL's environment; imports no Penchant.

    python trl_side.py JOB RESULT

JOB names the pairs' ids, the model's folder and the settings. Rows are handed to DPOTrainer already tokenised, and
every batch that reaches its loss is compared with the ids that were asked for.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from common import peak_bytes, read_json, versions, write_json


def main() -> None:
    job = read_json(Path(sys.argv[1]))
    import torch

    if job["flush_denormals"]:
        torch.set_flush_denormal(True)
    if job["matmul_precision"]:
        torch.set_float32_matmul_precision(job["matmul_precision"])
    write_json(Path(sys.argv[2]), measure(job))


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Train and return seconds, losses and peak memory."""
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer

    rows = read_json(Path(job["ids"]))[: job["num_pairs"]]
    lengths = [len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in rows]
    dataset = Dataset.from_list([{**row, "length": length} for row, length in zip(rows, lengths, strict=True)])
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    trainer_class = measured_trainer(rows, job)
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.perf_counter()
        trainer = trainer_class(
            model=job["model"],
            args=dpo_config(job, scratch),
            train_dataset=dataset,
            processing_class=tokenizer,
            peft_config=lora_config(job),
        )
        if job["adapter"]:
            take_adapter(trainer.model, job["adapter"])
        load_seconds = time.perf_counter() - begin - trainer.reference_seconds
        begin = time.perf_counter()
        trainer.train()
        training_seconds = time.perf_counter() - begin
    trainer.check_every_row_was_seen()
    return {
        "load_seconds": load_seconds,
        "reference_seconds": trainer.reference_seconds,
        "training_seconds": training_seconds,
        "losses": trainer.losses,
        "logps": trainer.logps,
        "num_parameters_trained": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "peak_bytes": peak_bytes(),
        "gpu_peak_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        "step_seconds": [later - begin for begin, later in pairwise(trainer.begins[:: accumulation(job)])],
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def dpo_config(job: dict[str, Any], folder: str) -> Any:
    """TRL's own defaults but for what makes the two sides compute the same, and what `job` asks for."""
    from trl import DPOConfig

    init = {"dtype": "float32"} | ({"attn_implementation": job["attention"]} if job["attention"] else {})
    return DPOConfig(
        output_dir=folder,
        model_init_kwargs=init,
        use_cpu=job.get("device", "cpu") == "cpu",
        bf16=job.get("dtype") == "bfloat16",
        fp16=False,
        per_device_train_batch_size=job["batch_size"] // accumulation(job),
        gradient_accumulation_steps=accumulation(job),
        num_train_epochs=1,
        learning_rate=job["learning_rate"],
        lr_scheduler_type="constant",
        warmup_steps=0,
        adam_beta1=0.9,
        adam_beta2=0.999,
        adam_epsilon=1e-8,
        weight_decay=0.0,
        max_grad_norm=1.0,
        beta=job["beta"],
        max_length=job["max_length"],
        gradient_checkpointing=job["gradient_checkpointing"],
        precompute_ref_log_probs=job["precompute_reference"],
        train_sampling_strategy="group_by_length" if job["group_by_length"] else "sequential",
        remove_unused_columns=False,  # the sampler that groups by length needs that column
        dataloader_pin_memory=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )


def accumulation(job: dict[str, Any]) -> int:
    """Micro-batches a step: one, unless a job says how many rows there are in one."""
    return int(job["batch_size"] // job.get("micro_batch", job["batch_size"]))


def lora_config(job: dict[str, Any]) -> Any:
    if not job["lora"]:
        return None
    from peft import LoraConfig

    return LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, target_modules="all-linear", **job["lora"])


def take_adapter(model: Any, folder: str) -> None:
    """Begin from an adapter that was saved elsewhere. Raises ValueError unless it fits weight by weight."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    weights = load_file(Path(folder) / "adapter_model.safetensors")
    num_trained = sum(p.requires_grad for p in model.parameters())
    outcome = set_peft_model_state_dict(model, weights)
    if outcome.unexpected_keys or len(weights) != num_trained:
        raise ValueError(f"{folder}: {len(weights)} weights for an adapter of {num_trained}; the two sides differ")


def measured_trainer(rows: list[dict[str, list[int]]], job: dict[str, Any]) -> Any:
    """DPOTrainer that takes tokenised rows, times its reference pass, and keeps the loss of every step."""
    import torch
    from trl import DPOTrainer

    asked = [key(row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]) for row in rows]

    class MeasuredTrainer(DPOTrainer):
        def __init__(self, **arguments: Any) -> None:
            self.reference_seconds = 0.0
            self.losses: list[float] = []
            self.logps: list[tuple[float, float]] = []
            self.seen: list[Any] = []
            self.begins: list[float] = []  # of every micro-batch, by a clock that stands still while rows are compared
            self.comparing = 0.0
            super().__init__(**arguments)

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset  # the rows are tokens already

        def _precompute_ref_logps(self, *args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            dataset = super()._precompute_ref_logps(*args, **kwargs)
            self.reference_seconds = time.perf_counter() - begin
            return dataset

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            begin = time.perf_counter()
            self.begins.append(begin - self.comparing)
            batch = rows_of_batch(inputs)
            start = len(self.seen)
            if not job["group_by_length"] and batch != asked[start : start + len(batch)]:
                raise ValueError(f"step {len(self.losses) + 1}: TRL's batch holds other tokens than were asked for")
            self.seen += batch
            self.comparing += time.perf_counter() - begin
            loss = super().compute_loss(model, inputs, *args, **kwargs)
            self.losses.append(float(loss.detach()))
            metrics = self._metrics["train"]
            self.logps.append((metrics["logps/chosen"][-1], metrics["logps/rejected"][-1]))
            return loss

        def check_every_row_was_seen(self) -> None:
            if Counter(self.seen) != Counter(asked):
                raise ValueError("TRL trained on other rows than were asked for")

    return MeasuredTrainer


def key(prompt: list[int], chosen: list[int], rejected: list[int]) -> tuple[tuple[int, ...], ...]:
    return tuple(prompt), tuple(chosen), tuple(rejected)


def rows_of_batch(inputs: Any) -> list[tuple[tuple[int, ...], ...]]:
    """The pairs that a padded batch holds: its first half are the chosen sequences, its second the rejected."""
    sequences = []
    columns = (inputs["input_ids"], inputs["attention_mask"].bool(), inputs["completion_mask"].bool())
    for ids, attended, scored in zip(*columns, strict=True):
        sequences.append((ids[attended & ~scored].tolist(), ids[attended & scored].tolist()))
    half = len(sequences) // 2
    pairs = []
    for (prompt, chosen), (again, rejected) in zip(sequences[:half], sequences[half:], strict=True):
        if prompt != again:
            raise ValueError("chosen and rejected of one row have different prompts")
        pairs.append(key(prompt, chosen, rejected))
    return pairs


if __name__ == "__main__":
    main()
