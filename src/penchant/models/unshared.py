"""Score and generate with models that cannot share prefixes, by their own code, one text at a time.

Only arguments in its `forward` are passed: older code has no `logits_to_keep`, some has no cache.

Shape suffixes: T packed tokens, K scored tokens, R responses of one prompt, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from penchant.models.language_model import LanguageModel
from penchant.models.logprobs import TokenMeasures
from penchant.models.requests import Job
from penchant.models.rows import Row, draw
from penchant.tokens import Forest

__all__ = ["OneByOne", "logits_one_by_one", "score_one_by_one"]


def score_one_by_one(model: LanguageModel, forest: Forest, reference: Sequence[Tensor] | None = None) -> TokenMeasures:
    """All measures of each scored token, whether or not requested.

    The forest must have been planted with share=False. reference: for a KL, the result of `logits_one_by_one`.
    """
    device = model.numerics.device
    targets_K = torch.from_numpy(forest.target_ids_K).to(device)
    logprobs_K = torch.empty(len(targets_K), device=device)
    collision_K, kl_K = torch.empty_like(logprobs_K), torch.zeros_like(logprobs_K)
    for number, (inside, logits) in enumerate(_logits(model, forest)):
        every = torch.log_softmax(logits.float(), dim=-1)
        logprobs_K = logprobs_K.index_copy(0, inside, every.gather(1, targets_K[inside, None])[:, 0])
        collision_K[inside] = torch.logsumexp(2 * every.detach(), dim=-1)
        if reference is not None:
            log_q = torch.log_softmax(reference[number].to(every), dim=-1)
            terms = torch.where(log_q.isneginf(), 0.0, log_q.exp() * (log_q - every))
            kl_K = kl_K.index_copy(0, inside, terms.sum(dim=-1))
    return TokenMeasures(logprobs_K, collision_K, kl_K)


def logits_one_by_one(model: LanguageModel, forest: Forest) -> list[Tensor]:
    """Logits of the scored tokens of each sequence in turn, (tokens, V); the forest as for `score_one_by_one`."""
    return [logits for _, logits in _logits(model, forest)]


def _logits(model: LanguageModel, forest: Forest) -> Iterator[tuple[Tensor, Tensor]]:
    """For each sequence, the indices of its scored tokens, and their logits."""
    device = model.numerics.device
    input_ids_T = torch.from_numpy(forest.input_ids_T).to(device)
    hidden_index_K = torch.from_numpy(forest.hidden_index_K).to(device)
    for segment in forest.segments:
        assert segment.parent < 0, "sequences of a model that cannot share lie side by side"
        (found,) = np.nonzero((forest.hidden_index_K >= segment.start) & (forest.hidden_index_K < segment.stop))
        inside = torch.from_numpy(found).to(device)
        ids = input_ids_T[None, segment.start : segment.stop]
        yield inside, _run(model, ids, hidden_index_K[inside] - segment.start, use_cache=False)[0][0]


class OneByOne:
    """Generates the responses to one prompt, then to the next; `step` and `drop` as in `ContinuousBatch`.

    All responses have the same length at every step, so there is no padding; a finished one runs on unused. Keys and
    values are in the model's own cache; a model without one, or with an inexact one, reruns everything at every step.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.rows: list[Row] = []
        self._place: dict[Row, int] = {}
        self._ids_RT = self._new = torch.empty(0)
        self._past: Any = None

    @torch.inference_mode()
    def step(self, waiting: deque[Job]) -> list[Row]:
        """Generate one token per row, starting a prompt if none is active; returns the rows finished."""
        model, device = self.model, self.model.numerics.device
        if not self.rows:
            self._start(waiting.popleft())
        end = torch.tensor([self._new.shape[1] - 1], device=device)
        with model.numerics.autocast():
            logits_R1V, self._past = _run(model, self._new, end, use_cache=model.keeps, past_key_values=self._past)
        model.num_tokens_run += self._new.numel()
        places = [self._place[row] for row in self.rows]
        draw(logits_R1V[places, 0], self.rows)
        token_R1 = torch.zeros(len(self._new), 1, dtype=torch.int64, device=device)
        token_R1[places] = torch.tensor([row.token_ids[-1:] for row in self.rows], device=device)
        self._ids_RT = torch.cat([self._ids_RT, token_R1], dim=1)
        self._new = self._ids_RT if self._past is None else token_R1
        return self.drop(lambda row: row.settle(model.encoder.end_ids))

    def drop(self, is_done: Callable[[Row], bool]) -> list[Row]:
        """Remove the rows with this property."""
        dropped = [row for row in self.rows if is_done(row)]
        self.rows = [row for row in self.rows if row not in dropped]
        return dropped

    def _start(self, job: Job) -> None:
        self.rows = [Row.of(job, index) for index in job.indices]
        self._place = {row: place for place, row in enumerate(self.rows)}
        self._ids_RT = self._new = (
            torch.from_numpy(job.prompt).to(self.model.numerics.device).expand(len(self.rows), -1)
        )
        self._past = None


def _run(model: LanguageModel, input_ids: Tensor, positions: Tensor, **kept: Any) -> tuple[Tensor, Any]:
    """Logits at some positions of equally long rows, (rows, positions, V), and the cache, or None."""
    names = inspect.signature(model.causal_lm.forward).parameters
    kept = {name: value for name, value in kept.items() if name in names}
    if "logits_to_keep" in names:
        kept["logits_to_keep"] = positions
    out = model.network(input_ids=input_ids, **kept)
    logits = out.logits if "logits_to_keep" in names else out.logits[:, positions]
    return logits, getattr(out, "past_key_values", None) if model.keeps and "past_key_values" in names else None
