"""The loop on a model of two numbers: every step is that of AdamW by hand, and everything comes when it should."""

import math
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from penchant.errors import OutputError, TrainingError, UserError
from penchant.models import slices
from penchant.models.numerics import Numerics
from penchant.tokens import TokenSequence
from penchant.training import checkpoint_writer
from penchant.training.callbacks import Callback
from penchant.training.checkpoint import newest_checkpoint
from penchant.training.config import SFTConfig
from penchant.training.dataset import Dataset
from penchant.training.interrupt import Interrupted
from penchant.training.loop import Loop
from penchant.training.run_folder import RunFolder
from penchant.training.run_record import RunRecord
from penchant.training.task import Task

START = (0.5, -1.0)
TARGETS = np.random.default_rng(0).normal(size=(8, 2))


@dataclass(frozen=True, eq=False)
class Point:
    """An item: where the two numbers should be, how much it counts, and what it would be as text."""

    number: int
    target: tuple[float, float]
    weight: float = 1.0

    @property
    def origin(self):
        return f"points:{self.number}"

    @property
    def sequences(self):
        return (TokenSequence.of([self.number], [90, 91, 92]),)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.place = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
        self.fixed = torch.nn.Parameter(torch.ones(1, dtype=torch.float64), requires_grad=False)


class Model:
    """What the loop asks of a language model."""

    shares, sharded, is_adapter, context_length = False, None, False, 1000
    numerics = Numerics(torch.device("cpu"), torch.float32)

    def __init__(self):
        self.network, self.num_tokens_run = Network(), 0

    def add_up_vocabulary_gradients(self, *, at_once):
        pass

    def require_words(self):
        pass


class Squares(Task):
    """Half the squared distance, times the weight; the items of a step in `num_updates`, one after another."""

    def __init__(self, num_updates=1):
        self.num_updates, self.drawn, self.done, self.kept = num_updates, [], [], {}

    def count(self, item):
        return item.weight

    def losses(self, model, items):
        model.num_tokens_run += sum(len(s) for item in items for s in item.sequences)
        apart = model.network.place - torch.tensor([item.target for item in items])
        weights = torch.tensor([item.weight for item in items])
        return 0.5 * (weights * (apart**2).sum(1)).sum(), {"apart": (apart.detach().abs().sum(1), float(len(items)))}

    def updates(self, model, drawn, step):
        assert isinstance(model, Model)
        self.drawn.append((step, [item.number for item in drawn]))
        for part in range(self.num_updates):
            yield drawn[part :: self.num_updates]

    def after_step(self, model, step):
        assert isinstance(model, Model)
        self.done.append(step)

    def seen(self):
        return {"seen": float(len(self.drawn))}

    def state(self):
        return {"kept": torch.ones(1)}


class Record(RunRecord):
    """Keeps what it is told to save: at which step, what, and how many."""

    how_to_go_on = ", go on"

    def __init__(self):
        super().__init__()
        self.saved = []

    def save(self, step, parameters, optimiser, state, task, *, keep):
        assert (set(parameters), set(task)) == ({"place"}, {"kept"})
        assert isinstance(optimiser, torch.optim.AdamW)
        self.saved.append((step, keep, state["num_tokens"]))


class Stop:
    """A request to stop that counts how often it was looked for."""

    def __init__(self, at=None):
        self.looked, self.at = 0, at

    def check(self):
        self.looked += 1
        if self.looked == self.at:
            raise Interrupted(2)

    @contextmanager
    def finishing(self):
        yield


class Reporter:
    def __init__(self):
        self.said, self.seen = [], []

    def say(self, text):
        self.said.append(text)

    def progress(self, what, done, total, facts):
        self.seen.append((what, done, total, facts.get("step")))


def points(num=8, weights=(1.0, 0.5, 2.0)):
    return [Point(i, tuple(TARGETS[i]), weights[i % len(weights)]) for i in range(num)]


def loop_of(train=None, *, held_out=(), task=None, save=None, alarms=None, seed=0, group_of=None, **optimiser):
    """A loop over points, in the order in which they are given but for where that is asked for otherwise."""
    usual = {"learning_rate": 0.1, "batch_size": 3, "order": "given", "warmup_ratio": 0.0, "schedule": "constant"}
    config = SFTConfig.model_validate(
        {
            "seed": seed,
            "optimiser": {**usual, **optimiser},
            "save": {"num_samples": 0, **(save or {})},
            "alarms": {"gradient_spike": None, **(alarms or {})},
        }
    )
    return Loop(
        config=config,
        model=Model(),
        task=task or Squares(),
        data=Dataset(points() if train is None else train, held_out, {}),
        group_of=group_of or (lambda item: item.number),
        record=Record(),
        reporter=Reporter(),
    )


def place(loop):
    return loop.model.network.place.detach().numpy().copy()


def steps_of(loop):
    return [row for row in loop.record.metrics_kept if "grad_norm" in row]


def evaluations_of(loop):
    return [row for row in loop.record.metrics_kept if "grad_norm" not in row]


def loss_at(at, items):
    total = sum(item.weight * 0.5 * ((at - item.target) ** 2).sum() for item in items)
    return total / sum(item.weight for item in items)


def adamw(batches, rates, *, most=1.0, decay=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Algorithm 2 of Loshchilov and Hutter 2017 (arXiv 1711.05101), after clipping; loss and norm of every step."""
    at, first, second, found = np.array(START), 0.0, 0.0, []
    for t, (batch, rate) in enumerate(zip(batches, rates, strict=True), 1):
        slope = sum(item.weight * (at - item.target) for item in batch) / sum(item.weight for item in batch)
        norm = float(np.sqrt((slope**2).sum()))
        slope = slope * min(1.0, most / (norm + 1e-6))
        first, second = beta1 * first + (1 - beta1) * slope, beta2 * second + (1 - beta2) * slope**2
        direction = (first / (1 - beta1**t)) / (np.sqrt(second / (1 - beta2**t)) + epsilon)
        found.append((loss_at(at, batch), norm))
        at = at - rate * direction - rate * decay * at
    return at, found


def two_epochs(items):
    return [items[:3], items[3:6], items[6:]] * 2


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [1 / 2, 1, 1, 1, 1, 1]),
        ("linear", [1 / 2, 1, 1, 3 / 4, 2 / 4, 1 / 4]),
        ("cosine", [1 / 2, 1, *((1 + math.cos(math.pi * k / 4)) / 2 for k in range(4))]),
    ],
)
def test_every_step_is_adamw_on_the_clipped_gradient_of_the_mean_loss_at_the_scheduled_rate(schedule, factors):
    options = {"epochs": 2, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.95, "max_grad_norm": 1.0, "token_budget": 8}
    loop = loop_of(schedule=schedule, warmup_ratio=0.3, **options)
    loop.run(Stop())
    rates = [0.1 * factor for factor in factors]
    expected, found = adamw(two_epochs(points()), rates, most=1.0, decay=0.1, beta1=0.8, beta2=0.95)
    assert place(loop) == pytest.approx(expected, rel=1e-6)
    rows = steps_of(loop)
    assert [row["loss"] for row in rows] == pytest.approx([loss for loss, _ in found], rel=1e-6)
    assert [row["grad_norm"] for row in rows] == pytest.approx([norm for _, norm in found], rel=1e-6)
    assert min(norm for _, norm in found) < 1.0 < max(norm for _, norm in found), "some are clipped"
    assert [row["learning_rate"] for row in rows] == pytest.approx(rates)


def test_a_row_says_step_epoch_tokens_and_time_and_what_the_task_saw(monkeypatch):
    loop = loop_of(epochs=2)
    clocks = SimpleNamespace(perf_counter=iter(range(1000, 2000, 2)).__next__, monotonic=lambda: 0.0)
    monkeypatch.setattr("penchant.training.loop.time", clocks)
    loop.run(Stop())
    rows = steps_of(loop)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in rows] == [0.3333, 0.6667, 1.0, 1.3333, 1.6667, 2.0]
    assert [row["num_tokens"] for row in rows] == [12, 24, 32, 44, 56, 64], "four of each point, from the beginning"
    assert [row["step_seconds"] for row in rows] == [2] * 6, "the clock is read at both ends of a step"
    assert [row["tokens_per_second"] for row in rows] == [6, 6, 4] * 2
    assert loop.seconds == 12
    assert [row["seen"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[0]["apart"] == pytest.approx(np.abs(np.array(START) - TARGETS[:3]).sum(1).mean())
    assert not any("skipped" in row for row in rows)
    assert loop.task.done == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in loop.task.drawn] == [0, 1, 2, 3, 4, 5]


def test_what_is_watched_sees_how_far_the_run_is():
    loop = loop_of(epochs=2)
    loop.run(Stop())
    assert loop.reporter.seen == [("training", step, 6, step or None) for step in range(7)]


def test_order_given_is_kept_and_a_random_one_is_another_in_each_epoch_with_groups_together():
    given = loop_of(epochs=2)
    given.run(Stop())
    assert [numbers for _, numbers in given.task.drawn] == [[0, 1, 2], [3, 4, 5], [6, 7]] * 2

    def epochs_of(seed):
        drawn = loop_of(order="random", epochs=2, seed=seed, group_of=lambda item: item.number % 4)
        drawn.run(Stop())
        flat = [number for _, numbers in drawn.task.drawn for number in numbers]
        return flat[:8], flat[8:]

    first, second = epochs_of(0)
    assert sorted(first) == sorted(second) == list(range(8))
    assert first != second
    assert epochs_of(0) == (first, second)
    assert epochs_of(1) != (first, second)
    assert all(a % 4 == b % 4 for one in (first, second) for a, b in zip(one[::2], one[1::2], strict=True))


def test_a_run_goes_on_in_the_middle_of_an_epoch_where_it_was():
    loop = loop_of(epochs=2)
    loop.step = 4
    loop.run(Stop())
    assert [numbers for _, numbers in loop.task.drawn] == [[3, 4, 5], [6, 7]]
    assert [row["step"] for row in steps_of(loop)] == [5, 6]
    assert loop.reporter.seen[0] == ("training", 4, 6, None)


@pytest.mark.parametrize(("every", "at"), [(None, [3, 6, 8]), (2, [2, 4, 6, 8]), (5, [5, 8])])
def test_what_is_held_out_is_measured_when_it_is_due_and_after_the_last_step(every, at):
    held_out = [Point(20 + i, (float(i), 1.0), 1.0 + i) for i in range(3)]
    loop = loop_of(held_out=held_out, epochs=3, max_steps=8, save={"eval_every": every})
    places = {}

    class Look(Callback):
        def on_step(self, training, row):
            places[training.step] = place(training)

    loop.callbacks = [Look()]
    loop.run(Stop())
    rows = evaluations_of(loop)
    assert [row["step"] for row in rows] == at
    assert [row["epoch"] for row in rows] == [round(step / 3, 4) for step in at]
    expected = [loss_at(places[step], held_out) for step in at]
    assert [row["eval_loss"] for row in rows] == pytest.approx(expected, rel=1e-6)
    assert [row["eval_seen"] for row in rows] == at


def test_without_held_out_items_an_evaluation_measures_nothing():
    loop = loop_of()
    loop.run(Stop())
    assert evaluations_of(loop) == [{"step": 3, "epoch": 1.0}]


def test_a_task_of_which_nothing_held_out_is_left_says_what_it_saw():
    class Choosy(Squares):
        def measured(self, model, held_out):
            return []

    loop = loop_of(held_out=points(2), task=Choosy(), alarms={"kl_over_budget": 1.0})
    loop.run(Stop())
    assert evaluations_of(loop) == [{"step": 3, "epoch": 1.0, "eval_seen": 3.0}]


def test_kl_is_measured_where_it_has_a_budget_on_the_fixed_prompts_with_the_seed_of_the_run():
    options = {"held_out": points(3), "save": {"num_samples": 2, "sample_tokens": 5, "eval_every": 2}, "seed": 7}
    assert loop_of(**options).kl is None, "it has no budget"
    loop = loop_of(alarms={"kl_over_budget": 1.0}, **options)
    assert [request.prompt_ids for request in loop.kl.requests] == [(0,), (1,)]
    assert (loop.kl.params.seed, loop.kl.params.max_new_tokens) == (7, 5)
    assert loop.fixed_prompts.params.max_new_tokens == 5
    assert torch.equal(loop.kl.reference["place"], loop.model.network.place)
    loop.fixed_prompts = Answers()
    loop.kl = SimpleNamespace(measure=lambda model: 0.25 if model is loop.model else None)
    loop.run(Stop())
    assert [row["eval_kl"] for row in evaluations_of(loop)] == [0.25, 0.25]


def test_the_kl_of_a_budget_does_not_take_the_interval_of_the_tasks_own(monkeypatch):
    loop = loop_of(alarms={"kl_over_budget": 1.0}, held_out=points(3), save={"num_samples": 2, "sample_tokens": 5})
    loop.fixed_prompts, loop.kl = Answers(), SimpleNamespace(measure=lambda model: 0.25)
    of_task = {"eval_loss": 1.0, "eval_kl": 2.0, "eval_kl_low": 1.0, "eval_kl_high": 3.0}
    monkeypatch.setattr("penchant.training.held_out.evaluate_task", lambda *_: of_task)
    loop.run(Stop())
    assert evaluations_of(loop)[-1].items() >= {"eval_loss": 1.0, "eval_kl": 0.25}.items()
    assert not evaluations_of(loop)[-1].keys() & {"eval_kl_low", "eval_kl_high"}


def test_prompts_are_those_of_what_is_held_out_and_of_training_where_nothing_is():
    asked = {"num_samples": 2}
    for held_out, numbers in ((points(8)[5:], [(5,), (6,)]), ((), [(0,), (1,)])):
        loop = loop_of(held_out=held_out, save=asked)
        assert [request.prompt_ids for request in loop.fixed_prompts.requests] == numbers


class Answers:
    """Stands for the fixed prompts."""

    def answer(self, model, step):
        return [{"step": step, "prompt": "who?", "response": "me", "num_tokens": 1, "ended": True}]


class Told(Callback):
    def __init__(self):
        self.told = []

    def on_begin(self, training):
        self.told.append(("begin", training.step))

    def on_step(self, training, row):
        self.told.append(("step", row["step"], row["loss"] is not None))

    def on_evaluation(self, training, row):
        self.told.append(("evaluation", row["step"]))
        return {"eval_mine": training.step / 2}

    def on_samples(self, training, rows):
        self.told.append(("samples", training.step, [row["step"] for row in rows]))

    def on_end(self, training):
        self.told.append(("end", training.step))


def test_a_callback_is_told_of_everything_in_order_and_its_metrics_are_recorded():
    told, loop = Told(), loop_of(save={"eval_every": 2})
    loop.callbacks, loop.fixed_prompts = [told], Answers()
    loop.run(Stop())
    assert told.told == [
        ("begin", 0),
        ("samples", 0, [0]),
        ("step", 1, True),
        ("step", 2, True),
        ("evaluation", 2),
        ("samples", 2, [2]),
        ("step", 3, True),
        ("evaluation", 3),
        ("samples", 3, [3]),
        ("end", 3),
    ]
    assert [row["eval_mine"] for row in evaluations_of(loop)] == [1.0, 1.5]
    assert [row["step"] for row in loop.record.samples_kept] == [0, 2, 3]
    assert not loop.owes_evaluation


def test_a_run_that_goes_on_answers_no_prompts_again():
    told, loop = Told(), loop_of()
    loop.callbacks, loop.fixed_prompts, loop.step = [told], Answers(), 2
    loop.run(Stop())
    assert told.told[:2] == [("begin", 2), ("step", 3, True)]
    assert [row["step"] for row in loop.record.samples_kept] == [3]


@pytest.mark.parametrize(("begun_at", "every", "evaluated"), [(0, 2, [0]), (1, 2, [1]), (1, 1, []), (2, 2, [])])
def test_who_stops_a_run_before_it_goes_on_ends_it_there_with_an_evaluation_unless_it_was_due(
    begun_at, every, evaluated
):
    class Stops(Callback):
        def on_begin(self, training):
            training.stop("enough")

    loop = loop_of(save={"eval_every": every})
    loop.callbacks, loop.step = [Stops()], begun_at
    loop.run(Stop())
    assert (steps_of(loop), loop.step, loop.stopped_early) == ([], begun_at, "enough")
    assert [row["step"] for row in evaluations_of(loop)] == evaluated


def test_who_stops_a_run_after_a_step_ends_it_there_in_whatever_epoch():
    class Stops(Callback):
        def on_step(self, training, row):
            if training.step == 4:
                training.stop("enough")

    loop = loop_of(epochs=3)
    loop.callbacks = [Stops()]
    loop.run(Stop())
    assert [row["step"] for row in steps_of(loop)] == [1, 2, 3, 4]
    assert [row["step"] for row in evaluations_of(loop)] == [3, 4]


def test_alarms_halve_the_rate_and_hear_of_steps_margins_updates_and_evaluations():
    loop = loop_of(epochs=2)
    loop.alarms.rate = 0.5
    heard = []
    for name in ("saw_update", "saw_step", "keep_if_best", "saw_evaluation"):
        setattr(loop.alarms, name, lambda *args, name=name: heard.append((name, *args[1:])))
    loop.run(Stop())
    expected, _ = adamw(two_epochs(points()), [0.05] * 6)
    assert place(loop) == pytest.approx(expected, rel=1e-6)
    assert {row["learning_rate"] for row in steps_of(loop)} == {0.05}
    assert [one[0] for one in heard[:2]] == ["saw_update", "saw_step"]
    assert [item.number for item in heard[0][1]] == [0, 1, 2]
    (_, row, margins), (_, evaluated, samples) = heard[1], heard[-1]
    assert (row, margins, samples) == (steps_of(loop)[0], (), [])
    assert heard[-2] == ("keep_if_best", evaluated)
    assert evaluated == evaluations_of(loop)[-1]
    assert (loop.alarms.num_steps, loop.alarms.batch_size, loop.alarms.config) == (6, 3, loop.config.alarms)


@pytest.mark.parametrize("num_updates", [1, 2])
def test_the_first_update_alone_is_looked_at_and_waits_for_a_stop(num_updates):
    task, looked_at = Squares(num_updates), []
    loop = loop_of(points(6), task=task, token_budget=4, epochs=2)
    loop.on_first_step = lambda result: looked_at.append((loop.step, result.means["loss"], place(loop).tolist()))
    stop = Stop()
    loop.run(stop)
    first = points(6)[:3:num_updates]
    assert looked_at == [(0, pytest.approx(loss_at(np.array(START), first)), list(START))]
    assert stop.looked == 4 * len(first), "before every micro-batch of the first update of each step"
    rows = steps_of(loop)
    assert [row["num_tokens"] for row in rows] == [12, 24, 36, 48]
    assert not any("skipped" in row for row in rows)
    updates = [points(6)[part:3:num_updates] for part in range(num_updates)]
    _, found = adamw(updates, [0.1] * num_updates)
    assert rows[0]["loss"] == pytest.approx(sum(loss for loss, _ in found) / num_updates, rel=1e-6)
    assert rows[0]["grad_norm"] == pytest.approx(sum(norm for _, norm in found) / num_updates, rel=1e-6)


def bad(*numbers):
    return [Point(i, (float("nan"), 0.0) if i in numbers else (1.0, 2.0)) for i in range(6)]


def test_a_step_that_is_not_finite_changes_nothing_and_is_said_and_marked():
    loop, good = loop_of(bad(0, 2, 4), batch_size=1, max_bad_steps=2), loop_of(bad()[1::2], batch_size=1)
    looked_at = []
    loop.on_first_step = looked_at.append
    loop.run(Stop())
    good.run(Stop())
    assert looked_at == [], "it was not finite"
    assert place(loop) == pytest.approx(place(good)), "as if it had not been"
    assert [row.get("skipped") for row in steps_of(loop)] == [True, None] * 3
    assert [text.split(":")[0] for text in loop.reporter.said] == ["step 1", "step 3", "step 5"]
    assert all(f"points:{2 * i}" in text for i, text in enumerate(loop.reporter.said))
    assert loop.bad_in_a_row == 0, "never two in a row"


def test_as_many_bad_steps_in_a_row_as_are_allowed_end_the_run():
    loop = loop_of(bad(1, 2, 3), batch_size=1)
    with pytest.raises(TrainingError, match=r"^step 4: .*points:3; 3 steps in a row"):
        loop.run(Stop())
    assert [row["step"] for row in steps_of(loop)] == [1, 2, 3]


@pytest.mark.parametrize(("last", "saved"), [(6, [2, 4]), (5, [2, 4])])
def test_checkpoints_are_saved_when_due_but_for_the_last_step(last, saved):
    loop = loop_of(epochs=2, max_steps=last, save={"checkpoint_every": 2, "keep_checkpoints": 3})
    loop.run(Stop())
    assert [(step, keep) for step, keep, _ in loop.record.saved] == [(step, 3) for step in saved]
    assert [tokens for *_, tokens in loop.record.saved] == [24, 44]


def test_a_checkpoint_is_due_by_the_clock_since_the_last(monkeypatch):
    clocks = SimpleNamespace(perf_counter=iter(range(10**6)).__next__, monotonic=iter(range(0, 10_000, 25)).__next__)
    monkeypatch.setattr("penchant.training.loop.time", clocks)
    loop = loop_of(epochs=3, max_steps=8, save={"checkpoint_minutes": 1.0})
    loop.run(Stop())
    assert [step for step, *_ in loop.record.saved] == [3, 6], "after three steps of 25 s, and three more"


class Fails(Callback):
    def __init__(self, at, error):
        self.at, self.error = at, error

    def on_begin(self, training):
        self.on_step(training, {})

    def on_step(self, training, row):
        if training.step == self.at:
            raise self.error


@pytest.mark.parametrize(
    ("at", "error", "saved"),
    [(2, UserError("a judge fails"), [2]), (0, UserError("a judge fails"), []), (2, OutputError("full"), [])],
)
def test_a_failure_that_is_not_of_the_disk_keeps_what_was_computed(at, error, saved):
    loop = loop_of()
    loop.callbacks = [Fails(at, error)]
    with pytest.raises(type(error), match=str(error)):
        loop.run(Stop())
    assert [step for step, *_ in loop.record.saved] == saved
    assert loop.reporter.said == ["stopped after step 2 of 3, go on"] * len(saved)


def test_one_process_alone_cannot_save_a_sharded_run():
    loop = loop_of()
    loop.callbacks = [Fails(2, UserError("a judge fails"))]

    class Sharded(Callback):
        """Only then: a step of this model knows nothing of slices."""

        def on_step(self, training, row):
            if training.step == 2:
                training.model.sharded = object()

    loop.callbacks.insert(0, Sharded())
    with pytest.raises(UserError, match="a judge fails"):
        loop.run(Stop())
    assert loop.record.saved == []
    assert loop.reporter.said == ["stopped after step 2; not saved, as all processes save together"]


def test_a_run_that_is_asked_to_stop_saves_and_says_how_to_go_on():
    loop = loop_of(token_budget=4)
    with pytest.raises(Interrupted, match=r"^stopped after step 1 of 3, go on$") as caught:
        loop.run(Stop(at=5))  # in the second step, before its second micro-batch
    assert (caught.value.exit_code, caught.value.at_once) == (130, False)
    assert [step for step, *_ in loop.record.saved] == [1]


@pytest.fixture
def slow_disk(monkeypatch):
    """An event that whoever writes a checkpoint waits for; what is put into its `fails` is raised then."""
    opened, original = threading.Event(), slices.save_file
    opened.fails = []

    def wait_and_save(*given):
        assert opened.wait(60)
        for error in opened.fails:
            raise error
        original(*given)

    monkeypatch.setattr(slices, "save_file", wait_and_save)
    monkeypatch.setattr(checkpoint_writer, "free_memory", lambda: float("inf"))  # whatever other programs have taken
    yield opened
    opened.set()


class Opens(Callback):
    """Lets the disk go on at a step; sees which checkpoints there are after each."""

    def __init__(self, disk, at):
        self.disk, self.at, self.there = disk, at, {}

    def on_step(self, training, row):
        folder = training.record.checkpoints
        self.there[training.step] = [one.name for one in folder.glob("step-*")]
        if training.step == self.at:
            self.disk.set()


def test_steps_go_on_while_a_checkpoint_is_written_and_the_next_one_waits_for_it(slow_disk, tmp_path):
    loop = loop_of(epochs=2, save={"checkpoint_every": 2, "keep_checkpoints": 9})
    loop.record, loop.callbacks = RunFolder(tmp_path), [opens := Opens(slow_disk, at=4)]
    loop.run(Stop())
    assert [row["step"] for row in loop.record.metrics_rows() if "grad_norm" in row] == [1, 2, 3, 4, 5, 6]
    assert [opens.there[step] for step in (3, 4)] == [[], []]
    assert "step-2" in opens.there[5], "the one of step 4 has waited for it"
    assert sorted(one.name for one in (tmp_path / "checkpoints").iterdir()) == ["step-2", "step-4"]


@pytest.mark.parametrize(("every", "opens_at", "last"), [(2, 3, {3, 4}), (5, 6, {6})], ids=["the first", "the last"])
def test_a_checkpoint_that_could_not_be_written_ends_the_run(slow_disk, tmp_path, every, opens_at, last):
    loop = loop_of(epochs=2, save={"checkpoint_every": every})
    loop.record, loop.callbacks = RunFolder(tmp_path), [Opens(slow_disk, at=opens_at)]
    slow_disk.fails = [OSError(28, "No space left on device")]
    with pytest.raises(OutputError, match="the disk is full"):
        loop.run(Stop())
    assert loop.step in last, "at the end of the next step, or where it is waited for"
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("heals", [True, False])
@pytest.mark.parametrize("interrupted", [True, False])
def test_a_checkpoint_that_failed_does_not_stand_in_for_what_ended_the_run(slow_disk, tmp_path, heals, interrupted):
    loop = loop_of(epochs=2, save={"checkpoint_every": 2})
    loop.record = RunFolder(tmp_path)
    slow_disk.fails = [OSError(28, "No space left on device")]

    class Fails(Callback):
        def on_step(self, training, row):
            if training.step == 3:
                slow_disk.set()
                training.record.writer._writing.wait()
                slow_disk.fails *= not heals
                raise Interrupted(2) if interrupted else UserError("a judge fails")

    loop.callbacks = [Fails()]
    expected = (Interrupted if heals else OutputError) if interrupted else UserError
    with pytest.raises(expected, match=None if interrupted else "a judge fails"):
        loop.run(Stop())
    assert [one.name for one in (tmp_path / "checkpoints").iterdir()] == ["step-3"] * heals
    assert interrupted or ("not saved: " in loop.reporter.said[-1]) is not heals


def test_what_a_stopped_run_says_is_saved_is_there(tmp_path):
    loop = loop_of(token_budget=4)
    loop.record = RunFolder(tmp_path)
    with pytest.raises(Interrupted, match="saved"):
        loop.run(Stop(at=5))
    assert newest_checkpoint(tmp_path / "checkpoints").state["step"] == 1


def test_a_run_that_is_asked_to_stop_twice_saves_nothing():
    class Twice(Stop):
        def check(self):
            raise Interrupted(2, at_once=True)

    loop = loop_of()
    with pytest.raises(Interrupted) as caught:
        loop.run(Twice())
    assert (caught.value.at_once, loop.record.saved) == (True, [])


def test_a_parameter_that_is_not_trained_is_none_of_the_loops():
    loop = loop_of()
    assert list(loop.parameters) == ["place"]
    loop.run(Stop())
    assert float(loop.model.network.fixed) == 1.0
