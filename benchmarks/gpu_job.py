"""What the parts of gpu.py share: a job's pairs, model and reference log-probs, and a clock that waits for the GPU."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common import read_json


class Pair(NamedTuple):
    """As much of an encoded pair as `sharing.backward` reads."""

    sequences: tuple[Any, Any]


def pairs_of(job: Mapping[str, Any]) -> list[Pair]:
    """The pairs that `penchant_side.prepare` wrote as ids, in the order of training."""
    from penchant.tokens import TokenSequence

    def sequence(row: Mapping[str, list[int]], side: str) -> Any:
        return TokenSequence.of(row["prompt_ids"], row[f"{side}_ids"])

    return [Pair((sequence(row, "chosen"), sequence(row, "rejected"))) for row in read_json(Path(job["ids"]))]


def load(job: Mapping[str, Any], dtype: str) -> Any:
    """The model, ready to train. Raises ValueError for one that shares no prefixes."""
    from penchant.models.load import load_model
    from penchant.models.numerics import choose_numerics

    model = load_model(job["model"], choose_numerics(job["device"], dtype), chat_template="plain")
    if not model.shares:
        raise ValueError(f"prefixes are not shared in {dtype}: {model.why_unshared}")
    return model


def reference_of(model: Any, pairs: Sequence[Pair]) -> dict[bytes, float]:
    """The summed log-prob of every response."""
    import torch

    from penchant.models.forward import score_sequences

    sequences = [s for pair in pairs for s in pair.sequences]
    found: dict[bytes, float] = {}
    with torch.no_grad():
        for start in range(0, len(sequences), 16):
            some = sequences[start : start + 16]
            values = score_sequences(model, some).tolist()
            found |= {s.ids.tobytes(): value for s, value in zip(some, values, strict=True)}
    return found


def score(model: Any, forest: Any) -> Any:
    import torch

    from penchant.models.forward import score_forest

    with torch.no_grad():
        return score_forest(model, forest)


def now() -> float:
    """The clock, once the GPU has done what it was asked."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
