"""A response while it is written, and how its next token is drawn.

Shape suffixes: R rows (responses being written), V vocabulary, S rows that are drawn in one way.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penchant.models.requests import Job, Response
from penchant.models.sampler import sample, uniforms

__all__ = ["Row", "draw"]


@dataclass(eq=False)
class Row:
    """The response of a job with this index, as far as it is written.

    uniforms: a number in [0, 1) for each of its tokens. length: how many of its tokens the model has run, the prompt's
    included: all but the last one drawn. likeliest: see `Response`.
    """

    job: Job
    index: int
    uniforms: NDArray[np.float64]
    length: int
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    likeliest: list[tuple[tuple[int, float], ...]] = field(default_factory=list)

    @classmethod
    def of(cls, job: Job, index: int) -> Row:
        """Nothing is written yet."""
        random = uniforms(job.params.seed, job.request.key, index, job.request.attempt, job.limit)
        return cls(job, index, random, len(job.prompt))

    def settle(self, end_ids: Container[int]) -> bool:
        """Whether it is whole, by an end token or as long as it may get; then its job has it."""
        ended = self.token_ids[-1] in end_ids
        if not ended and len(self.token_ids) < self.job.limit:
            return False
        request = self.job.request
        self.job.done.append(
            Response(
                request.key,
                self.index,
                tuple(self.token_ids),
                ended,
                sum(self.logprobs),
                request.attempt,
                tuple(self.logprobs),
                tuple(self.likeliest),
            )
        )
        return True


def draw(logits_RV: Tensor, rows: Sequence[Row]) -> None:
    """One more token for every row, in the way that its job asks for. logits_RV: of the rows, in their order."""
    ways: dict[tuple[float, float, int], list[int]] = {}
    for place, row in enumerate(rows):
        params = row.job.params
        ways.setdefault((params.temperature, params.top_p, params.top_k), []).append(place)
    for places in ways.values():
        some = [rows[place] for place in places]
        logits_SV = logits_RV if len(ways) == 1 else logits_RV[places]
        uniform_S = torch.tensor([row.uniforms[len(row.token_ids)] for row in some], dtype=torch.float64)
        token_S, logprob_S = sample(logits_SV, uniform_S, some[0].job.params)
        for row, token_id, logprob in zip(some, token_S.tolist(), logprob_S.tolist(), strict=True):
            row.token_ids.append(token_id)
            row.logprobs.append(logprob)
    for logits_V, row in zip(logits_RV, rows, strict=True):
        num = row.job.request.num_likeliest
        if num is not None:
            values, ids = torch.log_softmax(logits_V.float(), dim=-1).topk(min(num, len(logits_V)))
            row.likeliest.append(tuple(zip(ids.tolist(), values.tolist(), strict=True)))
