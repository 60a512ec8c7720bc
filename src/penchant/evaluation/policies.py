"""A policy from what names it, once it is sure that its reference is there."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from penchant.evaluation.references import require_reference
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.reward_folder import load_reward_model, names_reward_model
from penchant.models.reward_model import RewardModel
from penchant.progress import Reporter
from penchant.tokens import SpecialTokens

__all__ = ["AnyModel", "Loader", "open_policy", "open_scorer_of_pairs"]

AnyModel = str | Path | LanguageModel
"""A model in memory, or what names one: a run folder, a Hugging Face folder, a starter's name."""


class Loader(Protocol):
    """Makes a model of a name."""

    def __call__(self, name: str, *, special_tokens: SpecialTokens) -> LanguageModel:
        """special_tokens: what to make of a text that spells one, see `ChatEncoder`."""


def open_policy(
    policy: AnyModel,
    reference: AnyModel | None,
    *,
    special_tokens: SpecialTokens,
    load: Loader | None,
    reporter: Reporter,
) -> tuple[str, LanguageModel]:
    """The policy and what it is called. load: None for the best device and dtype there are. Raises UserError.

    reference: what is to be compared with; where nothing names one that is there, nothing is loaded.
    """
    if isinstance(policy, LanguageModel):
        policy.numerics.take_up()
        return policy.name, policy
    name = str(policy)
    if not isinstance(reference, LanguageModel):
        require_reference(name, None if reference is None else str(reference))
    if load is not None:
        return name, load(name, special_tokens=special_tokens)
    return name, load_model(name, choose_numerics(), special_tokens=special_tokens, say=reporter.say)


def open_scorer_of_pairs(
    model: AnyModel, *, special_tokens: SpecialTokens, load: Loader | None, reporter: Reporter
) -> RewardModel | None:
    """The reward model that this is, or that lies in the folder of this name; None for a language model.

    load: as of `open_policy`; it makes a reward model of a folder that holds one.
    """
    if isinstance(model, RewardModel):
        model.numerics.take_up()
        return model
    if isinstance(model, LanguageModel) or not names_reward_model(str(model)):
        return None
    if load is not None and isinstance(found := load(str(model), special_tokens=special_tokens), RewardModel):
        return found
    return load_reward_model(str(model), choose_numerics(), special_tokens=special_tokens, say=reporter.say)
