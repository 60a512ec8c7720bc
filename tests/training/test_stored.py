"""Tokens of pairs are kept in flat files, found again by all that they depend on, and equal to those made at once."""

import gzip
import json
import os
import threading
from dataclasses import replace

import pytest
from transformers import AutoTokenizer

from penchant.data import Origin, Part, ReadOptions, load_pairs
from penchant.data.given import sources_of
from penchant.data.in_memory import as_source
from penchant.files import exclusive
from penchant.tokens import ChatEncoder, Limits, columns, tokenise_pairs
from penchant.tokens import store as store_module
from penchant.tokens.pieces import PieceEncoder
from penchant.training import kept
from penchant.training.stored import stored_pairs

LIMITS = Limits(30, 20)
ALL = ReadOptions("drop")


@pytest.fixture
def tokenizer(stories260k):
    return AutoTokenizer.from_pretrained(str(stories260k))


@pytest.fixture
def encoder(tokenizer):
    return ChatEncoder(tokenizer, template="plain")


@pytest.fixture
def file(tmp_path):
    rows = [{"prompt": f"Once {i // 2}", "chosen": f" a time {i}" * (1 + i % 9), "rejected": " no"} for i in range(40)]
    rows += [
        {"prompt": "Once", "chosen": "", "rejected": " no"},
        {"prompt": "x" * 300, "chosen": " a", "rejected": " b"},
    ]
    rows[4]["gap"] = 9
    rows += [{**rows[0], "weight": 2.0}, rows[1], {**rows[2], "comment": "?"}, {**rows[3], "probability": 0.75}]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def made(encoder, file, tmp_path, monkeypatch):
    """A call of `stored_pairs`, the number of texts encoded by the last call, and what was said in it."""

    class Made:
        num_texts, said, folder = 0, (), tmp_path / "tokens"

        def __call__(self, data=file, encoder=encoder, limits=LIMITS, folder=folder, options=ALL):
            self.num_texts, self.said = 0, []
            return stored_pairs(sources_of(data), encoder, limits, options, folder=folder, reporter=self)

        def say(self, line):
            self.said.append(line)

        def progress(self, *facts):
            pass

        @property
        def stores(self):
            return sorted(path for path in self.folder.iterdir() if not path.name.startswith("."))

    made, split = Made(), PieceEncoder.split

    def counting(self, texts):
        made.num_texts += len(texts)
        return split(self, texts)

    monkeypatch.setattr(PieceEncoder, "split", counting)
    return made


def told(pairs):
    return [
        (
            *[(s.ids.tolist(), s.scored.tolist(), s.key, s.ids.dtype) for s in pair.sequences],
            *(pair.weight, pair.probability, pair.margin, pair.origin),
        )
        for pair in pairs
    ]


@pytest.mark.parametrize("rows_at_once", [1, 7, 4096])
def test_pairs_of_a_store_are_those_tokenised_at_once_in_memory_on_disk_and_found_again(
    made, encoder, file, monkeypatch, rows_at_once
):
    monkeypatch.setattr(columns, "ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(store_module, "ROWS_AT_ONCE", rows_at_once)
    loaded = load_pairs(file, on_bad_row="drop")
    wanted = tokenise_pairs(encoder, loaded.records, LIMITS)
    for found in (made(folder=None), made(), made()):
        assert told(found.store) == told(wanted.items)
        assert found.num_truncated == wanted.num_truncated > 0
        assert [verdict for _, verdict in found.problems] == list(wanted.problems)
        assert len(found.problems) > 0
        for name in ("verdict_counts", "problems", "format", "digest", "unread", "fits"):
            assert getattr(found.loaded, name) == getattr(loaded, name)
        assert told(found.store[3:9:2]) == told(wanted.items[3:9:2])
        assert told([found.store[-1]]) == told(wanted.items[-1:])
    assert made.num_texts == 0


@pytest.mark.slow(threads=1)
def test_a_second_run_takes_the_tokens_of_the_first_and_computes_the_same(dpo, made, pairs_file):
    first = dpo(name="first", optimiser={"max_steps": 2})
    num_first, made.num_texts = made.num_texts, 0
    second = dpo(name="second", optimiser={"max_steps": 2})
    assert num_first > 0
    assert made.num_texts == 0
    rows = [run.ledger for run in (first, second)]
    for name in ("tokens_digest", "rows", "problems", "num_truncated", "held_out_longer", "data_digest"):
        assert rows[0][name] == rows[1][name]
    weights = [(run.path / "model" / "model.safetensors").read_bytes() for run in (first, second)]
    assert weights[0] == weights[1]


def test_another_seed_takes_the_same_tokens_and_splits_them_its_own_way(made):
    made()
    found = made(options=replace(ALL, seed=1))
    assert (made.num_texts, len(made.stores)) == (0, 1)
    fresh = made(options=replace(ALL, seed=1), folder=None)
    assert found.places.tolist() == fresh.places.tolist() != made().places.tolist()
    assert told(found.store) == told(fresh.store)


@pytest.mark.slow(threads=1)
def test_a_store_serves_only_the_tokenizer_template_limits_and_rows_that_it_was_made_with(
    made, tokenizer, stories260k, file, tmp_path
):
    made()
    copy = tmp_path / "other.jsonl"
    copy.write_bytes(file.read_bytes())
    template = "{% for message in messages %}{{ message.content }}!{% endfor %}"
    larger = AutoTokenizer.from_pretrained(str(stories260k))
    larger.add_tokens(["zebra"])
    for change in (
        {"encoder": ChatEncoder(tokenizer, template=template)},
        {"encoder": ChatEncoder(tokenizer, template="plain", special_tokens="control")},
        {"encoder": ChatEncoder(tokenizer, template="plain", end_ids=[7])},
        {"encoder": ChatEncoder(larger, template="plain")},
        {"limits": Limits(29, 20)},
        {"limits": Limits(30, 19)},
        {"options": replace(ALL, limit=20)},
        {"options": replace(ALL, otherwise="best_worst")},
        {"options": replace(ALL, min_gap=0.5)},
        {"options": replace(ALL, limit=20, subset="random")},
        {"options": replace(ALL, limit=20, subset="random", seed=1)},
        {"data": f"{file}::max_rows=20,subset=random"},
        {"data": f"{file}::max_rows=20,subset=random", "options": replace(ALL, seed=1)},
        {"data": [file, file]},
        {"data": Part(str(file), columns={"rejected": "chosen", "chosen": "rejected"})},
        {"data": copy},
    ):
        made(**change)
        assert made.num_texts > 0, change
    assert len(made.stores) == 17
    made()
    assert made.num_texts == 0
    file.write_text(file.read_text(encoding="utf-8").replace("Once 7", "Once 8"), encoding="utf-8")
    made()
    assert made.num_texts > 0


def _cut(store):
    with (store / "ids.bin").open("r+b") as stream:
        stream.truncate(40)


def _flip(store):
    content = bytearray((store / "ids.bin").read_bytes())
    content[5] ^= 1
    (store / "ids.bin").write_bytes(content)


def _edit(store):
    path = store / "facts.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"num_truncated": ', '"num_truncated": 9'), encoding="utf-8"
    )


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    "damage",
    [_cut, _flip, _edit, lambda s: (s / "facts.json").write_text("{"), lambda s: (s / "facts.json").write_text("[]")],
)
def test_a_damaged_store_is_found_and_made_again_aloud(made, damage):
    wanted = told(made().store)
    damage(made.stores[0])
    found = made()
    assert told(found.store) == wanted
    assert made.num_texts > 0
    assert any("damaged" in line and "tokenised again" in line for line in made.said)
    made()
    assert (made.num_texts, made.said) == (0, [])


@pytest.mark.parametrize("gone", ["keys.bin", "facts.json"])
def test_a_store_that_lost_a_file_is_made_again(made, gone):
    wanted = told(made().store)
    (made.stores[0] / gone).unlink()
    assert told(made().store) == wanted
    assert made.num_texts > 0


def test_what_is_broken_off_leaves_no_store_and_what_a_kill_left_is_not_used(made, monkeypatch):
    def fails(self, pair, record):
        if record == 20:
            raise KeyboardInterrupt
        return add(self, pair, record)

    add = store_module.StoreWriter.add
    with monkeypatch.context() as patch:
        patch.setattr(store_module.StoreWriter, "add", fails)
        with pytest.raises(KeyboardInterrupt):
            made()
    assert made.stores == []
    wanted = told(made().store)
    (store,) = made.stores
    (made.folder / f".{store.name}.lock").touch()
    os.rename(store, made.folder / f".{store.name}.writing")
    (made.folder / f".{store.name}.writing" / "facts.json").unlink()
    assert told(made().store) == wanted
    assert made.num_texts > 0
    assert [path.name for path in made.folder.iterdir()] == [store.name]


def test_a_run_waits_for_another_that_makes_the_same_tokens_and_then_takes_them(made):
    made()
    (store,) = made.stores
    aside, found = store.with_name(".aside"), []
    os.rename(store, aside)
    with exclusive(store.with_name(f".{store.name}.lock"), "held"):
        waiting = threading.Thread(target=lambda: found.append(made()))
        waiting.start()
        while not made.said:
            waiting.join(0.01)
        os.rename(aside, store)
    waiting.join()
    assert made.num_texts == 0
    assert len(found[0].store) > 0
    assert "another run" in made.said[0]


def test_where_the_cache_takes_no_files_the_tokens_are_made_for_this_run_alone(made, tmp_path, monkeypatch):
    wanted = told(made().store)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    (tmp_path / "taken").write_text("a file")
    for _ in range(2):
        found = made(folder=tmp_path / "taken" / "tokens")
        assert told(found.store) == wanted
        assert made.num_texts > 0
        assert "cannot be stored" in made.said[0]
    assert list((tmp_path / "scratch").iterdir())
    del found
    assert not list((tmp_path / "scratch").iterdir())


def test_rows_in_memory_and_slow_tokenizers_keep_no_store(made, encoder):
    class Slow:
        def __getattr__(self, name):
            if name == "backend_tokenizer":
                raise AttributeError(name)
            return getattr(encoder.tokenizer, name)

    rows = as_source([{"prompt": "Once", "chosen": " a", "rejected": " b"}])
    assert str(made(data=[rows]).store[0].origin) == str(rows.origin(1))
    made(encoder=ChatEncoder(Slow(), template="plain"))
    assert not made.folder.exists()


def test_the_stores_used_longest_ago_are_removed_beyond_a_limit(made, monkeypatch):
    sizes = []
    for gap, used in enumerate((100, 300, 200)):
        made(options=replace(ALL, min_gap=gap))
        (new,) = set(made.stores) - {path for path, _ in sizes}
        sizes.append((new, sum(file.stat().st_size for file in new.iterdir())))
        os.utime(new, (used, used))
    monkeypatch.setattr(kept, "MOST_BYTES", sum(size for _, size in sizes) + 100)
    made(options=replace(ALL, min_gap=3))
    assert sizes[0][0] not in made.stores
    assert {sizes[1][0], sizes[2][0]} < set(made.stores)
    made(options=replace(ALL, min_gap=2))
    assert made.num_texts == 0


def test_a_store_takes_what_is_compressed_as_it_is(made, file):
    path = file.with_suffix(".jsonl.gz")
    path.write_bytes(gzip.compress(file.read_bytes()))
    assert len(made(data=path).store) == len(made().store)


def test_the_labels_lengths_and_keys_of_some_pairs_are_theirs(made):
    store = made().store
    some = store[2:9]
    assert some.labels.tolist() == [[p.weight, p.probability, p.margin] for p in some]
    assert b"".join(some.keys()) == b"".join(s.key for p in some for s in p.sequences)
    assert [n.tolist() for n in some.response_lengths()] == [
        [int(p.sequences[side].scored.sum()) for p in some] for side in (0, 1)
    ]
    assert len(set(some.prompts.tolist())) == len({p.chosen.context for p in some})


def test_pairs_of_rows_that_were_put_together_are_found_again_where_they_stand(made, encoder, tmp_path):
    path = tmp_path / "tree.jsonl"
    told_by = [
        ("a", None, "prompter", "Once", None),
        ("b", "a", "assistant", "upon a time", 0),
        ("c", "a", "assistant", "no", 1),
        ("d", "b", "prompter", "and", None),
        ("e", "d", "assistant", "then", 0),
        ("f", "d", "assistant", "never", 1),
    ]
    names = ("message_id", "parent_id", "role", "text", "rank")
    path.write_text("".join(json.dumps(dict(zip(names, one, strict=True))) + "\n" for one in told_by))
    wanted = tokenise_pairs(encoder, load_pairs(path).records, LIMITS).items
    assert [str(pair.origin) for pair in wanted] == [f"{path}:1", f"{path}:4"]
    for found in (made(data=path), made(data=path)):
        assert told(found.store) == told(wanted)
        assert [type(pair.origin) for pair in found.store] == [Origin, Origin]
