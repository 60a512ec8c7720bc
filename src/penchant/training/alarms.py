"""Raise alarms while training: computed from recorded values, each reported once, and followed by an action.

The measures are in `report/alarms.py`, the limits and actions in the settings. Everything here is derived from the rows
of metrics, the samples and the pairs' margins, so a resumed run raises the same alarms.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from penchant.models.language_model import LanguageModel
from penchant.progress import Reporter
from penchant.report.alarms import ALARMS, FEWEST_STEPS, SPIKE_AMONG, Measured, Seen
from penchant.tokens import TokenSequence
from penchant.training.band import place_in_band
from penchant.training.config import AlarmsConfig
from penchant.training.run_record import RunRecord
from penchant.training.task import Task

__all__ = ["Alarms", "nearly_the_same"]

MOST_ROWS = 2000
"""The most training steps remembered; of a longer run, every second, third, ... one."""
MOST_PAIRS = 20_000
"""The most pairs tracked individually; the first ones trained on."""
MOST_UNLIKE = 0.1
"""The largest share of differing tokens at which the sides of a pair count as nearly the same."""
PAIRS_BETWEEN = 100
"""Training pairs between two measurements of both sides' gradients: under 2% of the time."""
MOST_PLACES = 40
"""The number of latest measurements that are used."""


class Watched(Protocol):
    """What alarms read of the loop."""

    model: LanguageModel
    task: Task[Any]
    record: RunRecord
    reporter: Reporter
    parameters: dict[str, torch.nn.Parameter]
    step: int
    stopped_early: str | None

    def stop(self, why: str) -> None: ...


@dataclass
class Alarms:
    """The observations of a run, and the alarms it raised.

    raised: for each alarm its name, step, value, limit, action and text, with the sentence and facts behind it. rate:
    the factor on the learning rate.
    best: the lowest held-out loss and its step, if an action needs it.
    """

    config: AlarmsConfig
    num_steps: int
    batch_size: int
    raised: list[dict[str, Any]] = field(default_factory=list)
    rate: float = 1.0
    best: tuple[float, int] | None = None

    def __post_init__(self) -> None:
        self.every = -(-self.num_steps // MOST_ROWS)
        self.pair_every = -(-PAIRS_BETWEEN // self.batch_size)
        self.looks_every = max(FEWEST_STEPS, self.num_steps // 20)
        self.rows: list[Mapping[str, Any]] = []
        self.samples: Sequence[Mapping[str, Any]] = ()
        self.norms: deque[float] = deque(maxlen=SPIKE_AMONG)
        self.margins: dict[str, float] = {}
        self.alike: set[str] = set()
        self.places: deque[str] = deque(maxlen=MOST_PLACES)

    def saw_update(self, loop: Watched, items: Sequence[Any]) -> None:
        """Observe an update, while gradients may be overwritten; a pair is measured now and then."""
        if self.config.few_pairs_decide is not None and len(self.margins) < MOST_PAIRS:
            new = (item for item in items if len(item.sequences) == 2 and str(item.origin) not in self.margins)
            self.alike.update(str(item.origin) for item in new if nearly_the_same(*item.sequences))
        if self.config.sides_entangled is not None and (loop.step + 1) % self.pair_every == 0:
            place = place_in_band(loop.model, loop.task, items[0], loop.parameters.values())
            self.places.extend([] if place is None else [place])

    def saw_step(self, loop: Watched, row: Mapping[str, Any], margins: Sequence[tuple[str, float]]) -> None:
        """Observe a training step and the margins of its pairs."""
        self._remember(row)
        for origin, margin in margins:
            if origin in self.margins or len(self.margins) < MOST_PAIRS:
                self.margins[origin] = margin
        names = ALARMS if loop.step % self.looks_every == 0 else ("gradient_spike",)
        self._look(loop, names)

    def saw_evaluation(self, loop: Watched, row: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> None:
        """Observe an evaluation and the answers to the fixed prompts."""
        self.rows.append(row)
        self.samples = [*self.samples[: len(samples)], *samples]
        self._look(loop, ALARMS)

    def keep_if_best(self, loop: Watched, row: Mapping[str, Any]) -> None:
        """Keep the weights of the best evaluation so far, if an action may need them."""
        loss = row.get("eval_loss")
        if "keep_best" in self.config.actions.values() and loss is not None and (not self.best or loss < self.best[0]):
            self.best = (loss, loop.step)
            loop.record.keep_best(loop.parameters)

    def take_best(self, loop: Watched) -> dict[str, Any]:
        """Restore the kept weights if an alarm requested it; returns the ledger's entry."""
        if self.best is None or not any(alarm["action"] == "keep_best" for alarm in self.raised):
            return {}
        loop.record.take_best(loop.parameters)
        loop.reporter.say(f"the model of step {self.best[1]} is written, which had the lowest held-out loss")
        return {"model_of_step": self.best[1]}

    def resume(self, record: RunRecord, state: Mapping[str, Any]) -> None:
        """Restore the state from what a run had recorded when it was saved."""
        for row in record.metrics_rows():
            if "loss" in row:
                self._remember(row)
            else:
                self.rows.append(row)
        samples = record.samples_rows()
        steps = [sample["step"] for sample in samples] or [0]
        self.samples = [sample for sample in samples if sample["step"] in (min(steps), max(steps))]
        self.raised, self.rate = list(state.get("raised", [])), state.get("rate", 1.0)
        self.margins, self.best = dict(state.get("margins", {})), state.get("best")
        self.alike = set(state.get("alike", ()))
        self.places.extend(state.get("places", ()))
        record.note(alarms=self.raised)

    def state(self) -> dict[str, Any]:
        """The state in a checkpoint besides the rows."""
        kept = {"raised": self.raised, "rate": self.rate, "margins": self.margins, "best": self.best}
        return {**kept, "alike": sorted(self.alike), "places": list(self.places)}

    def _look(self, loop: Watched, names: Iterable[str]) -> None:
        """Report new alarms, each once, and take the configured actions."""
        told = {alarm["name"] for alarm in self.raised}
        limits = {n: limit for n in names if n not in told and (limit := getattr(self.config, n)) is not None}
        pairs = list(self.margins.items()) if "few_pairs_decide" in limits else []
        about = (self.rows, self.samples, self.norms, pairs, self.alike, self.places)
        seen = Seen(loop.record.ledger, *about, loop.step, self.num_steps)
        for name, limit in limits.items():
            measured = ALARMS[name](seen)
            if measured is not None and measured.value > limit:
                self._raise(loop, name, measured, limit)

    def _raise(self, loop: Watched, name: str, measured: Measured, limit: float) -> None:
        action = dict(self.config.actions.items()).get(name, "note")  # type: ignore[call-overload]
        done = ""
        if action == "lower_rate":
            self.rate /= 2
            done = "; the learning rate is halved"
        elif action != "note" and loop.stopped_early is None:
            loop.stop(f"alarm {name}: {measured.text}")
            done = "; training stops"
        about = {"value": round(measured.value, 6), "limit": limit, "action": action, "text": measured.text}
        said = {"sentence": measured.sentence, "facts": dict(measured.facts)}
        self.raised.append({"name": name, "step": loop.step, **about, **said})
        loop.reporter.say(f"alarm at step {loop.step}, {name}: {measured.text}{done}")
        loop.record.note(alarms=self.raised)

    def _remember(self, row: Mapping[str, Any]) -> None:
        norm = row.get("grad_norm")
        self.norms.append(float("nan") if norm is None else norm)
        if row["step"] % self.every == 0:
            self.rows.append(row)


def nearly_the_same(chosen: TokenSequence, rejected: TokenSequence) -> bool:
    """Whether two responses differ in at most a tenth of their tokens, at any position."""
    in_chosen, in_rejected = (Counter(side.ids[side.scored].tolist()) for side in (chosen, rejected))
    longer = max(in_chosen.total(), in_rejected.total())
    return longer - (in_chosen & in_rejected).total() <= MOST_UNLIKE * longer
