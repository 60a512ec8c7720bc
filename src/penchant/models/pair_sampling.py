"""Sample distinct responses for comparison: duplicates to a prompt are sampled again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from penchant.models.generate import Progress, Request, Response, generate
from penchant.models.language_model import LanguageModel
from penchant.models.sampler import SamplingParams

__all__ = ["ResponseGroup", "sample_pairs"]


@dataclass(frozen=True)
class ResponseGroup:
    """The responses to one prompt, ordered by index. identical: two of them are still equal after all attempts."""

    request: Request
    responses: tuple[Response, ...]
    identical: bool

    @property
    def num_tokens(self) -> int:
        """Tokens of all responses."""
        return sum(len(response.token_ids) for response in self.responses)


def sample_pairs(
    model: LanguageModel,
    requests: Iterable[Request],
    params: SamplingParams,
    *,
    num_responses: int = 2,
    attempts: int = 3,
    batch_size: int = 64,
    on_progress: Progress = lambda num_requests, num_tokens: None,
) -> Iterator[ResponseGroup]:
    """Sample `num_responses` to each prompt; duplicates of an earlier response are sampled again.

    attempts: the most attempts, each with its own random numbers; the first response with a text is always kept. At
    temperature 0 responses are identical by definition and nothing is repeated. Keys must be unique.
    Groups are yielded in order of completion. Raises the errors of `generate`.
    """
    todo = list(requests)
    groups = {request.key: _Group(request) for request in todo}
    assert len(groups) == len(todo), "two requests have one key"
    attempts = attempts if params.temperature > 0 else 0
    for attempt in range(attempts + 1):
        again: list[Request] = []
        for responses in generate(
            model, todo, params, num_responses=num_responses, batch_size=batch_size, on_progress=on_progress
        ):
            group = groups[responses[0].key]
            repeats = group.take(responses, model)
            if repeats and attempt < attempts:
                again.append(replace(group.request, indices=repeats, attempt=attempt + 1))
            else:
                yield ResponseGroup(group.request, group.responses(), identical=bool(repeats))
        todo = again


class _Group:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.of_index: dict[int, Response] = {}

    def responses(self) -> tuple[Response, ...]:
        return tuple(self.of_index[index] for index in sorted(self.of_index))

    def take(self, responses: list[Response], model: LanguageModel) -> tuple[int, ...]:
        """Store these responses; returns the indices of those that duplicate one with a lower index."""
        self.of_index |= {response.index: response for response in responses}
        seen: set[str] = set()
        repeats = []
        for response in self.responses():
            text = model.encoder.decode_response(self.request.prompt_ids, response.token_ids)
            if text in seen:
                repeats.append(response.index)
            seen.add(text)
        return tuple(repeats)
