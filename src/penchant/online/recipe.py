"""The recipes of online training: prompts, judge, and method or objective."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from penchant.data.given import Data
from penchant.errors import ConfigError
from penchant.evaluation.judges import Judge, Scorer
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.objectives import get_estimator
from penchant.online.best_of_n import BestOfN
from penchant.online.config import RLHFConfig
from penchant.online.policy_gradient import PolicyGradient, value_head
from penchant.online.preferences import OnlinePairs
from penchant.online.reference import find_live_reference
from penchant.online.writing import Writer
from penchant.progress import Reporter
from penchant.training.config import DPOConfig, SamplingConfig
from penchant.training.dataset import Dataset, prompt_dataset
from penchant.training.objective import Preferences
from penchant.training.task import Encoded, Task

__all__ = ["FromPairs", "FromScores"]


@dataclass
class FromScores:
    """Reinforcement learning from the scores of a judge. reference: the one in memory, if any."""

    config: RLHFConfig
    judge: Scorer
    reference: LanguageModel | None = None
    live: LiveReference = field(default_factory=LiveReference)
    command = "rlhf"
    beta = None
    needs_reference = False
    model_kind = LanguageModel
    answers_as = "pairs"

    def usual_learning_rate(self, num_steps: int) -> float:
        return 1e-6

    def dataset(self, run: RLHFConfig, data: Data, model: LanguageModel, reporter: Reporter) -> Dataset[Any]:
        """The prompts; the reference is located too, as the ledger records its digest. Raises UserError."""
        if (named := run.rlhf.advantages) is not None:
            _refuse_unknown(named)
        found = prompt_dataset(run.data, data, model, run.seed, reporter, room=run.sampling.max_new_tokens)
        facts = {**found.facts, "judge": self.judge.name}
        if self.config.rlhf.method != "best_of_n":
            self.live, facts["reference_digest"] = find_live_reference(run, model, reporter, self.reference)
        return replace(found, facts=facts)

    def task(self, reference: Mapping[bytes, float], model: LanguageModel, live: LiveReference | None) -> Task[Any]:
        writer = Writer(self.config.sampling, self.judge, self.config.seed)
        if self.config.rlhf.method == "best_of_n":
            return BestOfN(self.config, writer)
        head = value_head(model) if self.config.rlhf.method == "ppo" else None
        return PolicyGradient(self.config, writer, self.live, head)

    def group_of(self, item: Encoded) -> Hashable:
        return item.sequences[0].context


def _refuse_unknown(estimator: str) -> None:
    """Raise ConfigError for an unknown estimator, before anything is sampled or scored."""
    try:
        get_estimator(estimator)
    except ValueError as error:
        raise ConfigError(f"rlhf.advantages: {error}") from None


@dataclass
class FromPairs:
    """Online DPO: an objective of pairs, on pairs that a judge chooses among the policy's own responses."""

    config: DPOConfig
    objective: Preferences
    judge: Scorer | Judge
    reference: LanguageModel | None = None
    live: LiveReference = field(default_factory=LiveReference)
    command = "dpo"
    needs_reference = False  # nothing is scored in advance
    answers_as = "pairs"
    model_kind = LanguageModel

    def __post_init__(self) -> None:
        for holds, words in (
            (
                self.objective.answers_as != "pairs",
                f"dpo.objective: training online makes pairs, but {self.objective.row.name} reads single responses; "
                "choose an objective of pairs",
            ),
            (
                self.config.dpo.moving_reference is not None,
                "dpo.moving_reference is not read while training online, which keeps the reference fixed; leave it out",
            ),
            (
                self.sampling.num_responses < 2,
                "sampling.num_responses is 1, but training online makes pairs of two responses; set 2 or more",
            ),
        ):
            if holds:
                raise ConfigError(words)

    @property
    def sampling(self) -> SamplingConfig:
        """The sampling settings."""
        return self.config.sampling or SamplingConfig()

    @property
    def beta(self) -> float:
        return self.objective.beta

    def usual_learning_rate(self, num_steps: int) -> float:
        return self.objective.usual_learning_rate(num_steps)

    def dataset(self, run: DPOConfig, data: Data, model: LanguageModel, reporter: Reporter) -> Dataset[Any]:
        """Like `FromScores.dataset`."""
        found = prompt_dataset(run.data, data, model, run.seed, reporter, room=self.sampling.max_new_tokens)
        facts = {**found.facts, "judge": self.judge.name}
        if self.objective.needs_reference:
            self.live, facts["reference_digest"] = find_live_reference(run, model, reporter, self.reference)
        return replace(found, facts=facts)

    def task(self, reference: Mapping[bytes, float], model: LanguageModel, live: LiveReference | None) -> Task[Any]:
        writer = Writer(self.sampling, self.judge if isinstance(self.judge, Scorer) else None, self.config.seed)
        of_step: dict[bytes, float] = defaultdict(float)
        inner = self.objective.task(of_step, model, self.live)
        return OnlinePairs(self.config, self.objective, writer, self.judge, self.live, inner, of_step)

    def group_of(self, item: Encoded) -> Hashable:
        return self.objective.group_of(item)
