"""The way a user goes: sample, judge, train, evaluate, report; on a real tiny model."""

import json

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = [
    f"Once there was a {animal} who liked" for animal in ("cat", "dog", "bird", "fish", "bear", "frog", "cow", "fox")
]


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the module's one run lies; its tests read it and write beside it."""
    return tmp_path_factory.mktemp("flow")


@pytest.fixture(scope="module")
def taste(folder):
    """A stand-in that knows its own mind, so that the tests do not hang on the tone of stories."""
    (folder / "taste.py").write_text("def short(prompt, response):\n    return -len(response)\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield "taste:short"


@pytest.fixture(scope="module")
def prompts(folder):
    path = folder / "prompts.txt"
    path.write_text("\n".join(PROMPTS) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def sampled(penchant, folder, prompts, stories260k):
    path = folder / "samples.jsonl"
    arguments = ["--model", stories260k, "--chat-template", "plain", "--prompts", prompts, "--max-new-tokens", "24"]
    result = penchant("sample", *arguments, "--output", path)
    assert result.code == 0, result.err
    return path, arguments


@pytest.fixture(scope="module")
def votes(penchant, sampled, folder, taste):
    path = folder / "votes.jsonl"
    result = penchant("judge", sampled[0], "--judge", taste, "--output", path)
    assert result.code == 0, result.err
    return path


@pytest.fixture(scope="module")
def run(penchant, votes, folder, stories260k):
    path = folder / "run"
    result = penchant(
        "dpo", "--model", stories260k, "--chat-template", "plain", "--data", votes, "--output", path,
        "--epochs", "2", "--batch-size", "4", "--learning-rate", "1e-4", "--set", "data.held_out=0.25",
    )  # fmt: skip
    assert result.code == 0, result.err
    return path


def test_two_responses_a_prompt_are_written_in_the_prompts_order_with_their_source(sampled):
    written = rows(sampled[0])
    assert [row["prompt"][0]["content"] for row in written] == PROMPTS
    assert all(row["a"]["text"] != row["b"]["text"] for row in written)
    assert {row["a"]["source"]["temperature"] for row in written} == {0.8}


@pytest.mark.slow(threads=1)
def test_sampling_goes_on_where_it_stopped_and_ends_with_the_same_file(penchant, sampled, tmp_path):
    finished, arguments = sampled
    whole, path = finished.read_bytes(), tmp_path / "samples.jsonl"
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:40])
    result = penchant("sample", *arguments, "--output", path, "--resume")
    assert result.code == 0, result.err
    assert "5 prompts answered (3 were there)" in result.err
    assert path.read_bytes() == whole


def test_sampling_refuses_a_file_that_is_there_or_was_sampled_otherwise(penchant, sampled):
    path, arguments = sampled
    again = penchant("sample", *arguments, "--output", path)
    assert (again.code, "--resume" in again.err) == (2, True)
    other = penchant("sample", *arguments, "--temperature", "0.5", "--output", path, "--resume")
    assert other.code == 2
    assert f"{path}:1" in other.err
    assert "temperature 0.8" in other.err


@pytest.mark.slow(threads=1)
def test_four_responses_make_six_comparisons_and_one_makes_a_demonstration(penchant, tmp_path, sampled):
    _, arguments = sampled
    four, one = tmp_path / "four.jsonl", tmp_path / "one.jsonl"
    assert penchant("sample", *arguments, "--num-responses", "4", "--max-prompts", "2", "--output", four).code == 0
    assert len(rows(four)) == 12
    assert penchant("sample", *arguments, "--num-responses", "1", "--max-prompts", "2", "--output", one).code == 0
    assert all(row["completion"] for row in rows(one))


def test_the_judge_answers_every_comparison_and_says_who_answered(votes):
    answered = rows(votes)
    assert len(answered) == len(PROMPTS)
    for row in answered:
        shorter = "a" if len(row["a"]["text"]) < len(row["b"]["text"]) else "b"
        same = len(row["a"]["text"]) == len(row["b"]["text"])
        assert row["outcome"] == ("tie" if same else shorter)
        assert row["annotator"] == "stand-in:taste:short"


def test_a_run_writes_its_whole_folder_and_begins_at_ln_2(run):
    assert {p.name for p in run.iterdir()} >= {
        "config.yaml", "run.json", "metrics.jsonl", "samples.jsonl", "model", "report.html",
    }  # fmt: skip
    ledger = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert ledger["status"] == "finished"
    assert ledger["reference_digest"] == ledger["model_digest"]
    first, *_ = metrics = rows(run / "metrics.jsonl")
    assert first["loss"] == pytest.approx(0.693147, abs=1e-5)
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-4)
    assert any("eval_rewards/accuracies" in row for row in metrics)
    assert {row["step"] for row in rows(run / "samples.jsonl")} >= {0, ledger["num_steps"]}


@pytest.mark.slow(threads=1)
def test_the_model_of_a_run_loads_in_plain_transformers_and_answers(run):
    model = AutoModelForCausalLM.from_pretrained(run / "model")
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Once"}], tokenize=False)
    ids = tokenizer(text, return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=5, do_sample=False)
    assert out.shape[1] > ids["input_ids"].shape[1]
    assert torch.isfinite(model(**ids).logits).all()


@pytest.mark.slow(threads=1)
def test_the_configuration_of_a_run_repeats_it(penchant, run, tmp_path):
    again = tmp_path / "again"
    result = penchant("dpo", "--config", run / "config.yaml", "--output", again)
    assert result.code == 0, result.err
    assert (again / "model" / "model.safetensors").read_bytes() == (run / "model" / "model.safetensors").read_bytes()
    assert yaml.safe_load((again / "config.yaml").read_text())["optimiser"]["epochs"] == 2


@pytest.mark.slow(threads=1)
def test_eval_compares_both_sides_and_puts_them_into_the_report(penchant, run, prompts, taste):
    result = penchant("eval", run, "--prompts", prompts, "--judge", taste, "--max-new-tokens", "16")
    assert result.code == 0, result.err
    comparison = json.loads((run / "comparison.json").read_text(encoding="utf-8"))
    scores = [(p["score_before"], p["score_after"]) for p in comparison["pairs"]]
    assert len(scores) == len(PROMPTS)
    assert comparison["mean_before"] == pytest.approx(sum(b for b, _ in scores) / len(scores))
    assert comparison["win_rate"]["wins"] == sum(after > before for before, after in scores)
    assert comparison["kl"]["mean"] > -1
    assert "win rate" in result.out
    assert taste in (run / "report.html").read_text(encoding="utf-8")


def test_a_run_is_not_overwritten_and_a_finished_one_is_not_resumed(penchant, run, votes, stories260k):
    arguments = ["dpo", "--model", stories260k, "--chat-template", "plain", "--data", votes, "--output", run]
    again = penchant(*arguments)
    assert (again.code, "--resume" in again.err) == (2, True)
    resumed = penchant(*arguments, "--resume")
    assert (resumed.code, "finished" in resumed.err) == (2, True)


@pytest.mark.slow(threads=1)
def test_a_run_folder_is_a_model_for_the_next_round(penchant, run, votes, tmp_path):
    result = penchant(
        "dpo", "--model", run, "--data", votes, "--output", tmp_path / "second", "--lora", "--set", "model.lora.rank=4",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert (tmp_path / "second" / "model" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "second" / "model" / "model.safetensors").exists()


@pytest.mark.slow
def test_sft_on_plain_text_lowers_the_held_out_loss(penchant, tmp_path, stories260k):
    story = "Lily had a zebra. The zebra liked to eat purple snow. " * 3
    data = tmp_path / "stories.jsonl"
    data.write_text("".join(json.dumps({"text": f"{story} {i}"}) + "\n" for i in range(24)), encoding="utf-8")
    result = penchant(
        "sft", "--model", stories260k, "--chat-template", "plain", "--data", data, "--output", tmp_path / "sft",
        "--epochs", "4", "--batch-size", "4", "--learning-rate", "1e-3",
    )  # fmt: skip
    assert result.code == 0, result.err
    held_out = [row["eval_loss"] for row in rows(tmp_path / "sft" / "metrics.jsonl") if "eval_loss" in row]
    assert held_out[-1] < 0.7 * held_out[0]


@pytest.mark.parametrize("verb", ["dpo", "sft"])
def test_the_model_of_a_setting_or_the_environment_is_not_replaced_by_the_default(
    penchant, tmp_path, monkeypatch, verb
):
    data = tmp_path / "rows.jsonl"
    data.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n', encoding="utf-8")
    common = (verb, "--data", data, "--output", tmp_path / "run")
    assert "/nowhere/mine" in penchant(*common, "--set", "model.name=/nowhere/mine").err
    monkeypatch.setenv("PENCHANT_MODEL__NAME", "/nowhere/mine")
    assert "/nowhere/mine" in penchant(*common).err
    assert "/nowhere/other" in penchant(*common, "--model", "/nowhere/other").err
