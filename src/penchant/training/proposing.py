"""What to train with, proposed from the data and the model: each setting with its reason, and nothing trained.

Rules of thumb, not laws: a run and a comparison decide. Each reason names what was measured, so one can disagree.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import torch

from penchant.errors import ConfigError
from penchant.models.forward import score_sequences
from penchant.models.generate import Request, generate
from penchant.models.language_model import LanguageModel
from penchant.models.numerics import computing
from penchant.models.sampler import SamplingParams
from penchant.process import num_processes
from penchant.progress import Reporter
from penchant.tokens import EncodedPair, TokenSequence
from penchant.training.config import DPOConfig
from penchant.training.dataset import pair_dataset
from penchant.training.given import Given
from penchant.training.policies import load_policy
from penchant.training.schedule import preference_peak

__all__ = ["Facts", "Proposal", "facts_of", "proposals", "propose"]

NUM_SCORED = 48
NUM_SAMPLED = 16
FEW_STEPS = 60
"""As many move a model little in one epoch, see `schedule.preference_peak`."""


@dataclass(frozen=True)
class Facts:
    """Of the pairs that are trained on.

    noise: of the pairs that were judged more than once, the share of labels that the others outvote, in [0, 1/2].
    num_repeated: how many these are. longer: share whose chosen response has more tokens, of those
    that differ. own, given: mean log-prob of a token in answers that the model samples, and in those of the pairs.
    """

    num_pairs: int
    batch_size: int
    is_adapter: bool
    noise: float
    num_repeated: int
    longer: float
    own: float
    given: float

    def steps(self, epochs: int) -> int:
        """Optimiser steps of so many epochs."""
        return epochs * -(-self.num_pairs // self.batch_size)


@dataclass(frozen=True)
class Proposal:
    """A setting, its value, and why."""

    setting: str
    value: Any
    why: str

    def __str__(self) -> str:
        value = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return f"{self.setting}={value}  {self.why}"


def propose(facts: Facts) -> list[Proposal]:
    """The settings that the facts speak for."""
    epochs = 2 if facts.steps(1) < FEW_STEPS else 1
    return [
        *_objective(facts),
        Proposal("optimiser.epochs", epochs, _why_epochs(facts, epochs)),
        Proposal("optimiser.learning_rate", *_learning_rate(facts, facts.steps(epochs))),
    ]


def proposals(config: DPOConfig, reporter: Reporter, given: Given | None = None) -> list[Proposal]:
    """What to set for this model and these data; nothing is trained or written. Raises UserError."""
    if num_processes() > 1:
        raise ConfigError("settings are proposed in one process, and several were started; start one")
    given = given or Given()
    files = config.data.files if given.data is None else given.data
    data = config.data.read_options(config.seed).sources(files)
    with computing():
        model, _ = load_policy(config, config.model.name, datetime.now().astimezone(), reporter, given.model)
        found = pair_dataset(config.data, data, model, config.seed, reporter)
        is_adapter = model.is_adapter or config.model.lora is not None
        return propose(facts_of(model, found.train, config.optimiser.batch_size, is_adapter=is_adapter))


def facts_of(model: LanguageModel, pairs: Sequence[EncodedPair], batch_size: int, *, is_adapter: bool) -> Facts:
    """Measured from the pairs, and from the model on a few of them. pairs: at least one."""
    every = max(1, len(pairs) // NUM_SCORED)
    few = [pairs[i] for i in range(0, len(pairs), every)][:NUM_SCORED]
    noise, num_repeated = _noise(pairs)
    lengths = [tuple(int(s.scored.sum()) for s in pair.sequences) for pair in pairs]
    different = [chosen > rejected for chosen, rejected in lengths if chosen != rejected]
    prompts = {s.ids[: int(np.argmax(s.scored))].tobytes(): s for pair in few for s in pair.sequences[:1]}
    asked = [s.ids[: int(np.argmax(s.scored))].tolist() for s in list(prompts.values())[:NUM_SAMPLED]]
    return Facts(
        len(pairs),
        batch_size,
        is_adapter,
        noise,
        num_repeated,
        sum(different) / len(different) if different else 0.5,
        _own(model, asked),
        _per_token(model, [sequence for pair in few for sequence in pair.sequences]),
    )


def _objective(facts: Facts) -> Iterator[Proposal]:
    share = max(facts.longer, 1 - facts.longer)
    length = (
        f"the {'longer' if facts.longer >= 0.5 else 'shorter'} response is the chosen one in {share:.0%} of the pairs"
    )
    if facts.noise >= 0.05:
        why = f"of {facts.num_repeated:,} labels of pairs judged more than once, {facts.noise:.0%} are outvoted"
        yield Proposal("dpo.objective", "cdpo", f"{why}; conservative DPO expects as many wrong labels")
        yield Proposal("dpo.label_smoothing", round(min(facts.noise, 0.4), 2), "the share of outvoted labels")
    elif share >= 0.65:
        yield Proposal("dpo.objective", "dpo_norm", f"{length}; a mean over tokens rewards length less")
        yield Proposal("dpo.beta", 5.0, "of a mean over tokens, as in the published recipes of OLMo 3 and Tulu 3")
    else:
        repeated = f"{facts.num_repeated:,} labels repeat well" if facts.num_repeated else "no pair is judged twice"
        yield Proposal("dpo.objective", "dpo", f"{repeated}, and {length}")
        yield Proposal("dpo.beta", 0.1, "the usual; raise it where samples drift from the reference")
    if facts.own - facts.given > 1.0:
        yield Proposal(
            "dpo.sft_weight",
            0.2,
            f"the pairs are not in the model's own words ({facts.given:.2f} nats a token, its own answers "
            f"{facts.own:.2f}), so chosen responses may become less likely; a next-token term, or `penchant sft` on "
            "the chosen ones first, holds them",
        )


def _learning_rate(facts: Facts, steps: int) -> tuple[float, str]:
    """What training takes where none is set."""
    rate = preference_peak(steps) * (10 if facts.is_adapter else 1)
    return rate, f"for {steps:,} steps: fewer steps need a higher rate to move at all, more steps bear only a lower one"


def _why_epochs(facts: Facts, epochs: int) -> str:
    if epochs > 1:
        return f"one would be {facts.steps(1)} steps, which move little; more than {epochs} learn so few pairs by heart"
    return f"{facts.steps(1):,} steps; direct methods learn pairs by heart within the second (arXiv 2406.02900)"


def _noise(pairs: Sequence[EncodedPair]) -> tuple[float, int]:
    """From pairs that stand there again, or the other way round; a soft label says its doubt itself."""
    votes: Counter[tuple[bytes, bytes]] = Counter()
    for pair in pairs:
        chosen, rejected = (sequence.key for sequence in pair.sequences)
        votes[chosen, rejected] += 1
    doubts: list[float] = []
    for (chosen, rejected), num in votes.items():
        against = votes.get((rejected, chosen), 0)
        if num + against > 1 and (not against or chosen < rejected):
            doubts += [min(num, against) / (num + against)] * (num + against)
    return (math.fsum(doubts) / len(doubts) if doubts else 0.0), len(doubts)


def _per_token(model: LanguageModel, sequences: Sequence[TokenSequence]) -> float:
    with torch.no_grad():
        total = sum(float(score_sequences(model, sequences[i : i + 8]).sum()) for i in range(0, len(sequences), 8))
    return total / sum(int(sequence.scored.sum()) for sequence in sequences)


def _own(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> float:
    requests = [
        Request(tuple(ids), key=str(i)) for i, ids in enumerate(prompts) if len(ids) + 32 <= model.context_length
    ]
    params = SamplingParams(temperature=1.0, max_new_tokens=32, seed=0)
    answers = [answer for one in generate(model, requests, params, num_responses=1) for answer in one]
    return sum(a.logprob for a in answers) / max(1, sum(len(a.token_ids) for a in answers))
