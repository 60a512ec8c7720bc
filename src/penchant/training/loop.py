"""The loop: epochs of batches, optimiser steps, evaluations, checkpoints. The same for every task and device."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

import torch

from penchant.errors import TrainingError
from penchant.files.whole import disk_errors_explained
from penchant.models.language_model import LanguageModel
from penchant.models.numerics import give_back_freed_memory
from penchant.progress import Reporter
from penchant.training.checkpoint import Checkpoint, restore, save_checkpoint
from penchant.training.config import OptimiserConfig, SaveConfig
from penchant.training.interrupt import Interrupted, StopRequest
from penchant.training.run_folder import RunFolder, append_rows
from penchant.training.schedule import batches_of_epoch, learning_rate_factor, num_batches
from penchant.training.step import StepResult, accumulate
from penchant.training.task import Item, Task

__all__ = ["Loop"]


@dataclass
class Loop(Generic[Item]):
    """Everything one run of training needs; `run` does it.

    learning_rate: the peak. group_of: items of equal group stay neighbours, as they share a prompt. evaluate: called
    with nothing, returns metrics to record. answer: called with the step, returns samples to record. on_first_step:
    looks at the first result and may raise.
    """

    model: LanguageModel
    task: Task[Item]
    items: tuple[Item, ...]
    group_of: Callable[[Item], Hashable]
    optimiser_config: OptimiserConfig
    save_config: SaveConfig
    learning_rate: float
    seed: int
    folder: RunFolder
    reporter: Reporter
    evaluate: Callable[[], dict[str, float]]
    answer: Callable[[int], list[dict[str, Any]]] = lambda _: []
    on_first_step: Callable[[StepResult[Item]], None] = lambda _: None
    step: int = 0
    owes_evaluation: bool = False
    bad_in_a_row: int = 0
    num_tokens: int = 0
    seconds: float = 0.0
    parameters: dict[str, torch.nn.Parameter] = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        config = self.optimiser_config
        self.parameters = {n: p for n, p in self.model.network.named_parameters() if p.requires_grad}
        self.optimiser = torch.optim.AdamW(
            self.parameters.values(),
            lr=self.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            fused=self.model.numerics.device.type in ("cpu", "cuda"),
        )
        self._allocate()
        self.steps_per_epoch = num_batches(len(self.items), config.batch_size)
        self.num_steps = config.epochs * self.steps_per_epoch
        if config.max_steps is not None:
            self.num_steps = min(self.num_steps, config.max_steps)

    def _allocate(self) -> None:
        """Gradients and AdamW's moments before the first activation, so that long-lived memory lies together.

        Weights move out of the file they were mapped from: the first step would do it page by page, in five times the
        time, and whoever writes to that file would end the run.
        """
        for parameter in self.parameters.values():
            parameter.data = parameter.data.clone()
            parameter.grad = torch.zeros_like(parameter)
            step = torch.zeros((), device=parameter.device if self.optimiser.defaults["fused"] else "cpu")
            moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            self.optimiser.state[parameter] = {"step": step, **moments}
        self.model.add_up_vocabulary_gradients(at_once=True)

    def release(self) -> None:
        """Let go of gradients and moments; what is left is the model."""
        self.model.add_up_vocabulary_gradients(at_once=False)
        self.optimiser.state.clear()
        for parameter in self.parameters.values():
            parameter.grad = None
        give_back_freed_memory()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint, bit for bit as if never stopped."""
        self.task.restore(restore(checkpoint, self.parameters, self.optimiser))
        state = checkpoint.state
        self.step, self.bad_in_a_row, self.num_tokens = state["step"], state["bad_in_a_row"], state["num_tokens"]
        self.seconds, self.owes_evaluation = state["seconds"], state.get("owes_evaluation", False)
        torch.set_float32_matmul_precision(state["matmul_precision"])  # measured anew, it might differ in the last bit
        self.folder.keep_until(self.step, self.reporter.say, evaluated=not self.owes_evaluation)

    def run(self, stop: StopRequest) -> None:
        """Train to the end. Raises Interrupted after saving, TrainingError when going on would hide a fault."""
        last_save = time.monotonic()
        self.reporter.progress("training", self.step, self.num_steps, {})
        try:
            if self.step == 0:
                self._record(samples=self.answer(0))
            self._evaluate_if_owed(stop)
            while self.step < self.num_steps:
                epoch, offset = divmod(self.step, self.steps_per_epoch)
                batches = batches_of_epoch(
                    self.items,
                    self.group_of,
                    batch_size=self.optimiser_config.batch_size,
                    epoch=epoch,
                    seed=self.seed,
                )
                for batch in batches[offset : offset + self.num_steps - self.step]:
                    with stop.finishing():
                        self._take_step(batch, stop)
                    self._evaluate_if_owed(stop)
                    if self._checkpoint_is_due(time.monotonic() - last_save):
                        with stop.finishing():
                            self._save()
                        last_save = time.monotonic()
        except Interrupted as interrupt:
            if interrupt.at_once:
                raise
            self._save()
            message = f"stopped after step {self.step} of {self.num_steps}, saved; go on with `resume=True`"
            raise Interrupted(interrupt.exit_code - 128, message) from None

    def _evaluate_if_owed(self, stop: StopRequest) -> None:
        """After a step that asks for it; where a signal comes between, the resumed run does it first."""
        if self.owes_evaluation:
            row = {"step": self.step, "epoch": self._epochs(), **self.evaluate()}
            samples = self.answer(self.step)
            with stop.finishing():
                self._record(row, samples=samples)
                self.owes_evaluation = False

    def _take_step(self, batch: list[Item], stop: StopRequest) -> None:
        begin = time.perf_counter()
        config = self.optimiser_config
        factor = learning_rate_factor(self.step, self.num_steps, config.warmup_ratio, config.schedule)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * factor
        self.optimiser.zero_grad(set_to_none=False)
        result = accumulate(
            self.model,
            self.task,
            batch,
            list(self.parameters.values()),
            token_budget=config.token_budget,
            max_grad_norm=config.max_grad_norm,
            before_micro_batch=stop.check,
        )
        if self.step == 0 and result.finite:
            self.on_first_step(result)
        if result.finite:
            self.optimiser.step()
            self.bad_in_a_row = 0
        else:
            self._refuse(result)
        self.step += 1
        self.task.after_step(self.model, self.step)
        elapsed = time.perf_counter() - begin
        self.num_tokens += result.num_tokens
        self.seconds += elapsed
        row: dict[str, Any] = {
            "step": self.step,
            "epoch": self._epochs(),
            **result.means,
            "grad_norm": result.grad_norm,
            "learning_rate": self.learning_rate * factor,
            "num_tokens": self.num_tokens,
            "tokens_per_second": result.num_tokens / elapsed,
            "step_seconds": elapsed,
        }
        self._record(row if result.finite else {**row, "skipped": True})
        self.owes_evaluation = self._evaluation_is_due()
        self.reporter.progress("training", self.step, self.num_steps, row)

    def _refuse(self, result: StepResult[Item]) -> None:
        """A non-finite gradient never reaches the weights; too many in a row end the run."""
        self.bad_in_a_row += 1
        rows = ", ".join(str(item.origin) for item in result.bad_items[:8])
        what = f"step {self.step + 1}: loss or gradient is not finite in a batch with {rows}"
        if self.bad_in_a_row >= self.optimiser_config.max_bad_steps:
            raise TrainingError(
                f"{what}; {self.bad_in_a_row} steps in a row, so training stopped; lower the learning rate or look at "
                "these rows"
            )
        self.reporter.say(f"{what}; the step was skipped")

    def _evaluation_is_due(self) -> bool:
        every = self.save_config.eval_every or self.steps_per_epoch
        return self.step % every == 0 or self.step == self.num_steps

    def _checkpoint_is_due(self, seconds: float) -> bool:
        every = self.save_config.checkpoint_every
        due = seconds >= 60 * self.save_config.checkpoint_minutes or (every is not None and self.step % every == 0)
        return due and self.step < self.num_steps

    def _save(self) -> None:
        state = {
            "bad_in_a_row": self.bad_in_a_row,
            "owes_evaluation": self.owes_evaluation,
            "num_tokens": self.num_tokens,
            "seconds": self.seconds,
            "matmul_precision": torch.get_float32_matmul_precision(),
        }
        with disk_errors_explained(self.folder.path):
            save_checkpoint(
                self.folder.checkpoints,
                self.step,
                self.parameters,
                self.optimiser,
                state,
                self.task.state(),
                keep=self.save_config.keep_checkpoints,
            )

    def _record(self, *rows: dict[str, Any], samples: Sequence[dict[str, Any]] = ()) -> None:
        with disk_errors_explained(self.folder.path):
            append_rows(self.folder.metrics, rows)
            append_rows(self.folder.samples, samples)

    def _epochs(self) -> float:
        return round(self.step / self.steps_per_epoch, 4)
