"""Penchant's side of the comparison, in a process of its own: `prepare` the pairs, or one measured `train` run.

    python penchant_side.py JOB RESULT

Both files are JSON; dpo_throughput.py writes the one and reads the other.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common import peak_bytes, read_json, versions, write_json

GEMM_SHAPES = ((1024, 576, 1536), (1024, 1536, 576), (1024, 576, 576), (1024, 2048, 2048), (256, 576, 49152))
"""Rows, inner, columns: the projections of the starter model at a micro-batch, its head, and a roomy square one."""


def main() -> None:
    from penchant.models.numerics import prepare_process
    from penchant.process import own_process

    own_process()
    prepare_process()
    job = read_json(Path(sys.argv[1]))
    write_json(Path(sys.argv[2]), {"prepare": prepare, "train": train}[job["action"]](job))


def prepare(job: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the pairs, write them as rows and as ids in the order of training, and count what must be computed."""
    from penchant.data import load_pairs
    from penchant.models import adapters, saving
    from penchant.models.encoder import read_chat_template
    from penchant.models.load import load_model
    from penchant.models.matmul import use_fastest_exact_matmul
    from penchant.models.numerics import choose_numerics
    from penchant.tokens import Limits, tokenise_pairs
    from penchant.training.dataset import pair_dataset
    from penchant.training.schedule import batches_of_epoch, group_numbers

    folder = Path(job["folder"])
    template = read_chat_template(job["chat_template"])
    model = load_model(job["model"], choose_numerics("cpu", "float32"), chat_template=template)
    max_length = min(job["max_length"], model.context_length)
    limits = Limits(max_length, max_length - 1)
    loaded = load_pairs(job["data"], on_bad_row="drop")
    kept = []
    for pair in loaded.records:
        kept += [(pair, item) for item in tokenise_pairs(model.encoder, [pair], limits).items]
        if len(kept) == job["num_pairs"]:
            break
    if len(kept) < job["num_pairs"]:
        raise ValueError(f"{', '.join(job['data'])}: {len(kept)} usable pairs, {job['num_pairs']} were asked for")
    with (folder / "pairs.jsonl").open("w", encoding="utf-8") as file:
        for pair, _ in kept:
            file.write(json.dumps(_conversational(pair)) + "\n")
    config = run_config({**job, "data": str(folder / "pairs.jsonl"), "output": str(folder / "none")})
    items = pair_dataset(config.data, config.data.files, model, config.seed, Silent()).train
    if [_ids(item) for item in items] != [_ids(item) for _, item in kept]:
        raise ValueError("the rows written for the run do not give the tokens of the rows read")
    batches = batches_of_epoch(
        items, group_numbers(map(_prompt, items)), batch_size=job["batch_size"], epoch=0, seed=config.seed
    )
    write_json(folder / "ids.json", [_ids(item) for batch in batches for item in batch])
    facts = {
        "model_path": str(model.path),
        "matmul_precision": use_fastest_exact_matmul(),
        "why_unshared": model.why_unshared,
        "max_length": max_length,
        "work": work(model, batches),
        "versions": versions(),
    }
    if job["lora"]:
        adapters.attach(model, job["lora"]["r"], job["lora"]["lora_alpha"], (), config.seed)
        saving.save_model(model, folder / "adapter")
    return facts


def work(model: Any, batches: list[list[Any]]) -> dict[str, float]:
    """Tokens and floating-point operations of one pass over the batches, each shared prefix once.

    forward: the network's body with its attention, one forward pass. head: one product with the language-model head
    at the scored tokens.
    """
    from penchant.tokens import Forest

    config = model.causal_lm.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    embedding = model.body.get_input_embeddings().weight
    body = sum(p.numel() for p in model.body.parameters() if p.dim() == 2 and p is not embedding)
    forests = [Forest.plant([s for pair in batch for s in pair.sequences]) for batch in batches]
    tokens, scored = (sum(f.num_tokens for f in forests), sum(len(f.target_ids_K) for f in forests))
    visible = sum(int((f.position_ids_T + 1).sum()) for f in forests)
    attention = 4 * visible * config.num_attention_heads * width * config.num_hidden_layers
    lengths = [(_ids(pair), pair) for batch in batches for pair in batch]
    return {
        "batch_size": max(map(len, batches)),
        "unique_tokens": tokens,
        "tokens_unshared": sum(len(s) for _, pair in lengths for s in pair.sequences),
        "scored_tokens": scored,
        "mean_prompt_tokens": sum(len(ids["prompt_ids"]) for ids, _ in lengths) / len(lengths),
        "mean_response_tokens": scored / (2 * len(lengths)),
        "parameters_body": body,
        "forward": 2.0 * body * tokens + attention,
        "head": 2.0 * model.head.weight.numel() * scored,
    }


def train(job: Mapping[str, Any]) -> dict[str, Any]:
    """`penchant dpo` as a user runs it, with a clock around its parts."""
    import torch

    from penchant.training import policies, run

    seconds: dict[str, float] = {}
    policies.load_model = clocked(policies.load_model, "load", seconds)
    policies.reference_logprobs = clocked(policies.reference_logprobs, "reference", seconds)
    run.Loop.run = clocked(run.Loop.run, "training", seconds)
    found = run.run(run_config(job), Silent())
    rows = [row for row in found.metrics if "grad_norm" in row]  # the others are evaluations
    peak = peak_bytes()  # before the matrix products below
    return {
        "load_seconds": seconds["load"],
        "reference_seconds": seconds["reference"],
        "training_seconds": seconds["training"],
        "losses": [row["loss"] for row in rows],
        "logps": [(row["logps/chosen"], row["logps/rejected"]) for row in rows],
        "num_parameters_trained": found.ledger["num_parameters_trained"],
        "peak_bytes": peak,
        "gpu_peak_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        "step_seconds": [row["step_seconds"] for row in rows],
        "threads": torch.get_num_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "gemm_rates": gemm_rates() if job.get("measure_gemm", True) else {},
        "versions": versions(),
    }


def clocked(function: Callable[..., Any], name: str, seconds: dict[str, float]) -> Callable[..., Any]:
    """The same function, which adds the time it takes to seconds[name]."""

    def call(*args: Any, **kwargs: Any) -> Any:
        begin = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begin

    return call


class Silent:
    """A reporter that draws nothing."""

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)

    def progress(self, what: str, done: int, total: int, facts: Mapping[str, float]) -> None:
        pass


def gemm_rates() -> dict[str, dict[str, float]]:
    """Floating-point operations per second of fp32 matrix products by setting and shape, in this process."""
    import torch

    from penchant.models.matmul import gemm_rate

    chosen = torch.get_float32_matmul_precision()
    rates: dict[str, dict[str, float]] = {}
    for precision in dict.fromkeys(("highest", chosen)):
        torch.set_float32_matmul_precision(precision)
        rates[precision] = {"x".join(map(str, shape)): gemm_rate(*shape, seconds=0.3) for shape in GEMM_SHAPES}
    torch.set_float32_matmul_precision(chosen)
    return rates


def run_config(job: Mapping[str, Any]) -> Any:
    """The settings of `penchant dpo`, but a constant learning rate, no pairs held out and no sample answers."""
    from penchant.training.config import DPOConfig

    lora = job["lora"] and {"rank": job["lora"]["r"], "alpha": job["lora"]["lora_alpha"]}
    return DPOConfig.model_validate(
        {
            "output": job["output"],
            "seed": 0,
            "model": {
                "name": job["model"],
                "device": job.get("device", "cpu"),
                "dtype": job.get("dtype", "float32"),
                "chat_template": job["chat_template"],
                "lora": lora or None,
            },
            "data": {"files": [job["data"]], "held_out": 0.0, "max_length": job["max_length"]},
            "dpo": {"beta": job["beta"]},
            "save": {"num_samples": 0},
            "optimiser": {
                "learning_rate": job["learning_rate"],
                "schedule": "constant",
                "warmup_ratio": 0.0,
                "batch_size": job["batch_size"],
                **({"token_budget": job["token_budget"]} if "token_budget" in job else {}),
            },
        }
    )


def _conversational(pair: Any) -> dict[str, Any]:
    return {
        "prompt": [{"role": m.role, "content": m.content} for m in pair.prompt],
        "chosen": [{"role": "assistant", "content": pair.chosen}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
    }


def _prompt(item: Any) -> bytes:
    return bytes(item.chosen.ids[~item.chosen.scored].tobytes())


def _ids(item: Any) -> dict[str, list[int]]:
    return {
        "prompt_ids": item.chosen.ids[~item.chosen.scored].tolist(),
        "chosen_ids": item.chosen.ids[item.chosen.scored].tolist(),
        "rejected_ids": item.rejected.ids[item.rejected.scored].tolist(),
    }


if __name__ == "__main__":
    main()
