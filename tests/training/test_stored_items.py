"""Tokens of demonstrations and labelled responses are found again as they were made, and train to the same weights."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from transformers import AutoTokenizer

from penchant.data import Origin
from penchant.tokens import ChatEncoder, EncodedExample, TokenSequence, columns
from penchant.tokens.items import ItemWriter, SomeItems
from penchant.tokens.pieces import PieceEncoder
from penchant.training import objective
from penchant.training.config import DataConfig
from penchant.training.dataset import demonstration_dataset, labelled_dataset
from penchant.training.loop import group_numbers
from penchant.training.objective import NextTokens

KINDS = {"demonstrations": demonstration_dataset, "labelled": labelled_dataset}


def demonstrations():
    """Documents longer than the limit, weighed and not; turns of several weights; rows that are of no use."""
    for i in range(9):
        yield {"text": f"Lily {i} had a ball. " * (1 + i % 3 * 4), **({"weight": 0.5} if i % 2 else {})}
        roles = ["user", "assistant"] * (1 + i % 3)
        told = [{"role": role, "content": f"{role} {i} said {n}"} for n, role in enumerate(roles)]
        told[1] |= {"weight": 0.25} if i % 4 == 1 else {}
        yield {"messages": told}
    yield {"messages": [{"role": "user", "content": "x" * 300}, {"role": "assistant", "content": "y"}]}
    yield {"strange": 1}


def labelled():
    """Good and bad responses, two to a prompt, some cut at the limit, some weighed, one prompt that is too long."""
    for i in range(20):
        row = {"prompt": f"Once {i // 2}", "completion": f" a time {i}" * (1 + i % 5 * 4), "label": i % 3 > 0}
        yield row | ({"weight": 2.0} if i % 4 == 1 else {})
    yield {"prompt": "x" * 300, "completion": " a", "label": True}


ROWS = {"demonstrations": demonstrations, "labelled": labelled}


@pytest.fixture(scope="module")
def tokenizer(stories260k):
    return AutoTokenizer.from_pretrained(str(stories260k))


@pytest.fixture
def texts(monkeypatch):
    """All texts that are tokenised."""
    texts, split = [], PieceEncoder.split

    def counting(self, some):
        texts.extend(some)
        return split(self, some)

    monkeypatch.setattr(PieceEncoder, "split", counting)
    return texts


@pytest.fixture(params=sorted(KINDS))
def made(request, tokenizer, reporter, texts, tmp_path):
    """A call for the data set of rows of a kind; whether it tokenised, and what it said."""
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS[request.param]()), encoding="utf-8")

    class Made:
        folder, tokenised, said = tmp_path / "tokens", False, ()

        def __call__(self, folder=folder, *, seed=0, encoder=None, context_length=60, **changed):
            texts.clear()
            reporter.said.clear()
            settings = {"files": (str(file),), "held_out": 0.3, "max_length": 60, "max_bad_share": 0.9}
            model = SimpleNamespace(
                encoder=encoder or ChatEncoder(tokenizer, template="plain"), context_length=context_length
            )
            config = DataConfig(**settings | changed)
            found = KINDS[request.param](config, file, model, seed, reporter, folder)
            self.tokenised, self.said = bool(texts), tuple(reporter.said)
            return found

        @property
        def stores(self):
            return sorted(path for path in self.folder.iterdir() if not path.name.startswith("."))

    made = Made()
    made.file = file
    return made


def told(data):
    """All that an item holds, with the types of its arrays."""

    def array(values):
        return None if values is None else (values.dtype, values.tolist())

    def item(one):
        sequences = getattr(one, "referenced", one.sequences)
        own = [(array(s.ids), array(s.scored), array(s.weights), s.key) for s in sequences]
        return type(one), own, [getattr(one, name, None) for name in ("desirable", "weight", "origin")]

    return [[item(one) for one in side] for side in (data.train, data.held_out)], data.facts


@pytest.mark.parametrize("rows_at_once", [1, 7, 4096])
def test_a_second_run_finds_the_items_of_the_first_without_tokenising(made, monkeypatch, rows_at_once):
    monkeypatch.setattr(columns, "ROWS_AT_ONCE", rows_at_once)
    wanted = made(None)
    said = made.said
    assert isinstance(wanted.train, tuple)
    assert wanted.facts["num_truncated"] > 0
    assert wanted.facts["rows"].keys() >= {"keep", "prompt_too_long"}
    assert len(wanted.held_out) > 0
    for tokenises in (True, False):
        found = made()
        assert made.tokenised == tokenises
        assert made.said == said
        assert told(found) == told(wanted)
        assert isinstance(found.train, SomeItems)
        assert [one.origin for one in found.train[-5:-1:2]] == [one.origin for one in wanted.train[-5:-1:2]]
        with pytest.raises(IndexError):
            found.train[len(found.train)]


def test_an_item_of_several_sequences_some_with_weights_comes_back_as_it_was():
    rng, origin = np.random.default_rng(0), Origin(file="a.jsonl", line=3)

    def sequence(length, weighed):
        scored = np.array([False, *(rng.random(length - 1) < 0.5), True])
        weights = rng.random(int(scored.sum()), dtype=np.float32) if weighed else None
        return TokenSequence(rng.integers(0, 2**32 - 1, length + 1), scored, weights)

    items = [
        EncodedExample(tuple(sequence(int(rng.integers(1, 9)), (i + j) % 2) for j in range(1 + i % 3)), origin)
        for i in range(9)
    ]
    writer = ItemWriter(None)
    for item in items:
        writer.add(item)
    store = writer.finish({"kind": "demonstrations"})
    assert told(SimpleNamespace(train=store, held_out=store[::-1], facts={})) == told(
        SimpleNamespace(train=items, held_out=items[::-1], facts={})
    )
    assert [one.key for item in store for one in item.sequences] == [
        TokenSequence(one.ids, one.scored, one.weights).key for item in store for one in item.sequences
    ]


@pytest.mark.slow(threads=1)
def test_tokens_serve_only_what_they_were_made_for(made, tokenizer, stories260k):
    made()
    larger = AutoTokenizer.from_pretrained(str(stories260k))
    larger.add_tokens(["zebra"])
    for change in (
        {"encoder": ChatEncoder(tokenizer, template="plain", special_tokens="control")},
        {"encoder": ChatEncoder(tokenizer, template="plain", end_ids=[7])},
        {"encoder": ChatEncoder(larger, template="plain")},
        {"max_length": 59},
        {"max_prompt_length": 40},
        {"context_length": 61},
        {"max_rows": 15},
        {"held_out": 0.2},
        {"seed": 1},
    ):
        made(**change)
        assert made.tokenised, change
    assert len(made.stores) == 10
    made()
    assert not made.tokenised
    made.file.write_text(made.file.read_text(encoding="utf-8").replace(" 3", " 4"), encoding="utf-8")
    made()
    assert made.tokenised


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("column", ["ids", "weights", "labels", "facts"])
def test_damaged_tokens_are_made_again_aloud(made, column):
    wanted = told(made())
    path = made.stores[0] / ("facts.json" if column == "facts" else f"{column}.bin")
    content = bytearray(path.read_bytes() or b"x")
    content[-1] ^= 1
    path.write_bytes(content)
    assert told(made()) == wanted
    assert made.tokenised
    assert any("the stored tokens are damaged" in line and "tokenised again" in line for line in made.said)
    made()
    assert not made.tokenised
    assert not any("are damaged" in line for line in made.said)


def test_where_the_cache_takes_no_files_the_items_are_made_each_time(made, tmp_path):
    wanted = told(made(None))
    (tmp_path / "taken").write_text("a file")
    for _ in range(2):
        assert told(made(tmp_path / "taken" / "tokens")) == wanted
        assert made.tokenised
        assert any("cannot be stored" in line for line in made.said)


def test_every_demonstration_is_a_group_of_its_own_though_it_is_built_when_asked_for():
    assert group_numbers(NextTokens().group_of(object()) for _ in range(100)).tolist() == list(range(100))


def trained(start, texts, monkeypatch):
    """A run without a store, one that makes it and one that finds it, and how many texts each tokenised."""
    runs, num_texts = [], []
    for name in ("none", "first", "second"):
        with monkeypatch.context() as patch:
            if name == "none":
                patch.setattr(objective, "tokens_folder", lambda run: None)
            texts.clear()
            runs.append(start(name))
            num_texts.append(len(texts))
    return runs, num_texts


def told_apart_by(runs):
    """In what the runs differ: their weights, or what they say of their rows."""
    names = ("tokens_digest", "rows", "problems", "num_truncated", "data_digest")
    found = {name: {json.dumps(run.ledger[name]) for run in runs} for name in names}
    found["weights"] = {(run.path / "model" / "model.safetensors").read_bytes() for run in runs}
    return [name for name, values in found.items() if len(values) > 1]


@pytest.mark.slow(threads=1)
def test_sft_trains_to_the_same_weights_with_tokens_made_and_found(sft, texts, monkeypatch, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in demonstrations()), encoding="utf-8")
    data = {"files": [str(file)], "max_bad_share": 0.9, "max_length": 60}
    runs, num_texts = trained(lambda name: sft(name=name, data=data, optimiser={"max_steps": 4}), texts, monkeypatch)
    assert num_texts[0] == num_texts[1] > num_texts[2] == 0
    assert told_apart_by(runs) == []


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", ["kto", "bco"])
def test_labelled_objectives_train_to_the_same_weights_with_tokens_made_and_found(
    dpo, texts, monkeypatch, tmp_path, name
):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in labelled()), encoding="utf-8")
    sections = {
        "dpo": {"objective": name},
        "data": {"files": [str(file)], "max_bad_share": 0.9, "max_length": 60},
        "optimiser": {"max_steps": 3},
    }
    runs, num_texts = trained(lambda name: dpo(name=name, **sections), texts, monkeypatch)
    assert num_texts[0] == num_texts[1] > num_texts[2] == 0
    assert told_apart_by(runs) == []
