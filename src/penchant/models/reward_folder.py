"""Load a reward model by name: the folder of a run of `penchant reward`, or another tool's reward model.

A whole model is one that transformers' `AutoModelForSequenceClassification` reads with one label; an adapter is one of
peft's task type SEQ_CLS, whose base may be a language model.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from penchant.errors import ModelError
from penchant.models.load import assemble, share_where_exact
from penchant.models.names import clock_of, resolve
from penchant.models.network import is_reward_folder, read_network
from penchant.models.numerics import Numerics
from penchant.models.reward_model import RewardModel, classifier_of, require_scalar_head
from penchant.models.sharding import Cut, require_sharded
from penchant.tokens.spelt import SpecialTokens

__all__ = ["load_reward_model", "names_reward_model"]


def names_reward_model(name: str) -> bool:
    """Whether this name is a reward model; nothing is downloaded. Raises ModelError."""
    path = Path(name).expanduser()
    return any(is_reward_folder(place) for place in (path, path / "model") if place.is_dir())


def load_reward_model(
    name: str,
    numerics: Numerics,
    *,
    chat_template: str | None = None,
    share: bool = True,
    longest: int | None = None,
    special_tokens: SpecialTokens = "refuse",
    clock: datetime | None = None,
    cut: Cut | None = None,
    quantised: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> RewardModel:
    """Load a reward model; arguments and errors as for `load_model`."""
    path = resolve(name, say)
    if not is_reward_folder(path):
        raise ModelError(
            f"{name}: is not a reward model, as it has no head that gives one number for a text; train a reward model "
            "from it with `penchant reward`"
        )
    model = assemble(
        RewardModel,
        name,
        path,
        numerics,
        _classifier,
        chat_template,
        special_tokens,
        clock or clock_of(path),
        say,
        cut=cut,
        quantised=quantised,
    )
    share_where_exact(model, longest, say, share=share)
    if cut is not None:
        require_sharded(model)
    return model


def _classifier(path: Path, say: Callable[[str], None], *, cut: Callable[[Any], None] | None = None) -> Any:
    """The classifier in the folder, or a language model with a new head, which an adapter replaces."""
    network = read_network(path, say, cut=cut)
    if is_reward_folder(path):
        require_scalar_head(network, str(path))
        return network
    return classifier_of(network, str(path))
