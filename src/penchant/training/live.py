"""A reference that runs beside the policy in every step, for objectives that need its full distribution."""

from __future__ import annotations

from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.objectives import resolve_objective
from penchant.training.config import DPOConfig, RunConfig

__all__ = ["live_beside", "reads_kl"]


def reads_kl(config: RunConfig) -> bool:
    """Whether the objective in the settings reads the sequential KL; False if it is unknown."""
    try:
        return isinstance(config, DPOConfig) and "kl" in resolve_objective(config.dpo.objective).reads
    except (ConfigError, ValueError):
        return False


def live_beside(model: LanguageModel, live: LiveReference | None) -> LiveReference:
    """The reference for use in every step: the given one, or the current policy.

    Raises:
        ConfigError: its distributions cannot be compared with the policy's per token, or a model is sharded.
    """
    if model.sharded is not None:
        raise ConfigError(
            "parallel.mode: the reference runs beside the policy in every step, which cannot be sharded; set it to "
            "replicated, or choose an objective that does not read the sequential KL"
        )
    if live is None:
        return LiveReference.of(model)
    if (other := live.other) is not None:
        own, others = (len(one.head.weight) for one in (model, other))
        if own != others:
            raise ConfigError(
                f"model.reference: {other.name} predicts {others} tokens and {model.name} {own}, so their "
                "distributions cannot be compared; name a reference with a head of the same size"
            )
        if model.shares != other.shares:
            raise ConfigError(
                f"model.reference: one of {model.name} and {other.name} shares prefixes exactly and the other does "
                "not, so they cannot run together; set model.share_prefixes to false"
            )
    return live
