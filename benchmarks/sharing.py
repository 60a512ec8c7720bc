"""What sharing prefixes gains where there is much to share, and that it changes nothing else.

    python benchmarks/sharing.py --data FILE --model smollm2-135m

Two experiments, both through Penchant's own attention and head, with the same micro-batch token budget for both sides:
several responses a prompt, all their pairs; and pairs behind one long system prompt. The unshared side runs every
sequence by itself. Timed: forward, backward and optimiser step.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common import number, peak_bytes, read_json, table, write_json

BETA = 0.1
NUM_RESPONSES = 4


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1].endswith(".json"):  # as a child of dpo_throughput.py
        write_json(Path(sys.argv[2]), measure(**read_json(Path(sys.argv[1]))["arguments"]))
        return
    parser = argparse.ArgumentParser(description="What sharing prefixes gains, and that it is exact.")
    parser.add_argument("--data", nargs="+", required=True, help="preference files")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--chat-template", help="'plain', or a Jinja template's text")
    parser.add_argument("--num-prompts", type=int, default=8, help=f"with {NUM_RESPONSES} responses each")
    parser.add_argument("--num-pairs", type=int, default=16, help="behind the system prompt")
    parser.add_argument("--system-tokens", type=int, default=512)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--token-budget", type=int, help="unique tokens a micro-batch; default: the package's")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = vars(parser.parse_args())
    output = options.pop("output")
    result = measure(**options)
    print(as_table(result["experiments"]))
    if output:
        write_json(output, result)


def measure(
    data: list[str],
    model: str,
    chat_template: str | None,
    num_prompts: int,
    num_pairs: int,
    system_tokens: int,
    max_length: int,
    token_budget: int | None,
) -> dict[str, Any]:
    """Run both experiments in this process."""
    from penchant.models.numerics import prepare_process
    from penchant.process import own_process

    own_process()
    prepare_process()
    from penchant.data import load_pairs
    from penchant.models.load import load_model
    from penchant.models.numerics import choose_numerics
    from penchant.training.config import OptimiserConfig

    loaded = load_model(model, choose_numerics("cpu", "float32"), chat_template=chat_template)
    if not loaded.shares:
        raise ValueError(f"{model}: prefixes cannot be shared, {loaded.why_unshared}")
    pairs = load_pairs(data, on_bad_row="drop").records
    budget = token_budget or OptimiserConfig().token_budget
    max_length = min(max_length, loaded.context_length)
    family = several_responses(loaded, pairs, num_prompts, max_length)
    system = behind_system_prompt(loaded, pairs, num_pairs, system_tokens, max_length)
    return {
        "experiments": [
            compare(loaded, f"{NUM_RESPONSES} responses a prompt, all pairs", family, 12, budget),
            compare(loaded, f"system prompt of {system_tokens} tokens", system, 8, budget),
        ],
        "peak_bytes": peak_bytes(),
    }


def several_responses(model: Any, pairs: Sequence[Any], num_prompts: int, max_length: int) -> list[Any]:
    """All pairs among several responses to a prompt: its own two, and those of the next rows, told apart."""
    from penchant.tokens import Limits, tokenise_pairs

    limits = Limits(max_length, max_length - 1)
    made: list[Any] = []
    num_done = 0
    for index, pair in enumerate(pairs[:-NUM_RESPONSES]):
        texts = [t for near in pairs[index : index + NUM_RESPONSES] for t in (near.chosen, near.rejected)]
        texts = list(dict.fromkeys(texts))[:NUM_RESPONSES]
        ranked = [pair.model_copy(update={"chosen": a, "rejected": b}) for a, b in itertools.combinations(texts, 2)]
        items = tokenise_pairs(model.encoder, ranked, limits).items
        if len(items) == NUM_RESPONSES * (NUM_RESPONSES - 1) // 2:
            made += items
            num_done += 1
        if num_done == num_prompts:
            break
    return made


def behind_system_prompt(
    model: Any, pairs: Sequence[Any], num_pairs: int, system_tokens: int, max_length: int
) -> list[Any]:
    """Pairs whose conversation opens with one long system message; its text is what other rows' responses say."""
    from penchant.data import Message
    from penchant.tokens import Limits, tokenise_pairs

    text = ""
    for pair in reversed(pairs):
        text += pair.chosen.strip() + "\n"
        ids = model.tokenizer.encode(text, add_special_tokens=False)
        if len(ids) >= system_tokens:
            break
    system = Message(role="system", content=model.encoder.decode(ids[:system_tokens]))
    longest = max_length + system_tokens
    kept: list[Any] = []
    for pair in pairs:
        longer = pair.model_copy(update={"prompt": (system, *pair.prompt)})
        kept += tokenise_pairs(model.encoder, [longer], Limits(longest, longest - 1)).items
        if len(kept) == num_pairs:
            break
    return kept


def compare(model: Any, name: str, items: list[Any], batch_size: int, budget: int) -> dict[str, Any]:
    """Check the first batch three ways, then time every batch shared and unshared, taking turns at going first."""
    import torch

    batches = [items[start : start + batch_size] for start in range(0, len(items), batch_size)]
    reference = {}
    with torch.no_grad():
        for pair, item in itertools.product(items, (0, 1)):
            sequence = pair.sequences[item]
            if (key := sequence.ids.tobytes()) not in reference:
                reference[key] = float(sum_logprobs(model, [sequence], share=True)[0])
    parameters = [p for p in model.network.parameters() if p.requires_grad]
    exactness = check(model, batches[0], reference, budget, parameters)
    optimiser = torch.optim.AdamW(parameters, lr=1e-6, weight_decay=0.0, fused=True)
    seconds, tokens = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    for number_of_batch, batch in enumerate(batches):
        for share in (True, False) if number_of_batch % 2 == 0 else (False, True):
            before, begin = model.num_tokens_run, time.perf_counter()
            backward(model, batch, reference, budget, share=share)
            torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
            optimiser.step()
            optimiser.zero_grad(set_to_none=False)
            seconds[share] += time.perf_counter() - begin
            tokens[share] += model.num_tokens_run - before
    return {
        "name": name,
        "num_pairs": len(items),
        "batch_size": batch_size,
        "token_budget": budget,
        "pairs_per_second": {"shared": len(items) / seconds[True], "unshared": len(items) / seconds[False]},
        "tokens_run": {"shared": tokens[True], "unshared": tokens[False]},
        "ratio": seconds[False] / seconds[True],
        **exactness,
    }


def sum_logprobs(model: Any, sequences: Sequence[Any], *, share: bool) -> Any:
    """Summed log-prob of every sequence, (R,), through the same attention whether they share or lie side by side."""
    import torch

    from penchant.models.forward import score_forest
    from penchant.objectives import sum_by_response
    from penchant.tokens import Forest

    forest = Forest.plant(sequences, share=share)
    logp_K = score_forest(model, forest)
    return sum_by_response(logp_K, torch.from_numpy(forest.response_of_K).to(logp_K.device), len(sequences))


def backward(
    model: Any, batch: list[Any], reference: dict[bytes, float], budget: int, *, share: bool
) -> list[tuple[float, float]]:
    """Add the gradient of the batch's mean DPO loss; returns the summed log-probs of every pair's two sides."""
    import torch

    from penchant.tokens import pack

    logps: dict[int, tuple[float, float]] = {}
    for indices in pack([pair.sequences for pair in batch], budget, share=share):
        sequences = [s for i in indices for s in batch[i].sequences]
        policy_R = sum_logprobs(model, sequences, share=share)
        reference_R = torch.tensor([reference[s.ids.tobytes()] for s in sequences], device=policy_R.device)
        rewards_R = BETA * (policy_R - reference_R)
        loss_B = -torch.nn.functional.logsigmoid(rewards_R[0::2] - rewards_R[1::2])
        (loss_B.sum() / len(batch)).backward()
        values = policy_R.tolist()
        logps.update({i: (values[2 * n], values[2 * n + 1]) for n, i in enumerate(indices)})
    return [logps[i] for i in range(len(batch))]


def check(
    model: Any, batch: list[Any], reference: dict[bytes, float], budget: int, parameters: list[Any]
) -> dict[str, float]:
    """Largest relative differences of the shared side's log-probs and gradient to the two others."""
    import torch

    ways = three_ways(model, batch, reference, budget, parameters)
    _, logps, grads = next(ways)
    norm = torch.stack([g.norm() for g in grads]).norm()
    differences: dict[str, float] = {}
    for other, other_logps, other_grads in ways:
        gaps = torch.stack([(a - b).norm() for a, b in zip(grads, other_grads, strict=True)]).norm()
        differences[f"logps_vs_{other}"] = float(((logps - other_logps).abs() / other_logps.abs()).max())
        differences[f"gradient_vs_{other}"] = float(gaps / norm)
    return differences


def three_ways(
    model: Any, batch: list[Any], reference: dict[bytes, float], budget: int, parameters: list[Any]
) -> Iterator[tuple[str, Any, list[Any]]]:
    """How it was run, the summed log-probs of every pair's sides (B, 2), and the gradient of the mean loss: shared,
    unshared, and by transformers' own attention. The model shares again afterwards."""
    import torch

    for way in ("shared", "unshared", "transformers"):
        if way == "transformers":
            model.stop_sharing("compared with transformers' own attention")
        for parameter in parameters:
            parameter.grad = None
        logps = torch.tensor(backward(model, batch, reference, budget, share=way == "shared"))
        yield way, logps, [p.grad for p in parameters]
    model.start_sharing()
    for parameter in parameters:
        parameter.grad = None


def as_table(experiments: Sequence[dict[str, Any]]) -> str:
    headers = (
        "experiment",
        "pairs",
        "pairs/s shared",
        "pairs/s unshared",
        "ratio",
        "tokens run",
        "unshared",
        "log-probs vs unshared",
        "gradient vs unshared",
        "log-probs vs transformers",
        "gradient vs transformers",
    )
    rows = [
        (
            e["name"],
            str(e["num_pairs"]),
            number(e["pairs_per_second"]["shared"]),
            number(e["pairs_per_second"]["unshared"]),
            number(e["ratio"]),
            f"{e['tokens_run']['shared']:,}",
            f"{e['tokens_run']['unshared']:,}",
            *(number(e[k], 2) for k in ("logps_vs_unshared", "gradient_vs_unshared")),
            *(number(e[k], 2) for k in ("logps_vs_transformers", "gradient_vs_transformers")),
        )
        for e in experiments
    ]
    return table(headers, rows)


if __name__ == "__main__":
    main()
