"""`penchant sample` from servers: several in one call write a file each, and what nobody would read is refused."""

import importlib.util
import json
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location(
    "fake_endpoint", Path(__file__).parents[1] / "evaluation" / "fake_endpoint.py"
)
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)


@pytest.fixture(scope="module")
def server():
    with fake.fake_endpoint(lambda body: f"{body['model']} says {body['seed']}") as server:
        yield server


@pytest.fixture
def sample(penchant, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"Once there was a {animal} who\n" for animal in ("cat", "dog")), encoding="utf-8")
    return lambda *options: penchant("sample", "--prompts", prompts, "--output", tmp_path / "s.jsonl", *options)


def authors(path):
    """The models that a file names, without their addresses."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["source"]["model"].split(" at ")[0] for row in rows}


def test_a_model_here_and_two_of_a_server_write_a_file_each(sample, server, stories260k, tmp_path):
    story = ["--model", stories260k, "--chat-template", "plain", "--max-new-tokens", "4", "--num-responses", "1"]
    models = ["--endpoint", server.base, "--endpoint-model", "large", "--endpoint-model", "small"]
    result = sample(*story, *models)
    assert result.code == 0, result.err
    assert [authors(tmp_path / f"s-{number}.jsonl") for number in (2, 3)] == [{"large"}, {"small"}]
    (here,) = authors(tmp_path / "s-1.jsonl")
    assert here.startswith(str(stories260k))


def test_samples_of_two_models_become_pairs(sample, penchant, server, tmp_path):
    assert (
        sample(
            *("--endpoint", server.base, "--endpoint-model", "large", "--endpoint-model", "small"),
            *("--num-responses", "1"),
        ).code
        == 0
    )
    files = [tmp_path / f"s-{number}.jsonl" for number in (1, 2)]
    result = penchant("pair", *files, "--rule", "delta", "--output", tmp_path / "pairs.jsonl")
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert ["large" in row["chosen"] and "small" in row["rejected"] for row in rows] == [True, True]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--endpoint-model", "qwen"], "--endpoint-model is only read with --endpoint"),
        (["--concurrency", "3"], "--concurrency is only read with --endpoint"),
        (["--endpoint", "http://localhost:1/v1"], "--endpoint-model is given 0 times for 1 endpoints"),
        (["--endpoint", "nowhere", "--endpoint-model", "m"], "--endpoint: 'nowhere' is not an address"),
        (
            ["--endpoint", "http://localhost:1/v1", "--endpoint", "nowhere", *(2 * ["--endpoint-model", "m"])],
            "--endpoint: 'nowhere' is not an address",
        ),
        (
            ["--endpoint", "http://localhost:1/v1", "--endpoint-model", "m", "--dtype", "float32"],
            "--dtype is only read for a model that is loaded here",
        ),
    ],
)
def test_what_nobody_would_read_is_refused_in_the_shells_words(sample, options, words):
    result = sample(*options)
    assert (result.code, words.replace("`", "") in result.err.replace("`", "")) == (2, True), result.err
