"""`penchant.rlhf`, a run of reinforcement learning, and `penchant.Online`, the online pairs of `penchant.dpo`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

from penchant.data.given import Data, sources_of
from penchant.data.prompt_sets import prompt_file
from penchant.errors import ConfigError
from penchant.evaluation.judges import Judge, Scorer, open_judge, open_scorer
from penchant.online.config import RLHFConfig
from penchant.online.recipe import FromPairs, FromScores
from penchant.progress import Reporter, reporter_of
from penchant.training.arguments import Arguments
from penchant.training.callbacks import Callback
from penchant.training.config import DPOConfig, RunConfig
from penchant.training.configure import configure
from penchant.training.given import Given, ModelLike
from penchant.training.objective import Recipe, choose_objective
from penchant.training.run import run
from penchant.training.trained import Run

__all__ = ["Online", "rlhf"]

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
    """Train a model by reinforcement learning on a judge's scores: maximise E[score] - beta KL(policy || reference).

    Args:
        model: see `penchant.dpo`.
        prompts: a list of texts, paths, "everyday-train", or records.
        judge: "positivity", "reward:FOLDER", "module:function", a function of (prompt, response) that returns a
            number, or an endpoint's address, with its model in `settings`: {"sampling.judge_model": "m"}.
        method: "rloo", "grpo", "ppo" or "best_of_n".
        beta: the cost of one nat of KL, in units of the score.
        num_responses, max_new_tokens: responses per prompt in each step, and the most tokens of each.
        output, reference, callbacks, config, settings, resume, progress, arguments: see `penchant.dpo`.

    Raises:
        UserError: an error that the caller can fix, or a failing judge; results so far are kept.
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
    sampling, reporter = found.sampling, reporter_of(progress)
    chosen = judge if judge is not None else sampling.judge
    if chosen is None:
        raise ConfigError("sampling.judge, which scores the responses, is missing; give `judge=...`")
    given = _with_prompts(given, found)
    scorer = open_scorer(
        chosen, judge_model=sampling.judge_model, instructions=sampling.instructions, reporter=reporter
    )
    return run(found, reporter, resume=resume, given=given, recipe=FromScores(found, scorer, given.reference))


@dataclass(frozen=True)
class Online:
    """Options of `penchant.dpo(model, prompts, online=Online(judge))`: pairs of the policy's own responses.

    judge: as for `penchant.judge`; a judge with scores pairs the best and the worst response to a prompt, any other is
    asked about two at a time. judge_model, instructions: for an endpoint. `settings` control the sampling:
    {"sampling.num_responses": 4, "sampling.max_new_tokens": 128, "sampling.minibatches": 1}.
    """

    judge: str | Judge | Callable[..., Any]
    judge_model: str | None = None
    instructions: str | None = None

    @classmethod
    def of(cls, config: DPOConfig) -> Online:
        """The judge that a run's settings name. Raises ConfigError if they name none."""
        sampling = config.sampling
        if sampling is None or sampling.judge is None:
            raise ConfigError("sampling.judge, which compares the responses, is missing; give `judge=...`")
        return cls(sampling.judge, sampling.judge_model, sampling.instructions)

    @property
    def settings(self) -> dict[str, Any]:
        """Its values in the run's settings."""
        return {
            "sampling.judge": self.judge if isinstance(self.judge, str) else _called(self.judge),
            "sampling.judge_model": self.judge_model,
            "sampling.instructions": self.instructions,
        }

    def data(self, prompts: Any) -> Any:
        """Prompts as data; a list of texts is converted to rows."""
        return _rows(prompts)

    def prepare(self, config: DPOConfig, given: Given) -> tuple[Recipe, Given]:
        """The recipe and its inputs. Raises UserError."""
        judge = open_judge(self.judge, judge_model=self.judge_model, instructions=self.instructions)
        recipe = FromPairs(config, choose_objective(config, given.objective), judge, given.reference)
        return recipe, _with_prompts(given, config)


def _with_prompts(given: Given, config: RunConfig) -> Given:
    """A copy with the prompts named in the settings, one per line of a text file."""
    if given.data is not None:
        return given
    files = [str(prompt_file(name)) for name in config.data.files]
    return replace(given, data=sources_of(files, txt="lines"))


def _rows(prompts: Data | Sequence[str] | None) -> Data | None:
    """Prompts as data; a list of texts is converted to rows."""
    if isinstance(prompts, list | tuple) and all(isinstance(one, str) for one in prompts):
        return [{"prompt": text} for text in prompts]
    return prompts


def _called(judge: object) -> str:
    named = judge if hasattr(judge, "__qualname__") else type(judge)
    return f"{named.__module__}:{named.__qualname__}"
