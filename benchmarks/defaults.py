"""Which learning rate and how many epochs move a model without memorising: the loss of held-out pairs decides.

For each set of pairs, rate and number of epochs, a model is trained on some pairs and scored on others,
of other prompts.
What was measured is kept in the results file, so that a call that was stopped goes on.

Example:
    python benchmarks/defaults.py hh=hh.jsonl webgpt=webgpt.jsonl --rates 5e-6 1e-5 2e-5 --results defaults.jsonl
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from torch import Tensor

import penchant as pt
from penchant.data import PreferencePair, load_pairs
from penchant.evaluation.pair_scores import response_logprobs, score_rewards
from penchant.models.numerics import computing
from penchant.tokens import EncodedPair, Limits, tokenise_pairs

BETA = 0.1
QUIET = {"save.num_samples": 0, "data.max_bad_share": 0.9}
"""No samples, and prompts that a small model has no room for are left out."""


def divided(file: str, num_train: int, num_held_out: int) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """Pairs to train on and pairs to score, in an order drawn once; no prompt is in both."""
    by_prompt = defaultdict(list)
    for pair in load_pairs(file, on_bad_row="drop").records:
        by_prompt[repr(pair.prompt)].append(pair)
    groups = list(by_prompt.values())
    random.Random(0).shuffle(groups)
    train: list[PreferencePair] = []
    held_out: list[PreferencePair] = []
    for group in groups:
        (held_out if len(held_out) < num_held_out else train).extend(group)
    return train[:num_train], held_out


def scored(model: pt.LanguageModel, pairs: Sequence[EncodedPair]) -> Tensor:
    with computing():
        return response_logprobs(model, pairs, token_budget=2048)


def half_width(values: Sequence[float]) -> float:
    """Of the 95% interval of a mean, by Student's t."""
    return float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5


def point(
    model: pt.LanguageModel,
    train: Sequence[PreferencePair],
    pairs: Sequence[EncodedPair],
    reference_B2: Tensor,
    **how: Any,
) -> dict[str, Any]:
    """Train, score, and say how the rewards of the held-out pairs came out."""
    begin = time.perf_counter()
    run = pt.dpo(model, list(train), beta=BETA, held_out=0.0, progress=False, settings=QUIET, **how)
    rows = score_rewards(pairs, scored(run.model, pairs), reference_B2, BETA)
    losses = [float(np.logaddexp(0.0, -row.margin)) for row in rows]
    correct = [float(row.correct) for row in rows]
    steps = [row for row in run.metrics if "loss" in row]
    last = steps[-max(1, len(train) // 8 // 4) :]
    return {
        "loss": statistics.mean(losses),
        "loss_half_width": half_width(losses),
        "accuracy": statistics.mean(correct),
        "accuracy_half_width": half_width(correct),
        "train_accuracy": statistics.mean(row["rewards/accuracies"] for row in last),
        "chosen_moved": statistics.mean(row.policy_chosen - row.reference_chosen for row in rows),
        "rejected_moved": statistics.mean(row.policy_rejected - row.reference_rejected for row in rows),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def table(points: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| model | pairs | trained on | rate | epochs | held-out loss | held-out accuracy | the longer answer "
        "| training accuracy |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in points:
        lines.append(
            f"| {row['model']} | {row['data']} | {row['num_train']} | {row['learning_rate']:g} | {row['epochs']} "
            f"| {row['loss']:.4f} ± {row['loss_half_width']:.4f} "
            f"| {row['accuracy']:.1%} ± {row['accuracy_half_width']:.1%} | {row['longer']:.1%} "
            f"| {row['train_accuracy']:.1%} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="NAME=FILE", help="preference pairs, and what to call them")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--chat-template", help="of a model that has none: plain, or a file")
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-6, 5e-6, 1e-5, 2e-5])
    parser.add_argument("--epochs", type=int, nargs="+", default=[1])
    parser.add_argument("--num-train", type=int, default=200)
    parser.add_argument("--num-held-out", type=int, default=150)
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--results", type=Path, default=Path("defaults.jsonl"), help="where points are kept")
    options = parser.parse_args()
    kept = [json.loads(line) for line in options.results.read_text().splitlines()] if options.results.exists() else []
    model = pt.load(options.model, chat_template=options.chat_template)
    for named in options.data:
        name, _, file = named.partition("=")
        train, held_out = divided(file, options.num_train, options.num_held_out)
        pairs = tokenise_pairs(model.encoder, held_out, Limits(options.max_length, options.max_length * 3 // 4)).items
        lengths = [[int(s.scored.sum()) for s in pair.sequences] for pair in pairs]
        longer = statistics.mean(0.5 if c == r else float(c > r) for c, r in lengths)
        reference_B2 = None
        for epochs in options.epochs:
            for rate in options.rates:
                about = {"model": options.model, "data": name, "num_train": len(train), "num_held_out": len(pairs)}
                about |= {"learning_rate": rate, "epochs": epochs, "lora": options.lora}
                if any(about.items() <= row.items() for row in kept):
                    continue
                if reference_B2 is None:
                    reference_B2 = scored(model, pairs)
                how = {"learning_rate": rate, "epochs": epochs, "lora": options.lora or None}
                how["max_length"] = options.max_length
                row = about | {"longer": longer} | point(model, train, pairs, reference_B2, **how)
                kept.append(row)
                with options.results.open("a") as file_of_points:
                    file_of_points.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
    print(table(kept))


if __name__ == "__main__":
    main()
