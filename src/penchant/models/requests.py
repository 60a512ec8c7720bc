"""The inputs and outputs of sampling: a prompt, its responses, and the job in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.data import Prompt
from penchant.errors import ModelError
from penchant.models.language_model import LanguageModel
from penchant.models.sampler import SamplingParams
from penchant.tokens import BoundaryError

__all__ = ["Job", "Request", "Response", "refuse_long_prompts"]


@dataclass(frozen=True)
class Request:
    """A prompt to answer.

    key: identifies the prompt for seeding; the same key gives the same responses in any batch. indices: which of its
    responses to generate; None means all. attempt: another attempt draws other responses. num_likeliest: how many of
    the likeliest tokens to record beside each one drawn; None if not needed.
    """

    prompt_ids: tuple[int, ...]
    key: str
    indices: tuple[int, ...] = ()
    attempt: int = 0
    num_likeliest: int | None = None


@dataclass(frozen=True)
class Response:
    """A sampled response.

    token_ids: with the end token, if sampled. finished: False if it was cut off at the limit. logprob: the sum of
    natural log-probabilities of its tokens under the full distribution at temperature 1; logprobs: those of each token.
    likeliest: for each token, the likeliest ones with their log-probs, if requested.
    """

    key: str
    index: int
    token_ids: tuple[int, ...]
    finished: bool
    logprob: float
    attempt: int = 0
    logprobs: tuple[float, ...] = ()
    likeliest: tuple[tuple[tuple[int, float], ...], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The input of `of`, as JSON values; without the likeliest tokens."""
        return {name: value for name, value in vars(self).items() if name != "likeliest"}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Response:
        """Restore from `as_dict`, also in another process."""
        return cls(**{**facts, "token_ids": tuple(facts["token_ids"]), "logprobs": tuple(facts["logprobs"])})


@dataclass(eq=False)
class Job:
    """A request in progress, with its sampling parameters.

    limit: the most tokens per response. done: its finished responses.
    """

    request: Request
    params: SamplingParams
    prompt: NDArray[np.int64]
    indices: tuple[int, ...]
    limit: int
    done: list[Response] = field(default_factory=list)

    @classmethod
    def of(cls, model: LanguageModel, request: Request, params: SamplingParams, num_responses: int) -> Job:
        num, context = len(request.prompt_ids), model.context_length
        if not num:
            raise ModelError(f"prompt {request.key}: is empty, so there is no token to start from; write a prompt")
        _require_room(f"prompt {request.key}", num, context)
        indices = request.indices or tuple(range(num_responses))
        limit = min(params.max_new_tokens, context - num)
        return cls(request, params, np.array(request.prompt_ids), indices, limit)

    @property
    def is_done(self) -> bool:
        """Whether all of its responses are finished."""
        return len(self.done) == len(self.indices)

    def responses(self) -> list[Response]:
        return sorted(self.done, key=lambda response: response.index)


def refuse_long_prompts(model: LanguageModel, prompts: Sequence[Prompt]) -> None:
    """Raise ModelError that names the file and line of the first prompt that cannot be answered.

    Either the model has no room for an answer, or its chat template refuses the messages.
    """
    for prompt in prompts:
        where = str(prompt.origin or f"prompt {prompt.id}")
        try:
            num = len(model.encoder.encode_prompt(prompt.messages))
        except BoundaryError as error:
            raise ModelError(f"{where}: {error}; {error.fix}") from error
        _require_room(where, num, model.context_length)


def _require_room(where: str, num: int, context: int) -> None:
    if num >= context:
        raise ModelError(
            f"{where}: its {num} tokens leave no room in the model's context of {context}; "
            "shorten it, or pass a model with a longer context"
        )
