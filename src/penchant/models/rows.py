"""A response in progress, and the sampling of its next token.

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
    """The response of a job with this index, as generated so far.

    uniforms: a number in [0, 1) for each of its tokens. length: tokens run by the model, including the prompt: all but
    the last one drawn. likeliest: see `Response`.
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
        """A row without tokens yet."""
        random = uniforms(job.params.seed, job.request.key, index, job.request.attempt, job.limit)
        return cls(job, index, random, len(job.prompt))

    def settle(self, end_ids: Container[int]) -> bool:
        """Whether it is complete, by an end token or its limit; if so, it is added to its job."""
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
    """Draw one token per row with its job's parameters. logits_RV: those of the rows, in order."""
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
