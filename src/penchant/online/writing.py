"""Sample responses to the prompts of a step, and score them with a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from penchant import ranks
from penchant.data import Message, Origin
from penchant.evaluation.judges import Scorer, scores_of
from penchant.evaluation.judges.scoring import Asked
from penchant.models.generate import Request, Response, generate
from penchant.models.language_model import LanguageModel
from penchant.models.sampler import SamplingParams
from penchant.objectives.advantages import shaped_rewards
from penchant.tokens import EncodedPrompt, TokenSequence
from penchant.training.config import SamplingConfig

__all__ = ["Writer", "Written"]


@dataclass(frozen=True, eq=False)
class Written:
    """A response and its score. group: the index of its prompt in the step. logprobs: (n,), at sampling time.

    score: the judge's. reward: the clipped score, less the penalty if the response did not end.
    """

    sequence: TokenSequence
    messages: tuple[Message, ...]
    text: str
    group: int
    ended: bool
    logprobs: NDArray[np.float64]
    score: float
    reward: float
    origin: Origin

    @property
    def sequences(self) -> tuple[TokenSequence]:
        return (self.sequence,)


@dataclass(frozen=True)
class Writer:
    """Samples and scores responses. judge: None leaves scores at 0, for judges of pairs.

    seed: responses are reproducible for the same seed, prompt and occasion.
    """

    config: SamplingConfig
    judge: Scorer | None
    seed: int

    def write(
        self, model: LanguageModel, prompts: Sequence[EncodedPrompt], occasion: str, num_responses: int | None = None
    ) -> list[Written]:
        """Sample and score responses, by prompt. occasion: another value gives other responses. Raises UserError.

        Ranks share the prompts, and each asks the judge about its own responses.
        """
        config = self.config
        params = SamplingParams(config.temperature, max_new_tokens=config.max_new_tokens, seed=self.seed)
        requests = [Request(tuple(p.sequence.ids.tolist()), key=f"{occasion}\n{p.id}") for p in prompts]
        num = num_responses or config.num_responses

        def answered(own: Sequence[Request]) -> list[list[dict[str, Any]]]:
            found = generate(model, own, params, num_responses=num, batch_size=config.at_once)
            of_key = {responses[0].key: [response.as_dict() for response in responses] for responses in found}
            return [of_key[request.key] for request in own]

        found = ranks.share(requests, answered)
        written = [(g, r, Response.of(one)) for g, r in enumerate(requests) for one in found[g]]
        texts = [model.encoder.decode_response(r.prompt_ids, response.token_ids) for _, r, response in written]
        asked = [[(p.messages, texts[g * num + i]) for i in range(num)] for g, p in enumerate(prompts)]
        scores = [score for of_prompt in ranks.share(asked, self._scores) for score in of_prompt]
        rewards = shaped_rewards(
            torch.tensor(scores, dtype=torch.float64),
            torch.tensor([response.finished for _, _, response in written]),
            clip=config.reward_clip,
            missing_end_penalty=config.missing_end_penalty,
        ).tolist()
        return [
            Written(
                sequence=TokenSequence.of(request.prompt_ids, response.token_ids),
                messages=prompts[g].messages,
                text=text,
                group=g,
                ended=response.finished,
                logprobs=np.array(response.logprobs),
                score=score,
                reward=reward,
                origin=prompts[g].origin,
            )
            for (g, request, response), text, score, reward in zip(written, texts, scores, rewards, strict=True)
        ]

    def _scores(self, asked: Sequence[Sequence[Asked]]) -> list[list[float]]:
        """The scores of every prompt's responses."""
        each = [one for of_prompt in asked for one in of_prompt]
        scores = iter([0.0] * len(each) if self.judge is None else scores_of(self.judge, each))
        return [[next(scores) for _ in of_prompt] for of_prompt in asked]
