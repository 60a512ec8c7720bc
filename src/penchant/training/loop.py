"""The loop: epochs of batches, optimiser steps, evaluations, checkpoints. The same for every task and device.

A step runs micro-batches by token budget and sums one gradient that does not depend on the split.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

import torch

from penchant import ranks
from penchant.errors import UserError
from penchant.models.language_model import LanguageModel
from penchant.models.sharded import are_sharded, whole_of_all
from penchant.progress import Reporter
from penchant.training.alarms import Alarms
from penchant.training.callbacks import Callback, begin_one, own_metrics
from penchant.training.checkpoint import Checkpoint, restore
from penchant.training.config import RunConfig
from penchant.training.dataset import Dataset, groups_of
from penchant.training.finite import require_gradient, say_not_finite
from penchant.training.held_out import evaluate_held_out
from penchant.training.interrupt import Interrupted, StopRequest
from penchant.training.loop_state import save, save_after, save_early, take_up
from penchant.training.on_policy import OnPolicyKL
from penchant.training.optimiser import adamw
from penchant.training.out_of_memory import Lack, TokenBudget, naming
from penchant.training.part_of_batch import Part, micro_batches_of
from penchant.training.run_record import RunRecord
from penchant.training.samples import FixedPrompts
from penchant.training.schedule import batches_of_epoch, group_numbers, learning_rate_factor, num_batches, num_steps
from penchant.training.shareable import require_prompts
from penchant.training.task import Item, StepResult, Task

__all__ = ["Loop", "accumulate"]


def accumulate(
    model: LanguageModel,
    task: Task[Item],
    batch: Sequence[Item],
    parameters: Sequence[torch.nn.Parameter],
    *,
    token_budget: int,
    max_grad_norm: float,
    before_micro_batch: Callable[[], None] = lambda: None,
) -> StepResult[Item]:
    """Compute the gradient of the batch's mean loss in `parameters`, clipped to `max_grad_norm`.

    Every micro-batch's summed loss is divided by the count of the whole batch, so that the split of items into
    micro-batches, and of these among ranks, never changes the gradient. With several ranks each receives the whole
    batch, runs its share, and needs `grad` allocated; the result on each is that of the whole batch.
    """
    total = sum(task.count(item) for item in batch)
    part, lack, tokens_before = Part(), Lack(model.sharded is not None), model.num_tokens_run
    micro_batches = micro_batches_of(batch, token_budget, share=model.shares)
    task = task.for_batch(model, [[batch[i] for i in indices] for indices in micro_batches if indices])
    for number, indices in enumerate(micro_batches, 1):
        before_micro_batch()
        if not indices or lack.here:
            continue
        items = [batch[i] for i in indices]
        with lack.noted(), naming(number, len(micro_batches), items, token_budget):
            loss, metrics = task.losses(model, items)
            require_gradient(loss)
            (loss / total).backward()
            part.add(indices, items, sum(task.count(item) for item in items), loss, metrics)
            # freed graph nodes would fragment memory between the next activations
            del loss, metrics
    lack.tell()
    part.num_tokens = model.num_tokens_run - tokens_before
    whole = part.of_all()
    # FSDP has summed sharded gradients; ranks without work left take part here in the others' collectives
    ranks.add_up([p.grad for p in parameters if p.grad is not None and not are_sharded([p])])
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)
    grad_norm = float(whole_of_all({"": norm})[""])
    finite = not whole.bad and math.isfinite(grad_norm)
    bad = tuple(batch[i] for i in whole.bad) or (() if finite else tuple(batch))
    return StepResult(whole.tally.means(), grad_norm, whole.num_tokens, finite, bad, tuple(whole.margins))


@dataclass
class Loop(Generic[Item]):
    """Everything that one training run needs; `run` trains.

    config: with a learning rate. group_of: items of a group stay adjacent, as they share a prompt. on_first_step:
    checks the first result and may raise. callbacks: on the first rank only; their decisions apply to all.
    """

    config: RunConfig
    model: LanguageModel
    task: Task[Item]
    data: Dataset[Any]
    group_of: Callable[[Item], Hashable]
    record: RunRecord
    reporter: Reporter
    callbacks: Sequence[Callback] = ()
    on_first_step: Callable[[StepResult[Item]], None] = lambda _: None
    step: int = 0
    owes_evaluation: bool = False
    bad_in_a_row: int = 0
    num_tokens: int = 0
    seconds: float = 0.0
    stopped_early: str | None = None
    learning_rate: float = field(init=False)
    token_budget: TokenBudget = field(init=False)
    parameters: dict[str, torch.nn.Parameter] = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        config = self.config.optimiser
        self.token_budget = TokenBudget(config.token_budget)
        own = {n: p for n, p in self.model.network.named_parameters() if p.requires_grad}
        self.parameters = {**own, **self.task.parameters()}
        assert config.learning_rate is not None, "see `usual_learning_rate`"
        self.learning_rate = config.learning_rate
        self.optimiser = adamw(self.model, self.parameters, config, self.learning_rate)
        self.steps_per_epoch = num_batches(len(self.data.train), config.batch_size)
        self.num_steps = num_steps(len(self.data.train), config.batch_size, config.epochs, config.max_steps)
        self.groups = group_numbers(groups_of(self.data.train, self.group_of))
        require_prompts(self.groups)
        asked = (item.sequences[0] for item in self.data.held_out or self.data.train)
        self.fixed_prompts = FixedPrompts(asked, self.config.save.num_samples, self.config.save.sample_tokens)
        self.alarms = Alarms(self.config.alarms, self.num_steps, self.config.optimiser.batch_size)
        self.kl = OnPolicyKL.of(self.config, self.model, self.fixed_prompts.requests)

    def stop(self, why: str) -> None:
        """End training after this step, as if it were the last."""
        self.num_steps, self.stopped_early = self.step, why

    def resume(self, checkpoint: Checkpoint) -> None:
        """Resume from a checkpoint, bit for bit as if never stopped, in the same number of processes."""
        ranks.require_same({"a newest checkpoint": checkpoint.state["step"]})
        self.task.restore(restore(checkpoint, self.parameters, self.optimiser))
        take_up(self, checkpoint.state)

    def run(self, stop: StopRequest) -> None:
        """Train to the end. Raises Interrupted after saving, TrainingError if continuing would hide a fault."""
        last_save = time.monotonic()
        self.reporter.progress("training", self.step, self.num_steps, {})
        try:
            if self.step == 0:
                self.alarms.samples = self.fixed_prompts.answer(self.model, self.step)
                self.record.record((), self.alarms.samples)
            was_due = self.step > 0 and self._evaluation_is_due()
            self._call(lambda callback: begin_one(callback, self, self.alarms.samples))
            if self.stopped_early and not was_due:  # requested there: the step before was the last
                self.owes_evaluation = True
            self._evaluate_if_owed(stop)
            while self.step < self.num_steps:
                epoch, offset = divmod(self.step, self.steps_per_epoch)
                batches = batches_of_epoch(
                    self.data.train,
                    self.groups,
                    batch_size=self.config.optimiser.batch_size,
                    epoch=epoch,
                    seed=self.config.seed,
                    as_given=self.config.optimiser.order == "given",
                )
                for batch in batches[offset : offset + self.num_steps - self.step]:
                    with stop.finishing():
                        self.record.settle(wait=False)
                        self._take_step(batch, stop)
                    self._evaluate_if_owed(stop)
                    elapsed = ranks.gather(time.monotonic() - last_save)[0]  # clocks differ between ranks
                    if self.step < self.num_steps and self.config.save.is_due(self.step, elapsed):
                        with stop.finishing():
                            save(self)
                        last_save = time.monotonic()
                    if self.step >= self.num_steps:  # requested by a callback
                        break
            with stop.finishing():
                self.record.settle()
            self._call(lambda callback: callback.on_end(self))
        except UserError as error:  # such as a failing judge: results so far are kept
            save_after(self, error)
            raise
        except Interrupted as interrupt:
            if interrupt.at_once:
                raise
            save_early(self)
            message = f"stopped after step {self.step} of {self.num_steps}{self.record.how_to_go_on}"
            raise Interrupted(interrupt.exit_code - 128, message) from None

    def _call(self, call: Callable[[Callback], None]) -> None:
        for callback in self.callbacks:
            call(callback)
        self.num_steps, self.stopped_early = ranks.gather((self.num_steps, self.stopped_early))[0]

    def _evaluate_if_owed(self, stop: StopRequest) -> None:
        """Evaluate after a step if due; if a signal comes in between, the resumed run does it first."""
        if self.owes_evaluation:
            row: dict[str, Any] = {"step": self.step, "epoch": self._epochs()}
            row |= evaluate_held_out(self.model, self.task, self.data.held_out, self.token_budget.now, self.kl)
            self._call(lambda callback: row.update(own_metrics(callback, self, row)))
            row = ranks.gather(row)[0]
            samples = self.fixed_prompts.answer(self.model, self.step)
            with stop.finishing():
                self.alarms.keep_if_best(self, row)
                self.record.record([row], samples)
                self.alarms.saw_evaluation(self, row, samples)
                for callback in self.callbacks:
                    callback.on_samples(self, samples)
                self.owes_evaluation = False

    def _take_step(self, batch: list[Item], stop: StopRequest) -> None:
        begin = time.perf_counter()
        config = self.config.optimiser
        factor = learning_rate_factor(self.step, self.num_steps, config.warmup_ratio, config.schedule)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * factor * self.alarms.rate
        updates = self.task.updates(self.model, batch, self.step)
        result = StepResult.together([self._update(items, stop, first=i == 0) for i, items in enumerate(updates)])
        self.step += 1
        self.task.after_step(self.model, self.step)
        elapsed = time.perf_counter() - begin
        self.num_tokens += result.num_tokens
        self.seconds += elapsed
        row: dict[str, Any] = {
            "step": self.step,
            "epoch": self._epochs(),
            **result.means,
            **self.task.seen(),
            "grad_norm": result.grad_norm,
            "learning_rate": self.learning_rate * factor * self.alarms.rate,
            "num_tokens": self.num_tokens,
            "tokens_per_second": result.num_tokens / elapsed,
            "step_seconds": elapsed,
        }
        self.record.record([row if result.finite else {**row, "skipped": True}], ())
        self.alarms.saw_step(self, row, result.margins)
        self._call(lambda callback: callback.on_step(self, row))
        self.owes_evaluation = self._evaluation_is_due()
        self.reporter.progress("training", self.step, self.num_steps, row)

    def _update(self, items: Sequence[Item], stop: StopRequest, *, first: bool) -> StepResult[Item]:
        """One optimiser step; a task may request several per loop step."""
        config = self.config.optimiser
        result = None
        while result is None:
            self.optimiser.zero_grad(set_to_none=False)
            with self.token_budget.halved_once(f"step {self.step + 1}", self.reporter.say):
                result = accumulate(
                    self.model,
                    self.task,
                    items,
                    list(self.parameters.values()),
                    token_budget=self.token_budget.now,
                    max_grad_norm=config.max_grad_norm,
                    before_micro_batch=stop.check if first else lambda: None,
                )
        if first and self.step == 0 and result.finite:
            self.on_first_step(result)
        if result.finite:
            self.optimiser.step()
            self.task.after_update(self.model, items, self.parameters.values(), self.step)
            self.alarms.saw_update(self, items)
            self.bad_in_a_row = 0
        else:
            self.bad_in_a_row += 1
            say_not_finite(self.step, result, self.bad_in_a_row, config.max_bad_steps, self.reporter.say)
        return result

    def _evaluation_is_due(self) -> bool:
        every = self.config.save.eval_every or self.steps_per_epoch
        return self.step % every == 0 or self.step == self.num_steps

    def _epochs(self) -> float:
        return round(self.step / self.steps_per_epoch, 4)
