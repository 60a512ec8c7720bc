"""What of training is measured on large data: tokenising, all that stands before the first step, a reference's plan.

The model has one tiny layer and the tokenizer of the starter, and the objective needs no reference, so that nearly all
of the time is what stands before the step. A store of tokens is made without texts, as texts for ten million pairs and
their tokenising would take hours: a system prompt that all share, and 80 tokens of each pair's own, drawn at random.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

STARTER = "smollm2-135m"
SYSTEM, PROMPT, RESPONSE = 20, 20, 30
"""Tokens of a made pair: those that all share, the rest of its prompt, and each response."""
PAIRS_AT_ONCE = 100_000


def tokenise(path: Path) -> None:
    """Every pair read and encoded, and none kept."""
    from penchant.data import reading_of
    from penchant.models.encoder import load_text_side
    from penchant.tokens import Limits
    from penchant.tokens.pairs import encoded_pairs

    for _ in encoded_pairs(load_text_side(STARTER).encoder, reading_of("pairs", path), Limits(1024, 1023)):
        pass


def tokenizer_alone(path: Path) -> None:
    """The tokenizer's library on the same texts, many at once and on all cores, which is the least that can be had."""
    from tokenizers import Tokenizer

    from penchant.models.starter import pull

    tokenizer = Tokenizer.from_file(str(pull(STARTER, print) / "tokenizer.json"))
    with path.open(encoding="utf-8") as lines:
        while rows := [json.loads(line) for line in itertools.islice(lines, 512)]:
            texts = [row[side] for row in rows for side in ("prompt", "chosen", "rejected")]
            tokenizer.encode_batch_fast(texts, add_special_tokens=False)


def first_start(path: Path) -> None:
    """One step of `penchant dpo`, and what stands before it, with an empty cache folder."""
    shutil.rmtree(_cache(path), ignore_errors=True)
    later_start(path)


def later_start(path: Path) -> None:
    """The same with the cache as it was left."""
    output = path.with_name(f"{path.stem}-run")
    shutil.rmtree(output, ignore_errors=True)
    settings = ("--objective", "simpo", "--set", "optimiser.max_steps=1", "--set", "data.held_out=0.0001")
    model = str(_model(path))
    command = [sys.executable, "-m", "penchant", "dpo", "--model", model, "--data", str(path), "--output", str(output)]
    environment = os.environ | {"PENCHANT_CACHE": str(_cache(path)), "HF_HUB_OFFLINE": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*command, *settings], check=True, env=environment, **quiet)


def start_from_tokens(path: Path) -> None:
    """One step and what stands before it where the tokens are found."""
    import penchant
    from penchant.data import Loaded
    from penchant.tokens.store import PairStore
    from penchant.training import dataset
    from penchant.training.stored import ReadPairs

    def found(*_: Any, **__: Any) -> ReadPairs:
        store = PairStore.open(path)
        loaded: Loaded[Any] = Loaded((), {"keep": len(store)}, (), "made", "")
        return ReadPairs(
            store, loaded, problems=(), in_part=frozenset(), num_truncated=0, places=store.columns["places"]
        )

    dataset.stored_pairs = found
    row = {"prompt": "?", "chosen": "yes", "rejected": "no"}
    settings = {"optimiser.max_steps": 1, "data.held_out": 0.0001}
    penchant.dpo(str(_model(path)), [row], objective="simpo", settings=settings, progress=False)


def plan_reference(path: Path) -> None:
    """Which responses of all pairs the reference scores beside which."""
    import numpy as np

    from penchant.tokens.store import PairStore, Responses, SomePairs
    from penchant.training.config import OptimiserConfig
    from penchant.training.reference import Plan, companies
    from penchant.training.reference_values import ReferenceCache

    store = PairStore.open(path)
    responses = Responses(SomePairs(store, np.arange(len(store))))
    Plan(responses, companies(responses, OptimiserConfig().token_budget), ReferenceCache(None, "", ""))


def write_store(path: Path, num: int, seed: int = 0) -> None:
    """Tokens of pairs as `penchant dpo` keeps them, drawn at random."""
    import numpy as np

    from penchant.tokens.store import StoreWriter

    random = np.random.default_rng(seed)
    system = random.integers(0, 49_000, SYSTEM)
    length = SYSTEM + PROMPT + 2 * RESPONSE
    parts = np.cumsum([SYSTEM + PROMPT, RESPONSE, RESPONSE])
    with StoreWriter.into(path) as writer:
        for begin in range(0, num, PAIRS_AT_ONCE):
            rows = np.arange(begin, min(begin + PAIRS_AT_ONCE, num))
            ids = random.integers(0, 49_000, (len(rows), length))
            ids[:, :SYSTEM] = system
            writer.extend(
                {
                    "ids": ids,
                    "ends": rows[:, None] * length + parts,
                    "labels": np.tile([1.0, 1.0, 0.0], (len(rows), 1)),
                    "keys": np.frombuffer(random.bytes(32 * len(rows)), dtype=np.uint8),
                    "prompts": random.integers(0, 2**63, len(rows)),
                    "files": np.zeros(len(rows)),
                    "lines": rows + 1,
                    "records": rows,
                    "places": random.random(len(rows)),
                },
                "made.jsonl",
            )
        writer.finish({"loaded": None, "problems": [], "num_truncated": 0})


def _cache(path: Path) -> Path:
    return path.with_name(f"{path.stem}-cache")


def _model(path: Path) -> Path:
    """The tiny model, made in a process of its own where it is not there yet."""
    model = path.with_name("tiny-model")
    if not model.is_dir():
        subprocess.run([sys.executable, __file__, str(model)], check=True)
    return model


def write_model(folder: Path) -> None:
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from penchant.models.starter import pull

    tokenizer = AutoTokenizer.from_pretrained(str(pull(STARTER, print)))
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
