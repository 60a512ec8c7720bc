"""Propose settings from the data and the model, each with its reason; nothing is trained.

They are rules of thumb: a run and a comparison decide. Each reason names what was measured, so that one can disagree.
"""

from __future__ import annotations

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
from penchant.ranking.winrate import PairedMeans, WinRate, paired_means, win_rate_of
from penchant.tokens import EncodedPair, TokenSequence
from penchant.training.config import DPOConfig
from penchant.training.dataset import pair_dataset
from penchant.training.given import Given
from penchant.training.policies import load_policy
from penchant.training.schedule import preference_peak

__all__ = ["Facts", "Proposal", "facts_of", "proposals", "propose"]

NUM_SCORED = 48
NUM_SAMPLED = 16
NUM_TOKENS = 32
"""The most tokens of a sampled answer."""
NOISY, BY_LENGTH, OTHER_WORDS = 0.05, 0.65, 1.0
"""Thresholds: share of outvoted labels, share of pairs that length decides, and nats per token between the model's
words and the pairs'. A setting is proposed only if the 95% interval lies beyond the threshold."""
FEW_STEPS = 60
"""This few steps move a model little in one epoch, see `schedule.preference_peak`."""


@dataclass(frozen=True)
class Facts:
    """Facts about the training pairs.

    noise: among labels of pairs judged more than once, the share outvoted by the others, clustered by pair. longer:
    among pairs of different lengths, the share whose chosen response has more tokens, clustered by prompt. Both have
    95% limits, and are None if there are no such pairs. words: mean log-prob per token of a pair's responses (before)
    and of an answer sampled from the model to the same prompt (after), over a few prompts; None if none could be
    sampled.
    """

    num_pairs: int
    batch_size: int
    is_adapter: bool
    noise: WinRate | None
    longer: WinRate | None
    words: PairedMeans | None

    def steps(self, epochs: int) -> int:
        """The optimiser steps of this many epochs."""
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
    """The settings that the facts suggest."""
    epochs = 2 if facts.steps(1) < FEW_STEPS else 1
    return [
        *_objective(facts),
        Proposal("optimiser.epochs", epochs, _why_epochs(facts, epochs)),
        Proposal("optimiser.learning_rate", *_learning_rate(facts, facts.steps(epochs))),
    ]


def proposals(config: DPOConfig, reporter: Reporter, given: Given | None = None) -> list[Proposal]:
    """Propose settings for this model and these data; nothing is trained or written. Raises UserError."""
    if num_processes() > 1:
        raise ConfigError("`advise=True` proposes settings in one process, but several were started; start one")
    given = given or Given()
    files = config.data.files if given.data is None else given.data
    data = config.data.read_options(config.seed).sources(files)
    with computing():
        model, _ = load_policy(config, config.model.name, datetime.now().astimezone(), reporter, given.model)
        found = pair_dataset(config.data, data, model, config.seed, reporter)
        is_adapter = model.is_adapter or config.model.lora is not None
        return propose(facts_of(model, found.train, config.optimiser.batch_size, is_adapter=is_adapter))


def facts_of(model: LanguageModel, pairs: Sequence[EncodedPair], batch_size: int, *, is_adapter: bool) -> Facts:
    """Measure the facts on the pairs, and with the model on a few of them. pairs: at least one."""
    every = max(1, len(pairs) // NUM_SCORED)
    few = [pairs[i] for i in range(0, len(pairs), every)][:NUM_SCORED]
    return Facts(len(pairs), batch_size, is_adapter, _noise(pairs), _longer(pairs), _words(model, few))


def _objective(facts: Facts) -> Iterator[Proposal]:
    if facts.noise is not None and facts.noise.low >= NOISY:
        why = f"{_repeated(facts.noise)}; conservative DPO expects as many wrong labels"
        yield Proposal("dpo.objective", "cdpo", why)
        yield Proposal(
            "dpo.label_smoothing", round(min(max(facts.noise.rate, NOISY), 0.4), 2), "the share of outvoted labels"
        )
    elif facts.longer is not None and max(facts.longer.low, 1 - facts.longer.high) >= BY_LENGTH:
        why = f"{_length(facts.longer)}; a mean over tokens rewards length less"
        yield Proposal("dpo.objective", "dpo_norm", why)
        yield Proposal("dpo.beta", 5.0, "of a mean over tokens, as in the published recipes of OLMo 3 and Tulu 3")
    else:
        yield Proposal("dpo.objective", "dpo", f"{_repeated(facts.noise)}, and {_length(facts.longer)}")
        yield Proposal("dpo.beta", 0.1, "the usual; raise it where samples drift from the reference")
    apart = facts.words
    if apart is not None and apart.low is not None and apart.high is not None and apart.low > OTHER_WORDS:
        yield Proposal(
            "dpo.sft_weight",
            0.2,
            f"the pairs are not in the model's own words ({apart.before:.2f} nats a token, its own answers "
            f"{apart.after:.2f}, over {apart.num_prompts} prompts {apart.low:.2f} to {apart.high:.2f} apart), so "
            "chosen responses may become less likely; a next-token term, or `penchant sft` on the chosen ones first, "
            "holds them",
        )


def _length(longer: WinRate | None) -> str:
    if longer is None:
        return "in no pair one response is longer"
    which, rate, low, high = "longer", longer.rate, longer.low, longer.high
    if rate < 0.5:
        which, rate, low, high = "shorter", 1 - rate, 1 - high, 1 - low
    return f"the {which} response is the chosen one in {rate:.0%} ({low:.0%} to {high:.0%}) of {longer.num:,} pairs"


def _repeated(noise: WinRate | None) -> str:
    if noise is None:
        return "no pair is judged twice"
    share = f"{noise.rate:.0%} ({noise.low:.0%} to {noise.high:.0%})"
    return f"of {noise.num:,} labels of pairs judged more than once, {share} are outvoted"


def _learning_rate(facts: Facts, steps: int) -> tuple[float, str]:
    """The default learning rate of training."""
    rate = preference_peak(steps) * (10 if facts.is_adapter else 1)
    return (
        rate,
        f"for {steps:,} steps: fewer steps need a higher rate to move at all, more steps allow only a lower one",
    )


def _why_epochs(facts: Facts, epochs: int) -> str:
    if epochs > 1:
        return f"one epoch is {facts.steps(1)} steps, which move little; more than {epochs} learn so few pairs by heart"
    return f"{facts.steps(1):,} steps; direct methods learn pairs by heart within the second (arXiv 2406.02900)"


def _noise(pairs: Sequence[EncodedPair]) -> WinRate | None:
    """The noise from repeated or reversed pairs; a soft label states its own doubt.

    If both labels are equally frequent, half of them count as outvoted.
    """
    votes: Counter[tuple[bytes, bytes]] = Counter()
    for pair in pairs:
        chosen, rejected = (sequence.key for sequence in pair.sequences)
        votes[chosen, rejected] += 1
    outvoted: list[float] = []
    judged: list[tuple[bytes, bytes]] = []
    for (chosen, rejected), num in votes.items():
        against = votes.get((rejected, chosen), 0)
        if num + against > 1 and (not against or chosen < rejected):
            outvoted += [1.0] * min(num, against) + [0.0] * max(num, against)
            judged += [(chosen, rejected)] * (num + against)
    return win_rate_of(outvoted, judged) if outvoted else None


def _longer(pairs: Sequence[EncodedPair]) -> WinRate | None:
    lengths = [tuple(int(s.scored.sum()) for s in pair.sequences) for pair in pairs]
    different = [(float(a > b), pair.chosen.context) for (a, b), pair in zip(lengths, pairs, strict=True) if a != b]
    return win_rate_of([a for a, _ in different], [prompt for _, prompt in different]) if different else None


def _words(model: LanguageModel, pairs: Sequence[EncodedPair]) -> PairedMeans | None:
    """Measure `words` on a few prompts: both responses of a pair, and one sampled answer per prompt."""
    asked = {pair.chosen.context: pair for pair in pairs if len(_prompt(pair)) + NUM_TOKENS <= model.context_length}
    some = list(asked.values())[:NUM_SAMPLED]
    if not some:
        return None
    return paired_means([_given(model, pair) for pair in some], _own(model, [_prompt(pair) for pair in some]))


def _prompt(pair: EncodedPair) -> list[int]:
    sequence: TokenSequence = pair.chosen
    return [int(i) for i in sequence.ids[: int(np.argmax(sequence.scored))]]


def _given(model: LanguageModel, pair: EncodedPair) -> float:
    with torch.no_grad():
        total = float(score_sequences(model, pair.sequences).sum())
    return total / sum(int(sequence.scored.sum()) for sequence in pair.sequences)


def _own(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> list[float]:
    """The mean log-prob per token of one sampled answer to each prompt."""
    requests = [Request(tuple(ids), key=str(i)) for i, ids in enumerate(prompts)]
    params = SamplingParams(temperature=1.0, max_new_tokens=NUM_TOKENS, seed=0)
    answers = {answer.key: answer for [answer] in generate(model, requests, params, num_responses=1)}
    in_order = [answers[request.key] for request in requests]  # they arrive as they are finished
    return [answer.logprob / max(1, len(answer.token_ids)) for answer in in_order]
