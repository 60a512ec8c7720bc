"""Log-probabilities of responses under the reference policy, computed once for each response and kept on disk.

A value is found by what it depends on and nothing else: the weights, the numerics, the prompt's tokens and the
response's tokens. So it survives reordered and appended data, another beta or learning rate, and a resumed run; it
cannot outlive a model that was trained again at the same path.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from penchant.models.forward import score_sequences
from penchant.models.language_model import LanguageModel
from penchant.tokens import TokenSequence, pack

__all__ = ["ReferenceCache", "reference_logprobs"]

NUM_VERIFIED = 4
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}


class ReferenceCache:
    """One append-only file of JSON lines for one set of weights in one numerics mode; a torn last line is ignored."""

    def __init__(self, folder: Path, digest: str, mode: str) -> None:
        self.path = folder / f"{digest[:32]}-{mode}.jsonl"
        self.values: dict[bytes, float] = {}
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    key, value = json.loads(line)
                    self.values[bytes.fromhex(key)] = float(value)
                except (ValueError, TypeError):
                    continue

    def add(self, values: Iterable[tuple[bytes, float]]) -> None:
        """Remember values, on disk before this returns."""
        new = [(key, value) for key, value in values if self.values.get(key) != value]
        if not new:
            return
        self.values.update(new)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torn = self.path.is_file() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + "".join(json.dumps([key.hex(), value]) + "\n" for key, value in new))
            file.flush()
            os.fsync(file.fileno())

    def forget(self) -> None:
        """Drop everything, on disk too."""
        self.values.clear()
        self.path.unlink(missing_ok=True)


def reference_logprobs(
    model: LanguageModel,
    sequences: Sequence[TokenSequence],
    cache: ReferenceCache | None,
    *,
    token_budget: int,
    say: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[bytes, float]:
    """Summed log-prob of every sequence under `model`, by its key, in nats.

    Values found in the cache are used after those of the shortest few sequences were computed again and agreed; if
    they do not, the cache is dropped, aloud, and everything is computed.
    """
    unique = {s.key: s for s in sequences}
    known = {} if cache is None else {key: cache.values[key] for key in unique if key in cache.values}
    if known and not _verified(model, unique, known):
        say("cached reference log-probs disagree with the model; computing them again")
        assert cache is not None
        cache.forget()
        known = {}
    keys = list(unique)
    batches = pack([(unique[key],) for key in keys], token_budget, share=model.shares)
    todo = [batch for batch in batches if any(keys[i] not in known for i in batch)]
    done = 0
    for batch in todo:
        on_progress(done, sum(map(len, todo)))
        values = _scores(model, [unique[keys[i]] for i in batch])
        fresh = {keys[i]: value for i, value in zip(batch, values, strict=True) if keys[i] not in known}
        known.update(fresh)
        if cache is not None:
            cache.add(fresh.items())
        done += len(batch)
    on_progress(done, done)
    return known


def _scores(model: LanguageModel, sequences: Sequence[TokenSequence]) -> list[float]:
    with torch.no_grad():
        return [float(x) for x in score_sequences(model, sequences)]


def _verified(model: LanguageModel, unique: dict[bytes, TokenSequence], known: dict[bytes, float]) -> bool:
    sample = sorted(known, key=lambda key: len(unique[key]))[:NUM_VERIFIED]
    tolerance = TOLERANCE[model.numerics.compute_dtype]
    fresh = _scores(model, [unique[key] for key in sample])
    return all(abs(a - known[key]) <= tolerance * max(1.0, abs(a)) for a, key in zip(fresh, sample, strict=True))
