"""A reference pass and an evaluation build the sequences of a store as they run them, and hold no others."""

import weakref

import numpy as np
import pytest
import torch

from penchant.data import Origin
from penchant.tokens import EncodedPair, TokenSequence
from penchant.tokens.store import PairStore, Responses, SomePairs, StoreWriter
from penchant.training import reference
from penchant.training.held_out import evaluate_task
from penchant.training.reference import Plan, companies
from penchant.training.reference_values import ReferenceCache
from penchant.training.task import Task

NUM = 400


@pytest.fixture
def held():
    """Pairs in memory, many of them with the same prompt."""
    random = np.random.default_rng(0)
    prompts = [random.integers(0, 99, random.integers(5, 20)).tolist() for _ in range(NUM // 4)]
    made = []
    for i in range(NUM):
        sides = (TokenSequence.of(prompts[i % len(prompts)], random.integers(0, 99, 10).tolist()) for _ in range(2))
        made.append(EncodedPair(*sides, 1.0, 1.0, 0.0, Origin(file="f", line=i + 1)))
    return made


@pytest.fixture
def stored(held):
    writer = StoreWriter(None)
    for record, pair in enumerate(held):
        writer.add(pair, record)
    return SomePairs(writer.finish({}), np.arange(NUM))


@pytest.fixture
def alive(monkeypatch):
    """Every sequence that a store has built and somebody holds."""
    alive, build = weakref.WeakSet(), PairStore.sequence

    def counted(self, row, side):
        sequence = build(self, row, side)
        alive.add(sequence)
        return sequence

    monkeypatch.setattr(PairStore, "sequence", counted)
    return alive


class Model:
    shares = True


class Looking(Task):
    """Keeps what it is given of every micro-batch, and how many sequences are held meanwhile. whole: by identity."""

    def __init__(self, alive, whole=False):
        self.alive, self.whole = alive, whole
        self.seen, self.most = [], 0

    @property
    def knows_items(self):
        return self.whole

    def losses(self, model, items):
        self.seen.append([item.origin.line for item in items])
        self.most = max(self.most, len(self.alive))
        return torch.tensor(float(len(items))), {}


def test_an_evaluation_holds_two_micro_batches_and_takes_them_as_from_memory(held, stored, alive):
    task, wanted = Looking(alive), Looking(alive)
    assert evaluate_task(Model, task, stored, 300) == evaluate_task(Model, wanted, held, 300)
    assert task.seen == wanted.seen
    assert 0 < task.most <= 4 * max(map(len, task.seen)) + 2
    assert task.most < NUM / 4


def test_a_task_that_knows_its_items_by_identity_has_all_of_them(stored, alive):
    task = Looking(alive, whole=True)
    evaluate_task(Model, task, stored, 300)
    assert task.most == 2 * NUM


def test_a_reference_pass_holds_one_stretch_of_sequences(stored, alive, monkeypatch):
    monkeypatch.setattr(reference, "NEIGHBOURS", 4)
    most, num_planned = 0, 0

    def watched():
        nonlocal most, num_planned
        for batch in companies(Responses(stored), 300):
            most, num_planned = max(most, len(alive)), num_planned + len(batch)
            yield batch

    plan = Plan(Responses(stored), watched(), ReferenceCache(None, "", ""))
    assert num_planned == len(plan.keys) == 2 * NUM
    assert most < NUM / 4
    assert len(alive) <= len(plan.batch(len(plan.lengths) - 1)) + max(np.diff(plan.starts))


def test_columns_written_at_once_are_the_pairs_added_one_by_one(stored, held, tmp_path):
    columns = stored.store.columns
    with StoreWriter.into(tmp_path / "store") as writer:
        for rows in (slice(0, 100), slice(100, NUM)):
            begin = int(columns["ends"][rows.start - 1, 2]) if rows.start else 0
            ids = columns["ids"][begin : int(columns["ends"][rows.stop - 1, 2])]
            keys = columns["keys"][rows]
            writer.extend({name: column[rows] for name, column in columns.items()} | {"ids": ids, "keys": keys}, "f")
        writer.finish({})
    for pair, wanted in zip(PairStore.open(tmp_path / "store"), held, strict=True):
        assert [one.key for one in pair.sequences] == [one.key for one in wanted.sequences]
        assert pair.chosen.ids.tolist() == wanted.chosen.ids.tolist()
        assert pair.origin == wanted.origin
