"""Reference log-probs are computed once, found by what they depend on, and checked before they are believed."""

import json
import shutil

import pytest
import torch

from penchant.models.forward import score_sequences
from penchant.models.load import load_model
from penchant.training.reference import NUM_VERIFIED, ReferenceCache, reference_logprobs


@pytest.fixture
def sequences(pairs):
    return [s for pair in pairs for s in pair.sequences]


@pytest.fixture
def score(tmp_path, sequences):
    """Score with a cache read anew from disk, as another run would; returns the values and the tokens it ran."""

    def run(model, of=None, say=lambda _: None):
        before = model.num_tokens_run
        cache = ReferenceCache(tmp_path / "reference", model.digest, model.numerics.mode)
        values = reference_logprobs(model, of or sequences, cache, token_budget=300, say=say)
        return values, model.num_tokens_run - before

    return run


def sample_cost(sequences):
    return sum(sorted({s.key: len(s) for s in sequences}.values())[:NUM_VERIFIED])


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


def test_reordered_and_appended_data_pays_for_what_is_new_alone(model, sequences, score, tmp_path):
    middle = len(sequences) // 2
    half, _ = score(model, sequences[:middle])
    whole, rest = score(model, sequences[::-1])
    assert {key: whole[key] for key in half} == half
    _, nothing = score(model, sequences[5:] + sequences[:5])
    assert nothing <= sample_cost(sequences)
    shutil.rmtree(tmp_path / "reference")
    _, new_alone = score(model, sequences[middle:])
    one_mixed_batch = 300
    assert rest <= sample_cost(sequences[:middle]) + new_alone + one_mixed_batch


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
    (file,) = (tmp_path / "reference").iterdir()
    return file


def test_a_corrupted_value_is_found_said_and_everything_computed_again(model, tmp_path, score):
    right, _ = score(model)
    file = cache_file(tmp_path)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps([key, value + 0.5]) + "\n" for key, value in rows))
    said = []
    values, _ = score(model, say=said.append)
    assert values == pytest.approx(right, rel=1e-6)
    assert "disagree with the model" in said[0]
    again = []
    score(model, say=again.append)
    assert again == [], "the file is mended"


def test_a_torn_last_line_is_ignored_and_written_again(model, tmp_path, score, sequences):
    right, _ = score(model)
    file = cache_file(tmp_path)
    file.write_bytes(file.read_bytes()[:-9])
    values, cost = score(model)
    assert values == pytest.approx(right, rel=1e-6)
    assert cost > 0
    repaired = ReferenceCache(tmp_path / "reference", model.digest, model.numerics.mode)
    assert repaired.values.keys() == right.keys()


def test_lines_that_are_no_values_are_ignored(model, tmp_path, score):
    right, _ = score(model)
    with cache_file(tmp_path).open("a") as file:
        file.write('{"a": 1}\n["zz", 1]\n[1]\nnull\n')
    assert score(model)[0] == right


def test_another_precision_has_values_of_its_own(tmp_path):
    one, other = (ReferenceCache(tmp_path, "d" * 64, mode) for mode in ("cpu-float32", "cpu-bfloat16"))
    one.add([(b"\x01", -1.0)])
    assert ReferenceCache(tmp_path, "d" * 64, "cpu-bfloat16").values == {}
    assert other.path != one.path


def test_the_key_knows_tokens_and_which_are_scored(sequences):
    from penchant.tokens import TokenSequence

    ids = sequences[0].ids.tolist()
    keys = {TokenSequence.of(ids[:n], ids[n:]).key for n in (1, 5, 6)}
    assert len(keys) == 3
    assert TokenSequence.of(ids[:5], ids[5:]).key in keys
