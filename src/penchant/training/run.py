"""A whole run: load, split, score the reference, train, write the model.

`dpo` takes settings by name, from Python, like the functions of `other_runs.py`; `run` takes a checked configuration.
They differ in their recipe: which data and which task (`objective.py`); the rest is the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from torch import Tensor

from penchant import ranks
from penchant.data.given import Data
from penchant.errors import ConfigError
from penchant.feedback.snapshots import resolve_projects
from penchant.files.place import require_place
from penchant.models.names import require_named
from penchant.models.numerics import computing
from penchant.models.routers import Routers
from penchant.process import was_restarted
from penchant.progress import Reporter, Silent, reporter_of
from penchant.training.arguments import Arguments
from penchant.training.balanced import Balanced
from penchant.training.callbacks import Callback, closing
from penchant.training.config import DPOConfig, RunConfig
from penchant.training.configure import configure
from penchant.training.ending import finish
from penchant.training.finite import require_rewards_of_zero
from penchant.training.folder_of_all import first_alone_in_run, record_of
from penchant.training.given import Given, ModelLike, Online
from penchant.training.interrupt import listening
from penchant.training.likeness import likeness_at_start
from penchant.training.loop import Loop
from penchant.training.objective import Recipe, choose_recipe, usual_learning_rate
from penchant.training.origins import origins_of
from penchant.training.policies import load_trainee, make_ready, reference_of, share_out
from penchant.training.room import foresee, say_work, with_mode
from penchant.training.run_folder import RunFolder, clock_of_run, require_usable
from penchant.training.run_record import RunRecord, require_same_on_all
from penchant.training.shareable import require_shareable
from penchant.training.size_of_run import plan_of
from penchant.training.trackers import open_tracker
from penchant.training.trained import Run, settle

__all__ = ["dpo", "run", "train"]


def dpo(
    model: ModelLike | None = None,
    data: Data | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    objective: str | Callable[[Any], Tensor] | None = None,
    beta: float | None = None,
    preset: str | None = None,
    reference: ModelLike | None = None,
    labels: str | None = None,
    online: Online | None = None,
    callbacks: Sequence[Callback] = (),
    config: str | os.PathLike[str] | DPOConfig | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    resume: bool = False,
    progress: bool | Reporter = True,
    **arguments: Unpack[Arguments],
) -> Run:
    """Train a model on preferences by Direct Preference Optimization (Rafailov et al. 2023, arXiv 2305.18290, eq. 7).

    Args:
        model: a loaded model, which is not changed (a copy is trained), or a name or path for `penchant.load`.
        data: paths, rows (dicts, a DataFrame, a datasets.Dataset), or records such as PreferencePair.
        output: the run folder to write; None keeps the run in memory and writes nothing.
        objective: a name (`penchant.objectives`), "module:function", or a function of a PairBatch that returns losses
            of shape (B,).
        beta: strength of the pull to the reference; None: the objective's own.
        preset: a published recipe, as "tulu3" (`penchant.training.presets.PRESETS`); other arguments override it.
        reference: the reference policy; None: the model before training.
        labels: "majority" or "soft": how to combine the votes of an annotation project into pairs.
        online: a `penchant.Online`; `data` then holds prompts, and pairs are built from the policy's own responses.
        callbacks: custom metrics, trackers, reasons to stop.
        config: a YAML file, such as config.yaml of an earlier run, or a checked configuration.
        settings: any setting by its dotted name, {"optimiser.weight_decay": 0.1}; wins over `config`.
        resume: continue the run in `output`, bit for bit.
        progress: True for bars, False for none, or a Reporter.
        arguments: see `penchant.training.arguments.Arguments`; they win over `settings`.

    Raises:
        UserError: an error that the caller can fix: data, model, settings, or an output that cannot be written.
        TrainingError: training stopped because continuing would have hidden a fault.
        Interrupted: Ctrl-C or SIGTERM; a run with a folder was saved first.
    """
    data = data if online is None else online.data(data)
    given = Given.of(model, data, reference=reference, objective=objective, callbacks=callbacks)
    named = Given.names(model, data, output, reference=reference, objective=objective)
    own = {} if online is None or isinstance(config, RunConfig) else online.settings
    found = configure(DPOConfig, config, settings, {**named, "beta": beta, "preset": preset, **arguments}, given, own)
    recipe, given = (None, given) if online is None else online.prepare(found, given)
    return run(found, reporter_of(progress), resume=resume, labels=labels, given=given, recipe=recipe)


def run(
    config: RunConfig,
    reporter: Reporter,
    *,
    resume: bool = False,
    labels: str | None = None,
    given: Given | None = None,
    recipe: Recipe | None = None,
) -> Run:
    """Train with this configuration; with an output, alone in its folder, with a report at the end.

    recipe: what to train; None: the configuration's, which has no judges. In a process started by torchrun, this is one
    rank of the run: only the first writes and reports. Raises UserError, TrainingError and Interrupted, see `dpo`.
    """
    recipe = recipe or choose_recipe(config, given.objective if given else None)
    with ExitStack() as stack:
        stack.enter_context(ranks.joined())
        stack.enter_context(computing())
        require_shareable(config, ranks.size())
        reporter = reporter if ranks.is_first() else Silent()
        if config.output is not None:
            place = Path(config.output)
            require_place(place)
            stack.enter_context(first_alone_in_run(place, recipe.command))
            resume = resume or (was_restarted() and (place / "run.json").is_file())
        files = ranks.first(
            lambda: resolve_projects(
                config.data.files,
                recipe.answers_as,
                labels=labels,
                begun_with=RunFolder.files_of(config.output) if resume else (),
                say=reporter.say,
            )
        )
        config = config.model_copy(update={"data": config.data.model_copy(update={"files": tuple(files)})})
        if resume and config.output is not None and (finished := RunFolder.lacking_its_report(config)):
            reporter.say("the run was finished but for its report, which is written now")
            return Run(finished).with_report(reporter.say)
        done = train(config, recipe, reporter, resume=resume, given=given)
        return done.with_report(reporter.say) if config.output is not None else done


def train(
    config: RunConfig, recipe: Recipe, reporter: Reporter, *, resume: bool = False, given: Given | None = None
) -> Run:
    """The part of `run` between its lock and its report."""
    given = given or Given()
    data = config.data.files if given.data is None else given.data
    if config.output is not None:
        require_usable(Path(config.output), resume=resume)
    elif resume:
        raise ConfigError("`resume=True` continues a run in a folder, but none is named; give `output=...`")
    data = config.data.read_options(config.seed).sources(data)  # iterators can be read only once
    for name, loaded in ((config.model.name, given.model), (config.model.reference, given.reference)):
        if name is not None and loaded is None:
            require_named(name)
    clock = clock_of_run(None if config.output is None else Path(config.output), resume=resume)
    if given.model is None:
        foresee(config, recipe, data, clock, reporter)
    callbacks = [*given.callbacks, *map(open_tracker, config.save.trackers)] if ranks.is_first() else []
    asked, config = config, with_mode(config, reporter, loaded=given.model is not None)
    model, text = load_trainee(config, clock, reporter, given.model, recipe.model_kind)
    with ranks.first_goes_ahead():
        found = recipe.dataset(config, data, model, reporter)
    began_with = RunFolder.learning_rate_of(config.output) if resume else None
    usual = usual_learning_rate(recipe, config.optimiser, len(found.train), adapter=model.is_adapter)
    config = config.with_learning_rate(config.optimiser.learning_rate or began_with or usual)
    count = partial(plan_of, data=found, group_of=recipe.group_of, share=model.shares)
    say_work(config, model, count, reporter, needs_reference=recipe.needs_reference, foreseen=given.model is None)
    known = {"model_digest": model.digest, **found.facts}
    require_same_on_all(known)
    share_out(model)
    record = record_of(config.model_copy(update={"parallel": asked.parallel}), recipe.command, resume=resume)
    with record.withdrawn_if_refused():
        reference, facts, live = reference_of(config, recipe, model, found, reporter, given.reference)
        record.begin_with(
            chat_template=text,
            clock=model.encoder.clock.isoformat(),
            origins=origins_of(config.model, model, given.reference),
            **facts | known,
        )
        task = recipe.task(reference, model, live)
        del live  # free another model, unless the task uses it
        if weight := config.optimiser.router_loss:
            task = Balanced(task, Routers.of(model), weight)
        make_ready(model, config)
        loop = Loop(config, model, task, found, recipe.group_of, record, reporter, callbacks)
        if isinstance(config, DPOConfig) and "likeness" not in record.ledger:
            record.note(**likeness_at_start(loop, config.alarms.alike_pairs))
        if facts.get("reference_digest") == model.digest:
            loop.on_first_step = require_rewards_of_zero
        _train(loop, record, reporter, resume=resume)
    settle(model, record)
    return Run(record, model=model if model.sharded is None else None, began_as=given.model, reference=given.reference)


def _train(loop: Loop[Any], record: RunRecord, reporter: Reporter, *, resume: bool) -> None:
    """Train to the end, from a checkpoint if there is one, and write the model."""
    trained = sum(p.numel() for p in loop.parameters.values())
    record.require_space(4 * trained * (3 * loop.config.save.keep_checkpoints + 4))
    with listening() as stop:
        if resume:
            if checkpoint := record.newest_checkpoint(reporter.say):
                loop.resume(checkpoint)
            else:
                record.keep_until(0, reporter.say)
            reporter.say(f"resumed at step {loop.step} of {loop.num_steps}")
        with closing(loop.callbacks), record.saving():
            loop.run(stop)
        with stop.finishing():
            finish(loop, trained)
