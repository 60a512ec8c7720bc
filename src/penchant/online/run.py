"""`penchant.rlhf`: a whole run of reinforcement learning from a judge's scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from penchant.data.given import Data, sources_of
from penchant.data.prompt_sets import prompt_file
from penchant.errors import ConfigError
from penchant.evaluation.judges import Scorer, open_scorer
from penchant.online.config import RLHFConfig
from penchant.online.recipe import FromScores
from penchant.progress import Reporter, reporter_of
from penchant.training.arguments import Arguments
from penchant.training.callbacks import Callback
from penchant.training.configure import configure
from penchant.training.given import Given, ModelLike
from penchant.training.run import run
from penchant.training.trained import Run

__all__ = ["rlhf", "run_rlhf"]

AnyJudge = str | Scorer | Callable[..., Any]


def rlhf(
    model: ModelLike | None = None,
    prompts: Data | Sequence[str] | None = None,
    *,
    judge: AnyJudge | None = None,
    output: str | os.PathLike[str] | None = None,
    method: str | None = None,
    beta: float | None = None,
    num_responses: int | None = None,
    max_new_tokens: int | None = None,
    reference: ModelLike | None = None,
    callbacks: Sequence[Callback] = (),
    config: str | os.PathLike[str] | RLHFConfig | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    resume: bool = False,
    progress: bool | Reporter = True,
    **arguments: Unpack[Arguments],
) -> Run:
    """Train a model by reinforcement learning on a judge's scores, held to a reference: max E[score] - beta KL.

    Args:
        model: see `penchant.dpo`.
        prompts: a list of texts, paths, "everyday-train", or records.
        judge: "positivity", "reward:FOLDER", "module:function", or a function of (prompt, response) that returns a
            number.
        method: "rloo", "grpo", "ppo" or "best_of_n".
        beta: the price of a nat of KL in units of the score.
        num_responses, max_new_tokens: of each prompt and step.
        output, reference, callbacks, config, settings, resume, progress, arguments: see `penchant.dpo`.

    Raises:
        UserError: what the caller can mend; a judge that fails too, and what was computed until then is kept.
        TrainingError, Interrupted: see `penchant.dpo`.
    """
    data = _rows(prompts)
    given = Given.of(model, data, reference=reference, callbacks=callbacks)
    named = Given.names(model, data, output, reference=reference)
    own = {
        "rlhf.method": method,
        "rlhf.beta": beta,
        "sampling.judge": judge if isinstance(judge, str) or judge is None else _called(judge),
        "sampling.num_responses": num_responses,
        "sampling.max_new_tokens": max_new_tokens,
    }
    found = configure(RLHFConfig, config, settings, {**named, **arguments}, given, own)
    return run_rlhf(found, reporter_of(progress), resume=resume, given=given, judge=judge)


def run_rlhf(
    config: RLHFConfig,
    reporter: Reporter,
    *,
    resume: bool = False,
    given: Given | None = None,
    judge: AnyJudge | None = None,
) -> Run:
    """As the configuration says; judge: where it is in memory."""
    named = judge if judge is not None else config.sampling.judge
    if named is None:
        raise ConfigError("sampling.judge: nothing says what scores the responses; give `judge=...`")
    given = given or Given()
    if given.data is None:
        files = [str(prompt_file(name)) for name in config.data.files]
        given = replace(given, data=sources_of(files, txt="lines"))
    recipe = FromScores(config, open_scorer(named), given.reference)
    return run(config, reporter, resume=resume, given=given, recipe=recipe)


def _rows(prompts: Data | Sequence[str] | None) -> Data | None:
    """Prompts as data; a list of texts becomes rows."""
    if isinstance(prompts, list | tuple) and all(isinstance(one, str) for one in prompts):
        return [{"prompt": text} for text in prompts]
    return prompts


def _called(judge: object) -> str:
    named = judge if hasattr(judge, "__qualname__") else type(judge)
    return f"{named.__module__}:{named.__qualname__}"
