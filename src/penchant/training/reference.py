"""Compute log-probabilities of responses under the reference once, and cache them on disk.

The cache key includes all that a value's bits depend on: the weights, the arithmetic, the tokens of prompt and
response, and the other responses in its micro-batch, because matrix products may round differently in other batches.
The composition of micro-batches depends only on the texts, mostly on those adjacent in token order, so a value has the
same bits with a cold cache, a warm one, or one that another run is filling, and appended rows cost little
(docs/adr/0010). A value is not reused if the model at the same path was retrained. Sequences are built where they are
scored, and only a few numbers are stored for each (docs/adr/0013).
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray

from penchant import ranks
from penchant.models.forward import score_sequences
from penchant.models.language_model import LanguageModel
from penchant.tokens import TokenSequence
from penchant.tokens.order import in_token_order, order_key
from penchant.tokens.packing import pack_ordered
from penchant.training.reference_values import ReferenceCache, Values

__all__ = ["Plan", "companies", "reference_logprobs"]

NUM_VERIFIED = 4
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
NEIGHBOURS = 32
"""The mean number of sequences in a segment that is packed separately."""


Numbered = tuple[int, TokenSequence]
"""A sequence and its index."""


def companies(sequences: Sequence[TokenSequence], token_budget: int, *, share: bool = True) -> Iterator[list[Numbered]]:
    """Arrange distinct sequences in micro-batches, independently of their order.

    Sorted by tokens, they are cut before every sequence whose digest says so, about one in NEIGHBOURS, and each segment
    is packed separately. So adding or removing a sequence changes only the micro-batches of its own segment. With
    share=False each sequence is run alone anyway.
    """
    for stretch in _stretches(sequences):
        if share:
            packed = pack_ordered(((place, (one,)) for place, (_, one) in enumerate(stretch)), token_budget)
            yield from ([stretch[place] for place in places] for places in packed)
        else:
            yield from ([one] for one in stretch)


def _stretches(sequences: Sequence[TokenSequence]) -> Iterator[list[Numbered]]:
    stretch: list[Numbered] = []
    before = b""
    for i in in_token_order(sequences, lambda one: (order_key(one.ids), one.key)):
        one = sequences[i]
        if one.key == before:
            continue
        before = one.key
        if stretch and one.key[0] % NEIGHBOURS == 0:
            yield stretch
            stretch = []
        stretch.append((i, one))
    if stretch:
        yield stretch


def reference_logprobs(
    model: LanguageModel,
    sequences: Sequence[TokenSequence],
    cache: ReferenceCache | None,
    *,
    token_budget: int,
    say: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Mapping[bytes, float]:
    """Summed log-prob of every sequence under `model`, by its key, in nats.

    Cached values are used after those of the smallest few micro-batches were recomputed and agreed; if they do not
    agree, the cache is dropped with a warning, and everything is computed. Ranks share the micro-batches; the first
    rank reads the cache for all, and only it writes new values.
    """
    cache = ReferenceCache(None, "", "") if cache is None else cache
    plan = Plan(sequences, companies(sequences, token_budget, share=model.shares), cache)
    plan.values[:] = ranks.first(plan.values.tolist)
    if not ranks.first(lambda: _verified(model, plan)):
        say("cached reference log-probs disagree with the model; computing them again")
        cache.forget()
        plan.values[:] = np.nan
    todo = [number for number in range(len(plan.lengths)) if np.isnan(plan.values[plan.starts[number]])]
    done, total = 0, sum(plan.starts[number + 1] - plan.starts[number] for number in todo)
    with closing(cache):
        for begin in range(0, len(todo), ranks.size()):
            on_progress(done, total)
            turn = todo[begin : begin + ranks.size()]
            own = [_scored(model, plan.batch(number)) for number in ranks.dealt(turn)]
            for number, (places, fresh) in zip(turn, ranks.collect(own), strict=True):
                plan.values[plan.starts[number] : plan.starts[number + 1]] = fresh
                cache.add([bytes.fromhex(place) for place in places], fresh)
                done += len(fresh)
    on_progress(done, done)
    return Values(plan.keys, plan.values)


class Plan:
    """Which sequences are run together, as numbers, and their cached values.

    members, keys, values: index, key and value (NaN: none yet) of every sequence, one micro-batch after another.
    starts: the offset of each micro-batch, and the end of the last. lengths: the number of tokens of each sequence.
    """

    def __init__(
        self, sequences: Sequence[TokenSequence], batches: Iterable[list[Numbered]], cache: ReferenceCache
    ) -> None:
        self._sequences = sequences
        self.starts, self.lengths = array("q", [0]), array("q")
        members, keys, values = array("q"), bytearray(), array("d")
        for numbered in batches:
            members.extend(i for i, _ in numbered)
            batch = [one for _, one in numbered]
            keys += b"".join(one.key for one in batch)
            found = cache.find(_places(batch)) if cache.has_values else None
            values.extend([float("nan")] * len(batch) if found is None else found)
            self.starts.append(len(members))
            self.lengths.append(sum(map(len, batch)))
        self._members = members
        self.keys: NDArray[np.void] = np.frombuffer(keys, dtype="V16")
        self.values: NDArray[np.float64] = np.frombuffer(values, dtype=np.float64)

    def batch(self, number: int) -> list[TokenSequence]:
        """The sequences of a micro-batch."""
        return [self._sequences[i] for i in self._members[self.starts[number] : self.starts[number + 1]]]

    def found(self) -> list[int]:
        """The micro-batches with cached values, smallest first."""
        found = [number for number in range(len(self.lengths)) if not np.isnan(self.values[self.starts[number]])]
        return sorted(found, key=lambda number: self.lengths[number])


def _places(batch: Sequence[TokenSequence]) -> list[bytes]:
    """The cache key of each sequence of a micro-batch: a digest of the sequence and of the micro-batch."""
    company = b"".join(s.key for s in batch)
    return [hashlib.blake2b(s.key + company, digest_size=16).digest() for s in batch]


def _scores(model: LanguageModel, batch: Sequence[TokenSequence]) -> list[float]:
    with torch.no_grad():
        return [float(x) for x in score_sequences(model, batch)]


def _scored(model: LanguageModel, batch: Sequence[TokenSequence]) -> tuple[list[str], list[float]]:
    """The cache keys of a micro-batch, in hexadecimal, and the values."""
    return [place.hex() for place in _places(batch)], _scores(model, batch)


def _verified(model: LanguageModel, plan: Plan) -> bool:
    tolerance = TOLERANCE[model.numerics.compute_dtype]
    checked = 0
    for number in plan.found():
        batch = plan.batch(number)
        before = plan.values[plan.starts[number] : plan.starts[number + 1]].tolist()
        fresh = _scores(model, batch)
        if not all(abs(a - b) <= tolerance * max(1.0, abs(a)) for a, b in zip(fresh, before, strict=True)):
            return False
        checked += len(batch)
        if checked >= NUM_VERIFIED:
            break
    return True
