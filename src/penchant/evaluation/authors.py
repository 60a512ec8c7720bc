"""Authors of answers: a model loaded here; an endpoint has the same interface."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from penchant import ranks
from penchant.data import Prompt, Source
from penchant.models.generate import Request
from penchant.models.language_model import LanguageModel
from penchant.models.pair_sampling import ResponseGroup, sample_pairs
from penchant.models.sampler import SamplingParams

__all__ = ["Answers", "Author", "ModelAuthor", "answers_of_all", "sampled_by", "source_of"]


@dataclass(frozen=True)
class Answers:
    """The answers to one prompt, ordered by index.

    num_tokens: of each text, None if not reported. finished: False if it was cut off at the length limit. identical:
    two texts are still the same after all retries. refused: why there are none.
    """

    texts: tuple[str, ...]
    num_tokens: tuple[int | None, ...]
    finished: tuple[bool, ...]
    identical: bool = False
    refused: str = ""


class Author(Protocol):
    """Answers prompts. source: recorded with every answer."""

    @property
    def source(self) -> Source: ...

    def answers(self, prompts: Sequence[Prompt], num_responses: int) -> Iterator[tuple[Prompt, Answers]]:
        """Yield `num_responses` answers to every prompt, in order of completion. Raises UserError."""
        ...


def answers_of_all(author: Author, prompts: Sequence[Prompt], num_responses: int) -> Iterator[tuple[Prompt, Answers]]:
    """Distribute prompts over ranks; every rank receives all answers as they are completed."""
    by_id = {prompt.id: prompt for prompt in prompts}
    own = ((prompt.id, asdict(found)) for prompt, found in author.answers(ranks.dealt(prompts), num_responses))
    for prompt_id, found in ranks.pooled(own):
        told: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in found.items()}
        yield by_id[prompt_id], Answers(**told)


@dataclass(frozen=True)
class ModelAuthor:
    """A language model. batch_size: responses sampled at once."""

    model: LanguageModel
    params: SamplingParams
    batch_size: int = 64

    @property
    def source(self) -> Source:
        """The model by its digest, and its sampling settings."""
        return source_of(self.model, self.params)

    def answers(self, prompts: Sequence[Prompt], num_responses: int) -> Iterator[tuple[Prompt, Answers]]:
        """Sample answers; a response that repeats an earlier one is sampled again, see `sample_pairs`."""
        by_id = {prompt.id: prompt for prompt in prompts}
        encoder = self.model.encoder
        requests = [Request(tuple(encoder.encode_prompt(prompt.messages)), prompt.id) for prompt in prompts]
        for group in sample_pairs(
            self.model, requests, self.params, num_responses=num_responses, batch_size=self.batch_size
        ):
            yield by_id[group.request.key], self._read(group)

    def _read(self, group: ResponseGroup) -> Answers:
        prompt_ids, responses = group.request.prompt_ids, group.responses
        return Answers(
            tuple(self.model.encoder.decode_response(prompt_ids, response.token_ids) for response in responses),
            tuple(len(response.token_ids) for response in responses),
            tuple(response.finished for response in responses),
            group.identical,
        )


def source_of(model: LanguageModel, params: SamplingParams) -> Source:
    """The source of a candidate: the model by digest, and its sampling settings."""
    return sampled_by(f"{model.name}@{model.digest[:12]}", params)


def sampled_by(name: str, params: SamplingParams) -> Source:
    """The source of a candidate: this name, and its sampling settings."""
    return Source(
        model=name,
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        max_new_tokens=params.max_new_tokens,
        seed=params.seed,
    )
