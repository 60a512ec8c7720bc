"""The stages of a round that need the model: sample, train, and answer the held-out prompts before and after."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penchant.errors import DataError, ModelError
from penchant.files import disk_errors_explained, write_atomically
from penchant.models.opening import open_model
from penchant.progress import Reporter, counted
from penchant.rounds.plan import Round

if TYPE_CHECKING:
    from penchant.data import Source
    from penchant.models.language_model import LanguageModel
    from penchant.models.sampler import SamplingParams
    from penchant.training.config import DPOConfig

__all__ = ["answer_held_out", "sample_responses", "train_on_votes"]

BATCH_SIZE = 64
"""Responses sampled at once."""


def sample_responses(this: Round, reporter: Reporter) -> None:
    """samples.jsonl: two responses of the current model to every training prompt."""
    from penchant.data import load_prompts
    from penchant.evaluation.authors import ModelAuthor
    from penchant.evaluation.candidates import sample_to_file
    from penchant.models.requests import refuse_long_prompts

    prompts = load_prompts(this.path / "train.jsonl").records
    model = _load(this.start, this, reporter, chat_template=this.chat_template)
    refuse_long_prompts(model, prompts)
    begin = time.perf_counter()
    reporter.progress("sampling", 0, len(prompts), {})
    done = sample_to_file(
        ModelAuthor(model, _sampling(this), BATCH_SIZE),
        prompts,
        this.path / "samples.jsonl",
        num_responses=2,
        resume=True,
        on_progress=counted(reporter, "sampling"),
    )
    for line in done.in_words(time.perf_counter() - begin):
        reporter.say(line)


def train_on_votes(this: Round, reporter: Reporter) -> None:
    """run/: DPO on votes.jsonl; its reference is the model the round started from."""
    from penchant.evaluation.judges import read_comparisons, tally
    from penchant.models.ledger import read_ledger
    from penchant.training.config import DPOConfig
    from penchant.training.settings import build_config

    votes, run = this.path / "votes.jsonl", this.path / "run"
    counts = tally(read_comparisons(votes))
    if not counts.outcomes["a"] + counts.outcomes["b"]:
        num = sum(counts.outcomes.values())
        unreadable = f" ({counts.num_unreadable} of {num} could not be read)" if counts.num_unreadable else ""
        raise DataError(
            f"{votes}: no answer prefers a side{unreadable}, so there is nothing to train on; remove "
            f"{this.path} and begin the round again with another judge, a higher temperature or more prompts"
        )
    ledger = read_ledger(run) if (run / "run.json").is_file() else None
    if ledger is not None and ledger.get("status") == "finished":
        return
    given = {
        "data.files": [str(votes)],
        "output": str(run),
        "model.name": this.start,
        "model.device": this.plan.device,
        "model.dtype": this.plan.dtype,
        "model.chat_template": this.chat_template,
        "seed": this.seed,
    }
    config = build_config(DPOConfig, settings=_settings(this), flags=given)
    _train(config, reporter, resume=ledger is not None)


def answer_held_out(this: Round, reporter: Reporter) -> None:
    """answers.jsonl: both models' answers to the held-out prompts, side by side, with log pi / pi_ref for each."""
    from penchant.data import load_prompts
    from penchant.evaluation.answers import Asked, answer_as_policy, answer_as_reference
    from penchant.evaluation.judges.lines import as_line
    from penchant.evaluation.side_by_side import side_by_side

    prompts = load_prompts(this.path / "held-out.jsonl").records
    params = _sampling(this)
    asked = Asked(prompts, params, batch_size=BATCH_SIZE, predicts=False)
    policy = _load(str(this.path / "run"), this, reporter)
    own = answer_as_policy(policy, asked, reporter, "held out, after")
    numerics, template, new = policy.numerics, policy.encoder.template, _source(f"round-{this.number}", policy, params)
    del policy  # one model in memory at a time
    start = _load_start(this, numerics, template, reporter)
    before, log_ratios = answer_as_reference(start, asked, own, reporter, "held out, before")
    rows = side_by_side(
        prompts,
        {key: texts[0] for key, texts in before.texts.items()},
        {key: texts[0] for key, texts in own.answers.texts.items()},
        (_source(this.parent, start, params), new),
        log_ratios.tolist(),
        seed=this.seed,
    )
    with disk_errors_explained(this.path, again="call this again", elsewhere="choose another folder"):
        write_atomically(this.path / "answers.jsonl", "".join(map(as_line, rows)))


def _load(name: str, this: Round, reporter: Reporter, *, chat_template: str | None = None) -> LanguageModel:
    """Load a model on the round's device, in its precision."""
    device, dtype = this.plan.device, this.plan.dtype
    return open_model(name, device=device, dtype=dtype, chat_template=chat_template, reporter=reporter)


def _sampling(this: Round) -> SamplingParams:
    """The sampling parameters of the round."""
    from penchant.models.sampler import SamplingParams

    plan = this.plan
    return SamplingParams(plan.temperature, plan.top_p, plan.top_k, plan.max_new_tokens, this.seed)


def _train(config: DPOConfig, reporter: Reporter, *, resume: bool) -> None:
    """Run training, from its configuration to its report."""
    from penchant.models.numerics import prepare_process
    from penchant.training.run import run

    prepare_process()
    for line in run(config, reporter, resume=resume).in_words():
        reporter.say(line)


def _source(name: str, model: LanguageModel, params: SamplingParams) -> Source:
    """The source of an answer: the model's name within the rounds, independent of the folder's path."""
    from penchant.evaluation.authors import source_of

    return source_of(model, params).model_copy(update={"model": f"{name}@{model.digest[:12]}"})


def _settings(this: Round) -> list[str]:
    """The plan's training settings; an adapter is trained further, so its settings are the first round's."""
    from penchant.models.names import is_adapter_folder, resolve

    if this.number > 1 and is_adapter_folder(resolve(this.start)):
        return [
            setting
            for setting in this.plan.settings
            if not setting.strip().startswith(("model.lora", "model.quantisation"))
        ]
    return list(this.plan.settings)


def _load_start(this: Round, numerics: Any, template: str, reporter: Reporter) -> LanguageModel:
    """Load the round's start, which must be the model trained from. Raises ModelError."""
    from penchant.models.ledger import read_ledger
    from penchant.models.load import load_model

    model = load_model(this.start, numerics, chat_template=template, say=reporter.say)
    trained_from = read_ledger(this.path / "run").get("model_digest", "none")
    if model.digest != trained_from:
        raise ModelError(
            f"{this.start}: its weights have the digest {model.digest[:12]}, but round {this.number} was trained from "
            f"{trained_from[:12]}; restore the model as it was"
        )
    return model
