"""The responses being written, side by side: rows that prompts take, that grow by a token a step, and that are freed.

Shape suffixes: R rows (responses being written), T packed tokens of a step, H hidden, V vocabulary.

A prompt is run once, whatever the number of its responses, and only from where it departs from a prompt that is being
answered or was just before. A finished response leaves its row at once; the rows in use stay side by side, and new
prompts start as soon as there is room, so no step spends work on anything but tokens that are kept.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray

from penchant.models.kv_cache import KeyValueCache, NewPrompt, StepLayout
from penchant.models.language_model import LanguageModel
from penchant.models.requests import Job
from penchant.models.sampler import SamplingParams, sample
from penchant.tokens.forest import shared_prefix_length

__all__ = ["ContinuousBatch"]

PROMPT_TOKENS = 4096
"""New prompt tokens run in one step, unless a single prompt has more."""


class ContinuousBatch:
    """The responses being written: rows 0 to num_rows - 1 of the cache and of every array below.

    length: tokens of the row that are in the cache, all but the last one sampled. count: tokens sampled. cached: the
    prompt whose keys and values lie in each row of the cache, also after its response is finished.
    """

    def __init__(self, model: LanguageModel, jobs: list[Job], params: SamplingParams, batch_size: int) -> None:
        self.model, self.params = model, params
        num_responses = [len(job.indices) for job in jobs]
        size = max(min(batch_size, sum(num_responses)), *num_responses)
        longest = max(len(job.prompt) + job.limit for job in jobs)
        limit = max(job.limit for job in jobs)
        self.cache = KeyValueCache(size, longest)
        self.size, self.num_rows, self.num_sampled = size, 0, 0
        self.owner: list[tuple[Job, int]] = []
        self.cached: list[NDArray[np.int64] | None] = [None] * size
        self.length, self.count, self.limit = (np.zeros(size, dtype=np.int64) for _ in range(3))
        self.logprobs = np.zeros((size, limit))
        self.tokens = np.zeros((size, limit), dtype=np.int64)
        self.uniforms = np.zeros((size, limit))
        self.end_ids = np.array(sorted(model.encoder.end_ids), dtype=np.int64)

    @torch.inference_mode()
    def step(self, waiting: deque[Job]) -> list[Job]:
        """One more token for every row, and the first ones of prompts that find room; the jobs that this finishes."""
        new = self._start(waiting)
        old = self.num_rows - sum(len(job.indices) for job, _ in new)
        self._sample(self._run(new, old))
        for job, prompt in new:
            for row in range(prompt.row, prompt.row + len(job.indices)):
                if row != prompt.row:
                    self.cache.copy(prompt.row, row, prompt.stop)
                self.cached[row] = job.prompt
        return self._retire()

    def _start(self, waiting: deque[Job]) -> list[tuple[Job, NewPrompt]]:
        """Give rows to as many waiting prompts as fit. What they share with a prompt in the cache is copied."""
        empty = all(prompt is None for prompt in self.cached)
        new: list[tuple[Job, NewPrompt]] = []
        num_tokens = 0
        while waiting and self.num_rows + len(waiting[0].indices) <= self.size:
            job = waiting[0]
            source, start = self._nearest(job.prompt)
            num_tokens += len(job.prompt) - start
            if new and num_tokens > PROMPT_TOKENS:
                break
            waiting.popleft()
            new.append((job, NewPrompt(self.num_rows, start, len(job.prompt))))
            self.cache.copy(source, self.num_rows, start)
            for index in job.indices:
                row = self.num_rows
                self.owner.append((job, index))
                self.cached[row] = None
                self.length[row], self.count[row], self.limit[row] = len(job.prompt), 0, job.limit
                self.uniforms[row, : job.limit] = job.uniforms(index, self.params)
                self.num_rows += 1
            if empty:
                break  # alone in the very first step, so that all others find what they share with it in the cache
        return new

    def _nearest(self, prompt: NDArray[np.int64]) -> tuple[int, int]:
        """The row of the cache that begins most like this prompt, and how many tokens of it need not be run again."""
        best, length = 0, 0
        for row, cached in enumerate(self.cached):
            shared = 0 if cached is None else shared_prefix_length(prompt, cached)
            if shared > length:
                best, length = row, shared
        return best, min(length, len(prompt) - 1)

    def _run(self, new: list[tuple[Job, NewPrompt]], old: int) -> torch.Tensor:
        """Logits of each row's next token, (R, V)."""
        model, device = self.model, self.model.numerics.device
        rows = np.arange(old)
        ids = [self.tokens[rows, self.count[:old] - 1], *(job.prompt[p.start :] for job, p in new)]
        positions = [self.length[:old], *(np.arange(p.start, p.stop) for _, p in new)]
        layout = StepLayout(self.cache, self.length[:old].copy(), [p for _, p in new], device)
        last = np.cumsum([old, *(p.stop - p.start for _, p in new)])[1:] - 1
        read = np.concatenate([rows, np.repeat(last, [len(job.indices) for job, _ in new])])
        input_ids_T = torch.from_numpy(np.concatenate(ids)).to(device)
        model.num_tokens_run += len(input_ids_T)
        with model.numerics.autocast():
            hidden_TH = model.body(
                input_ids=input_ids_T[None],
                position_ids=torch.from_numpy(np.concatenate(positions)).to(device)[None],
                use_cache=False,
                layout=layout,
            ).last_hidden_state[0]
            logits_RV = model.head(hidden_TH[torch.from_numpy(read).to(device)]).float()
        self.length[:old] += 1
        cap = model.logit_softcap
        return logits_RV if cap is None else torch.tanh(logits_RV / cap) * cap

    def _sample(self, logits_RV: torch.Tensor) -> None:
        rows, num = np.arange(self.num_rows), self.num_rows
        uniform_R = torch.from_numpy(self.uniforms[rows, self.count[:num]])
        token_R, logprob_R = sample(logits_RV, uniform_R, self.params)
        self.tokens[rows, self.count[:num]] = token_R.cpu().numpy()
        self.logprobs[rows, self.count[:num]] = logprob_R.cpu().numpy()
        self.count[:num] += 1
        self.num_sampled = num

    def _retire(self) -> list[Job]:
        """Take finished responses out; the last rows move into theirs."""
        num = self.num_rows
        ended_R = np.isin(self.tokens[np.arange(num), self.count[:num] - 1], self.end_ids)
        finished = []
        for row in np.nonzero(ended_R | (self.count[:num] == self.limit[:num]))[0][::-1]:
            job, index = self.owner[row]
            token_ids = self.tokens[row, : self.count[row]].tolist()
            if job.finish(index, token_ids, bool(ended_R[row]), self.logprobs[row, : self.count[row]].tolist()):
                finished.append(job)
            self._close(int(row))
        return finished

    def _close(self, row: int) -> None:
        last = self.num_rows - 1
        if row != last:
            self.cache.copy(last, row, int(self.length[last]))
            for array in (self.length, self.count, self.limit, self.logprobs, self.tokens, self.uniforms):
                array[row] = array[last]
            self.owner[row], self.cached[row] = self.owner[last], self.cached[last]
        self.owner.pop()
        self.num_rows = last
