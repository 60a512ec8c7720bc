"""The whole evaluation, in memory and into a run folder, and how before and after are summed up."""

import json
import weakref

import numpy as np
import pytest
import torch

from penchant.data import Message, Prompt
from penchant.errors import ConfigError, DataError, ModelError
from penchant.evaluation.answers import Answers, Asked, answer
from penchant.evaluation.compared import compare_answers
from penchant.evaluation.evaluate import evaluate, write_evaluation
from penchant.evaluation.judges import FunctionJudge
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.sampler import SamplingParams
from penchant.progress import Silent
from penchant.ranking.winrate import paired_means
from penchant.training.verify import verify_run

PROMPTS = [Prompt(messages=(Message(role="user", content=f"question {i}"),), id=str(i)) for i in range(40)]
LONGER = FunctionJudge("longer", lambda prompt, response: len(response))


def answers(*texts_by_prompt):
    return Answers({p.id: list(texts) for p, texts in zip(PROMPTS, texts_by_prompt, strict=True)})


def compare(before, after, log_ratios):
    found = compare_answers(PROMPTS, before, after, LONGER, policy="p", reference="r")
    return found.with_kl(np.array(log_ratios), "not here", PROMPTS).as_dict()


def test_wins_losses_ties_and_means_are_counted_response_by_response():
    before = answers(*[["aa"]] * 40)
    after = answers(*[["aaa"]] * 20, *[["a"]] * 10, *[["bb"]] * 10)
    found = compare(before, after, [0.5] * 40)
    assert {k: found["win_rate"][k] for k in ("wins", "losses", "ties")} == {"wins": 20, "losses": 10, "ties": 10}
    assert found["win_rate"]["rate"] == pytest.approx(25 / 40)
    assert (found["mean_before"], found["mean_after"]) == (2.0, pytest.approx((60 + 10 + 20) / 40))
    assert found["kl"]["mean"] == pytest.approx(0.5)


def test_the_kl_is_the_mean_log_ratio_of_the_policys_own_samples():
    ratios = np.linspace(-1, 3, 40)
    found = compare(answers(*[["a"]] * 40), answers(*[["b"]] * 40), ratios)
    assert found["kl"]["mean"] == pytest.approx(1.0)
    assert found["kl"]["low"] < 1.0 < found["kl"]["high"]


def test_log_ratios_of_one_prompt_are_clustered_with_each_other():
    """Two a prompt, in the prompts' order: had they other prompts' labels, their likeness would not be seen."""
    ratios = np.repeat(np.linspace(-1, 3, 40), 2)
    found = compare(answers(*[["a"]] * 40), answers(*[["b"]] * 40), ratios)["kl"]
    expected = paired_means([0.0] * 80, ratios.tolist(), [i // 2 for i in range(80)])
    assert (found["mean"], found["low"], found["high"]) == (expected.after, expected.low, expected.high)


@pytest.mark.slow(threads=1)
def test_four_like_answers_to_a_prompt_do_not_make_the_interval_narrower():
    one = compare(answers(*[["aa"]] * 40), answers(*[["aaa"]] * 25, *[["a"]] * 15), [0.0] * 40)
    four = compare(answers(*[["aa"] * 4] * 40), answers(*[["aaa"] * 4] * 25, *[["a"] * 4] * 15), [0.0] * 160)
    width = [found["win_rate"]["high"] - found["win_rate"]["low"] for found in (one, four)]
    assert four["win_rate"]["rate"] == one["win_rate"]["rate"]
    assert width[1] == pytest.approx(width[0], rel=0.2)


def test_two_prompts_with_one_id_are_a_mistake_of_the_caller():
    with pytest.raises(AssertionError, match="one id"):
        answer(None, Asked([PROMPTS[0]] * 2, SamplingParams()), Silent(), "")


SHORT = SamplingParams(max_new_tokens=4)


@pytest.fixture
def load(stories260k):
    def load(name=str(stories260k)):
        return load_model(name, choose_numerics("cpu", "float32"), chat_template="plain")

    return load


def moved(model, by=0.02):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=by)
    return model


@pytest.mark.slow(threads=1)
def test_a_model_compared_with_itself_has_not_moved_and_ties(load):
    found = evaluate(load(), PROMPTS[:4], LONGER, reference=load(), sampling=SHORT, num_responses=2)
    assert (found.kl.mean, found.win_rate.ties, found.num_responses) == (pytest.approx(0, abs=1e-4), 8, 8)
    assert [side.before for side in found.pairs] == [side.after for side in found.pairs]


class Heard(Silent):
    """The largest count shown of everything that took time, and of how many."""

    def __init__(self):
        self.last = {}

    def progress(self, what, done, total, facts):
        self.last[what] = (done, total)


@pytest.mark.slow(threads=1)
def test_every_pass_over_answers_is_shown_up_to_its_end(load):
    heard = Heard()
    cooler = SamplingParams(temperature=0.5, max_new_tokens=SHORT.max_new_tokens)
    evaluate(load(), PROMPTS[:3], LONGER, reference=load(), sampling=cooler, num_responses=2, reporter=heard)
    assert heard.last == {
        "policy at temperature 1": (3, 3),
        "policy at temperature 1, next tokens": (6, 6),
        "policy": (3, 3),
        "policy, next tokens": (6, 6),
        "policy at temperature 1, log-probs": (6, 6),
        "reference": (3, 3),
        "reference, next tokens": (6, 6),
        "reference, log-probs": (6, 6),
        "reference, KL": (6, 6),
    }


@pytest.mark.slow(threads=1)
def test_a_model_in_memory_is_compared_with_a_reference_by_its_name_or_in_memory_alike(load, stories260k):
    policy = moved(load())
    named = evaluate(policy, PROMPTS[:4], LONGER, reference=stories260k, sampling=SHORT)
    assert named == evaluate(policy, PROMPTS[:4], LONGER, reference=load(), sampling=SHORT)
    assert named.mean_after != named.mean_before
    assert named.reference == str(stories260k)


@pytest.mark.slow(threads=1)
def test_a_policy_given_by_name_is_gone_before_its_reference_is_loaded(load, stories260k, monkeypatch):
    loaded = []

    def watched(*args, **options):
        assert all(model() is None for model in loaded), "two models are in memory"
        return load()

    def load_policy(name, *, special_tokens):
        model = load(name)
        loaded.append(weakref.ref(model.network))
        return model

    monkeypatch.setattr("penchant.models.load.load_model", watched)
    evaluate(str(stories260k), PROMPTS[:2], LONGER, reference=stories260k, sampling=SHORT, load=load_policy)
    assert len(loaded) == 1


def test_a_reference_that_reads_other_tokens_is_refused_as_log_probs_of_other_texts_say_nothing(load):
    other = load()
    other.tokenizer.add_tokens(["zebra"])
    with pytest.raises(ModelError, match="its tokenizer is not the policy's"):
        evaluate(load(), PROMPTS[:2], LONGER, reference=other, sampling=SHORT)


def test_a_model_that_names_no_reference_needs_one(load):
    with pytest.raises(ConfigError, match=r"name its reference with `reference=\.\.\.`"):
        evaluate(load(), PROMPTS[:2], LONGER, sampling=SHORT)


def test_nothing_to_answer_is_refused_before_a_model_is_loaded():
    with pytest.raises(DataError, match="no prompt"):
        evaluate("nowhere", [], LONGER)


@pytest.mark.slow(threads=1)
def test_an_evaluation_is_written_into_a_run_folder_as_it_is(tmp_path, load):
    (tmp_path / "run.json").write_text(json.dumps({"config": {}}), encoding="utf-8")
    found = evaluate(load(), PROMPTS[:2], LONGER, reference=load(), sampling=SHORT)
    report = write_evaluation(tmp_path, found, prompts="mine")
    assert json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8")) == found.as_dict() | {
        "prompts": "mine"
    }
    assert LONGER.name in report.read_text(encoding="utf-8")


@pytest.mark.slow(threads=1)
def test_verify_compares_the_evaluation_that_was_written_last_and_the_page_does_not_list_it(tmp_path):
    found = compare_answers(PROMPTS, answers(*[["a"]] * 40), answers(*[["aa"]] * 40), LONGER, policy="p", reference="r")
    ledger = {"config": {}, "status": "finished", "run_files": {"metrics.jsonl": "0a"}}
    (tmp_path / "run.json").write_text(json.dumps(ledger), encoding="utf-8")

    def status():
        return {finding.what: finding.status for finding in verify_run(tmp_path)}["comparison.json"]

    for prompts in ("mine", "others"):
        report = write_evaluation(tmp_path, found, prompts=prompts)
        assert status() == "same"
    noted = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert {name: value for name, value in noted.items() if name != "run_files"} == {"config": {}, "status": "finished"}
    assert noted["run_files"].keys() == {"metrics.jsonl", "comparison.json"}
    assert noted["run_files"]["comparison.json"][:12] not in report.read_text(encoding="utf-8")
    written = (tmp_path / "comparison.json").read_text(encoding="utf-8")
    (tmp_path / "comparison.json").write_text(written.replace("others", "mine"), encoding="utf-8")
    assert status() == "differs"
    (tmp_path / "comparison.json").unlink()
    assert status() == "differs"
    (tmp_path / "comparison.json").write_text(written, encoding="utf-8")
    (tmp_path / "run.json").write_text(json.dumps(ledger), encoding="utf-8")
    assert status() == "unknown"


@pytest.mark.slow(threads=1)
def test_winning_by_length_alone_is_shown_beside_the_win_rate_and_what_changed_in_the_answers():
    found = compare(answers(*[["a a"]] * 40), answers(*[["a b a b a b a b a"]] * 40), [0.0] * 40)
    assert found["win_rate"]["rate"] == 1.0
    assert found["length_controlled"]["num_prompts"] == 40
    assert found["length_controlled"]["low"] < 0.95
    (repeated,) = found["changes"]
    assert (repeated["name"], repeated["means"]["before"]) == ("repeated", 0.0)
    assert repeated["means"]["after"] == pytest.approx(4 / 6)
    assert found["kl_exact"] is None
