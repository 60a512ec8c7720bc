"""Training functions besides `penchant.dpo`: supervised fine-tuning, and reward models."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from penchant.data.given import Data
from penchant.progress import Reporter, reporter_of
from penchant.training.arguments import Arguments
from penchant.training.callbacks import Callback
from penchant.training.config import RewardConfig, SFTConfig
from penchant.training.configure import configure
from penchant.training.given import Given, ModelLike
from penchant.training.run import run
from penchant.training.trained import Run

__all__ = ["reward", "sft"]


def reward(
    model: ModelLike | None = None,
    pairs: Data | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    centring: float | None = None,
    labels: str | None = None,
    callbacks: Sequence[Callback] = (),
    config: str | os.PathLike[str] | RewardConfig | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    resume: bool = False,
    progress: bool | Reporter = True,
    **arguments: Unpack[Arguments],
) -> Run:
    """Train a reward model on preferences: the model with a head that outputs one number per text.

    The loss is the negative log-likelihood of the preferences under the Bradley-Terry model (`penchant.
    objectives.bradley_terry_loss`); the result is used as `judge="reward:FOLDER"`.

    Args:
        model: a language model, which gets a new head, or a reward model, which is trained further.
        pairs: as `data` of `dpo`.
        centring: weight of the squared sum of a pair's rewards, which brings their mean to zero; None: 0.

    Other arguments and errors as for `dpo`.
    """
    given = Given.of(model, pairs, callbacks=callbacks)
    named = Given.names(model, pairs, output)
    found = configure(RewardConfig, config, settings, {**named, "centring": centring, **arguments}, given)
    return run(found, reporter_of(progress), resume=resume, labels=labels, given=given)


def sft(
    model: ModelLike | None = None,
    data: Data | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    callbacks: Sequence[Callback] = (),
    config: str | os.PathLike[str] | SFTConfig | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    resume: bool = False,
    progress: bool | Reporter = True,
    **arguments: Unpack[Arguments],
) -> Run:
    """Train a model on demonstrations or plain text by predicting the next token; arguments and errors as for `dpo`."""
    given = Given.of(model, data, callbacks=callbacks)
    found = configure(SFTConfig, config, settings, {**Given.names(model, data, output), **arguments}, given)
    return run(found, reporter_of(progress), resume=resume, given=given)
