"""Choose and open a judge from the user's name for it, and check that its options apply."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from penchant.errors import ConfigError
from penchant.evaluation.judges.function import JUDGES, FunctionJudge, PreferenceFunctionJudge
from penchant.evaluation.judges.protocol import Judge, Scorer
from penchant.plugins import added_names, find_added, import_object, is_import_path
from penchant.progress import Reporter, Silent
from penchant.wording import nearest

__all__ = ["JudgeOptions", "open_any", "open_judge", "open_scorer"]

GROUP = "penchant.judges"
Kind = Literal["endpoint", "run", "reward", "function"]

NAMES: dict[Kind, str] = {
    "endpoint": "an endpoint (`judge=http://...`)",
    "run": "a run",
    "reward": "a reward model (`judge=reward:...`)",
    "function": "a function that scores",
}
READ_BY: dict[str, tuple[Kind, ...]] = {
    "judge_model": ("endpoint",),
    "instructions": ("endpoint",),
    "concurrency": ("endpoint",),
    "timeout": ("endpoint",),
    "epsilon": ("function", "run", "reward"),
    "judge_reference": ("run",),
    "device": ("run", "reward"),
    "dtype": ("run", "reward"),
}
"""The kinds of judge that read each option."""


@dataclass(frozen=True)
class JudgeOptions:
    """The name and options of a judge.

    judge: a name in JUDGES or of an installed package's judge; `module:function`, which runs that code; run:FOLDER for
    the implicit reward of a run; reward:FOLDER for a reward model; or the address of an endpoint. judge_model: the
    model at the endpoint. instructions: replaces Penchant's default text for that model. epsilon: scores that differ by
    at most this are a tie. judge_reference: replaces the reference of a run's reward.
    """

    judge: str
    judge_model: str | None = None
    instructions: str | None = None
    epsilon: float | None = None
    judge_reference: str | None = None

    @property
    def kind(self) -> Kind:
        """endpoint, run, reward or function."""
        begin = self.judge.partition(":")[0]
        kinds: dict[str, Kind] = {"http": "endpoint", "https": "endpoint", "run": "run", "reward": "reward"}
        return kinds.get(begin, "function") if ":" in self.judge else "function"

    @property
    def takes_memory(self) -> bool:
        """Whether it is a model loaded in this process."""
        return self.kind in ("run", "reward")

    @property
    def comes_with_penchant(self) -> bool:
        """Whether it is a built-in function, which runs no other code and sends no text anywhere."""
        return self.judge in JUDGES

    def check(self, **settings: object) -> None:
        """Raise ConfigError for options that the judge does not read.

        settings: concurrency and timeout; device and dtype only if nothing but the judge would read them.
        """
        for name, kinds in READ_BY.items():
            if settings.get(name, getattr(self, name, None)) is not None and self.kind not in kinds:
                whose = " or ".join(NAMES[kind] for kind in kinds)
                raise ConfigError(f"`{name}=...` is for {whose}, and the judge is {self.judge!r}; leave it out")
        if self.kind == "endpoint" and not self.judge_model:
            raise ConfigError("`judge_model=...` is missing; name the model to ask at the endpoint")

    def open(
        self,
        reporter: Reporter,
        *,
        concurrency: int | None = None,
        timeout: float | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> Judge:
        """Open the judge. Raises UserError.

        concurrency: concurrent requests to an endpoint, default 4. timeout: the most seconds of silence, default 120.
        device, dtype: those of a run's model, by default the best available.
        """
        self.check(concurrency=concurrency, timeout=timeout)
        if self.kind == "function":
            return _of_function(_named(self.judge), self.judge, self.epsilon)
        if self.kind == "run":
            from penchant.evaluation.judges.implicit_reward import open_reward_judge

            run = self.judge.removeprefix("run:")
            return open_reward_judge(
                run, self.judge_reference, epsilon=self.epsilon, device=device, dtype=dtype, reporter=reporter
            )
        if self.kind == "reward":
            from penchant.evaluation.judges.reward_model import open_reward_model_judge

            named = self.judge.removeprefix("reward:")
            return open_reward_model_judge(named, epsilon=self.epsilon, device=device, dtype=dtype, reporter=reporter)
        from penchant.evaluation.judges.chat_completions import KEY_VARIABLE, Endpoint
        from penchant.evaluation.judges.endpoint import EndpointJudge

        endpoint = Endpoint(self.judge, str(self.judge_model), os.environ.get(KEY_VARIABLE), timeout or 120.0)
        return EndpointJudge(endpoint, self.instructions, concurrency or 4)


def open_judge(
    judge: str | Judge | Callable[..., Any],
    *,
    judge_model: str | None = None,
    instructions: str | None = None,
    epsilon: float | None = None,
    judge_reference: str | None = None,
    concurrency: int | None = None,
    timeout: float | None = None,
    device: str | None = None,
    dtype: str | None = None,
    reporter: Reporter | None = None,
) -> Judge:
    """Open a judge by name; every option given must apply to it; see `JudgeOptions` and its `open`.

    A function of Python is called as `function(prompt, response)` and returns a number, higher for better, or as
    `function(prompt, a, b)` and returns "a", "b", "tie" or "both_bad". The prompt is the conversation's last message.
    A judge is returned unchanged.

    Raises:
        UserError: there is no such judge, it cannot be opened, or an option does not apply to it.

    Example:
        >>> def brevity(prompt, response):
        ...     return -len(response)
        >>> open_judge(brevity).score("Where?", "Here.")
        -5.0
    """
    if isinstance(judge, str):
        options = JudgeOptions(judge, judge_model, instructions, epsilon, judge_reference)
        options.check(concurrency=concurrency, timeout=timeout, device=device, dtype=dtype)
        return options.open(reporter or Silent(), concurrency=concurrency, timeout=timeout, device=device, dtype=dtype)
    named = judge if hasattr(judge, "__qualname__") else type(judge)
    name = f"{named.__module__}:{named.__qualname__}"
    given = (judge_model, instructions, judge_reference, concurrency, timeout, device, dtype)
    if any(option is not None for option in given):
        raise ConfigError(f"The judge {name!r} reads no option but `epsilon=...`; leave the others out.")
    return _of_function(judge, name, epsilon)


def open_scorer(
    judge: str | Scorer | Callable[..., Any],
    *,
    judge_model: str | None = None,
    instructions: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    reporter: Reporter | None = None,
) -> Scorer:
    """Open a scorer by name; a function or scorer may be passed. Raises UserError if it gives no scores.

    judge_model, instructions: for an endpoint, which is then asked for grades. device, dtype: those of a reward model,
    by default the best available.
    """
    is_endpoint = isinstance(judge, str) and JudgeOptions(judge).kind == "endpoint"
    if (judge_model or instructions) and not is_endpoint:
        raise ConfigError(f"`judge_model=...` and instructions are for {NAMES['endpoint']}; leave them out")
    if is_endpoint and judge_model:
        from penchant.evaluation.judges.chat_completions import KEY_VARIABLE, Endpoint
        from penchant.evaluation.judges.grading import EndpointScorer

        return EndpointScorer(Endpoint(str(judge), judge_model, os.environ.get(KEY_VARIABLE)), instructions)
    if isinstance(judge, Scorer) and not isinstance(judge, type):
        return judge
    kind = JudgeOptions(judge).kind if isinstance(judge, str) else "function"
    opened: Judge | None = None
    if kind == "reward":
        opened = open_judge(judge, device=device, dtype=dtype, reporter=reporter)
    elif kind == "function":
        opened = open_judge(judge)
    if not isinstance(opened, Scorer):
        raise ConfigError(
            f"`judge=...`: {judge!r} gives no scores; use one of {', '.join(JUDGES)}, reward:FOLDER, "
            "a function of (prompt, response), or an endpoint with `judge_model=...`"
        )
    return opened


def open_any(
    judge: str | Judge | Scorer | Callable[..., Any],
    *,
    judge_model: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    beside_models: bool = False,
    reporter: Reporter | None = None,
) -> Judge | Scorer:
    """Open a judge as `open_judge` does; a judge or a scorer is returned unchanged.

    beside_models: device and dtype also apply to the models that are judged, whether or not the judge reads them.
    """
    computes: dict[str, Any] = {"device": device, "dtype": dtype}
    if isinstance(judge, str):
        options = JudgeOptions(judge, judge_model)
        options.check(**({} if beside_models else computes))
        return options.open(reporter or Silent(), **computes)
    unread = judge_model is not None or (not beside_models and (device, dtype) != (None, None))
    if not unread and isinstance(judge, Scorer) and not isinstance(judge, type):
        return judge
    named: Any = judge
    return open_judge(named, judge_model=judge_model, **({} if beside_models else computes))


def _named(spec: str) -> Any:
    """The function or judge called `spec`: a built-in one, an installed package's, or `module:function`."""
    if spec in JUDGES:
        return JUDGES[spec]()
    if is_import_path(spec):
        return import_object(spec, "judge", "my_judges:brevity")
    if (added := find_added(GROUP, spec)) is not None:
        return added
    names = (*JUDGES, *added_names(GROUP))
    close = nearest(spec, names)
    hint = f"did you mean {close!r}?" if close else f"choose from {', '.join(names)}, or give module:function"
    raise ConfigError(f"`judge=...`: there is no judge {spec!r}; {hint}")


def _of_function(function: Any, name: str, epsilon: float | None) -> Judge:
    """A judge made from the function; a judge is returned unchanged."""
    if isinstance(function, Judge) and not isinstance(function, type):
        judge: Judge = function
    elif isinstance(function, type):
        raise ConfigError(f"The judge {name!r} is a class; give or name an object of it, {function.__name__}(...).")
    elif not callable(function):
        lacking = ", ".join(word for word in ("name", "price", "answers") if not hasattr(function, word))
        raise ConfigError(
            f"The judge {name!r} is a {type(function).__name__}, not a function, and no judge: it lacks {lacking}; "
            "give a function of (prompt, response), or what `penchant.evaluation.judges.Judge` lists."
        )
    elif _num_arguments(function) == 3:
        judge = PreferenceFunctionJudge(name, function)
    else:
        judge = FunctionJudge(name, function)
    if epsilon is None:
        return judge
    if not isinstance(judge, FunctionJudge):
        raise ConfigError(f"`epsilon=...` is for {NAMES['function']}, and {judge.name!r} gives no scores; leave it out")
    return replace(judge, name=f"{judge.name}, epsilon {epsilon:g}", epsilon=epsilon)


def _num_arguments(function: Callable[..., Any]) -> int | None:
    """The number of required arguments; None if the signature is unknown."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
