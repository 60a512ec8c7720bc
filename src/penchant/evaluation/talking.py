"""Open a conversation with a model, alone or beside its reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penchant.errors import ConfigError
from penchant.evaluation.references import find_reference, require_reference
from penchant.models.opening import open_model
from penchant.progress import Reporter

if TYPE_CHECKING:
    from penchant.models.conversation import Conversation

__all__ = ["open_conversation"]


def open_conversation(
    run: str,
    *,
    compare: bool = False,
    reference: str | None = None,
    reporter: Reporter,
    device: str | None = None,
    dtype: str | None = None,
    chat_template: str | None = None,
    **sampling: Any,
) -> Conversation:
    """Open the model of this name for a conversation, with its reference if they are to be compared.

    reference: overrides the run's. device, dtype, chat_template: see `open_model`. sampling: fields of
    `SamplingParams`. Raises UserError; ConfigError for a reference that has no effect, or that is missing.
    """
    if reference is not None and not compare:
        raise ConfigError("`reference=...` is only read with `compare=True`; add it, or leave `reference=...` out")
    if compare:
        require_reference(run, reference)
    how: dict[str, Any] = {"device": device, "dtype": dtype, "chat_template": chat_template}
    policy = open_model(run, **how, special_tokens="text", reporter=reporter)
    beside: Any = None
    if compare:
        source = find_reference(run, policy, reference)
        beside = policy if source.is_adapter_off else source.load(reporter.say, same_tokens=False)
    from penchant.models.conversation import Conversation
    from penchant.models.sampler import SamplingParams

    return Conversation(policy, beside, SamplingParams(**sampling))
