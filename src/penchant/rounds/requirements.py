"""Check that everything a round needs is available (judge or people, model, device) before anything is sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from penchant.errors import ConfigError, ModelError
from penchant.rounds.people import check_project
from penchant.rounds.plan import Plan, Round
from penchant.rounds.settle import training_config
from penchant.rounds.stages import Call, judge_of

__all__ = ["check_what_it_needs", "check_who_answers", "must_be_named"]


def check_who_answers(plan: Plan, judge: str | None, call: Call) -> None:
    """Raise ConfigError for options that the judge, or people, do not accept. judge: the one in this call."""
    if plan.people is not None:
        options_of_judges = (plan.judge_model, plan.instructions, plan.epsilon, plan.judge_reference)
        if any(value is not None for value in (*options_of_judges, call.concurrency, call.timeout)):
            raise ConfigError(
                "judge_model, instructions, epsilon, judge_reference, concurrency and timeout are for judges, but "
                "`people=...` asks people; leave them out"
            )
        return
    if call.min_votes is not None:
        raise ConfigError(
            "`min_votes=...` counts the answers of people, but a judge answers every comparison; leave it out"
        )
    chosen = judge_of(plan)
    if judge is None and must_be_named(plan):
        raise ConfigError(
            f"give `judge={plan.judge}` again: a judge that runs code, or gets the texts and your key, is never taken "
            "from a file"
        )
    chosen.check(concurrency=call.concurrency, timeout=call.timeout)
    if not chosen.takes_memory:
        chosen.open(call.reporter, concurrency=call.concurrency, timeout=call.timeout)


def must_be_named(plan: Plan) -> bool:
    """Whether each call must name this judge."""
    if plan.judge is None:
        return False
    judge = judge_of(plan)
    return judge.kind == "endpoint" or (judge.kind == "function" and not judge.comes_with_penchant)


def check_what_it_needs(plan: Plan, rounds: Sequence[Round], say: Callable[[str], None]) -> None:
    """Raise UserError for a new round, after these, that could not run; no model is loaded."""
    from penchant.models.encoder import read_chat_template
    from penchant.models.names import is_adapter_folder
    from penchant.models.numerics import choose_numerics, computing
    from penchant.training.objective import choose_objective

    with computing():
        choose_numerics(plan.device or "auto", plan.dtype or "auto")
    config = training_config(plan)
    choose_objective(config)
    if not rounds:
        read_chat_template(plan.chat_template)
        start = _resolved("model", plan.model, say)
        if config.model.lora is not None and is_adapter_folder(start):
            raise ConfigError(
                f"model.lora: {plan.model} is an adapter already, which is trained further as it is; leave this out"
            )
    if plan.people is not None:
        check_project(Path(plan.people))
    if plan.judge is not None and judge_of(plan).takes_memory:
        _resolved("judge", plan.judge.partition(":")[2], say)
    if plan.judge_reference is not None:
        _resolved("judge_reference", plan.judge_reference, say)


def _resolved(argument: str, name: str, say: Callable[[str], None]) -> Path:
    from penchant.models.names import resolve

    try:
        return resolve(name, say)
    except ModelError as error:
        raise ModelError(f"`{argument}=...`: {error}") from error
