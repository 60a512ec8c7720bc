"""The training task of online DPO: pairs of the policy's own fresh responses, judged on the fly.

Any objective of pairs can be used; the reference scores the new responses (Direct
Language Model Alignment from Online AI Feedback, arXiv 2402.04792).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from penchant.data.pairing import Pairing
from penchant.evaluation.judges import Judge, Scorer
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.online.choosing import Chosen, chosen_of
from penchant.online.minibatches import minibatches
from penchant.online.reference import live_logprobs
from penchant.online.undecided import UNDECIDED
from penchant.online.writing import Writer, Written
from penchant.tokens import EncodedPair, EncodedPrompt
from penchant.training.config import DPOConfig
from penchant.training.objective import Preferences
from penchant.training.task import Metrics, Task

__all__ = ["OnlinePairs"]


@dataclass
class OnlinePairs(Task[EncodedPair]):
    """inner: the objective's own task, which reads `reference`: log-probs by key of the responses of a step.

    known: metrics of all latest samples, whether or not they are in a pair.
    """

    config: DPOConfig
    objective: Preferences
    writer: Writer
    judge: Scorer | Judge
    live: LiveReference
    inner: Task[EncodedPair]
    reference: dict[bytes, float]
    known: dict[str, float] = field(default_factory=dict)

    @property
    def knows_items(self) -> bool:
        return self.inner.knows_items

    def updates(self, model: LanguageModel, drawn: Sequence[EncodedPrompt], step: int) -> Iterator[list[EncodedPair]]:
        sampling = self.writer.config
        pairs = self._pairs(model, self.writer.write(model, drawn, f"step {step}"))
        parts = minibatches(pairs, lambda pair: pair.chosen.context, sampling.minibatches)
        for _ in range(sampling.passes):
            yield from parts

    def measured(self, model: LanguageModel, held_out: Sequence[EncodedPrompt]) -> list[EncodedPair]:
        return self._pairs(model, self.writer.write(model, held_out, "evaluation"))

    def count(self, item: EncodedPair) -> float:
        return self.inner.count(item)

    def for_batch(self, model: LanguageModel, micro_batches: Sequence[Sequence[EncodedPair]]) -> OnlinePairs:
        return replace(self, inner=self.inner.for_batch(model, micro_batches))

    def losses(self, model: LanguageModel, items: Sequence[EncodedPair]) -> tuple[Tensor, Metrics]:
        return self.inner.losses(model, items)

    def seen(self) -> Mapping[str, float]:
        return self.known

    def _pairs(self, model: LanguageModel, written: Sequence[Written]) -> list[EncodedPair]:
        config = self.config.data
        chosen = chosen_of(self.judge, written, Pairing(config.pairing or "best_worst", config.min_gap))
        pairs = [self._encoded(pair) for pair in chosen]
        self.reference.clear()
        if self.objective.needs_reference:
            self._ask_reference(model, pairs)
        num_prompts = len({one.group for one in written})
        decided = {better.group for better, _ in chosen}
        self.known = {
            "drawn/prompts": float(num_prompts),
            "drawn/responses": float(len(written)),
            "drawn/pairs": float(len(pairs)),
            "pairs_per_prompt": len(pairs) / num_prompts,
            UNDECIDED: 1 - len(decided) / num_prompts,
            "completions/mean_length": float(np.mean([len(one.logprobs) for one in written])),
            "completions/clipped_ratio": float(np.mean([not one.ended for one in written])),
        }
        if isinstance(self.judge, Scorer):
            self.known["reward"] = float(np.mean([one.score for one in written]))
        return pairs

    def _encoded(self, pair: Chosen) -> EncodedPair:
        chosen, rejected = (side.sequence for side in pair)
        encoded = EncodedPair(chosen, rejected, 1.0, 1.0, 0.0, pair[0].origin)
        if (weights := self.objective.token_weights) is None:
            return encoded
        return encoded.weigh_tokens(lambda *lengths: weights(*lengths).numpy())

    def _ask_reference(self, model: LanguageModel, pairs: Sequence[EncodedPair]) -> None:
        sequences = list({s.key: s for pair in pairs for s in pair.referenced}.values())
        for sequence, logps in zip(
            sequences, live_logprobs(self.live, model, sequences, self.config.optimiser.token_budget), strict=True
        ):
            self.reference[sequence.key] = float((logps * (1 if sequence.weights is None else sequence.weights)).sum())
