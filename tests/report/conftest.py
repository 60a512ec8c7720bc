"""A small made-up run that every report test starts from."""

import math

import pytest


@pytest.fixture
def run() -> dict:
    return {
        "command": "dpo",
        "model": "smollm2-135m",
        "data": "votes.jsonl",
        "started_at": "2026-03-04T10:12:31+00:00",
        "finished_at": "2026-03-04T10:41:02+00:00",
        "num_train_pairs": 1920,
        "num_held_out_pairs": 240,
        "reference_digest": "sha256:5a1c0e",
        "peak_memory_bytes": 5_431_234_560,
        "unique_tokens_per_second": 1904.2,
        "rows": {"keep": 2160, "empty_response": 3},
        "versions": {"torch": "2.13.0"},
        "config": {"dpo": {"beta": 0.1, "label_smoothing": 0.0}, "training": {"seed": 20260304}},
    }


@pytest.fixture
def metrics() -> list[dict]:
    """A healthy run of 100 steps: both losses fall, chosen rises, margins stay moderate."""
    rows = []
    for step in range(1, 101):
        margin = 2 * step / 100
        rows.append(
            {
                "step": step,
                "epoch": step / 100,
                "loss": math.log1p(math.exp(-margin)),
                "rewards/chosen": margin / 4,
                "rewards/rejected": -3 * margin / 4,
                "rewards/margins": margin,
                "rewards/accuracies": 0.5 + 0.4 * step / 100,
                "logps/chosen": -80 + 10 * margin / 4,
                "logps/rejected": -90 - 30 * margin / 4,
                "grad_norm": 3.0,
                "learning_rate": 5e-6 * (1 - step / 100),
                "tokens_per_second": 1900.0,
            }
        )
        if step % 25 == 0:
            rows.append(
                {
                    "step": step,
                    "eval_loss": math.log1p(math.exp(-margin)) + 0.03,
                    "eval_rewards/accuracies": 0.5 + 0.34 * step / 100,
                    "eval_rewards/margins": 0.8 * margin,
                    "eval_logps/chosen": -82 + 2 * margin,
                    "eval_logps/rejected": -91 - 6 * margin,
                }
            )
    return rows


@pytest.fixture
def samples() -> list[dict]:
    return [
        {"step": step, "prompt": "How is the weather?", "response": response}
        for step, response in ((0, "Grey."), (50, "Mild."), (100, "Bright!"))
    ]


@pytest.fixture
def comparison() -> dict:
    return {
        "judge": "positivity",
        "num_prompts": 300,
        "mean_before": 0.312,
        "mean_after": 0.781,
        "win_rate": {"rate": 0.775, "low": 0.726, "high": 0.817, "wins": 218, "losses": 53, "ties": 29},
        "kl": {"mean": 7.42, "low": 6.9, "high": 7.97},
        "pairs": [
            {
                "prompt": f"Prompt {i}?",
                "before": f"plain words {i}",
                "after": f"sunny words {i}",
                "score_before": -0.1,
                "score_after": 0.7,
            }
            for i in range(9)
        ],
    }
