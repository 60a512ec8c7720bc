"""Reference log-probs are computed once, found by what they depend on, and checked before they are believed."""

import shutil
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
import torch

from penchant.models.forward import score_sequences
from penchant.models.load import load_model
from penchant.tokens import TokenSequence, pack
from penchant.tokens.store import Responses, SomePairs, StoreWriter
from penchant.training import reference
from penchant.training.reference import NUM_VERIFIED, reference_logprobs
from penchant.training.reference_values import ENTRY, ReferenceCache, Values
from penchant.training.run_folder import read_rows_written


@pytest.fixture
def sequences(pairs):
    return [s for pair in pairs for s in pair.sequences]


@pytest.fixture
def score(tmp_path, sequences):
    """Score with a cache read anew from disk, as another run would; returns the values and the tokens it ran."""

    def run(model, of=None, say=lambda _: None, folder="reference"):
        before = model.num_tokens_run
        cache = ReferenceCache(tmp_path / folder, model.digest, model.numerics.mode)
        values = reference_logprobs(model, of or sequences, cache, token_budget=300, say=say)
        return values, model.num_tokens_run - before

    return run


def companies(sequences, token_budget):
    """The sequences of every micro-batch that they are scored in."""
    return [[one for _, one in batch] for batch in reference.companies(sequences, token_budget)]


def sample_cost(sequences):
    """At most what checking runs: the smallest micro-batches that hold NUM_VERIFIED sequences."""
    batches = sorted(companies(sequences, 300), key=lambda batch: sum(map(len, batch)))
    checked = cost = 0
    while checked < NUM_VERIFIED:
        batch = batches.pop(0)
        checked, cost = checked + len(batch), cost + sum(map(len, batch))
    return cost


def test_values_are_the_models_own(model, sequences, score):
    values, _ = score(model)
    with torch.no_grad():
        expected = score_sequences(model, sequences)
    assert [values[s.key] for s in sequences] == pytest.approx(expected.tolist(), rel=1e-5)


def test_a_second_run_computes_nothing_but_its_sample(model, sequences, score):
    first, cost = score(model)
    second, again = score(model)
    assert second == first
    assert again <= sample_cost(sequences) < cost


@pytest.fixture
def small_stretches(monkeypatch):
    """One sequence of three begins a stretch, so that the few of these tests lie in several."""
    monkeypatch.setattr(reference, "NEIGHBOURS", 3)


@pytest.mark.slow(threads=1)
@pytest.mark.usefixtures("small_stretches")
def test_whatever_the_cache_held_before_the_values_are_the_same_bits(model, sequences, score, tmp_path):
    cold, cost = score(model)
    parts = {"half": sequences[::2], "some": sequences[5:9], "one": sequences[:1], "reordered": sequences[::-1]}
    for name, part in parts.items():
        shutil.rmtree(tmp_path / "reference")
        before, _ = score(model, part)
        warm, again = score(model)
        assert warm == cold, name
        shutil.rmtree(tmp_path / "reference")
        score(model)
        assert score(model, part)[0] == before, f"{name}, from a cache that a superset has filled"
    assert again <= sample_cost(sequences) < cost


@pytest.mark.slow(threads=1)
@pytest.mark.usefixtures("small_stretches")
def test_a_value_lost_from_the_cache_comes_back_with_the_same_bits(model, score, tmp_path):
    cold, _ = score(model)
    entries = np.fromfile(cache_file(tmp_path), dtype=ENTRY)
    for lost in range(0, len(entries), 5):
        shutil.rmtree(tmp_path / "reference")
        (tmp_path / "reference").mkdir()
        np.delete(entries, lost).tofile(tmp_path / "reference" / f"{model.digest[:32]}-{model.numerics.mode}.some")
        assert score(model)[0] == cold


@pytest.mark.slow
def test_one_sequence_more_changes_the_company_of_few_others():
    random = np.random.default_rng(0)
    prompts = [random.integers(0, 500, 30).tolist() for _ in range(500)]
    many = [TokenSequence.of(prompt, random.integers(0, 500, 20).tolist()) for prompt in prompts for _ in range(4)]

    def company_of(sequences):
        return {s.key: [other.key for other in batch] for batch in companies(sequences, 500) for s in batch}

    whole = company_of(many)
    assert company_of(many[::-1]) == whole
    changed = []
    for place in range(0, len(many), 100):
        less = company_of(many[:place] + many[place + 1 :])
        changed.append(sum(whole[key] != company for key, company in less.items()))
    assert np.mean(changed) < 0.03 * len(many)
    assert len(companies(many, 500)) < 1.25 * len(pack([(s,) for s in many], 500))


SCORING = """
import sys
from pathlib import Path
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.matmul import arithmetic
from penchant.tokens import TokenSequence
from penchant.training.reference import reference_logprobs
from penchant.training.reference_values import ReferenceCache
model = load_model(sys.argv[1], choose_numerics("cpu", "float32"), chat_template="plain")
sequences = [TokenSequence.of([1, *range(3, 20 + i % 7)], range(30 + i, 60 + 2 * i)) for i in range(60)]
print("ready", flush=True)
sys.stdin.readline()
cache = ReferenceCache(Path(sys.argv[2]), model.digest, arithmetic())
values = reference_logprobs(model, sequences, cache, token_budget=400)
print(arithmetic(), sorted((key.hex(), value) for key, value in values.items()))
"""


@pytest.mark.slow
def test_two_cold_starts_at_once_give_the_same_bits(stories260k, tmp_path):
    command = [sys.executable, "-c", SCORING, str(stories260k), str(tmp_path / "reference")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    one, other = [process.communicate()[0] for process in both]
    assert one == other
    third = subprocess.run(command, input="go\n", capture_output=True, text=True, check=True)
    assert third.stdout.removeprefix("ready\n") == one, "what both wrote is whole"


@pytest.mark.slow(threads=1)
@pytest.mark.usefixtures("small_stretches")
def test_a_run_is_the_same_bits_whatever_was_scored_before_it(dpo, pairs_file, tmp_path, monkeypatch):
    def trained(name):
        folder = dpo(output=str(tmp_path / name), optimiser={"max_steps": 2})
        return [(row.get("loss"), row.get("grad_norm")) for row in read_rows_written(folder.metrics)]

    cold = trained("cold")
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "other-cache"))
    lines = pairs_file.read_text().splitlines(keepends=True)
    (tmp_path / "some.jsonl").write_text("".join(lines[3:9]))
    dpo(output=str(tmp_path / "before"), data={"files": [str(tmp_path / "some.jsonl")]}, optimiser={"max_steps": 1})
    assert trained("warm") == cold


def test_how_many_are_scored_is_told_as_they_are(model, sequences):
    told = []
    options = {"token_budget": 300, "on_progress": lambda done, total: told.append((done, total))}
    reference_logprobs(model, [*sequences, *sequences[:5]], None, **options)
    done = [0, *np.cumsum([len(batch) for batch in companies(sequences, 300)])]
    assert told == [(number, len(sequences)) for number in done]


def test_where_every_sequence_is_run_by_itself_a_value_is_found_in_whatever_company(model, sequences, score):
    model.stop_sharing("compared")
    values, _ = score(model)
    part, cost = score(model, sequences[1::3])
    assert part == {s.key: values[s.key] for s in sequences[1::3]}
    assert cost == sum(sorted(len(s) for s in sequences[1::3])[:NUM_VERIFIED]), "those that are checked, and no other"


def test_the_same_response_is_scored_once(model, sequences, score):
    _, once = score(model, sequences[:2])
    assert once <= len(sequences[0]) + len(sequences[1])
    values, _ = score(model, [sequences[0]] * 9)
    assert len(values) == 1


def test_changed_weights_find_nothing(stories260k, tmp_path, sequences, score, model):
    from safetensors.torch import load_file, save_file

    score(model)
    shutil.copytree(stories260k, tmp_path / "other", copy_function=shutil.copyfile)
    (tmp_path / "other").chmod(0o755)
    file = tmp_path / "other" / "model.safetensors"
    weights = load_file(file)
    save_file({name: weight * 1.01 for name, weight in weights.items()}, file, {"format": "pt"})
    changed = load_model(str(tmp_path / "other"), model.numerics, chat_template="plain")
    said = []
    values, cost = score(changed, say=said.append)
    assert said == [], "the old values are not even looked at"
    assert cost > sample_cost(sequences)
    with torch.no_grad():
        expected = score_sequences(changed, sequences[:3])
    assert [values[s.key] for s in sequences[:3]] == pytest.approx(expected.tolist(), rel=1e-4)


def cache_file(tmp_path):
    """The one that was written first, which holds most."""
    return min((tmp_path / "reference").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def test_a_corrupted_value_is_found_said_and_everything_computed_again(model, tmp_path, score):
    right, _ = score(model)
    file = cache_file(tmp_path)
    entries = np.fromfile(file, dtype=ENTRY)
    entries["value"] += 0.5
    entries.tofile(file)
    said = []
    values, _ = score(model, say=said.append)
    assert values == pytest.approx(right, rel=1e-6)
    assert said == ["cached reference log-probs disagree with the model; computing them again"]
    again = []
    score(model, say=again.append)
    assert again == [], "the file is mended"


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("place", range(NUM_VERIFIED))
def test_one_wrong_value_among_those_computed_again_is_enough(model, tmp_path, score, sequences, place):
    """All that were computed again must agree, not any one of them."""
    right, _ = score(model)
    batches = sorted(companies(sequences, 300), key=lambda batch: sum(map(len, batch)))
    looked_at = [key for batch in batches for key in reference._places(batch)][:NUM_VERIFIED]
    file = cache_file(tmp_path)
    entries = np.fromfile(file, dtype=ENTRY)
    is_it = np.array([bytes(key) == looked_at[place] for key in entries["key"]])
    assert is_it.sum() == 1
    entries["value"] += 0.5 * is_it
    entries.tofile(file)
    said = []
    assert score(model, say=said.append)[0] == right
    assert "disagree with the model" in said[0]


def test_an_entry_that_was_cut_short_is_ignored_and_written_again(model, tmp_path, score, sequences):
    right, _ = score(model)
    file = cache_file(tmp_path)
    file.write_bytes(file.read_bytes()[:-9])
    values, cost = score(model)
    assert values == pytest.approx(right, rel=1e-6)
    assert cost > 0
    again, cost = score(model)
    assert (again, cost <= sample_cost(sequences)) == (right, True)


def test_a_run_that_ends_while_it_scores_has_kept_what_it_scored(model, score, sequences, monkeypatch):
    right, whole = score(model)
    calls = []

    def ending(model, batch, scores=reference._scores):
        calls.append(batch)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return scores(model, batch)

    with monkeypatch.context() as patched:
        patched.setattr(reference, "_scores", ending)
        with pytest.raises(KeyboardInterrupt):
            score(model, folder="interrupted")
    again, cost = score(model, folder="interrupted")
    assert again == right
    assert cost < whole


def test_values_are_found_by_every_bit_of_their_key():
    random = np.random.default_rng(0)
    firsts = random.integers(0, 256, (7, 8), dtype=np.uint8)
    keys = [bytes(firsts[i % 7]) + random.bytes(8) for i in range(100)]  # many share their first half
    values = Values(np.frombuffer(b"".join(keys), dtype="V16"), np.arange(100.0))
    assert dict(values) == {key: float(i) for i, key in enumerate(keys)}
    assert [values[key] for key in keys] == list(range(100))
    assert values.find(keys[5:9]).tolist() == [5, 6, 7, 8]
    other = keys[0][:-1] + bytes([keys[0][-1] ^ 1])
    assert other not in values
    assert values.find([keys[1], other]) is None


def test_another_precision_has_values_of_its_own(tmp_path):
    key = bytes(16)
    with closing(ReferenceCache(tmp_path, "d" * 64, "cpu-float32")) as cache:
        cache.add([key], [-1.0])
    assert ReferenceCache(tmp_path, "d" * 64, "cpu-float32").find([key]).tolist() == [-1.0]
    assert ReferenceCache(tmp_path, "d" * 64, "cpu-bfloat16").find([key]) is None


def test_the_key_knows_tokens_and_which_are_scored(sequences):
    ids = sequences[0].ids.tolist()
    keys = {TokenSequence.of(ids[:n], ids[n:]).key for n in (1, 5, 6)}
    assert len(keys) == 3
    assert TokenSequence.of(ids[:5], ids[5:]).key in keys


def test_who_is_scored_beside_whom_is_the_same_for_pairs_of_a_store(pairs):
    writer = StoreWriter(None)
    for record, pair in enumerate(pairs):
        writer.add(pair, record)
    stored = Responses(SomePairs(writer.finish({}), np.arange(len(pairs))))
    held = [sequence for pair in pairs for sequence in pair.sequences]

    def keys(sequences, **options):
        return [[sequences[i].key for i, _ in batch] for batch in reference.companies(sequences, 300, **options)]

    assert keys(stored) == keys(held)
    assert keys(stored, share=False) == keys(held, share=False)
