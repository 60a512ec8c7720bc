"""Useful sampled tokens a second: Penchant's `generate` beside transformers' `generate`, in one process.

    python benchmarks/sampling_throughput.py            # about ten minutes on two cores
    python benchmarks/sampling_throughput.py --quick    # about two

Both sides get the same prompts, two responses each, the same temperature and the same limit of new tokens, and take
turns; the best of the rounds counts, since whatever else a machine does can only slow a run down. Useful tokens are
those up to and including the end token. transformers runs left-padded batches sorted by length, twice: as it comes, and
with the settings that Penchant chooses for this processor (matrix-product library, denormals flushed).
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from penchant.data import Message
from penchant.models.generate import Request, generate
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model
from penchant.models.matmul import gemm_rate
from penchant.models.numerics import choose_numerics, prepare_process
from penchant.models.sampler import SamplingParams
from penchant.process import own_process

NUM_RESPONSES = 2


@dataclass
class Side:
    """One way to sample; `run(round)` returns the number of useful tokens."""

    name: str
    rows: int
    matmul: str
    flush: bool
    run: Callable[[int], int]
    clock: Callable[[], float]
    best: float = 0.0

    def measure(self, turn: int) -> None:
        torch.set_float32_matmul_precision(self.matmul)
        torch.set_flush_denormal(self.flush)  # of this thread; workers flush from the start, which slows nobody down
        begin = self.clock()
        num_tokens = self.run(turn)
        self.best = max(self.best, num_tokens / (self.clock() - begin))


def main() -> None:
    options = parse_options()
    if options.threads:
        torch.set_num_threads(options.threads)
    own_process()
    prepare_process()
    model = load_model(options.model, choose_numerics("cpu", "float32"), chat_template=options.chat_template)
    chosen = torch.get_float32_matmul_precision()
    prompts = read_prompts(model, options.prompts, options.num_prompts)
    peer = load_peer(model)
    clock = time.process_time if options.processor_time else time.perf_counter
    sides = []
    for name, matmul, flush in (("transformers, as it comes", "highest", False), ("transformers, tuned", chosen, True)):
        sides += [
            Side(name, rows, matmul, flush, transformers_side(peer, model, prompts, rows, options), clock)
            for rows in options.transformers_rows
        ]
    sides += [
        Side("penchant", rows, chosen, True, penchant_side(model, prompts, rows, options), clock)
        for rows in options.rows
    ]
    print(machine(), f"{len(prompts)} prompts x {NUM_RESPONSES}, up to {options.max_new_tokens} tokens", sep="\n")
    for turn in range(options.rounds):
        for side in sides:
            side.measure(turn)
            print(f"  round {turn + 1}: {side.name}, {side.rows} rows: best {side.best:.0f} tokens/s", flush=True)
    print_table(sides)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="sampling throughput of penchant and of transformers")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--chat-template", default=None, help='"plain" for a model of raw text')
    parser.add_argument(
        "--prompts", type=Path, default=None, help='JSON lines with a "prompt"; default: the package\'s'
    )
    parser.add_argument("--num-prompts", type=int, default=96)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--rows", type=int, nargs="+", default=[32, 64, 128], help="responses at a time, penchant")
    parser.add_argument("--transformers-rows", type=int, nargs="+", default=[8, 32, 64])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="default: PyTorch's choice")
    parser.add_argument(
        "--processor-time", action="store_true", help="count processor seconds, for a busy machine; with --threads 1"
    )
    parser.add_argument("--quick", action="store_true", help="32 prompts, one round, 32 and 64 rows")
    options = parser.parse_args()
    if options.processor_time and options.threads != 1:
        parser.error("--processor-time counts waiting threads as work; add --threads 1")
    if options.quick:
        options.num_prompts, options.rounds = min(options.num_prompts, 32), 1
        options.rows, options.transformers_rows = [64], [32, 64]
    return options


def read_prompts(model: LanguageModel, path: Path | None, num: int) -> list[Request]:
    """The first prompts of the file; the package's own training prompts by default."""
    if path is None:
        assets = importlib.resources.files("penchant") / "assets"
        lines = (assets / "everyday-train.jsonl").read_text(encoding="utf-8").splitlines()
    else:
        lines = path.read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["prompt"] for line in lines[:num]]
    return [Request(tuple(model.encoder.encode_prompt([Message(role="user", content=text)])), text) for text in texts]


def load_peer(model: LanguageModel) -> Any:
    """The same weights with the attention that transformers picks itself."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(model.path), dtype=torch.float32).eval()


def penchant_side(
    model: LanguageModel, prompts: list[Request], rows: int, options: argparse.Namespace
) -> Callable[[int], int]:
    def run(turn: int) -> int:
        params = SamplingParams(options.temperature, max_new_tokens=options.max_new_tokens, seed=turn)
        groups = generate(model, prompts, params, num_responses=NUM_RESPONSES, batch_size=rows)
        return sum(len(response.token_ids) for group in groups for response in group)

    return run


def transformers_side(
    peer: Any, model: LanguageModel, prompts: list[Request], rows: int, options: argparse.Namespace
) -> Callable[[int], int]:
    ends = sorted(model.encoder.end_ids)
    ordered = sorted((prompt.prompt_ids for prompt in prompts), key=len)
    size = max(1, rows // NUM_RESPONSES)

    def run(turn: int) -> int:
        torch.manual_seed(turn)
        num_tokens = 0
        for start in range(0, len(ordered), size):
            batch = ordered[start : start + size]
            width = max(map(len, batch))
            ids = torch.tensor([[ends[0]] * (width - len(prompt)) + list(prompt) for prompt in batch])
            mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch])
            with torch.inference_mode():
                out = peer.generate(
                    input_ids=ids.to(peer.device),
                    attention_mask=mask.to(peer.device),
                    do_sample=True,
                    temperature=options.temperature,
                    top_k=0,
                    top_p=1.0,
                    max_new_tokens=options.max_new_tokens,
                    num_return_sequences=NUM_RESPONSES,
                    eos_token_id=ends,
                    pad_token_id=ends[0],
                )
            for new in out[:, width:].cpu():
                ended = torch.isin(new, torch.tensor(ends)).nonzero()
                num_tokens += int(ended[0]) + 1 if len(ended) else len(new)
        return num_tokens

    return run


def machine() -> str:
    """One line that says what the numbers were measured on."""
    import transformers

    products = f"fp32 products at {gemm_rate() / 1e9:.0f} GFLOP/s ({torch.get_float32_matmul_precision()})"
    return (
        f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads, "
        f"{products}, torch {torch.__version__}, transformers {transformers.__version__}"
    )


def print_table(sides: list[Side]) -> None:
    best = {name: max(side.best for side in sides if side.name == name) for name in {side.name for side in sides}}
    print(f"\n{'':28}{'rows':>6}{'tokens/s':>10}")
    for side in sides:
        print(f"{side.name:28}{side.rows:>6}{side.best:>10.0f}")
    for name in sorted(set(best) - {"penchant"}):
        print(f"penchant / {name}, each at its best: {best['penchant'] / best[name]:.2f}x")


if __name__ == "__main__":
    main()
