"""A whole run: load, split, score the reference, train, write the model.

`run_dpo` and `run_sft` differ in their data and their task; the rest is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penchant.data.given import check_options
from penchant.errors import TrainingError
from penchant.files.whole import disk_errors_explained
from penchant.models import saving
from penchant.models.digests import digests_of_model
from penchant.models.gated_mlp import remember_less
from penchant.models.language_model import LanguageModel
from penchant.models.load import require_named
from penchant.models.numerics import process_peak_bytes
from penchant.progress import Reporter
from penchant.training.checkpoint import newest_checkpoint
from penchant.training.config import DPOConfig, RunConfig, SFTConfig
from penchant.training.dataset import Dataset, demonstration_dataset
from penchant.training.finite import require_finite
from penchant.training.held_out import evaluate_task
from penchant.training.interrupt import listening
from penchant.training.loop import Loop
from penchant.training.next_token import NextTokenTask
from penchant.training.objective import choose_objective
from penchant.training.origins import origins_of
from penchant.training.policies import load_trainee, score_reference
from penchant.training.run_folder import RunFolder, clock_of_run, require_usable, with_learning_rate
from penchant.training.samples import FixedPrompts
from penchant.training.step import StepResult
from penchant.training.task import Encoded, Item, Task

__all__ = ["run_dpo", "run_sft"]


def run_dpo(config: DPOConfig, reporter: Reporter, *, resume: bool = False) -> RunFolder:
    """Train on preference pairs and return the finished run folder.

    Raises UserError for what the user can mend, TrainingError when the run stopped itself, Interrupted after saving.
    """
    objective = choose_objective(config)
    _refuse_before_loading(config, resume)
    clock = clock_of_run(Path(config.output), resume=resume)
    model, text = load_trainee(config, clock, reporter)
    rate = config.optimiser.learning_rate or (1e-5 if model.is_adapter else 1e-6)
    config = with_learning_rate(config, rate, resume=resume)
    data = objective.dataset(config, model, reporter)
    folder = RunFolder.create(config, "dpo", resume=resume)
    with folder.withdrawn_if_refused():
        sequences = [s for item in (*data.train, *data.held_out) for s in item.referenced]
        if objective.needs_reference:
            reference, reference_digest = score_reference(config, model, sequences, reporter)
        else:
            reference, reference_digest = {s.key: 0.0 for s in sequences}, ""
        folder.begin_with(
            model_digest=model.digest,
            reference_digest=reference_digest,
            beta=objective.beta,
            chat_template=text,
            clock=clock.isoformat(),
            origins=origins_of(config.model, model.path),
            **data.facts,
        )
        return _train(
            config,
            model,
            objective.task(reference, model),
            data,
            folder,
            reporter,
            group_of=prompt_of,
            learning_rate=rate,
            on_first_step=_rewards_are_zero if reference_digest == model.digest else lambda _: None,
            resume=resume,
        )


def run_sft(config: SFTConfig, reporter: Reporter, *, resume: bool = False) -> RunFolder:
    """Next-token training on demonstrations or plain text; as `run_dpo` otherwise."""
    _refuse_before_loading(config, resume)
    clock = clock_of_run(Path(config.output), resume=resume)
    model, text = load_trainee(config, clock, reporter)
    rate = config.optimiser.learning_rate or (2e-4 if model.is_adapter else 2e-5)
    config = with_learning_rate(config, rate, resume=resume)
    data = demonstration_dataset(config.data, model, config.seed, reporter)
    folder = RunFolder.create(config, "sft", resume=resume)
    with folder.withdrawn_if_refused():
        folder.begin_with(
            model_digest=model.digest,
            chat_template=text,
            clock=clock.isoformat(),
            origins=origins_of(config.model, model.path),
            **data.facts,
        )
        return _train(
            config,
            model,
            NextTokenTask(),
            data,
            folder,
            reporter,
            group_of=id,
            learning_rate=rate,
            on_first_step=lambda _: None,
            resume=resume,
        )


def _refuse_before_loading(config: RunConfig, resume: bool) -> None:
    """What can be refused without a model is refused without waiting for one."""
    require_usable(Path(config.output), resume=resume)
    check_options(config.data.files, "drop", config.data.max_rows)
    for name in (config.model.name, config.model.reference):
        if name is not None:
            require_named(name)


def _train(
    config: RunConfig,
    model: LanguageModel,
    task: Task[Item],
    data: Dataset[Any],
    folder: RunFolder,
    reporter: Reporter,
    *,
    group_of: Callable[[Any], Any],
    learning_rate: float,
    on_first_step: Callable[[StepResult[Any]], None],
    resume: bool,
) -> RunFolder:
    remember_less(model.network)
    if config.model.gradient_checkpointing:
        model.checkpoint_activations()
    budget = config.optimiser.token_budget
    asked = [item.sequences[0] for item in data.held_out or data.train]
    fixed = FixedPrompts(asked, config.save.num_samples, config.save.sample_tokens)
    loop = Loop(
        model=model,
        task=task,
        items=data.train,
        group_of=group_of,
        optimiser_config=config.optimiser,
        save_config=config.save,
        learning_rate=learning_rate,
        seed=config.seed,
        folder=folder,
        reporter=reporter,
        evaluate=lambda: evaluate_task(model, task, data.held_out, budget) if data.held_out else {},
        answer=lambda step: fixed.answer(model, step),
        on_first_step=on_first_step,
    )
    trained = sum(p.numel() for p in loop.parameters.values())
    folder.require_space(4 * trained * (3 * config.save.keep_checkpoints + 4))
    with listening() as stop:
        if resume:
            if checkpoint := newest_checkpoint(folder.checkpoints, reporter.say):
                loop.resume(checkpoint)
            else:
                folder.keep_until(0, reporter.say)
            reporter.say(f"resumed at step {loop.step} of {loop.num_steps}")
        loop.run(stop)
        with stop.finishing(), disk_errors_explained(folder.path):
            require_finite(loop.parameters)
            loop.release()
            saving.save_model(model, folder.model)
            folder.finish(
                model_files=digests_of_model(folder.model),
                num_parameters_trained=trained,
                num_steps=loop.num_steps,
                num_tokens=loop.num_tokens,
                training_seconds=round(loop.seconds, 2),
                unique_tokens_per_second=round(loop.num_tokens / max(loop.seconds, 1e-9), 1),
                peak_memory_bytes=process_peak_bytes(),
                why_unshared=model.why_unshared,
                numerics=model.numerics.mode,
            )
    return folder


def prompt_of(item: Encoded) -> bytes:
    """What items of one prompt have in common, so that they stay neighbours in a batch."""
    return item.sequences[0].context


def _rewards_are_zero(result: StepResult[Any]) -> None:
    """Before its first step a policy is its own reference: rewards are zero and the loss is that of a coin toss."""
    worst, size = (
        [abs(result.means.get(f"{of}/{side}", 0.0)) for side in ("chosen", "rejected")] for of in ("rewards", "logps")
    )
    if not max(worst) <= 1e-3 * max(1.0, sum(size)):
        raise TrainingError(
            f"before the first step rewards must be zero, as the policy is its own reference; got {max(worst):.3g} "
            f"and a loss of {result.means['loss']:.4f} (ln 2 = {math.log(2):.4f} is expected of DPO); nothing was "
            "trained"
        )
