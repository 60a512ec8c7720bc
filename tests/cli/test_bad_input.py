"""A user's mistake is one sentence: what, where, got, what to do; exit code 2, and nothing half-written is left."""

import json

import pytest

GOOD = {"prompt": "Once upon a time", "chosen": "there was a cat.", "rejected": "there was a dog."}


def write(path, rows):
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


@pytest.fixture
def dpo(penchant, tmp_path, stories260k):
    def run(data, *more):
        output = tmp_path / "run"
        result = penchant(
            "dpo", "--model", stories260k, "--chat-template", "plain", "--data", data, "--output", output, *more
        )
        lines = [line for line in result.err.splitlines() if line.startswith("penchant: ")]
        return result, (lines[-1] if lines else ""), output

    return run


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**GOOD, "rejected": ""}, ["rows.jsonl:2", "empty"]),
        ({**GOOD, "rejected": GOOD["chosen"]}, ["rows.jsonl:2", "same"]),
        ({"prompt": "Once", "chosen": "there"}, ["rows.jsonl:2", "rejected"]),
        ("{not json", ["rows.jsonl:2", "JSON"]),
        (
            {**GOOD, "prompt": "word " * 600},
            ["rows.jsonl:2", "the model takes 512 tokens, prompt and response together; shorten the prompt"],
        ),
        ({**GOOD, "chosen": 7}, ["rows.jsonl:2", "chosen"]),
    ],
)
def test_a_bad_row_is_named_by_file_and_line_and_stops_the_run_when_asked(dpo, tmp_path, row, words):
    result, sentence, output = dpo(write(tmp_path / "rows.jsonl", [GOOD, row]), "--on-bad-row", "error")
    assert result.code == 2, result.err
    assert all(word in sentence for word in words), sentence
    assert "Traceback" not in result.err
    assert not output.exists()


def test_prompts_that_differ_between_the_sides_are_named(dpo, tmp_path):
    row = {
        "chosen": "\n\nHuman: one\n\nAssistant: yes",
        "rejected": "\n\nHuman: two\n\nAssistant: no",
    }
    good = {"chosen": "\n\nHuman: one\n\nAssistant: yes", "rejected": "\n\nHuman: one\n\nAssistant: no"}
    result, sentence, _ = dpo(write(tmp_path / "hh.jsonl", [good, row]), "--on-bad-row", "error")
    assert result.code == 2
    assert "hh.jsonl:2" in sentence
    assert "differ" in sentence


@pytest.mark.slow(threads=1)
def test_a_few_bad_rows_are_left_out_aloud_and_counted_in_the_ledger(dpo, tmp_path):
    good = [{**GOOD, "prompt": f"Once upon a time {i}"} for i in range(30)]
    result, _, output = dpo(write(tmp_path / "rows.jsonl", [*good, {**GOOD, "rejected": " "}]))
    assert result.code == 0, result.err
    assert "1 of 31 rows" in result.err
    assert "rows.jsonl:31" in result.err
    ledger = json.loads((output / "run.json").read_text())
    assert ledger["rows"] == {"keep": 30, "empty_response": 1}


@pytest.mark.slow(threads=1)
def test_a_row_left_out_that_quotes_half_a_surrogate_pair_ends_no_run(dpo, tmp_path):
    rows = [{**GOOD, "prompt": f"Once upon a time {i}"} for i in range(20)]
    rows.append({**GOOD, "prompt": [{"role": "\ud800", "content": "x"}]})
    result, _, output = dpo(write(tmp_path / "caf\udce9.jsonl", rows), "--set", "optimiser.max_steps=1")
    assert result.code == 0, result.err
    assert "caf\\udce9.jsonl:21: 'prompt[0]' has the unknown role '\\ud800'" in result.err
    assert json.loads((output / "run.json").read_text())["rows"] == {"keep": 20, "bad_type": 1}
    assert (output / "report.html").is_file()


def test_many_bad_rows_stop_the_run_by_default(dpo, tmp_path):
    result, sentence, output = dpo(write(tmp_path / "rows.jsonl", [GOOD, {**GOOD, "rejected": ""}]))
    assert result.code == 2
    assert "max_bad_share" in sentence
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.jsonl", None, ["absent.jsonl"]),
        ("rows.xlsx", b"PK", ["rows.xlsx", "jsonl"]),
        ("rows.jsonl", b"", ["rows.jsonl", "empty"]),
        ("rows.jsonl", b'{"a": 1, "b": 2}\n', ["rows.jsonl", "a, b"]),
        ("rows.jsonl.gz", b"not gzip", ["rows.jsonl.gz"]),
    ],
)
def test_a_file_that_cannot_be_read_is_named(dpo, tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    result, sentence, output = dpo(path)
    assert result.code == 2, result.err
    assert all(word in sentence for word in words), sentence
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "dpo.betta=0.2"], ["dpo.betta", "dpo.beta"]),
        (["--set", "optimiser.epochs=many"], ["optimiser.epochs", "many"]),
        (["--beta", "-1"], ["dpo.beta", "-1"]),
        (["--objective", "dpoo"], ["dpoo", "dpo"]),
        (["--objective", "ipo_sum", "--set", "dpo.label_smoothing=0.1"], ["label_smoothing"]),
        (["--device", "cuda"], ["cuda"]),
        (["--chat-template", "absent.jinja"], ["absent.jinja"]),
        (["--resume"], ["no run to resume"]),
        (["--model", "no-such-model"], ["no-such-model", "smollm2-135m"]),
        (["--set", "model.lora={targets: [nowhere]}"], ["nowhere"]),
    ],
)
def test_a_wrong_option_is_one_sentence_with_the_option_in_it(dpo, tmp_path, options, words):
    good = [{**GOOD, "prompt": f"Once upon a time {i}"} for i in range(4)]
    result, sentence, _ = dpo(write(tmp_path / "rows.jsonl", good), *options)
    assert result.code == 2, result.err
    assert all(word in sentence for word in words), sentence
    assert "Traceback" not in result.err


def test_a_model_without_chat_template_says_what_to_pass(penchant, tmp_path, stories260k):
    data = write(tmp_path / "rows.jsonl", [GOOD])
    result = penchant("dpo", "--model", stories260k, "--data", data, "--output", tmp_path / "run")
    assert result.code == 2
    assert "--chat-template plain" in result.err


def test_a_model_without_tokenizer_names_the_folder(penchant, tmp_path, stories260k):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((stories260k / name).read_bytes())
    data = write(tmp_path / "rows.jsonl", [GOOD])
    result = penchant("dpo", "--model", folder, "--data", data, "--output", tmp_path / "run")
    assert result.code == 2
    assert str(folder) in result.err
    assert "tokenizer" in result.err


def test_margins_that_the_objective_does_not_read_are_refused_before_anything_is_written(dpo, tmp_path):
    rows = [{**GOOD, "prompt": f"Once upon a time {i}", "margin": 0.5} for i in range(4)]
    result, sentence, output = dpo(write(tmp_path / "rows.jsonl", rows), "--objective", "ipo_sum")
    assert result.code == 2, result.err
    assert "ipo_sum does not read margins" in sentence
    assert not output.exists()
