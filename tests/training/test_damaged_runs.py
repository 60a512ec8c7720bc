"""A run folder whose files were damaged or edited by hand: whatever reads it says so in a sentence, or goes on."""

import copy
import json
import random
from contextlib import suppress

import pytest

from penchant.errors import PenchantError
from penchant.report import view
from penchant.report.card import model_card
from penchant.report.comparison import read_comparison
from penchant.report.languages import words_in
from penchant.training.lineage import lineage
from penchant.training.trained import Run
from penchant.training.verify import verify_run

NUM_DAMAGED = 20
ODD = (
    *(None, True, 0, -1, 5, 0.5, 1e308, float("nan"), float("inf"), 10**400, 2**63, "", "x", "a\0", "~nobody/x"),
    *("a" * 300, "\ud800", "2026-01-01", [], [5], [None], [{}], {}, {"a": 5}, {"path": 5}),
)
PLACE = {"path": "/models/m", "run": None, "files": {"model.safetensors": "0a"}}
ORIGIN = {"name": "m", "digest": "0a", **PLACE}
EXPORTED = {"exported_at": "2026-01-01", "dtype": "float32", "digest": "0a", "files": {}, "of": ORIGIN}
VOTES = {"project": "p", "answers": 4, "answered": 3, "pairs": 2, "labels": "majority", "answered_by": {"Ann": 3}}
RATE = {"rate": 0.6, "low": 0.4, "high": 0.8, "num": 20}
ESTIMATE = {"value": 0.5, "low": None, "high": None, "num": 4, "num_prompts": 4, "warning": "few"}
BUCKET = {"start": 0.0, "end": 1.0, "mean": 0.6, "share": RATE}
MEANS = {"before": 3.0, "after": 4.0, "difference": 1.0, "low": 0.5, "high": 1.5, "num": 20, "num_prompts": 20}
SENTENCE = (
    "every training pair is told apart, by a margin of {mean:.1f} on average (5 means 99%): more steps only move the "
    "model away from its reference"
)
LENGTHS = {
    **{"eval_rewards/accuracies/chosen_longer": 0.6, "eval_rewards/accuracies/chosen_longer_low": 0.4},
    **{"eval_rewards/accuracies/chosen_longer_high": 0.8, "eval_rewards/accuracies/chosen_longer_num": 20.0},
}
FILES = {
    "run.json": {
        "command": "dpo",
        "config": {
            "output": "run",
            "model": {"name": "m", "reference": None, "lora": {"rank": 4}},
            "data": {"files": ["pairs.jsonl"], "max_length": 1024},
            "optimiser": {"learning_rate": 1e-5, "epochs": 1},
            "dpo": {"objective": "dpo", "beta": None},
        },
        "versions": {"penchant": "0.2.0"},
        "status": "finished",
        "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:01:00+00:00",
        "clock": "2026-01-01T00:00:00+00:00",
        "origins": {"model": {**ORIGIN, "base": PLACE, "gguf": {"path": "g", "sha256": "0"}, "exported": EXPORTED}},
        "data_files": [{"path": "/pairs.jsonl", "sha256": "0a", "votes": VOTES, "answered_by": {"3 people": 4}}],
        "model_files": {"adapter_config.json": "0a"},
        "run_files": {"metrics.jsonl": "0a"},
        "reference_digest": "0a",
        "model_digest": "0a",
        "beta": 0.1,
        "alarms": [{"name": "saturated", "step": 3, "text": "every", "sentence": SENTENCE, "facts": {"mean": 9.0}}],
        "likeness": {"num": 5, "median": 1.0, "highest": 2.0, "most_alike": ["a:1"]},
        "held_out_longer": 0.5,
        "num_train_pairs": 23,
        "num_held_out_pairs": 20,
        "training_seconds": 0.1,
        "unique_tokens_per_second": 6219.5,
        "peak_memory_bytes": 10**9,
    },
    "comparison.json": {
        "judge": "positivity",
        "num_prompts": 20,
        "mean_before": 0.1,
        "mean_after": 0.2,
        "difference": {"mean": 0.1, "low": None, "high": None},
        "win_rate": {"rate": 0.6, "low": 0.4, "high": 0.8, "wins": 12, "losses": 8, "ties": 1},
        "decided": RATE,
        "length_controlled": ESTIMATE,
        "style_controlled": ESTIMATE,
        "kl": {"mean": 1.0, "low": 0.5, "high": 1.5},
        "changes": [{"name": "tokens", "means": MEANS}],
        "forgetting": {"before": 3.0, "after": 4.0, "ratio": 1.2, "low": 1.0, "high": 1.3, "num_demonstrations": 4},
        "accuracy": {
            **{"accuracy": RATE, "by_length": {"longer": RATE}, "by_margin": [BUCKET] * 2, "by_gap": [BUCKET]},
            **{"calibration": {"curve": [BUCKET], "brier": ESTIMATE, "ece": ESTIMATE}, "parts": {"Ties": ESTIMATE}},
        },
        "pairs": [{"prompt": "a", "before": "b", "after": "c", "score_before": 0.1, "score_after": 0.2}] * 6,
    },
    "metrics.jsonl": [
        {"step": 1, "loss": 0.7, "rewards/chosen": 0.1, "rewards/rejected": 0.0, "rewards/margins": 0.1},
        {"step": 2, "loss": 0.6, "logps/chosen": -9.0, "logps/rejected": -9.0, "grad_norm": 1.0, "skipped": True},
        {"step": 2, "eval_loss": 0.6, "eval_rewards/chosen": 0.1, "eval_rewards/rejected": 0.0},
        {
            **{"step": 4, "eval_loss": 0.5, "eval_rewards/accuracies": 0.6, "eval_rewards/accuracies_low": 0.4},
            **{"eval_rewards/accuracies_high": 0.8, "eval_rewards/margins": 0.2, "eval_rewards/ece": 0.1, **LENGTHS},
        },
    ],
    "samples.jsonl": [
        {"step": step, "prompt": prompt, "response": "a b c d a b c d", "num_tokens": 8, "ended": True}
        for step in (0, 4)
        for prompt in "wxyz"
    ],
}


def places(value, path=()):
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def damaged(content, chance):
    """The content with one to three of its values changed or gone, and what was done."""
    content, done = copy.deepcopy(content), []
    for _ in range(chance.randint(1, 3)):
        if not (found := list(places(content))):
            break
        path = chance.choice(found)
        place = content
        for key in path[:-1]:
            place = place[key]
        if chance.random() < 0.25:
            del place[path[-1]]
            done.append((path, "gone"))
        else:
            place[path[-1]] = chance.choice(ODD)
            done.append((path, place[path[-1]]))
    return content, done


def write(run, name, content):
    rows = content if isinstance(content, list) else [content]
    (run / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_all(folder):
    """What every command that reads a run makes of it, but for drawing."""
    for read in (verify_run, lineage):
        with suppress(PenchantError):
            assert read(folder)
    with suppress(PenchantError):
        run = Run.open(folder)
        assert run.in_words()
        facts = (run.ledger, run.metrics, run.samples, read_comparison(folder))
        assert model_card(*facts)
        _ = words_in("zh")
        shown = view.tiles(run.ledger, run.metrics, facts[3], _), view.ledger(run.ledger, _)
        assert [*shown, view.subtitle(run.ledger, _), view.what_was_done(run.ledger, _), view.pairs(facts[3], _)]
        run.record.keep_until(2)


def fault_of(read, folder):
    """What a user would see as a traceback; None where all was read or refused in a sentence."""
    try:
        read(folder)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("name", FILES)
def test_no_damage_ends_in_a_traceback(tmp_path, monkeypatch, name):
    monkeypatch.setattr("os.fsync", lambda _: None)
    chance = random.Random(name)
    for number in range(NUM_DAMAGED):
        content, done = damaged(FILES[name], chance)
        for one, whole in FILES.items():
            write(tmp_path, one, content if one == name else whole)
        assert fault_of(read_all, tmp_path) is None, f"{name}, damage {number}: {done}"


def test_what_is_damaged_here_is_whole_otherwise(tmp_path):
    for name, content in FILES.items():
        write(tmp_path, name, content)
    run = Run.open(tmp_path)
    assert (run.metrics, run.samples) == (FILES["metrics.jsonl"], FILES["samples.jsonl"])
    assert read_comparison(tmp_path) == FILES["comparison.json"]
    assert model_card(run.ledger, run.metrics, run.samples, FILES["comparison.json"]).count("|") > 100
