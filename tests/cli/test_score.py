"""`penchant score` shows beta (log pi - log pi_ref), against the reference that the model was really trained from."""

import json
import math
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from penchant.evaluation.pair_scores import PairScore, response_logprobs, score_rewards, summarise
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.tokens import EncodedPair, TokenSequence
from penchant.tokens.pairs import NOWHERE

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
ROWS = [
    {
        "prompt": f"Once upon a time there was a {animal}",
        "chosen": f" who was {mood}.",
        "rejected": " who ran away and cried.",
    }
    for animal, mood in (("dog", "happy"), ("cat", "very tired of it all"), ("bird", "sad"), ("ant", "big"))
]


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def oracle(folder, tokenizer, prompt, response):
    """Summed log-prob of the response and the end token, with transformers alone."""
    network = AutoModelForCausalLM.from_pretrained(folder)
    start = tokenizer(prompt).input_ids
    ids = start + tokenizer("\n" + response, add_special_tokens=False).input_ids
    newline = len(tokenizer("\n", add_special_tokens=False).input_ids)
    ids = start + ids[len(start) + newline :] + [tokenizer.eos_token_id]
    with torch.no_grad():
        logprobs = torch.log_softmax(network(torch.tensor([ids])).logits[0].double(), -1)
    return sum(float(logprobs[i - 1, ids[i]]) for i in range(len(start), len(ids))), len(ids) - len(start)


@pytest.mark.slow(threads=1)
def test_rewards_are_those_of_an_oracle_in_file_order_with_the_runs_beta(penchant, make_run, data, stories260k):
    run = make_run(lora=False)
    result = penchant("score", "--model", run, "--data", data, "--output", "-")
    assert result.code == 0, result.err
    scores = lines(result.out)
    assert [s["origin"] for s in scores] == [f"{data}:{i}" for i in (1, 2, 3, 4)]
    tokenizer = AutoTokenizer.from_pretrained(stories260k)
    for row, score in zip(ROWS, scores, strict=True):
        rewards = {}
        for side in ("chosen", "rejected"):
            policy, length = oracle(run / "model", tokenizer, row["prompt"], row[side])
            reference, _ = oracle(stories260k, tokenizer, row["prompt"], row[side])
            assert score[f"policy_{side}"] == pytest.approx(policy, abs=1e-3)
            assert score[f"reference_{side}"] == pytest.approx(reference, abs=1e-3)
            assert score[f"num_tokens_{side}"] == length
            rewards[side] = 0.2 * (policy - reference)
            assert score[f"reward_{side}"] == pytest.approx(rewards[side], abs=1e-3)
        margin = rewards["chosen"] - rewards["rejected"]
        assert score["margin"] == pytest.approx(margin, abs=1e-3)
        assert score["probability"] == pytest.approx(1 / (1 + math.exp(-margin)), abs=1e-3)
        assert score["correct"] is (score["margin"] > 0)


@pytest.mark.slow(threads=1)
def test_an_adapter_off_and_its_base_loaded_are_the_same_reference(penchant, make_run, data, stories260k):
    run = make_run(lora=True)
    off = penchant("score", "--model", run, "--data", data, "--output", "-")
    loaded = penchant("score", "--model", run, "--data", data, "--output", "-", "--reference", stories260k)
    assert off.code == loaded.code == 0, off.err + loaded.err
    for a, b in zip(lines(off.out), lines(loaded.out), strict=True):
        assert a["reference_chosen"] == pytest.approx(b["reference_chosen"], abs=1e-3)
        assert a["margin"] == pytest.approx(b["margin"], abs=1e-3)
        assert abs(a["policy_chosen"] - a["reference_chosen"]) > 1e-2


def test_a_model_that_is_its_own_reference_is_undecided(penchant, data, stories260k):
    more = ["--reference", stories260k, "--chat-template", "plain"]
    result = penchant("score", "--model", stories260k, "--data", data, *more)
    assert result.code == 0, result.err
    assert "accuracy  50.0%" in result.out
    assert "beta is 0.1" in result.err


def test_the_table_goes_to_standard_output_and_the_lines_to_the_file(penchant, make_run, data, tmp_path):
    output = tmp_path / "deep" / "scores.jsonl"
    result = penchant("score", "--model", make_run(lora=False) / "model", "--data", data, "--output", output)
    assert result.code == 0, result.err
    assert len(lines(output.read_text())) == 4
    assert "95% interval" in result.out
    assert f"{data}:1" in result.out
    assert "beta 0.2" in result.out  # known although model/ was named, not the run
    again = penchant("score", "--model", make_run(lora=False), "--data", data, "--output", output)
    assert again.code == 2
    assert "exists already" in again.err


@pytest.mark.slow(threads=1)
def test_another_beta_scales_the_rewards(penchant, make_run, data):
    run = ["score", "--model", make_run(lora=False), "--data", data, "--output", "-"]
    one, ten = lines(penchant(*run, "--beta", "1").out), lines(penchant(*run, "--beta", "10").out)
    assert [10 * s["margin"] for s in one] == pytest.approx([s["margin"] for s in ten])
    assert penchant(*run, "--beta", "0").code == 2


def test_a_reference_that_was_changed_since_is_refused(penchant, make_run, data, tmp_path):
    run = tmp_path / "moved"
    run.mkdir()
    ledger = json.loads((make_run(lora=False) / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(ledger | {"reference_digest": "0" * 64}))
    (run / "model").symlink_to(make_run(lora=False) / "model")
    result = penchant("score", "--model", run, "--data", data)
    assert result.code == 2
    assert "digest" in result.err
    assert "--reference" in result.err


@pytest.mark.parametrize("command", ["score", "eval", "chat", "judge"])
def test_a_reference_that_is_not_there_is_refused_before_any_model_is_loaded(
    penchant, make_run, data, monkeypatch, command
):
    from penchant.models import opening

    samples = data.with_name("samples.jsonl")
    asked = [{"role": "user", "content": "Q"}]
    samples.write_text(json.dumps({"id": "1", "prompt": asked, "a": {"text": "A"}, "b": {"text": "B"}}) + "\n")

    monkeypatch.setattr(opening, "open_model", lambda *_args, **_options: pytest.fail("a model was loaded"))
    run = make_run(lora=False)
    more = {
        "score": ("--model", run, "--data", data, "--reference", "./nothing"),
        "eval": (run, "--reference", "./nothing"),
        "chat": (run, "--compare", "--reference", "./nothing"),
        "judge": (samples, "--judge", f"run:{run}", "--judge-reference", "./nothing", "-o", data.parent / "votes"),
    }
    result = penchant(command, *more[command])
    assert result.code == 2
    assert "the reference cannot be found: ./nothing: no such folder" in result.err


def test_a_reference_that_is_gone_is_refused_before_any_model_is_loaded(
    penchant, make_run, data, tmp_path, monkeypatch
):
    from penchant.models import opening

    monkeypatch.setattr(opening, "open_model", lambda *_args, **_options: pytest.fail("a model was loaded"))
    run = tmp_path / "run"
    shutil.copytree(make_run(lora=False), run)
    ledger = json.loads((run / "run.json").read_text())
    ledger["config"]["model"]["name"] = str(tmp_path / "gone")
    (run / "run.json").write_text(json.dumps(ledger | {"origins": None}))
    result = penchant("score", "--model", run, "--data", data)
    assert result.code == 2
    assert f"cannot be found: {tmp_path / 'gone'}: no such folder" in result.err
    assert "--reference" in result.err


def test_a_model_that_knows_no_reference_asks_for_one(penchant, data, stories260k):
    result = penchant("score", "--model", stories260k, "--data", data, "--chat-template", "plain")
    assert result.code == 2
    assert "--reference" in result.err


@pytest.mark.slow(threads=1)
def test_bad_rows_are_left_out_aloud_or_stop_it_as_asked(penchant, make_run, data):
    data.write_text(data.read_text() + json.dumps(ROWS[0] | {"rejected": ""}) + "\n")
    run = ["score", "--model", make_run(lora=False), "--data", data]
    dropped = penchant(*run)
    assert dropped.code == 0
    assert "left out 1 bad rows: 1 empty_response" in dropped.err
    stopped = penchant(*run, "--on-bad-row", "error")
    assert stopped.code == 2
    assert f"{data}:5" in stopped.err
    assert penchant(*run, "--on-bad-row", "sometimes").code == 2


def test_max_pairs_takes_them_from_the_start(penchant, make_run, data):
    result = penchant("score", "--model", make_run(lora=False), "--data", data, "--output", "-", "--max-pairs", "2")
    assert [s["origin"] for s in lines(result.out)] == [f"{data}:1", f"{data}:2"]


def pair(prompt, chosen, rejected):
    return EncodedPair(TokenSequence.of(prompt, chosen), TokenSequence.of(prompt, rejected), 1.0, 1.0, 0.0, NOWHERE)


def test_log_probs_do_not_depend_on_the_token_budget_and_keep_the_order(stories260k):
    model = load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain")
    pairs = [pair([1, 403, i], [400 + i, 2], [300, 310 + i, 2]) for i in (9, 5, 7, 3)]
    done = []
    one = response_logprobs(model, pairs, token_budget=1, on_progress=lambda n, total: done.append((n, total)))
    assert torch.allclose(one, response_logprobs(model, pairs, token_budget=10**6), atol=1e-4)
    alone = torch.cat([response_logprobs(model, [p], token_budget=64) for p in pairs])
    assert torch.allclose(one, alone, atol=1e-4)
    assert done[-1] == (4, 4)


def test_a_summary_counts_a_margin_of_zero_half_and_prompts_once():
    pairs = [pair([1, 2], [3], [4]), pair([1, 2], [5], [6]), pair([1, 9], [3], [4])]
    policy = torch.tensor([[-1.0, -2.0], [-3.0, -3.0], [-2.0, -1.0]], dtype=torch.float64)
    scores = score_rewards(pairs, policy, torch.zeros(3, 2, dtype=torch.float64), beta=0.5)
    assert [s.margin for s in scores] == [0.5, 0.0, -0.5]
    assert [s.correct for s in scores] == [True, None, False]
    assert isinstance(scores[0], PairScore)
    summary = summarise(pairs, scores)
    assert summary.accuracy.rate == 0.5
    assert summary.accuracy.num == 3
    assert summary.num_prompts == 2
    assert summary.mean_margin == 0
