"""Log-probabilities of responses under the reference policy, computed once for each response and kept on disk.

A value is found by all that its bits depend on: the weights, the arithmetic, the tokens of prompt and response, and the
responses that it was computed beside, as sums of a matrix product may round otherwise in other company. Who keeps whom
company is decided by the texts alone, and mostly by those nearby in the order of their tokens, so a value is the same
bits with a cold cache, a warm one, or one that another run fills meanwhile, and appended rows cost little
(docs/adr/0010). It cannot outlive a model that was trained again at the same path.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from penchant.models.forward import score_sequences
from penchant.models.language_model import LanguageModel
from penchant.tokens import TokenSequence, pack

__all__ = ["ReferenceCache", "companies", "reference_logprobs"]

NUM_VERIFIED = 4
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
NEIGHBOURS = 32
"""A stretch of sequences that is packed by itself has so many on average."""


class ReferenceCache:
    """One append-only file of JSON lines for one set of weights in one numerics mode; a torn last line is ignored.

    folder: where the file lies; None keeps values in memory alone.
    """

    def __init__(self, folder: Path | None, digest: str, mode: str) -> None:
        self.path = folder and folder / f"{digest[:32]}-{mode}.jsonl"
        self.values: dict[bytes, float] = {}
        if self.path is not None and self.path.is_file():
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
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torn = self.path.is_file() and not self.path.read_bytes().endswith(b"\n")
        lines = "\n" * torn + "".join(json.dumps([key.hex(), value]) + "\n" for key, value in new)
        with self.path.open("ab", buffering=0) as file:
            # at once, and not cut off where it fails: another process may be appending too
            file.write(lines.encode())
            os.fsync(file.fileno())

    def forget(self) -> None:
        """Drop everything, on disk too."""
        self.values.clear()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def companies(
    sequences: Sequence[TokenSequence], token_budget: int, *, share: bool = True
) -> list[list[TokenSequence]]:
    """Distinct sequences in the micro-batches that they are scored in; their order changes nothing.

    In the order of their tokens they are cut before every sequence whose digest says so, about one of NEIGHBOURS, and
    each stretch is packed by itself. So a sequence more or less changes the company of those in its own stretch alone.
    With share=False each is run by itself anyway.
    """
    ordered = sorted({s.key: s for s in sequences}.values(), key=lambda s: (s.ids.tolist(), s.key))
    if not share:
        return [[sequence] for sequence in ordered]
    stretches: list[list[TokenSequence]] = []
    for sequence in ordered:
        if not stretches or sequence.key[0] % NEIGHBOURS == 0:
            stretches.append([])
        stretches[-1].append(sequence)
    return [[s[i] for i in batch] for s in stretches for batch in pack([(one,) for one in s], token_budget)]


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

    Values found in the cache are used after those of the smallest few micro-batches were computed again and agreed; if
    they do not, the cache is dropped, aloud, and everything is computed.
    """
    batches = companies(sequences, token_budget, share=model.shares)
    kept = {} if cache is None else cache.values
    found = [batch for batch in batches if all(key in kept for key in _places(batch))]
    if found and not _verified(model, found, kept):
        say("cached reference log-probs disagree with the model; computing them again")
        assert cache is not None
        cache.forget()
        kept, found = cache.values, []
    values = {s.key: kept[place] for batch in found for s, place in zip(batch, _places(batch), strict=True)}
    todo = [batch for batch in batches if batch[0].key not in values]
    done, total = 0, sum(map(len, todo))
    for batch in todo:
        on_progress(done, total)
        fresh = _scores(model, batch)
        values.update(zip((s.key for s in batch), fresh, strict=True))
        if cache is not None:
            cache.add(zip(_places(batch), fresh, strict=True))
        done += len(batch)
    on_progress(done, done)
    return values


def _places(batch: Sequence[TokenSequence]) -> list[bytes]:
    """Where the value of each sequence of a micro-batch is kept: a digest of the sequence and of its company."""
    company = b"".join(s.key for s in batch)
    return [hashlib.blake2b(s.key + company, digest_size=16).digest() for s in batch]


def _scores(model: LanguageModel, batch: Sequence[TokenSequence]) -> list[float]:
    with torch.no_grad():
        return [float(x) for x in score_sequences(model, batch)]


def _verified(model: LanguageModel, found: Sequence[Sequence[TokenSequence]], kept: dict[bytes, float]) -> bool:
    tolerance = TOLERANCE[model.numerics.compute_dtype]
    checked = 0
    for batch in sorted(found, key=lambda batch: sum(map(len, batch))):
        fresh = _scores(model, batch)
        before = [kept[place] for place in _places(batch)]
        if not all(abs(a - b) <= tolerance * max(1.0, abs(a)) for a, b in zip(fresh, before, strict=True)):
            return False
        checked += len(batch)
        if checked >= NUM_VERIFIED:
            break
    return True
