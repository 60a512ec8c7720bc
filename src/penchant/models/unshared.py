"""A model whose attention cannot be shared runs through its own code: a text scored by itself, answers written alone.

Its `forward` is given only what it names: older code takes no `logits_to_keep`, some keeps no keys and values.

Shape suffixes: T packed tokens, K scored tokens, R responses of one prompt, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from penchant.models.language_model import LanguageModel
from penchant.models.requests import Job
from penchant.models.sampler import SamplingParams, sample
from penchant.tokens import Forest

__all__ = ["score_one_by_one", "write_one_by_one"]


def score_one_by_one(model: LanguageModel, forest: Forest) -> tuple[Tensor, Tensor]:
    """Log-prob and log sum of squared probabilities (without a gradient) for each scored token, (K,) each.

    The forest must have been planted with share=False.
    """
    device = model.numerics.device
    input_ids_T = torch.from_numpy(forest.input_ids_T).to(device)
    hidden_index_K = torch.from_numpy(forest.hidden_index_K).to(device)
    targets_K = torch.from_numpy(forest.target_ids_K).to(device)
    logprobs_K = torch.empty(len(targets_K), device=device)
    collision_K = torch.empty_like(logprobs_K)
    for segment in forest.segments:
        assert segment.parent < 0, "sequences of a model that cannot share lie side by side"
        (inside,) = torch.nonzero((hidden_index_K >= segment.start) & (hidden_index_K < segment.stop), as_tuple=True)
        ids = input_ids_T[None, segment.start : segment.stop]
        logits = _run(model, ids, hidden_index_K[inside] - segment.start, use_cache=False)[0][0]
        every = torch.log_softmax(logits.float(), dim=-1)
        logprobs_K = logprobs_K.index_copy(0, inside, every.gather(1, targets_K[inside, None])[:, 0])
        collision_K[inside] = torch.logsumexp(2 * every.detach(), dim=-1)
    return logprobs_K, collision_K


@torch.inference_mode()
def write_one_by_one(model: LanguageModel, job: Job, params: SamplingParams) -> Iterator[dict[int, Sequence[int]]]:
    """The tokens of each response that is not finished, by index, after every step; finished ones go to the job.

    All responses are equally long at every step, so there is no padding. What was run is kept in the model's own
    cache; a model without one, or whose cache is not exact, runs everything again for every token.
    """
    device, num = model.numerics.device, len(job.indices)
    uniforms_R = torch.from_numpy(np.stack([job.uniforms(index, params) for index in job.indices]))
    ids_RT = torch.from_numpy(job.prompt).to(device).expand(num, -1)
    written: dict[int, list[int]] = {index: [] for index in job.indices}
    logprobs: dict[int, list[float]] = {index: [] for index in job.indices}
    going = set(job.indices)
    new, past = ids_RT, None
    for count in range(job.limit):
        end = torch.tensor([new.shape[1] - 1], device=device)
        with model.numerics.autocast():
            logits_R1V, past = _run(model, new, end, use_cache=model.keeps, past_key_values=past)
        model.num_tokens_run += new.numel()
        token_R, logprob_R = sample(logits_R1V[:, 0], uniforms_R[:, count], params)
        for row, index in enumerate(job.indices):
            if index not in going:
                continue
            written[index].append(int(token_R[row]))
            logprobs[index].append(float(logprob_R[row]))
            has_ended = written[index][-1] in model.encoder.end_ids
            if has_ended or count + 1 == job.limit:
                job.finish(index, written[index], has_ended, logprobs[index])
                going.remove(index)
        yield {index: written[index] for index in job.indices if index in going}
        if not going:
            return
        token_R1 = token_R[:, None].to(device)
        ids_RT = torch.cat([ids_RT, token_R1], dim=1)
        new = ids_RT if past is None else token_R1


def _run(model: LanguageModel, input_ids: Tensor, positions: Tensor, **kept: Any) -> tuple[Tensor, Any]:
    """Logits at some positions of equally long rows, (rows, positions, V), and what of the text was kept, or None."""
    names = inspect.signature(model.causal_lm.forward).parameters
    kept = {name: value for name, value in kept.items() if name in names}
    if "logits_to_keep" in names:
        kept["logits_to_keep"] = positions
    out = model.network(input_ids=input_ids, **kept)
    logits = out.logits if "logits_to_keep" in names else out.logits[:, positions]
    return logits, getattr(out, "past_key_values", None) if model.keeps and "past_key_values" in names else None
