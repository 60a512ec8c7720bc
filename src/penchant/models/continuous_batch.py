"""Continuous batching: responses occupy rows, grow by one token per step, and free their rows when finished.

Shape suffixes: R rows (responses being written), T packed tokens of a step, H hidden, V vocabulary.

A prompt is run once, whatever the number of its responses, and only from where it departs from a prompt in the cache. A
finished response leaves its row at once; the rows in use stay contiguous, and new prompts start as soon as there is
room, so every step computes only tokens that are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from penchant.models.kv_cache import KeyValueCache, NewPrompt, StepLayout
from penchant.models.language_model import LanguageModel
from penchant.models.requests import Job
from penchant.models.rows import Row, draw
from penchant.tokens.forest import shared_prefix_length

__all__ = ["ContinuousBatch"]

PROMPT_TOKENS = 4096
"""The most new prompt tokens run in one step, unless a single prompt has more."""


class ContinuousBatch:
    """The responses being written: `rows`, where number r uses row r of the cache.

    size: the number of rows. cached: the prompt whose keys and values are in each row of the cache, also after its
    response is finished.
    """

    def __init__(self, model: LanguageModel, size: int, longest: int) -> None:
        self.model, self.size = model, size
        self.cache = KeyValueCache(size, longest)
        self.rows: list[Row] = []
        self.cached: list[NDArray[np.int64] | None] = [None] * size

    @torch.inference_mode()
    def step(self, waiting: deque[Job]) -> list[Row]:
        """Generate one token per row, and start prompts that fit; returns the rows finished."""
        old = len(self.rows)
        new = self._start(waiting)
        draw(self._run(new, old), self.rows)
        for job, prompt in new:
            for row in range(prompt.row, prompt.row + len(job.indices)):
                if row != prompt.row:
                    self.cache.copy(prompt.row, row, prompt.stop)
                self.cached[row] = job.prompt
        return self.drop(lambda row: row.settle(self.model.encoder.end_ids))

    def drop(self, is_done: Callable[[Row], bool]) -> list[Row]:
        """Remove the rows with this property; the last rows take their places."""
        numbers = [number for number, row in enumerate(self.rows) if is_done(row)]
        return [self._close(number) for number in reversed(numbers)]

    def _start(self, waiting: deque[Job]) -> list[tuple[Job, NewPrompt]]:
        """Give rows to as many waiting prompts as fit, copying prefixes shared with cached prompts."""
        empty = all(prompt is None for prompt in self.cached)
        new: list[tuple[Job, NewPrompt]] = []
        num_tokens = 0
        while waiting and len(self.rows) + len(waiting[0].indices) <= self.size:
            job = waiting[0]
            source, start = self._nearest(job.prompt)
            num_tokens += len(job.prompt) - start
            if new and num_tokens > PROMPT_TOKENS:
                break
            waiting.popleft()
            first = len(self.rows)
            new.append((job, NewPrompt(first, start, len(job.prompt))))
            self.cache.copy(source, first, start)
            self.rows += [Row.of(job, index) for index in job.indices]
            self.cached[first : len(self.rows)] = [None] * len(job.indices)
            if empty:
                break  # alone in the first step, so that all others find their shared prefix in the cache
        return new

    def _nearest(self, prompt: NDArray[np.int64]) -> tuple[int, int]:
        """The cache row with the longest common prefix, and the number of tokens that need not be rerun."""
        best, length = 0, 0
        for row, cached in enumerate(self.cached):
            shared = 0 if cached is None else shared_prefix_length(prompt, cached)
            if shared > length:
                best, length = row, shared
        return best, min(length, len(prompt) - 1)

    def _run(self, new: list[tuple[Job, NewPrompt]], old: int) -> torch.Tensor:
        """Logits of each row's next token, (R, V)."""
        model, device = self.model, self.model.numerics.device
        running = self.rows[:old]
        length = np.array([row.length for row in running], dtype=np.int64)
        last_ids = np.array([row.token_ids[-1] for row in running], dtype=np.int64)
        ids = [last_ids, *(job.prompt[p.start :] for job, p in new)]
        positions = [length, *(np.arange(p.start, p.stop) for _, p in new)]
        layout = StepLayout(self.cache, length, [p for _, p in new], device)
        last = np.cumsum([old, *(p.stop - p.start for _, p in new)])[1:] - 1
        read = np.concatenate([np.arange(old), np.repeat(last, [len(job.indices) for job, _ in new])])
        input_ids_T = torch.from_numpy(np.concatenate(ids)).to(device)
        model.num_tokens_run += len(input_ids_T)

        def logits() -> torch.Tensor:
            hidden_TH = model.body(
                input_ids=input_ids_T[None],
                position_ids=torch.from_numpy(np.concatenate(positions)).to(device)[None],
                use_cache=False,
                layout=layout,
            ).last_hidden_state[0]
            logits_RV: torch.Tensor = model.read_head(model.head.forward, hidden_TH[torch.from_numpy(read).to(device)])
            return logits_RV

        with model.numerics.autocast():
            logits_RV = model.run(logits).float()
        for row in running:
            row.length += 1
        cap = model.logit_softcap
        return logits_RV if cap is None else torch.tanh(logits_RV / cap) * cap

    def _close(self, number: int) -> Row:
        closed, last = self.rows[number], self.rows.pop()
        if last is not closed:
            self.cache.copy(len(self.rows), number, last.length)
            self.rows[number], self.cached[number] = last, self.cached[len(self.rows)]
        return closed
