"""The stages of a round that need the model: sample, train, and answer the held-out prompts before and after."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from penchant.cli.round_plan import Round
from penchant.errors import DataError, ModelError

if TYPE_CHECKING:
    from penchant.cli.console import Reporter
    from penchant.data import Source
    from penchant.models.language_model import LanguageModel
    from penchant.models.sampler import SamplingParams

__all__ = ["answer_held_out", "sample_responses", "train_on_votes"]

BATCH_SIZE = 64
"""Responses sampled at once."""


def sample_responses(this: Round) -> None:
    """samples.jsonl: two responses of the current model to every training prompt, as `penchant sample` writes them."""
    from penchant.cli import sample

    plan = this.plan
    sample.command(
        prompts=str(this.path / "train.jsonl"),
        output=this.path / "samples.jsonl",
        model=this.start,
        temperature=plan.temperature,
        top_p=plan.top_p,
        top_k=plan.top_k,
        max_new_tokens=plan.max_new_tokens,
        batch_size=BATCH_SIZE,
        seed=this.seed,
        device=plan.device,
        dtype=plan.dtype,
        chat_template=this.chat_template,
        resume=True,
    )


def train_on_votes(this: Round) -> None:
    """run/: `penchant dpo` on votes.jsonl; its reference is the model the round started from."""
    from penchant.cli import dpo
    from penchant.evaluation.judges import read_comparisons, tally
    from penchant.training.run_folder import read_ledger

    votes, run = this.path / "votes.jsonl", this.path / "run"
    counts = tally(read_comparisons(votes))
    if not counts.outcomes["a"] + counts.outcomes["b"]:
        num = sum(counts.outcomes.values())
        unreadable = f" ({counts.num_unreadable} of {num} could not be read)" if counts.num_unreadable else ""
        raise DataError(
            f"{votes}: no answer prefers a side{unreadable}, so there is nothing to train on; remove "
            f"{this.path} and begin the round again with another judge, a higher --temperature or more prompts"
        )
    ledger = read_ledger(run) if (run / "run.json").is_file() else None
    if ledger is not None and ledger.get("status") == "finished":
        return
    dpo.command(
        data=[str(votes)],
        output=str(run),
        model=this.start,
        seed=this.seed,
        device=this.plan.device,
        dtype=this.plan.dtype,
        chat_template=this.chat_template,
        settings=_settings(this),
        resume=ledger is not None,
    )


def answer_held_out(this: Round, reporter: Reporter) -> None:
    """answers.jsonl: both models' answers to the held-out prompts side by side, with log pi / pi_ref of each prompt."""
    from penchant.cli.loading import load
    from penchant.data import load_prompts
    from penchant.evaluation.answers import Asked, answer_as_policy, answer_as_reference
    from penchant.evaluation.side_by_side import side_by_side
    from penchant.files.whole import disk_errors_explained, write_atomically
    from penchant.models.sampler import SamplingParams

    plan = this.plan
    prompts = load_prompts(this.path / "held-out.jsonl").records
    params = SamplingParams(plan.temperature, plan.top_p, plan.top_k, plan.max_new_tokens, this.seed)
    asked = Asked(prompts, params, batch_size=BATCH_SIZE)
    policy = load(str(this.path / "run"), plan.device, plan.dtype, None, reporter)
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
    lines = [json.dumps(row.model_dump(mode="json", exclude_none=True), ensure_ascii=False) + "\n" for row in rows]
    with disk_errors_explained(this.path, again="run the command again", elsewhere="choose another folder"):
        write_atomically(this.path / "answers.jsonl", "".join(lines))


def _source(name: str, model: LanguageModel, params: SamplingParams) -> Source:
    """Who wrote an answer, by the name the model has among the rounds, wherever their folder lies."""
    from penchant.evaluation.candidates import source_of

    return source_of(model, params).model_copy(update={"model": f"{name}@{model.digest[:12]}"})


def _settings(this: Round) -> list[str]:
    """--set of the plan; an adapter is trained further as it is, so its settings are those of the first round."""
    from penchant.models.load import is_adapter_folder, resolve

    if this.number > 1 and is_adapter_folder(resolve(this.start)):
        return [setting for setting in this.plan.settings if not setting.strip().startswith("model.lora")]
    return list(this.plan.settings)


def _load_start(this: Round, numerics: Any, template: str, reporter: Reporter) -> LanguageModel:
    """The model the round started from, which must be what was trained from. Raises ModelError."""
    from penchant.models.load import load_model
    from penchant.training.run_folder import read_ledger

    model = load_model(this.start, numerics, chat_template=template, say=reporter.say)
    trained_from = read_ledger(this.path / "run")["model_digest"]
    if model.digest != trained_from:
        raise ModelError(
            f"{this.start}: its weights have the digest {model.digest[:12]}, but round {this.number} was trained from "
            f"{trained_from[:12]}; bring back the model as it was"
        )
    return model
